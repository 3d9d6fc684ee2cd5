"""RESULTS.md, made of the records alone: the table, and a section a row with figures, claims and deviations."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snnrun.config.files import conf_folder
from snnrun.errors import UserError
from snnrun.report.compare import Comparison, compare
from snnrun.report.groups import Groups, Spread, group, shown
from snnrun.report.page import percent
from snnrun.report.runs import Run, Value
from snnrun.reproduce.records import DEVICE, PART
from snnrun.reproduce.rows import BUNDLED, Part, Row

MARK = "<!-- made by `snnrun reproduce` from results/*.csv -->"
TEST, VALID, UNSEEN = "accuracy/test", "accuracy/valid_best", "accuracy/test_unseen_speakers"
FEWEST_PAIRS = 5
MOST_LISTED = 4
UNMEASURED = "not measured here"
KINDS = {"cpu": "a CPU", "cuda": "a GPU"}
HOW_TO_GET = {
    "shd": "The Spiking Heidelberg Digits (zenkelab.org/datasets): `snnrun data fetch shd`, then "
    "`snnrun reproduce {row} shd=DIR`, where DIR holds shd_train.h5 and shd_test.h5.",
    "human_digits": "The Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset): "
    "`snnrun data fetch human_digits`, then `snnrun reproduce {row} human_digits=DIR`, where DIR holds its recordings/ "
    "or what was encoded of them.",
    "fashion_mnist": "Fashion-MNIST (github.com/zalandoresearch/fashion-mnist): `snnrun data fetch fashion_mnist`, "
    "then `snnrun reproduce {row}`, with fashion_mnist=DIR where the files are elsewhere.",
}
HEAD = f"""{MARK}

# The lecture and its papers, reproduced

Each row is a command; `snnrun reproduce` runs them all, and `snnrun reproduce ROW` one. Every number on this page comes
from a run: `results/*.csv` has a line for each, with seed, status and commit, and this page is made of those alone.

