"""`snnrun reproduce`: the lecture and its papers, one row of RESULTS.md each."""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.line import HELP, Flag, shown_path, split
from snnrun.errors import SnnrunError, UserError
from snnrun.registry import did_you_mean

if TYPE_CHECKING:
    from snnrun.report.runs import Run
    from snnrun.reproduce.page import Content
    from snnrun.reproduce.rows import Part, Row

FLAGS = (
    HELP,
    Flag("--list", ("-l",), "print the rows with their commands and stop"),
    Flag("--quick", ("-q",), "every row in a small size, to see that it works; its numbers say nothing"),
    Flag("--collect", (), "run nothing: put on record what has been run, and write the page"),
)
DATA = {
    "human_digits": "folder of the Free Spoken Digit Dataset",
    "shd": "folder of the Spiking Heidelberg Digits",
    "fashion_mnist": "folder of Fashion-MNIST",
}
KEYS = {
    "jobs": "runs at a time, each in a process of its own (default: one for every second core)",
    "outputs": "folder of the runs (default: outputs)",
    "path": "folder for RESULTS.md, results/ and docs/results/ (default: the current one; with --quick outputs/quick)",
    **{name: f"{text}; rows on it are left out without" for name, text in DATA.items()},
}


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    rows: "list[Row]"
    every_row: "list[Row]"
    outputs: Path
    target: Path
    jobs: int | None
    roots: Mapping[str, str]
    collect: bool


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun reproduce` with the words after the verb; returns the exit code."""
    line = split(arguments, FLAGS)
    if "--help" in line.flags:
        print(reproduce_help())
        return 0
    settings = _settings([word for word in line.words if "=" in word])
    from snnrun.reproduce.rows import chosen, read_rows

    quick = "--quick" in line.flags
    roots = {name: str(Path(settings[name]).expanduser().absolute()) for name in DATA if name in settings}
    every_row = read_rows(quick, roots)
    rows = chosen(every_row, [word for word in line.words if "=" not in word])
    if "--list" in line.flags:
        for row in rows:
            print(_listed(row))
        return 0
    request = Request(
        rows=rows,
        every_row=list(every_row.values()),
        outputs=Path(settings.get("outputs", "outputs")).absolute(),
        target=Path(settings.get("path", "outputs/quick" if quick else ".")).absolute(),
        jobs=_jobs(settings.get("jobs")),
        roots=roots,
        collect="--collect" in line.flags,
    )
    return run(request)


def run(request: Request) -> int:
    """Do what is missing of each row, put it on record, and write the page; returns 1 if something failed, else 0."""
    from snnrun.reproduce.page import check_target

    check_target(request.target / "RESULTS.md")
    failures = []
    for row in request.rows:
        print(f"== {row.name}: {row.shows}", flush=True)
        failures += _reproduce(row, request)
    print(shown_path(_write_page(request)))
    if failures:
        raise SnnrunError(f"{len(failures)} of the commands failed: {'; '.join(failures)}")
    return 0


def _reproduce(row: "Row", request: Request) -> list[str]:
    """Run a row and write its records and figures; returns the commands that failed."""
    from snnrun.reproduce import sweeps
    from snnrun.reproduce.after import judge_again, look_around

    failures, found = [], {}
    for part in row.parts:
        wanted = sweeps.wanted(part, request.outputs)
        if wanted.missing and not request.collect and _has_data(part, request):
            if sweeps.complete(wanted, request.outputs, request.jobs):
                failures.append(part.command)
            wanted = sweeps.wanted(part, request.outputs)
        if not request.collect:
            failures += [*judge_again(part, wanted.runs), *look_around(part, wanted.runs)]
            wanted = sweeps.wanted(part, request.outputs)
        _tell(part, wanted.missing, len(wanted.settings), request)
        if wanted.runs:
            found[part.name] = list(wanted.runs)
    if not request.collect:
        sweeps.measure(row, request.outputs)
    _record(row, found, sweeps.bench(row, request.outputs), request)
    return failures


def _tell(part: "Part", missing: int, asked: int, request: Request) -> None:
    state = "done" if not missing else f"{asked - missing} of {asked} runs are done"
    if missing and not _has_data(part, request):
        state += f"; give the folder of the data: {part.data}=DIR"
    print(f"{part.name}: {state}", flush=True)


def _has_data(part: "Part", request: Request) -> bool:
    from snnrun.data.locate import root_of
    from snnrun.reproduce.rows import BUNDLED

    return part.data in BUNDLED or part.data in request.roots or root_of(part.data, None).is_dir()


def _record(
    row: "Row", found: "Mapping[str, list[Run]]", bench: Sequence[Mapping[str, object]], request: Request
) -> None:
    """Write the records of a row, and its figures; a part of which more is on record than there is here stays."""
    from snnrun.atomic import write_atomically, write_errors
    from snnrun.figures import png
    from snnrun.reproduce import records
    from snnrun.reproduce.drawing import draw

    results, pictures = request.target / "results", request.target / "docs" / "results"
    with write_errors(request.target):
        results.mkdir(parents=True, exist_ok=True)
        pictures.mkdir(parents=True, exist_ok=True)
    path = results / f"{row.name}.csv"
    before = records.read_lines(path.read_text(encoding="utf-8")) if path.exists() else {}
    lines = []
    for part in row.parts:
        here = records.lines_of(part.name, found.get(part.name, []))
        there = before.get(part.name, [])
        lines += here if len(here) >= len(there) else there
    if lines:
        write_atomically(path, records.as_csv(lines).encode())
    if bench:
        measured = [{key: str(value) for key, value in line.items()} for line in bench]
        write_atomically(results / f"{row.name}_bench.csv", records.as_csv(measured).encode())
    for name, _, figure in draw(_content(row, request.target)):
        write_atomically(pictures / f"{name}.png", png(figure))
    for part in row.parts:
        shown = (run for run in found.get(part.name, []) if _has_all(run, part.pictured))
        for run in itertools.islice(shown, 1):
            for source in part.pictures:
                for path in sorted(run.path.glob(source))[-1:]:
                    write_atomically(pictures / f"{part.name}_{path.stem}.png", path.read_bytes())


def _has_all(run: "Run", values: Mapping[str, object]) -> bool:
    return all(run.config.get(key) == value for key, value in values.items())


def _write_page(request: Request) -> Path:
    from snnrun.atomic import write_atomically

    target = request.target / "RESULTS.md"
    write_atomically(target, results_page(request.every_row, request.target).encode())
    return target


def results_page(rows: "Sequence[Row]", folder: Path) -> str:
    """Return RESULTS.md as the records in `folder`/results make it."""
    from snnrun.reproduce.page import page

    return page([_content(row, folder) for row in rows])


def _content(row: "Row", folder: Path) -> "Content":
    """What is on record of a row."""
    from snnrun.reproduce import records
    from snnrun.reproduce.page import Content

    bench = folder / "results" / f"{row.name}_bench.csv"
    lines = records.read_bench(bench.read_text(encoding="utf-8")) if bench.exists() else []
    captions = {f"docs/results/{row.name}_{figure['name']}.png": figure["caption"] for figure in row.figures}
    for part in row.parts:
        for source, caption in part.pictures.items():
            captions[f"docs/results/{part.name}_{Path(source).stem}.png"] = caption
    shown = {file: caption for file, caption in captions.items() if (folder / file).exists()}
    return Content(row, _runs_on_record(row, folder), lines, shown)


def _runs_on_record(row: "Row", folder: Path) -> "dict[str, list[Run]]":
    from snnrun.reproduce import records

    path = folder / "results" / f"{row.name}.csv"
    return records.read(path.read_text(encoding="utf-8")) if path.exists() else {}


def _listed(row: "Row") -> str:
    commands = [part.command for part in row.parts]
    commands += [shlex.join(["snnrun", "bench", *words]) for words in row.benches]
    return "\n".join([f"{row.name}: {row.shows}", *(f"  {command}" for command in commands)])


def reproduce_help() -> str:
    """Return the text of `snnrun reproduce --help`."""
    flags = "\n".join(f"  {flag.usage:<14}{flag.help}" for flag in FLAGS)
    keys = "\n".join(f"  {name + '=':<14}{text}" for name, text in KEYS.items())
    return (
        "usage: snnrun reproduce [ROW...] [KEY=VALUE ...] [flags]\n\n"
        "Run the experiments of the lecture and its papers, those named or all, and write RESULTS.md: the published\n"
        "figures beside ours, with figures, seeds and spread. What has been run is found in outputs/sweeps and not\n"
        "run again; after an interrupt the same command goes on. results/ROW.csv keeps a line for each run.\n\n"
        f"flags:\n{flags}\n\nkeys:\n{keys}\n\n"
        "examples:\n"
        "  snnrun reproduce --list\n"
        "  snnrun reproduce surrogate_shapes heterogeneity jobs=2 human_digits=~/data/human_digits\n"
        "  snnrun reproduce --quick"
    )


def _settings(words: Sequence[str]) -> dict[str, str]:
    settings = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in KEYS:
            raise UserError(f"reproduce {word}: no such key{did_you_mean(key, KEYS)}; keys are {', '.join(KEYS)}")
        if not value:
            raise UserError(f"reproduce {word}: needs a value")
        if key in DATA and not Path(value).expanduser().is_dir():
            raise UserError(f"reproduce {word}: there is no such folder")
        settings[key] = value
    return settings


def _jobs(typed: str | None) -> int | None:
    if typed is not None and not (typed.isdigit() and int(typed) > 0):
        raise UserError(f"reproduce jobs={typed}: must be a whole number at least 1")
    return None if typed is None else int(typed)
