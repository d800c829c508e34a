"""Queries of a study file read the declared sources, and nothing else: attacks on the guard and the locks."""

import re
import time

import duckdb
import pandas as pd
import pytest

from zoo_geo.errors import InputError
from zoo_geo.microdata import RecordIndicator, check_microdata, read_microdata
from zoo_geo.records import Limits, Source, open_records
from zoo_geo.sql_guard import FUNCTIONS, check_query, rows_of

SOURCES = ["persons", "Parken"]

REFUSED = """
COPY persons TO 'out.csv'
COPY (SELECT * FROM persons) TO 'out.parquet'
COPY persons FROM 'in.csv'
ATTACH 'other.db'
ATTACH ':memory:' AS x
DETACH persons
INSTALL spatial
FORCE INSTALL httpfs
LOAD postgres
PRAGMA table_info('persons')
PRAGMA database_list
SET memory_limit = '1TB'
SET enable_external_access = true
RESET lock_configuration
CALL pragma_version()
EXPORT DATABASE 'here'
IMPORT DATABASE 'here'
CREATE TABLE t AS SELECT * FROM persons
CREATE OR REPLACE VIEW persons AS SELECT 1
CREATE MACRO f(x) AS TABLE SELECT * FROM read_text(x)
CREATE SECRET s (TYPE s3)
INSERT INTO persons VALUES (1)
UPDATE persons SET nr = 1
DELETE FROM persons
DROP TABLE persons
ALTER TABLE persons ADD COLUMN x INT
TRUNCATE persons
VACUUM
CHECKPOINT
BEGIN TRANSACTION
USE memory
PREPARE p AS SELECT 1
EXECUTE p
EXPLAIN SELECT * FROM persons
EXPLAIN ANALYZE SELECT * FROM persons
DESCRIBE persons
SUMMARIZE persons
SHOW TABLES
SHOW ALL TABLES
PIVOT persons ON age
SELECT 1 AS a; SELECT 2 AS b
SELECT * FROM persons; DROP TABLE persons
SELECT 1; /* ; */ COPY persons TO 'x'
SELECT * REPLACE (getenv('ZOO_GEO_KEY') AS nr) FROM persons
SELECT * REPLACE ((SELECT content FROM read_text('/etc/passwd')) AS nr) FROM persons
SELECT * REPLACE ((SELECT value FROM duckdb_settings() LIMIT 1) AS nr) FROM persons
SELECT COLUMNS(c -> c LIKE 'n%') FROM persons
SELECT * FROM persons AT (VERSION => getenv('x'))
SELECT * FROM persons POSITIONAL JOIN Parken
SELECT replace(nr, 'x', nr) FROM persons
SELECT regexp_replace(nr, 'x', nr, 'g') FROM persons
SELECT replace(nr, 'x', lpad('x', 9, 'y')) FROM persons
WITH q AS (WITH secrets AS (SELECT 1 AS a) SELECT * FROM secrets) SELECT * FROM secrets
SELECT (WITH z AS (SELECT 1 AS a) SELECT a FROM z) AS area FROM z
WITH persons AS (SELECT 1 AS a) SELECT * FROM main.persons
SELECT sum(nr) FILTER (getenv('x') = '1') FROM persons
SELECT sum(nr) OVER w FROM persons WINDOW w AS (ORDER BY getenv('x'))
SELECT nr FROM persons LIMIT (SELECT CAST(getenv('x') AS INT))
SELECT {'a': getenv('x')} FROM persons
SELECT * FROM unnest([getenv('x')])
SELECT * FROM (SHOW ALL TABLES)
SELECT * FROM query_table('persons')
SELECT * FROM query('SELECT 1')
SELECT * FROM duckdb_secrets()
SELECT * FROM sqlite_master
SELECT * FROM zoo_geo_records
SELECT zoo_geo_code('123456782') FROM persons
WITH x AS (DELETE FROM persons RETURNING *) SELECT * FROM x
MERGE INTO persons USING persons q ON persons.nr = q.nr WHEN MATCHED THEN DELETE
SELECT * FROM 'file.csv'
SELECT * FROM "file.parquet"
SELECT * FROM '/etc/passwd'
SELECT * FROM 'https://example.org/x.parquet'
SELECT * FROM 's3://bucket/x.parquet'
FROM 'x.parquet' SELECT a
FROM 'x.parquet'
TABLE 'x.parquet'
SELECT * FROM read_csv('x.csv')
SELECT * FROM read_csv_auto('x.csv')
SELECT * FROM READ_PARQUET('x.parquet')
SELECT * FROM "read_parquet"('x.parquet')
SELECT * FROM parquet_scan('x.parquet')
SELECT * FROM parquet_metadata('x.parquet')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_blob('/etc/passwd')
SELECT * FROM read_json('x.json')
SELECT * FROM read_ndjson_objects('x.json')
SELECT * FROM sniff_csv('x.csv')
SELECT * FROM glob('/*')
SELECT * FROM/**/glob/* x */('/*')
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('persons')
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_functions()
SELECT * FROM duckdb_extensions()
SELECT * FROM pragma_database_list()
SELECT * FROM pragma_storage_info('persons')
SELECT * FROM pragma_table_info('persons')
SELECT * FROM information_schema.tables
SELECT * FROM duckdb_tables
SELECT * FROM pg_catalog.pg_class
SELECT * FROM pg_tables
SELECT * FROM sqlite_master
SELECT * FROM sqlite_schema
SELECT * FROM main.persons
SELECT * FROM memory.main.persons
SELECT * FROM zoo_geo_records
SELECT * FROM range(10)
SELECT * FROM generate_series(1, 1000000000000)
SELECT * FROM repeat_row(1, num_rows = 10)
SELECT * FROM persons p, read_text('/etc/passwd') t
SELECT * FROM persons p JOIN LATERAL (SELECT * FROM read_text(p.name)) t ON true
SELECT * FROM persons WHERE age IN (SELECT content FROM read_text('/etc/passwd'))
SELECT (SELECT max(content) FROM read_text('/etc/passwd')) AS area FROM persons
SELECT CASE WHEN EXISTS (SELECT 1 FROM glob('/root/*')) THEN 1 END FROM persons
SELECT a FROM persons UNION ALL SELECT content FROM read_text('x')
SELECT a FROM persons ORDER BY (SELECT max(content) FROM read_text('x'))
SELECT a FROM persons LIMIT (SELECT count(*) FROM glob('/*'))
SELECT a FROM persons QUALIFY row_number() OVER (ORDER BY (SELECT 1 FROM glob('*'))) = 1
SELECT a FROM persons GROUP BY a HAVING max(getenv('HOME')) > 'a'
SELECT sum(a) FILTER (WHERE getenv('HOME') = 'x') FROM persons
SELECT sum(a) OVER (PARTITION BY getenv('HOME')) FROM persons
SELECT count(DISTINCT (SELECT 1 FROM glob('*'))) FROM persons
SELECT a FROM persons, (VALUES (getenv('HOME'))) v(x)
SELECT getenv('HOME') FROM persons
SELECT GetEnv('HOME') FROM persons
SELECT "getenv"('HOME') FROM persons
SELECT main.getenv('HOME') FROM persons
SELECT system.main.lower(a) FROM persons
SELECT 'HOME'.getenv() FROM persons
SELECT current_setting('memory_limit') FROM persons
SELECT set_config('a', 'b') FROM persons
SELECT getvariable('x') FROM persons
SELECT current_user FROM persons
SELECT current_date FROM persons
SELECT now() FROM persons
SELECT today() FROM persons
SELECT random() FROM persons
SELECT uuid() FROM persons
SELECT gen_random_uuid() FROM persons
SELECT nextval('s') FROM persons
SELECT version() FROM persons
SELECT pg_get_viewdef('x') FROM persons
SELECT current_database() FROM persons
SELECT current_schemas(true) FROM persons
SELECT txid_current() FROM persons
SELECT rowid FROM persons
SELECT p.rowid FROM persons p
SELECT filename FROM persons
SELECT json_serialize_sql('SELECT 1') FROM persons
SELECT * FROM json_execute_serialized_sql('{}')
SELECT json_execute_serialized_sql('{}') FROM persons
SELECT write_log('x') FROM persons
SELECT read_text('x') FROM persons
SELECT list_aggregate([1], 'random') FROM persons
SELECT list_transform([1], lambda x: getenv('HOME')) FROM persons
SELECT zoo_geo_code('123456782') FROM persons
SELECT repeat('x', 2000000000) FROM persons
SELECT lpad('x', 2000000000, 'x') FROM persons
SELECT lpad('x', age, 'x') FROM persons
SELECT rpad('x', 1000 * 1000000, 'x') FROM persons
SELECT string_agg(a) FROM persons
SELECT first(a) FROM persons
SELECT any_value(a) FROM persons
SELECT $1 FROM persons
SELECT ? FROM persons
SELECT $x FROM persons
SELECT #1 FROM persons
SELECT a FROM persons USING SAMPLE 10
SELECT a FROM persons TABLESAMPLE 10%
SELECT a::mytype FROM persons
SELECT CAST(a AS regclass) FROM persons
SELECT a::main.mytype FROM persons
SELECT a::JSON FROM persons
WITH "x.csv" AS (SELECT 1) SELECT * FROM "x.csv"
SELECT * FROM (WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master) t, sqlite_master
SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) a, t
WITH a AS (SELECT * FROM b), b AS (SELECT * FROM persons) SELECT * FROM a
WITH t AS (SELECT * FROM t) SELECT * FROM t
WITH t AS (SELECT * FROM read_text('x')) SELECT * FROM t
WITH persons AS MATERIALIZED (FROM 'x.csv') SELECT * FROM persons
WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM duckdb_settings()) SELECT * FROM t
WITH t AS (DELETE FROM persons RETURNING *) SELECT * FROM t
WITH t AS (INSERT INTO persons VALUES (1) RETURNING *) SELECT * FROM t
SELECT * FROM pérsons
SELECT * FROM pеrsons
SELECT * FROM "persons "
SELECT * FROM persons2
SELECT ; FROM persons
SELECT
/* nothing */
SELECT * FROM persons WHERE
'SELECT 1'
SELECT * FROM (PIVOT persons ON age)
SELECT * FROM persons PIVOT (count(*) FOR age IN (1, 2))
SELECT * FROM (DESCRIBE persons)
SELECT * FROM (SHOW TABLES)
""".strip().splitlines()

