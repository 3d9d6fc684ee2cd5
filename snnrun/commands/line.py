"""Taking a verb's command line apart: flags anywhere on it, and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snnrun.errors import UserError
from snnrun.registry import did_you_mean


@dataclass(frozen=True)
class Flag:
    """A flag: its long name, other spellings, what its value may be (None: it takes none), a line of help.

    `choices` empty means any value. `default` is the value where the flag stands alone, if it may.
    """

    name: str
    aliases: tuple[str, ...]
    help: str
    value: str | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None

    @property
    def usage(self) -> str:
        """How it is written: "-m, --multirun"."""
        names = ", ".join((*self.aliases, self.name))
        return names if self.value is None else f"{names} {self.value}"


HELP = Flag("--help", ("-h",), "this text")


@dataclass
class Line:
    """A command line in parts: values of the flags that were given, by long name, and all other words in order."""

    flags: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    @property
    def config_dir(self) -> Path | None:
        """The folder of --config-dir. Raises UserError where there is none."""
        given = self.flags.get("--config-dir")
        if given is None:
            return None
        if not Path(given).is_dir():
            raise UserError(f"--config-dir {given}: there is no such folder")
        return Path(given)


def split(arguments: Sequence[str], flags: Sequence[Flag]) -> Line:
    """Take `arguments` apart. Raises UserError for an unknown flag and a missing or wrong value."""
    by_name = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
    line, rest = Line(), list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            line.words.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in by_name:
            known = ", ".join(flag.usage for flag in flags)
            raise UserError(f"{word}: no such flag{did_you_mean(name, by_name)}; flags are {known}")
        flag = by_name[name]
        line.flags[flag.name] = _value(flag, value if equals else None, rest)
    return line


def _value(flag: Flag, given: str | None, rest: list[str]) -> str:
    """Return the flag's value: after "=", or the next word, which is then taken from `rest`."""
    if flag.value is None:
        if given is not None:
            raise UserError(f"{flag.name}={given}: {flag.name} takes no value")
        return ""
    if given is None and rest and _may_be_value(flag, rest[0]):
        given = rest.pop(0)
    given = flag.default if given is None else given
    if given is None or (flag.choices and given not in flag.choices):
        allowed = f"one of {', '.join(flag.choices)}" if flag.choices else flag.value
        raise UserError(f"{flag.name}{f'={given}' if given else ''}: needs a value: {allowed}")
    return given


def _may_be_value(flag: Flag, word: str) -> bool:
    if flag.default is not None:
        return word in flag.choices
    return not word.startswith("-")


def shown_path(path: Path) -> str:
    """Return the path relative to the current folder if it is inside, else in full."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
