"""The command line: ``zoo-geo run STUDY -o OUT`` and its companions."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo_geo._version import __version__
from zoo_geo.errors import DisclosureError, InputError

if TYPE_CHECKING:
    from zoo_geo.pipeline import Progress, Result

DONE, FAILED, WRONG_INPUT = 0, 1, 2

_TOP = 10
_CLOSING: dict[str, dict[str, str]] = {
    "en": {
        "where": "Results are in {out} ({n} files); open {page} for the map.",
        "where_no_page": "Results are in {out} ({n} files).",
        "flags": "{flags} in {areas}. Read report_internal.md for what the reader has to know.",
        "flag": "{n} flags",
        "flag_1": "1 flag",
        "area": "{n} areas",
        "area_1": "1 area",
        "top": "The {n} areas that deviate most:",
        "top_1": "The area that deviates most:",
    },
    "nl": {
        "where": "De resultaten staan in {out} ({n} bestanden); open {page} voor de kaart.",
        "where_no_page": "De resultaten staan in {out} ({n} bestanden).",
        "flags": "{flags} in {areas}. Lees report_internal.md voor wat de lezer moet weten.",
        "flag": "{n} vlaggen",
        "flag_1": "1 vlag",
        "area": "{n} gebieden",
        "area_1": "1 gebied",
        "top": "De {n} gebieden die het meest afwijken:",
        "top_1": "Het gebied dat het meest afwijkt:",
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 failed, 2 the input is wrong.

    Parameters
    ----------
    arguments
        What stands behind the name of the program; those of the process when not given.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except InputError as error:
        _report_failure(error.problems, debug=options.debug)
        return WRONG_INPUT
    except DisclosureError as error:
        _report_failure(str(error).splitlines(), debug=options.debug)
        return FAILED
    except KeyboardInterrupt:
        _report_failure(["interrupted; nothing was written."], debug=options.debug)
        return FAILED
    except Exception as error:
        line = str(error).partition("\n")[0].rstrip(".")
        hint = "" if options.debug else " Run it again with --debug for the traceback."
        _report_failure([f"zoo-geo failed: {type(error).__name__}: {line}.{hint}"], debug=options.debug)
        return FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zoo-geo",
        description="Which small areas deviate significantly, from what, and how sure are we?",
        epilog="Exit codes: 0 done, 1 the run failed, 2 the input is wrong (one line per problem).",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of what goes wrong")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, do: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(command=do)
        return added

    run = command("run", _run, "run a study and write its results")
    run.add_argument("study", metavar="STUDY", help="study file (TOML)")
    run.add_argument("-o", "--out", required=True, metavar="OUT", help="folder for the results")
    check = command("check", _check, "check a study and its data without computing anything")
    check.add_argument("study", metavar="STUDY", help="study file (TOML)")
    command("detectors", _detectors, "list the detectors and their options")
    sample = command("sample", _sample, "write a synthetic study to try things on")
    sample.add_argument("directory", metavar="DIR", help="where to; made where it is missing")
    sample.add_argument("--microdata", action="store_true", help="also the registers behind the figures")
    command("schema", _schema, "print the JSON Schema of the study file")
    return parser


def _run(options: argparse.Namespace) -> None:
    from zoo_geo.pipeline import run

    with _progress() as progress:
        result = run(options.study, options.out, progress)
    print("\n".join(_closing(result, options.out)))


def _check(options: argparse.Namespace) -> None:
    from zoo_geo.inputs import read_inputs
    from zoo_geo.notices import told
    from zoo_geo.study import load_study

    study = load_study(options.study)
    inputs = read_inputs(study, records=False)
    panel = inputs.panel
    cells = f"{len(panel.indicators)} indicators x {len(panel.periods)} periods"
    figures = f", {len(panel.areas):,} with figures, {cells}" if panel.indicators else ""
    print(f"{study.title}: {len(inputs.areas):,} areas{figures}.")
    if study.sources:
        names = ", ".join(source.id for source in study.sources)
        counted = len(study.indicators) - len(panel.indicators)
        more = "more indicators" if panel.indicators else "indicators"
        queries = f"the queries of {counted} {more} are right, and are asked when the study runs"
        print(f"Records: {names}; {queries}.")
    print(f"Neighbours: {inputs.graph.n_edges:,} links, {inputs.graph.cardinalities.mean():.1f} per area.")
    if inputs.peers is not None:
        links, good = inputs.peers.graph.n_edges, int(inputs.peers.quality["good"].sum())
        print(f"Peers: {links:,} links; {good:,} of {len(inputs.areas):,} areas have good ones.")
    print(f"Detectors: {', '.join(study.detector_names())}.")
    for notice in (*inputs.areas.notices, *panel.notices, *inputs.notices):
        print(f"- {told(notice, study.language)}")
    print("The study can be run.")


def _detectors(options: argparse.Namespace) -> None:
    from dataclasses import MISSING, fields

    from zoo_geo.detectors import registry

    for name, kind in registry().items():
        print(f"{name}: {(kind.__doc__ or '').strip().partition(chr(10))[0]}")
        for item in fields(kind):  # type: ignore[arg-type]
            if not item.init:
                continue
            default = "required" if item.default is MISSING else json.dumps(item.default)
            print(f"    {item.name} = {default}")


def _sample(options: argparse.Namespace) -> None:
    from zoo_geo.sample import write_sample

    for path in write_sample(options.directory, microdata=options.microdata):
        print(path)
    study = "study_microdata.toml" if options.microdata else "study.toml"
    print(f"Now run: zoo-geo run {options.directory}/{study} -o out/")


def _schema(options: argparse.Namespace) -> None:
    from zoo_geo.study import json_schema

    print(json.dumps(json_schema(), indent=2))


def _report_failure(lines: Sequence[str], *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    for line in lines:
        print(line, file=sys.stderr)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        with _heard(lambda line: print(line, file=sys.stderr, flush=True)):
            yield _logged
        return
    from tqdm import tqdm

    layout = "{desc}|{bar}| {n_fmt}/{total_fmt} [{elapsed}]"
    with (
        tqdm(total=1, bar_format=layout, leave=False, dynamic_ncols=True) as bar,
        _heard(lambda line: bar.write(line, file=sys.stderr)),
    ):

        def show(name: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description_str(f"{name:<26}")

        yield show


@contextmanager
def _heard(write: Callable[[str], object]) -> Iterator[None]:
    """Write what the package logs for a user to know, as that it compiles."""
    log, handler = logging.getLogger("zoo_geo"), _Handler()
    handler.write, level = write, log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Handler(logging.Handler):
    """Hands on the text of what is logged, and nothing else."""

    write: Callable[[str], object]

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage())


_STARTED = time.perf_counter()


def _logged(name: str, done: int, total: int) -> None:
    print(f"{time.perf_counter() - _STARTED:6.1f} s  {done}/{total}  {name}", file=sys.stderr, flush=True)


def _closing(result: Result, out: str) -> list[str]:
    """Say where the results are, which areas deviate most, and how known anomalies fared."""
    from zoo_geo.facts import number
    from zoo_geo.outputs.report import small_exposure_line, truth_line

    language = result.study.language
    words, flagged = _CLOSING[language], result.flags.frame
    page = next((path for path in result.paths if path.suffix == ".html"), None)
    where = words["where" if page else "where_no_page"]
    areas = flagged.drop_duplicates("area")

    def counted(what: str, n: int) -> str:
        return words[f"{what}_1" if n == 1 else what].format(n=number(n, language, 15))

    counts = {"flags": counted("flag", len(flagged)), "areas": counted("area", len(areas))}
    lines = [where.format(out=out, n=len(result.paths) + 1, page=page), words["flags"].format(**counts)]
    lines += list(filter(None, [small_exposure_line(result.report, language)]))
    lines += [truth_line(result.report, language)] if "truth" in result.report else []
    top = areas["sentence"].head(_TOP)
    lines += ["", counted("top", len(top))] if len(top) else []
    return [*lines, *(_wrapped(f"{place:3}. {text}") for place, text in enumerate(top, 1))]


def _wrapped(text: str) -> str:
    """Break a long line for a terminal; elsewhere leave it whole."""
    if not sys.stdout.isatty():
        return text
    width = max(40, shutil.get_terminal_size().columns - 1)
    return textwrap.fill(text, width, subsequent_indent=" " * 5, break_long_words=False)


if __name__ == "__main__":
    sys.exit(main())
