"""`snnrun report`: a page with tables and figures over runs."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from snnrun.commands.line import HELP, shown_path, split
from snnrun.errors import RunError, UserError
from snnrun.registry import did_you_mean

KEYS = {
    "compare": "two values of a key, paired over seeds: compare=surrogate=sigmoid,superspike; more than once",
    "metric": "what is compared: valid (default) or test",
    "format": "of the figures beside PNG: svg or pdf",
    "path": "folder for the page (default: DIR/report/<date>_<time>)",
}
METRICS = {"valid": "accuracy/valid_best", "test": "accuracy/test"}
FORMATS: dict[str, Literal["png", "svg", "pdf"]] = {"png": "png", "svg": "svg", "pdf": "pdf"}


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun report` with the words after the verb; returns the exit code."""
    line = split(arguments, (HELP,))
    if "--help" in line.flags:
        print(report_help())
        return 0
    folders = [Path(word) for word in line.words if "=" not in word or Path(word).exists()]
    settings = _settings([word for word in line.words if "=" in word and not Path(word).exists()])
    if not folders:
        raise UserError("report: name a folder with runs, such as outputs/sweeps/slopes")
    print(shown_path(make(folders, settings)))
    return 0


def make(folders: Sequence[Path], settings: dict[str, list[str]]) -> Path:
    """Write the report over the runs in `folders` and return the page's path. Raises UserError and RunError."""
    from snnrun.atomic import write_atomically
    from snnrun.figures import render
    from snnrun.report import figures, page, runs
    from snnrun.report.compare import compare
    from snnrun.report.groups import group

    found, problems = runs.find(folders)
    groups = group(found)
    metric = METRICS[settings["metric"][-1]]
    comparisons = [compare(found, request, metric) for request in settings["compare"]]
    target = _make_folder(folders[0], settings["path"])
    kind = settings["format"][-1]
    pictures = {}
    for name, figure in figures.draw(groups).items():
        pictures[name] = f"{name}.png"
        for suffix in {"png", kind}:
            write_atomically(target / f"{name}.{suffix}", render(figure, FORMATS[suffix]))
    write_atomically(target / "runs.csv", page.as_csv(found, groups).encode())
    text = page.markdown(page.title_of(folders), found, groups, comparisons, problems, pictures)
    write_atomically(target / "report.md", text.encode())
    for comparison in comparisons:
        print(comparison)
    return target.absolute() / "report.md"


def report_help() -> str:
    """Return the text of `snnrun report --help`."""
    keys = "\n".join(f"  {name + '=':<10}{text}" for name, text in KEYS.items())
    return (
        "usage: snnrun report DIR... [KEY=VALUE ...]\n\n"
        "Write a page (report.md) with tables and figures over all runs in and below the folders: accuracy against\n"
        "what varies, mean and spread over seeds, learning curves, rates, time and memory, learned time constants.\n"
        "Runs that are still going on count with what they have.\n\n"
        f"keys:\n{keys}\n\n"
        "example: snnrun report outputs/sweeps/slopes compare=surrogate=sigmoid,superspike"
    )


def _settings(words: Sequence[str]) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {"compare": [], "metric": ["valid"], "format": ["png"], "path": []}
    for word in words:
        key, _, value = word.partition("=")
        if key not in settings:
            raise UserError(f"report {word}: no such key{did_you_mean(key, KEYS)}; keys are {', '.join(KEYS)}")
        settings[key].append(value)
    for key, allowed in (("metric", METRICS), ("format", FORMATS)):
        if settings[key][-1] not in allowed:
            raise UserError(f"report {key}={settings[key][-1]}: must be one of {', '.join(allowed)}")
    return settings


def _make_folder(first: Path, given: Sequence[str]) -> Path:
    """Make a folder that is new: an older report stays as it is."""
    folder = Path(given[-1]) if given else first / "report" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S_%f")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{folder} exists already; nothing was changed; choose another with path=") from None
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}; choose another folder with path=") from None
    return folder