ALLOWED = """
SELECT buurt AS area, nr AS unit FROM persons
SELECT buurt AS area, nr AS unit FROM persons;
SELECT buurt AS area, nr AS unit FROM persons; -- and no more
SELECT buurt AS area, nr AS unit FROM persons -- all of them
FROM persons SELECT buurt AS area
SELECT * FROM PERSONS
SELECT * FROM parken
SELECT p.*, q.x FROM persons p LEFT JOIN "Parken" q USING (buurt)
WITH a AS (SELECT * FROM persons), b AS (SELECT * FROM a) SELECT count(*) FROM a, b
WITH persons AS (SELECT * FROM persons WHERE age > 17) SELECT * FROM persons
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t
SELECT CASE WHEN age BETWEEN 1 AND 5 THEN 1 ELSE 0 END AS value FROM persons WHERE sbi LIKE '9602%'
SELECT lpad(gm::VARCHAR, 4, '0') AS area, extract(year FROM d) AS period FROM persons WHERE sbi NOT IN ('1')
SELECT count(DISTINCT nr) FILTER (age > 1) FROM persons GROUP BY GROUPING SETS ((a), (b)) HAVING sum(x) > 1
SELECT nr, row_number() OVER (PARTITION BY nr ORDER BY d DESC) AS n FROM persons QUALIFY n = 1
SELECT DISTINCT ON (nr) nr, coalesce(a, '') || 'x' AS area FROM persons ORDER BY nr, d DESC NULLS LAST LIMIT 5
SELECT nr FROM persons EXCEPT SELECT nr FROM parken
SELECT nr FROM persons p WHERE EXISTS (FROM parken q WHERE q.nr = p.nr AND q.a IS NOT DISTINCT FROM p.a)
SELECT DATE '2023-01-01' - INTERVAL 3 DAY AS d, TRY_CAST(a AS DECIMAL(10, 2)) AS value FROM persons
SELECT ';' AS a, '-- no comment' AS b, 'read_csv(''x'')' AS c FROM persons
SELECT a FROM (VALUES ('BU01'), ('BU02')) v(a)
SELECT u.x FROM persons, unnest([1, 2]) AS u(x)
""".strip().splitlines()


