"""Users' own modules: `plugins=[my_neuron.py]` imports them, and what they register becomes an option of its group.

A plug-in uses the decorators that the package itself uses. The arguments after the star of what it registers (of
`__init__` for a neuron) are the keys of the option, with their types and defaults; an annotation may bear a range, such
as `Positive` of `snnrun.config.types`. Keys that every option of a group has keep the defaults of the group's first
choice.
"""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from hydra.core.config_store import ConfigStore

from snnrun.config.check import is_plain
from snnrun.config.files import conf_folder
from snnrun.config.neurons import TauConfig
from snnrun.config.schema import OPTIONS, DatasetConfig, InitConfig, NeuronConfig, SurrogateConfig
from snnrun.config.tree import read_tree
from snnrun.errors import SnnrunError, UserError
from snnrun.registry import Registry


@dataclass(frozen=True)
class Kind:
    """A kind of thing that can be registered.

    Attributes:
        module, table: where its registry is; imported when a plug-in is.
        base: the keys that every option of the group has.
        given: the arguments that it is called with besides its keys.
    """

    module: str
    table: str
    base: type
    given: tuple[str, ...]


KINDS = {
    "neuron": Kind("snnrun.neurons", "NEURONS", NeuronConfig, ("neurons", "dt", "reset", "detach_reset", "generator")),
    "surrogate": Kind("snnrun.surrogates", "SHAPES", SurrogateConfig, ()),
    "init": Kind("snnrun.init", "SCHEMES", InitConfig, ("layer", "generator")),
    "dataset": Kind("snnrun.data", "SOURCES", DatasetConfig, ("options", "seed")),
}
_loaded: set[Path] = set()


def load_plugins(files: Sequence[str]) -> None:
    """Import plug-ins, each once in a process, and make options of what they register.

    Raises UserError in one line: a file that is not there or cannot be imported, a name that is taken, an argument that
    can be no key.
    """
    for file in files:
        path = Path(file).expanduser().resolve()
        if path in _loaded:
            continue
        if not path.is_file():
            raise UserError(f"plugins=[{file}]: there is no such file {path}")
        with _all_or_nothing():
            before = {group: set(_registry(kind)) for group, kind in KINDS.items()}
            _import(path, file)
            for group, kind in KINDS.items():
                for name in [name for name in _registry(kind) if name not in before[group]]:
                    _add_option(group, name, file)
        _loaded.add(path)


def absolute(files: Sequence[str]) -> tuple[str, ...]:
    """The files with their full paths, so that a run folder tells them wherever it is read."""
    return tuple(str(Path(file).expanduser().resolve()) for file in files)


def _registry(kind: Kind) -> Registry[Any]:
    registry: Registry[Any] = getattr(importlib.import_module(kind.module), kind.table)
    return registry


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Take away what was registered inside where it ends in an error."""
    tables = [*map(_registry, KINDS.values()), *OPTIONS.values()]
    before = [set(table) for table in tables]
    try:
        yield
    except UserError:
        for table, known in zip(tables, before, strict=True):
            for name in set(table) - known:
                table.remove(name)
        raise


def _import(path: Path, file: str) -> None:
    """Run the file as a module; it can import modules beside it, and they it."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = _module_name(path)
    if name in sys.modules:
        return  # imported by a plug-in before it
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plugins=[{file}]: must be a file of Python, named *.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"plugins=[{file}]: {_where(error, path)}{_what(error)}") from error


def _module_name(path: Path) -> str:
    """The name under which `import` finds the file, or one of its own where that is another module's."""
    found = importlib.util.find_spec(path.stem) if path.stem.isidentifier() else None
    if found is not None and found.origin == str(path):
        return path.stem
    return f"snnrun_plugin_{path.stem}_{sha256(bytes(path)).hexdigest()[:8]}"