Accuracies are in %, mean ± standard deviation over seeds (how many is in brackets). A seed draws weights, batches and,
where speakers are named, those held out for validation. The best epoch is chosen on validation data, the last one where
nothing was held out, and the test set judged once, with that epoch's weights. One setting is called better than another
only where a paired comparison over {FEWEST_PAIRS} seeds or more says so: the 95 % interval of the mean difference
(Student's t) leaves out 0. Intervals are for one comparison each and not corrected for their number. Time is that of
all runs of a line together."""


@dataclass(frozen=True)
class Content:
    """What is on record of a row, and what was drawn of it.

    Attributes:
        row: the row.
        runs: by the name of their part.
        bench: measurements of `snnrun bench`.
        pictures: captions by file, relative to the page.
    """

    row: Row
    runs: Mapping[str, Sequence[Run]]
    bench: Sequence[Mapping[str, Value]] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> list[Run]:
        """The runs of all parts."""
        return [run for part in self.row.parts for run in self.runs.get(part.name, ())]


def page(contents: Sequence[Content]) -> str:
    """Return the page as Markdown."""
    head = ["experiment", "shows", "published", "ours, test [%]", "command", "seeds", "data set", "time"]
    lines = [cells for content in contents for cells in _summary(content)]
    parts = [HEAD, _table(head, lines), *_circumstances(contents)]
    for content in contents:
        parts += _section(content)
    return "\n\n".join(parts) + "\n"


def _summary(content: Content) -> Iterator[list[str]]:
    """A line a part; a row without parts has measurements only."""
    row = content.row
    told = [f"[`{row.name}`](#{row.name})", row.shows, row.published]
    for part in row.parts:
        runs = content.runs.get(part.name, ())
        seeds = {run.config.get("seed") for run in runs}
        time = sum(run.figure("seconds") for run in runs)
        ours = headline(row, runs) if runs else UNMEASURED
        yield [*told, ours, f"`{_typed(part)}`", str(len(seeds) or ""), part.data, _duration(time) if runs else ""]
        told = ["", "", ""]
    if not row.parts:
        measured = "see below" if content.bench else UNMEASURED
        yield [*told, measured, f"`snnrun reproduce {row.name}`", "", "generated", ""]


def _circumstances(contents: Sequence[Content]) -> Iterator[str]:
    """On what it was computed and how long it took, as far as that is on record."""
    devices = {run.results.get(DEVICE) for content in contents for run in content.everything}
    devices |= {line.get(DEVICE) for content in contents for line in content.bench}
    names = sorted({KINDS.get(str(device).partition(":")[0], str(device)) for device in devices - {None}})
    if names:
        unmeasured = "" if KINDS["cuda"] in names else f"; on {KINDS['cuda']}: {UNMEASURED}"
        yield f"All of it was computed on {' and '.join(names)}{unmeasured}."
    times = {content.row.name: sum(run.figure("seconds") for run in content.everything) for content in contents}
    times = {name: seconds for name, seconds in times.items() if seconds > 0}
    if times:
        longest = max(times, key=times.__getitem__)
        yield (
            f"The times of all lines add up to {sum(times.values()) / 3600:.1f} hours, those of the longest row, "
            f"[`{longest}`](#{longest}), to {_duration(times[longest])}; runs that went side by side count one by one."
        )


def headline(row: Row, runs: Sequence[Run]) -> str:
    """Test accuracies of the settings: the one that the row names, or each of a few, or the range of many."""
    groups = group(runs)
    if row.headline is not None:
        wanted = {key: _as_value(value) for key, value in row.headline.items()}
        chosen = [run for run in runs if all(run.config.get(key) == value for key, value in wanted.items())]
        if chosen:
            return percent(Spread.of([run.figure(TEST) for run in chosen])) or "no accuracy"
    members = [member for member in groups.groups if member.spread(TEST).count]
    if not members:
        return "no accuracy: see below"
    if len(members) == 1:
        return percent(members[0].spread(TEST))
    if len(members) <= MOST_LISTED:
        return "<br>".join(f"{groups.label(member)}: {percent(member.spread(TEST))}" for member in members)
    ordered = sorted(members, key=lambda member: member.spread(TEST).mean)
    ends = (f"{percent(member.spread(TEST))} ({groups.label(member)})" for member in (ordered[0], ordered[-1]))
    return f"{len(members)} settings, from {' to '.join(ends)}"


def _section(content: Content) -> Iterator[str]:
    row = content.row
    yield f"## {row.name}"
    yield f"{_sentence(row.shows)} Published: {row.published}."
    if recipe := _recipe(row):
        yield recipe
    for file, caption in content.pictures.items():
        yield f"![{caption}]({file})\n\n{caption}"
    for part in row.parts:
        runs = content.runs.get(part.name, ())
        if runs:
            yield f"`{_typed(part)}`"
            yield _settings(row, group(runs))
    if content.bench:
        yield _bench_table(content.bench)
    claims = [_claim(found, _where(asked)) for asked, found in comparisons(content)]
    if claims:
        yield "\n".join(f"- {claim}" for claim in claims)
    notes = [*row.notes, *_unmeasured(content)]
    if notes:
        yield "\n".join(f"- {note}" for note in notes)


def _settings(row: Row, groups: Groups) -> str:
    """A table with a line a setting."""
    percents = {VALID: "best validation", TEST: "test", UNSEEN: "test, new speakers"}
    accuracies = {name: title for name, title in percents.items() if _any(groups, name)}
    measures = {name: title for name, title in row.columns.items() if _any(groups, name)}
    head = [*(key.removesuffix(".name") for key in groups.keys), "runs"]
    head += [*(f"{title} [%]" for title in accuracies.values()), *measures.values()]
    lines = []
    for member in groups.groups:
        cells = [*(shown(value) for value in member.setting), str(len(member.runs))]
        cells += [percent(member.spread(name)) for name in accuracies]
        lines.append([*cells, *(_number(member.spread(name)) for name in measures)])
    return _table(head, lines)


def _any(groups: Groups, name: str) -> bool:
    return any(member.spread(name).count for member in groups.groups)


def _number(found: Spread) -> str:
    if found.count == 0:
        return ""
    spread = "" if math.isnan(found.deviation) else f" ± {found.deviation:.2g}"
    return f"{found.mean:.3g}{spread}"


def comparisons(content: Content) -> Iterator[tuple[Mapping[str, Any], Comparison]]:
    """Yield the paired comparisons of a row that its runs allow, each with what asked for it.

    A value "*" stands for each of the others; `between` names two sets of runs, which are paired by their seeds.
    """
    for asked in content.row.compare:
        if "between" in asked:
            sides = [_by_seed(_picked(content, side["of"])) for side in asked["between"]]
            if all(sides):
                pairs = [[side[seed] for side in sides] for seed in sorted(sides[0].keys() & sides[1].keys())]
                labels = asked["between"][0]["label"], asked["between"][1]["label"]
                yield asked, Comparison("", labels, TEST, tuple(second - first for first, second in pairs))
            continue
        runs = _picked(content, asked.get("where", {}) | {k: v for k, v in asked.items() if k == PART})
        key, _, values = asked["of"].partition("=")
        first, second = values.split(",")
        known = dict.fromkeys(shown(run.config[key]) for run in runs if key in run.config)
        for other in known if second == "*" else (second,):
            if other != first and {first, other} <= set(known):
                yield asked, compare(runs, f"{key}={first},{other}", TEST)


def _picked(content: Content, wanted: Mapping[str, Any]) -> list[Run]:
    """The runs of a row that have these values, of all parts or of the one that is named among them."""
    runs = content.everything if PART not in wanted else list(content.runs.get(wanted[PART], ()))
    values = {key: _as_value(value) for key, value in wanted.items() if key != PART}
    return [run for run in runs if all(run.config.get(key) == value for key, value in values.items())]


def _by_seed(runs: Sequence[Run]) -> dict[float, float]:
    """Test accuracy by seed; raises AssertionError where two runs share one, since which to take would be arbitrary."""
    found = {float(run.config["seed"]): run.figure(TEST) for run in runs}
    assert len(found) == len(runs), "several runs of a seed on one side of a comparison"
    return found


def _where(asked: Mapping[str, Any]) -> str:
    """Of which runs a claim is, beyond the two settings."""
    data = [str(asked[PART])] if PART in asked else []
    told = [f"{key.removesuffix('.name')}={shown(_as_value(value))}" for key, value in asked.get("where", {}).items()]
    return ", ".join([*data, *told])


def _claim(found: Comparison, where: str) -> str:
    """What the pairs allow to say of two settings."""
    first, second = found.values
    name = found.key.removesuffix(".name")
    head = (f"{where}: " if where else "") + (f"{name} " if name else "")
    number = len(found.differences)
    text = f"{head}{second} less {first}: {100 * found.mean:+.1f} points of test accuracy over {number} pairs"
    if number < FEWEST_PAIRS:
        return f"{text}; no claim, which takes {FEWEST_PAIRS}" if number else f"{head}{first}, {second}: no pairs"
    low, high = found.interval
    verdict = "no clear difference" if low <= 0 <= high else f"**{second if low > 0 else first} is better**"
    return f"{text}, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}: {verdict}"


def _bench_table(lines: Sequence[Mapping[str, Value]]) -> str:
    titles = {
        "engine": "engine", "learning": "rule", "cutoff": "cutoff", "steps": "steps", "hidden": "neurons",
        "batch": "batch", "step_s": "time a step [s]", "backward_s": "backward [s]", "peak_mb": "memory [MB]",
        "active": "active share", "rate_hz": "rate [Hz]",
    }  # fmt: skip
    columns = [name for name in titles if any(name in line for line in lines)]
    cells = [[shown(line.get(name)) for name in columns] for line in lines]
    return _table([titles[name] for name in columns], cells)


def _unmeasured(content: Content) -> Iterator[str]:
    row = content.row
    for part in row.parts:
        if not content.runs.get(part.name):
            how = HOW_TO_GET.get(part.data, "`snnrun reproduce {row}` runs it.").format(row=row.name)
            yield f"{part.data} (`{_typed(part)}`): {UNMEASURED}. {how}"
    if row.benches and not content.bench:
        yield f"time and memory: {UNMEASURED}. `snnrun reproduce {row.name}` measures them."


def _recipe(row: Row) -> str:
    """What the recipe itself says of its source and its deviations: the comment at the head of its file."""
    names = (word.partition("=")[2] for part in row.parts for word in part.words if word.startswith("experiment="))
    texts = []
    for name in dict.fromkeys(names):
        path = conf_folder() / "experiment" / f"{name}.yaml"
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        head = [line.removeprefix("#").strip() for line in lines[: _first(lines)]]
        texts.append(f"> [conf/experiment/{name}.yaml](conf/experiment/{name}.yaml): " + "\n> ".join(head))
    return "\n>\n".join(texts)


def _first(lines: Sequence[str]) -> int:
    """The index of the first line that is no comment."""
    return next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _typed(part: Part) -> str:
    """The command without the folder that this machine has the data in."""
    root = "" if part.data in BUNDLED else " dataset.root=DIR"
    words = [word for word in part.words if not word.startswith("dataset.root=")]
    return f"snnrun train -m {' '.join(words)}{root}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _as_value(value: object) -> Value:
    """A value of the YAML as it stands in a record."""
    if isinstance(value, bool):
        return str(value).lower()
    return float(value) if isinstance(value, int | float) else str(value)


def check_target(path: Path) -> None:
    """Raise UserError where a file would be overwritten that this did not make."""
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise UserError(f"{path} exists already and was not made by snnrun reproduce; choose another folder with path=")