@pytest.mark.parametrize("sql", REFUSED)
def test_attacks_are_refused(sql):
    with pytest.raises(InputError, match="query needs to"):
        check_query(sql, SOURCES)


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_an_analyst_writes_is_allowed(sql):
    assert check_query(sql, SOURCES).sql == sql


@pytest.mark.parametrize("sql", ALLOWED[:3])
def test_comments_and_semicolons_do_no_harm(sql):
    figures = read_microdata({"persons": PEOPLE}, [RecordIndicator("n", sql, "sum", "gaussian")])
    assert figures.frame["observed"].tolist() == [1, 1]


def test_there_are_enough_attacks():
    assert len(set(REFUSED)) >= 150


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("COPY persons TO 'x'", "got COPY: COPY persons TO 'x'."),
        ("SELECT 1;\nDROP TABLE persons", "got 2 statements (SELECT 1;; DROP TABLE persons)."),
        (
            "SELECT a\nFROM read_csv('x.csv')",
            "got table function read_csv in line 2, character 6: read_csv('x.csv')",
        ),
        (
            "SELECT 'é', getenv('HOME') FROM persons",
            "function getenv in line 1, character 13: getenv('HOME').",
        ),
        (
            "SELECT a FROM person",
            'got table "person" in line 1, character 15: person. Did you mean "persons"?',
        ),
        (
            "SELECT lowerr(a) FROM persons",
            'function lowerr in line 1, character 8: lowerr(a). Did you mean "lower"?',
        ),
        ("SELECT a FROM 'x.csv'", "got table \"x.csv\" in line 1, character 15: 'x.csv'."),
    ],
)
def test_the_error_names_the_statement_and_the_place(sql, words):
    with pytest.raises(InputError) as caught:
        check_query(sql, SOURCES)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["getenv", "hash", "md5", "read_text", "getvariable", "random"])