def _where(error: Exception, path: Path) -> str:
    """The line of the file at which the error came up."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == path:
        lines.append(error.lineno)
    return f"line {lines[-1]}: " if lines else ""


def _what(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, SnnrunError) else f"{type(error).__name__}: {text}"


def _add_option(group: str, name: str, file: str) -> None:
    """Make an option of something registered: the class that checks its keys, and the defaults for Hydra."""
    kind, item = KINDS[group], _registry(KINDS[group])[name]
    if not name.isidentifier():
        raise UserError(f"plugins=[{file}]: {group} {name!r}: a name must be of letters, digits and _")
    if group == "neuron":
        item.name = name
    if name not in OPTIONS[group]:  # else the plug-in has registered a class of its own there
        call = None if group == "surrogate" else item.__init__ if inspect.isclass(item) else item
        try:
            OPTIONS[group].register(name)(_config_class(kind, name, call))
        except (UserError, TypeError, ValueError, NameError) as error:
            raise UserError(f"plugins=[{file}]: {group} {name}: {error}") from None
    node = {**_usual(group, OPTIONS[group][name]), **_own_defaults(OPTIONS[group][name]), "name": name}
    if group == "surrogate":
        node["beta"] = f"${{usual_beta:{item.beta}}}"
        node["gamma"] = 1.0 if item.gamma is None else item.gamma
    ConfigStore.instance().store(name=name, node=node, group=group, provider=file)


def _config_class(kind: Kind, name: str, call: Callable[..., Any] | None) -> type:
    """The dataclass of the keys that `call` takes after its star, on top of those that every option has."""
    if call is None:
        return kind.base
    base = TauConfig if kind.base is NeuronConfig and "taus" in inspect.signature(call).parameters else kind.base
    return make_dataclass(f"{name}_config", list(_keys(kind, call, base)), bases=(base,), frozen=True, kw_only=True)


def _keys(kind: Kind, call: Callable[..., Any], base: type) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, type, dataclass field) of every argument that sets a key. Raises UserError for one that cannot."""
    hints = get_type_hints(call, include_extras=True)
    common = {key.name for key in fields(base)}
    parameters = inspect.signature(call).parameters
    if kind.base is NeuronConfig:
        needed = (*kind.given, "tau_mem") if base is TauConfig else kind.given
        if missing := [name for name in needed if name not in parameters]:
            raise UserError(f"__init__ must take {', '.join(needed)}; {missing[0]} is not there")
    for parameter in parameters.values():
        key, default = parameter.name, parameter.default
        if parameter.kind is parameter.KEYWORD_ONLY:
            hint = hints.get(key, type(default) if default is not parameter.empty else None)
            if key in common:
                hint = get_type_hints(base, include_extras=True)[key]
            if not is_plain(hint):
                raise UserError(f"{key} has the type {hint}; allowed are float, int, bool, str, Literal and tuples")
            yield key, hint, field() if default is parameter.empty else field(default=default)
        elif key in common and default is not parameter.empty:
            yield key, get_type_hints(base, include_extras=True)[key], field(default=default)
        elif kind.base is NeuronConfig and key not in (*kind.given, "self", "taus"):
            raise UserError(f"{key} comes before the star, where only {', '.join(kind.given)} may; keys stand after it")


def _own_defaults(config: type) -> dict[str, Any]:
    """The defaults that the class itself has; a key without one must be given."""
    own: dict[str, Any] = {}
    for key in fields(config):
        default = key.default_factory() if key.default_factory is not MISSING else key.default
        if default is not MISSING:
            own[key.name] = list(default) if isinstance(default, tuple) else default
    return own


def _usual(group: str, config: type) -> dict[str, Any]:
    """The keys of an option with their values in the group's first choice; "???" where that has no such key."""
    default = conf_folder() / group / f"{read_tree().defaults[group]}.yaml"
    values = yaml.safe_load(default.read_text(encoding="utf-8"))
    return {key.name: values.get(key.name, "???") for key in fields(config)}
