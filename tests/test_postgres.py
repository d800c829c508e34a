"""Records of PostgreSQL: what is said without a server, and a real server where one is installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import pytest

import zoo_geo as zg
from zoo_geo.errors import InputError
from zoo_geo.microdata import RecordIndicator, check_microdata, read_microdata
from zoo_geo.records import Source

KEY = zg.Key(b"a key of this test, and of no other one")
PLACES = [Path(each) for each in os.get_exec_path()] + sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PROGRAMS = next((each for each in PLACES[::-1] if (each / "initdb").exists()), None)
TABLES = """
CREATE SCHEMA basis;
CREATE TABLE basis."Personen" (
    bsn char(9), buurt varchar(10), inkomen numeric(12, 2), jaar smallint, sinds date, naam text,
    mee boolean, kenmerk uuid, gewicht real);
INSERT INTO basis."Personen" VALUES
    ('123456782', 'BU01', 10.25, 2023, '2023-05-01', 'Een', true, gen_random_uuid(), 0.5),
    ('012345672', 'BU01', 20.50, 2023, NULL, 'Twee', false, NULL, NULL),
    (' 12345672', 'BU02', NULL, 2023, '2023-06-01', 'Drie', true, NULL, 2);
CREATE TABLE schulden (bsn integer, bedrag bigint);
INSERT INTO schulden VALUES (12345672, 500);
CREATE TABLE leeg (bsn integer, buurt text);
CREATE FUNCTION wrong() RETURNS integer LANGUAGE sql AS 'INSERT INTO schulden VALUES (1, 1) RETURNING 1';
CREATE VIEW writing AS SELECT wrong() AS n;
"""


def indicator(query, aggregate="sum"):
    return RecordIndicator("i", query, aggregate, "binomial" if aggregate == "share" else "gaussian")


def test_what_is_needed_is_said_and_no_password(monkeypatch):
    source = Source("r", dsn_env="ZOO_GEO_TEST_DSN", table="people")
    query = indicator("SELECT area, unit FROM r")
    monkeypatch.delenv("ZOO_GEO_TEST_DSN", raising=False)
    with pytest.raises(InputError, match="source r: environment variable ZOO_GEO_TEST_DSN needs to say"):
        read_microdata([source], [query])
    monkeypatch.setenv("ZOO_GEO_TEST_DSN", "host=/nowhere password=hunter2")
    with pytest.raises(
        InputError, match=r"driver installed|reachable by what ZOO_GEO_TEST_DSN says"
    ) as caught:
        read_microdata([source], [query])
    assert "hunter2" not in str(caught.value)


@pytest.fixture(scope="module")
def server():
    """Start a server of our own that nobody else reaches; yield its address."""
    pytest.importorskip("adbc_driver_postgresql", reason="needs adbc-driver-postgresql")
    if PROGRAMS is None:
        pytest.skip("needs PostgreSQL's initdb")
    user = "postgres" if os.geteuid() == 0 else None  # a server does not start as root
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    if user:
        try:
            shutil.chown(folder, user)
        except LookupError:
            shutil.rmtree(folder)
            pytest.skip("needs a user that is not root")

    def do(program, *arguments, **options):
        command = [str(PROGRAMS / program), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, **options)

    data = f"{folder}/data"
    try:
        do("initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        do("pg_ctl", "start", "-w", "-D", data, "-l", f"{folder}/log", "-o", f"-k {folder} -h '' -F")
        try:
            do(
                "psql",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                folder,
                "-U",
                "tester",
                "postgres",
                input=TABLES.encode(),
            )
            yield f"host={folder} dbname=postgres user=tester"
        finally:
            do("pg_ctl", "stop", "-D", data, "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sources(server, monkeypatch):
    monkeypatch.setenv("ZOO_GEO_TEST_DSN", server)

    def of(id, table, **options):
        return Source(id, dsn_env="ZOO_GEO_TEST_DSN", table=table, **options)

    return [
        of("p", "basis.Personen", identifiers=("bsn",), drop=("naam",)),
        of("s", "schulden", identifiers=("bsn",)),
    ]


def test_tables_of_a_server_are_read(sources):
    income = indicator(
        "SELECT buurt AS area, jaar AS period, bsn AS unit, inkomen AS value FROM p "
        "WHERE mee OR gewicht IS NULL"
    )
    check_microdata(sources, [income], key=KEY)
    found = read_microdata(sources, [income], key=KEY)
    assert found.frame[["area", "period", "observed"]].values.tolist() == [["BU01", "2023", 30.75]]
    assert found.notices == ("indicator i: 1 of 3 records have no value and were left out.",)


def test_persons_are_linked_to_files_and_other_tables(sources):
    jobs = Source("j", frame=pd.DataFrame({"bsn": ["12345672"], "uren": [8]}), identifiers=("bsn",))
    query = (
        "SELECT buurt AS area, bsn AS unit, bedrag * uren AS value "
        "FROM p JOIN s USING (bsn) JOIN j USING (bsn)"
    )
    found = read_microdata([*sources, jobs], [indicator(query)], key=KEY)
    assert found.frame[["area", "observed"]].values.tolist() == [["BU01", 4000.0], ["BU02", 4000.0]]


def test_an_empty_table_and_one_that_is_none(sources, server):
    empty = Source("e", dsn_env="ZOO_GEO_TEST_DSN", table="leeg", identifiers=("bsn",))
    with pytest.raises(InputError, match="indicator i: query needs to give records of areas"):
        read_microdata([empty], [indicator("SELECT buurt AS area, bsn AS unit FROM e")], key=KEY)
    none = Source("e", dsn_env="ZOO_GEO_TEST_DSN", table="oeps")
    with pytest.raises(
        InputError, match="source e: table needs to be one that can be read; got 'oeps', which is none"
    ):
        read_microdata([none], [indicator("SELECT buurt AS area, bsn AS unit FROM e")], key=KEY)


def test_columns_that_are_not_used_do_not_leave_the_server(sources):
    from zoo_geo.postgres import reading

    with reading("ZOO_GEO_TEST_DSN", "basis.Personen", {"buurt", "naam"}, ["naam"]) as stream:
        table = stream.read_all()
    assert table.num_rows == 3
    assert [name for name in table.column_names if table[name].null_count < 3] == ["buurt"]


def test_nothing_can_be_written(sources, server):
    from adbc_driver_postgresql import dbapi

    from zoo_geo.postgres import reading

    query = '"; DROP TABLE schulden; --'
    with (
        pytest.raises(InputError, match="table needs to be one"),
        reading("ZOO_GEO_TEST_DSN", query, None, ()),
    ):
        pass
    with dbapi.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM schulden")
        assert cursor.fetchone() == (1,)