def test_a_refused_function_has_no_hint(name):
    with pytest.raises(InputError, match=rf"got function {name} ") as caught:
        check_query(f"SELECT {name}('a') FROM persons", SOURCES)
    assert "Did you mean" not in str(caught.value)


def test_no_function_turns_text_into_a_code():
    with duckdb.connect() as db:
        rows = db.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    coding = re.compile(r"hash|md5|sha\d|sort_key|crc|hex|base64|encode|^bin$|binary|ascii|^ord$|unicode|chr")
    found = {name for (name,) in rows if coding.search(name)}
    assert {"hash", "md5", "md5_number", "md5_number_lower", "sha1", "sha256", "create_sort_key"} <= found
    assert not found & FUNCTIONS
    for name in found:
        if re.fullmatch(r"\w+", name):
            with pytest.raises(InputError):
                check_query(f"SELECT area, unit, {name}(bsn) AS value FROM persons", SOURCES)


CODED = """
substr(CAST(bsn AS VARCHAR), 1, 8) AS value FROM persons
bsn || '' AS value FROM persons
CAST(bsn AS UHUGEINT) AS value FROM persons
rank() OVER (ORDER BY bsn) AS value FROM persons
CASE WHEN substr(CAST(bsn AS VARCHAR), 1, 1) = 'a' THEN 1 ELSE 0 END AS value FROM persons
strpos('0123456789abcdef', q) AS value FROM (SELECT *, left(CAST(bsn AS TEXT), 1) AS q FROM persons)
CAST(q AS TEXT) AS branch FROM (SELECT * RENAME (bsn AS q) FROM persons)
CAST(q AS TEXT) AS branch FROM persons p(q, r)
CAST(q AS TEXT) AS branch FROM (SELECT nr, bsn FROM persons) p(n, q)
len(q) AS value FROM (SELECT 'a' AS q UNION ALL SELECT CAST(bsn AS TEXT) FROM persons)
CAST(COLUMNS('b.*') AS TEXT) AS branch FROM persons
CAST((SELECT max(bsn) FROM persons) AS TEXT) AS period FROM persons
* REPLACE (CAST(bsn AS TEXT) AS branch) FROM persons
"""
UNCODED = """
bsn AS unit, 1 AS value FROM persons
CAST(bsn AS VARCHAR) || year AS unit, year AS period FROM persons
count(DISTINCT bsn) AS value FROM persons GROUP BY ALL
bsn IS NOT NULL AND bsn <> parent AS value FROM persons
bsn IN (SELECT parent FROM persons) AS value FROM persons
EXISTS (SELECT 1 FROM Parken p WHERE p.bsn = persons.bsn) AS value FROM persons
(SELECT sum(x) FROM Parken p WHERE p.bsn = persons.bsn GROUP BY p.bsn) AS value FROM persons
count(*) OVER (PARTITION BY bsn) AS value FROM persons
sum(loss) OVER (PARTITION BY bsn ORDER BY day) AS value FROM persons
* FROM (SELECT area, bsn AS unit, sum(x) AS value FROM persons GROUP BY ALL)
bsn + 1 AS value FROM Parken
"""


