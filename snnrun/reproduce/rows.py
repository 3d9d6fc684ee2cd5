"""The rows of the page as conf/reproduce.yaml describes them: what each shows, and the commands that it takes."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from snnrun.config.files import conf_folder
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

QUICK = "_quick"  # what the names of sweeps end in that are only tried out
BUNDLED = ("spoken_digits", "randman", "poisson")  # data sets that need no files


@dataclass(frozen=True)
class Part:
    """One sweep of a row.

    Attributes:
        name: what the records call it.
        sweep: the name of the sweep, whose folder is outputs/sweeps/<sweep>; another one in the small version.
        data: the data set, for which files may be needed.
        words: overrides after `snnrun train -m`.
        speeds: factors on spike times with which the trained networks are judged again; none for most.
        landscape: overrides after `snnrun landscape RUN`; None where none is drawn.
        pictures: figures of a run that the page shows, captions by path in the run's folder.
        pictured: keys that the run must have whose pictures those are, the first such one.
    """

    name: str
    sweep: str
    data: str
    words: tuple[str, ...]
    speeds: tuple[float, ...] = ()
    landscape: tuple[str, ...] | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    pictured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """What a person would type."""
        return shlex.join(["snnrun", "train", "-m", *self.words])


@dataclass(frozen=True)
class Row:
    """One row of the page.

    Attributes:
        name: of the row.
        shows: what it shows.
        published: the published figure with its source, or that none was verified.
        parts: the sweeps.
        benches: words after `snnrun bench`, one measurement each.
        figures: how each figure is drawn, see `snnrun.reproduce.drawing`.
        compare: "KEY=A,B", within the part `part` (all parts: key `part`), where the keys of `where` have those values;
            or `between`: two sets of runs, each with its label and the keys (or the part) that it has.
        columns: of the tables of the section, titles by figure, beside the accuracies.
        headline: the setting whose figure stands in the table of the page; all of them where it is empty.
        notes: deviations that no recipe tells, and what is unmeasured.
    """

    name: str
    shows: str
    published: str
    parts: tuple[Part, ...]
    benches: tuple[tuple[str, ...], ...] = ()
    figures: tuple[Mapping[str, Any], ...] = ()
    compare: tuple[Mapping[str, Any], ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    headline: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def read_rows(quick: bool, roots: Mapping[str, str]) -> dict[str, Row]:
    """Return the rows by name.

    Args:
        quick: the small version of each.
        roots: folders of data sets by name, which their parts are given.
    """
    content = yaml.safe_load((conf_folder() / "reproduce.yaml").read_text(encoding="utf-8"))
    return {name: _row(name, fields, quick, roots) for name, fields in content.items()}


def chosen(rows: Mapping[str, Row], names: Sequence[str]) -> list[Row]:
    """Return the rows that are named, all without names; raises UserError with the nearest name."""
    for name in names:
        if name not in rows:
            raise UserError(f"reproduce {name}: no such row{did_you_mean(name, rows)}; rows are {', '.join(rows)}")
    return [rows[name] for name in names] if names else list(rows.values())


def _row(name: str, fields: Mapping[str, Any], quick: bool, roots: Mapping[str, str]) -> Row:
    words_of = "quick_bench" if quick else "bench"
    return Row(
        name=name,
        shows=fields["shows"],
        published=fields["published"],
        parts=tuple(_part(name, part, quick, roots) for part in fields.get("parts", ())),
        benches=tuple(tuple(shlex.split(words)) for words in fields.get(words_of, ())),
        figures=tuple(fields.get("figures", ())),
        compare=tuple(fields.get("compare", ())),
        columns=fields.get("columns", {}),
        headline=fields.get("headline"),
        notes=tuple(fields.get("notes", ())),
    )


def _part(row: str, fields: Mapping[str, Any], quick: bool, roots: Mapping[str, str]) -> Part:
    name, data = fields.get("name", row), fields["data"]
    typed = shlex.split(fields.get("words", f"experiment={row}"))
    preset = next((word.partition("=")[2] for word in typed if word.startswith("experiment=")), None)
    if data in roots:
        typed.append(f"dataset.root={roots[data]}")
    part = Part(
        name=name,
        sweep=name,
        data=data,
        words=tuple(typed),
        speeds=tuple(float(speed) for speed in fields.get("speeds", ())),
        landscape=tuple(shlex.split(fields["landscape"])) if "landscape" in fields else None,
        pictures=fields.get("pictures", {}),
        pictured=fields.get("pictured", {}),
    )
    if quick:
        part = replace(
            part,
            sweep=name + QUICK,
            words=_changed(typed, shlex.split(fields.get("quick", ""))),
            speeds=part.speeds[:1],
        )
        if part.landscape is not None:
            part = replace(part, landscape=tuple(shlex.split(fields["quick_landscape"])))
    if part.sweep != preset:
        part = replace(part, words=(*part.words, f"name={part.sweep}"))
    return part


def _changed(words: Sequence[str], changes: Iterable[str]) -> tuple[str, ...]:
    """Return overrides, of which those of the same key are replaced."""
    found = {word.partition("=")[0]: word for word in words}
    return tuple((found | {word.partition("=")[0]: word for word in changes}).values())