@pytest.mark.parametrize("rest", CODED.strip().splitlines())
def test_no_figure_is_made_of_keyed_codes(rest):
    sql = f"SELECT {rest}"
    with pytest.raises(InputError, match=r"needs to be made of no keyed code of a person \(Bsn, Parent\)"):
        check_query(sql, SOURCES, {"persons": ["Bsn", "Parent"]})
    check_query(sql, SOURCES)


def test_names_of_with_are_followed():
    sql = "WITH a({}) AS (SELECT nr, bsn FROM persons) SELECT CAST(q AS TEXT) AS branch FROM a"
    check_query(sql.format("q, p"), SOURCES, {"persons": ["bsn"]})
    with pytest.raises(InputError, match="column branch needs to be made of no keyed code"):
        check_query(sql.format("p, q"), SOURCES, {"persons": ["bsn"]})


@pytest.mark.parametrize("rest", UNCODED.strip().splitlines())
def test_keyed_codes_are_counted_and_compared(rest):
    check_query(f"SELECT {rest}", SOURCES, {"persons": ["Bsn", "Parent"]})


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(InputError) as caught:
        check_query("SELECT getenv('A'), now() FROM read_text('x'), 'y.csv'", SOURCES)
    assert len(caught.value.problems) == 4


def test_columns_that_may_be_read():
    query = check_query("SELECT p.Bsn, q.x.y FROM persons p JOIN parken q USING (nr) WHERE age > 1", SOURCES)
    assert query.sources == {"persons", "parken"}
    assert {"bsn", "x", "y", "nr", "age"} <= query.columns
    for sql in ("SELECT * FROM persons", "SELECT p FROM persons p", "SELECT a FROM persons t(a, b)",
                "SELECT 1 FROM persons NATURAL JOIN parken", "SELECT COLUMNS('x') FROM persons"):  # fmt: skip
        assert check_query(sql, SOURCES).columns is None
    assert check_query("SELECT count(*) FROM persons", SOURCES).columns == frozenset()


def test_functions_are_known_to_duckdb_and_give_the_same_every_time():
    with duckdb.connect() as db:
        rows = db.execute(
            "SELECT lower(function_name), stability, function_type FROM duckdb_functions()"
        ).fetchall()
    stable = {}
    for name, stability, kind in rows:
        stable.setdefault(name, set()).add((stability, kind))
    for name in FUNCTIONS & set(stable):
        kinds = {kind for _, kind in stable[name]}
        assert kinds <= {"scalar", "aggregate", "macro", "window", "window_aggregate"} or name == "unnest", (
            name,
            kinds,
        )
        assert "VOLATILE" not in {each for each, _ in stable[name]}, name


PEOPLE = pd.DataFrame({"buurt": ["BU01", "BU02"], "nr": [1, 2], "age": [30, 40]})


def opened(**limits):
    return open_records([Source("persons", frame=PEOPLE)], None, None, Limits(**limits))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY persons TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.db'",
        "INSTALL spatial",
        "LOAD '{folder}/x.duckdb_extension'",
        "SET threads = 8",
        "SET memory_limit = '1TB'",
        "SET max_execution_time = 0",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SELECT zoo_geo_code('1')",
        "SELECT * FROM PEOPLE",
    ],
)
def test_the_locks_hold_without_the_guard(sql, tmp_path):
    with opened() as records, pytest.raises(duckdb.Error):
        records.db.execute(sql.format(folder=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT (n + 1) % 1000 FROM t) "
        "SELECT 'BU01' AS area, max(n) AS unit FROM t",
        "WITH a AS (SELECT nr FROM persons UNION ALL SELECT nr FROM persons), "
        "b AS (SELECT x.nr FROM a x, a y, a z), "
        "c AS (SELECT x.nr FROM b x, b y, b z), d AS (SELECT x.nr FROM c x, c y, c z) "
        "SELECT 'BU01' AS area, sum(nr) AS unit FROM d",
    ],
)
def test_what_never_ends_is_ended(sql):
    bomb = RecordIndicator("bomb", sql, "count_units", exposure_query=sql)
    begun = time.perf_counter()
    with pytest.raises(InputError, match="indicator bomb: query needs to end within the time"):
        read_microdata({"persons": PEOPLE}, [bomb], limits=Limits(seconds=1.5))
    assert time.perf_counter() - begun < 60


def test_what_takes_too_much_memory_is_ended():
    sql = (
        "WITH RECURSIVE t AS (SELECT [nr] AS l, 0 AS n FROM persons UNION ALL "
        "SELECT l || l, n + 1 FROM t WHERE n < 40) SELECT 'BU01' AS area, len(l) AS unit FROM t"
    )
    bomb = RecordIndicator("bomb", sql, "sum", "gaussian")
    with pytest.raises(
        InputError, match=r"indicator bomb: query needs to (stay within the memory|end within)"
    ):
        read_microdata({"persons": PEOPLE}, [bomb], limits=Limits(memory="60MB", seconds=20))


@pytest.mark.parametrize("run", [check_microdata, read_microdata])
def test_attacks_through_the_public_face(run, tmp_path):
    (tmp_path / "secret.csv").write_text("area,unit\nBU01,1\n")
    sql = f"SELECT area, unit FROM '{tmp_path}/secret.csv'"
    wrong = RecordIndicator("wrong", "SELECT buurt AS area, nr AS unit FROM persons", exposure_query=sql)
    with pytest.raises(InputError, match="indicator wrong: exposure: query needs to use declared sources"):
        run([Source("persons", frame=PEOPLE)], [wrong])


_ROWS = "SELECT a AS area, b AS unit, x AS value FROM persons WHERE c > 3"


@pytest.mark.parametrize(
    "sql",
    [
        "select a area,  b unit /* other value */ from persons where c > 3",
        "SELECT a AS area, b AS unit, -y * 2 AS value, CASE WHEN y IS NULL THEN 'p' END branch FROM persons "
        "WHERE c > 3",
    ],
)
def test_queries_over_the_same_records(sql):
    assert rows_of(sql) == rows_of(_ROWS) != rows_of("SELECT a AS area, b AS unit FROM persons")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a AS area, b AS unit, max(x) AS value FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, abs(max(x)) AS value FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, 1 + unnest([1, 2]) AS value FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, (SELECT 1) AS value FROM persons WHERE c > 3",
        "SELECT DISTINCT a AS area, b AS unit, x AS value FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, x AS value FROM persons WHERE c > 3 GROUP BY ALL",
        "SELECT a AS area, b AS unit, x AS value FROM persons WHERE c > 3 LIMIT 3",
        "SELECT a AS area, b AS unit, x AS value FROM persons WHERE c > 3 QUALIFY row_number() OVER () = 1",
        "SELECT a AS area, b AS unit, x AS value FROM persons UNION ALL SELECT a, b, x FROM persons",
        "SELECT *, x AS value FROM persons WHERE c > 3",
        "SELECT a AS area, x AS value, value AS unit FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, x AS value FROM persons WHERE value > 3",
        "SELECT a AS area, b AS unit, x AS BRANCH FROM persons WHERE Branch > 3",
    ],
)
def test_queries_whose_values_may_change_their_records(sql):
    assert rows_of(sql) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a AS area, c AS unit FROM persons WHERE c > 3",
        "SELECT b AS area, b AS unit FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit, c AS period FROM persons WHERE c > 3",
        "SELECT a AS area, b AS unit FROM parks WHERE c > 3",
        "SELECT a AS area, b AS unit FROM persons JOIN parks USING (d) WHERE c > 3",
        "WITH persons AS (SELECT * FROM parks) SELECT a AS area, b AS unit FROM persons WHERE c > 3",
    ],
)
def test_queries_over_other_records(sql):
    assert rows_of(sql)[0] != rows_of(_ROWS)[0]
