"""From plain dicts, lists and scalars to the dataclasses of the schema, or one clear problem."""

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from snnrun.config.schema import OPTIONS, Group
from snnrun.config.types import Bounds, Filled, FolderName
from snnrun.registry import did_you_mean, nearest

Section = TypeVar("Section")
MISSING = "???"


class ProblemError(Exception):
    """What is wrong with one key. `key` is dotted; `value` is what was found there."""

    def __init__(self, key: str, value: object, text: str) -> None:
        super().__init__(text)
        self.key = key
        self.value = value
        self.text = text


def check(container: Mapping[str, object], schema: type[Section]) -> Section:
    """Return the dataclass `schema` filled from `container`; raises ProblemError for the first bad key."""
    try:
        result = _section(container, schema, "")
    except UnknownKeyError as unknown:
        hint = unknown.elsewhere or _suggestion(unknown.key, list(dotted_keys(container, schema)))
        text = f"no such key{hint}; allowed are {', '.join(unknown.allowed) or 'none'}"
        raise ProblemError(unknown.key, unknown.value, text) from None
    assert isinstance(result, schema)
    return result


def dotted_keys(container: Mapping[str, object], schema: type, prefix: str = "") -> Iterator[str]:
    """All keys that `schema` allows, in full ("training.epochs"), for the options that `container` chose."""
    for name, annotation in _fields(schema).items():
        key = prefix + name
        yield key
        inner = container.get(name)
        if isinstance(inner, Mapping) and (section := _section_class(annotation, inner)):
            yield from dotted_keys(inner, section, key + ".")


def show(value: object) -> str:
    """Return a value as a user would type it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{show(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(show, value)) + "]"
    return str(value)


def describe(annotation: Any) -> str:
    """Say in words what a type allows: "a number above 0"."""
    base, limits = _unwrap(annotation)
    suffix = "".join(f" {limit}" for limit in limits)
    origin = get_origin(base)
    if origin is Literal:
        return "one of " + ", ".join(map(str, get_args(base)))
    if origin in (Union, types.UnionType):
        return ", or ".join(map(describe, get_args(base)))
    if origin is tuple:
        items = get_args(base)
        if items[-1] is Ellipsis:
            return f"a list{suffix}, each item {describe(items[0])}"
        return f"a list of {len(items)}, each {describe(items[0])}"
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    return words.get(base, "null") + suffix


def is_plain(annotation: Any) -> bool:
    """Whether a value of this type can stand in a configuration: numbers, texts, choices, and lists of them."""
    base, limits = _unwrap(annotation)
    if not all(isinstance(limit, (Bounds, Filled, FolderName)) for limit in limits):
        return False
    if get_origin(base) in (Union, types.UnionType):
        return all(map(is_plain, get_args(base)))
    if get_origin(base) is tuple:
        return all(item is Ellipsis or is_plain(item) for item in get_args(base))
    if get_origin(base) is Literal:
        return all(isinstance(choice, str) for choice in get_args(base))
    return base in (float, int, bool, str, types.NoneType)


class UnknownKeyError(ProblemError):
    """A key that the schema does not have, but perhaps another option of the group (`elsewhere`, a hint)."""

    def __init__(self, key: str, value: object, allowed: Sequence[str], elsewhere: str) -> None:
        super().__init__(key, value, "no such key")
        self.allowed = allowed
        self.elsewhere = elsewhere


@functools.cache
def _fields(schema: type) -> dict[str, Any]:
    hints = get_type_hints(schema, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(schema)}


def _unwrap(annotation: Any) -> tuple[Any, list[object]]:
    if get_origin(annotation) is Annotated:
        base, *limits = get_args(annotation)
        return base, limits
    return annotation, []


def _section_class(annotation: Any, container: Mapping[str, object]) -> type | None:
    """Return the dataclass for a section, chosen by its name where it is a group; None for a plain value."""
    base, limits = _unwrap(annotation)
    for limit in limits:
        if isinstance(limit, Group):
            name = container.get("name")
            options = OPTIONS[limit.name]
            return options[name] if isinstance(name, str) and name in options else base
    return base if isinstance(base, type) and dataclasses.is_dataclass(base) else None


def _section(container: object, schema: type, key: str) -> Any:
    fields = _fields(schema)
    if not isinstance(container, Mapping):
        raise ProblemError(key, container, f"must be a section with the keys {', '.join(fields)}")
    prefix = f"{key}." if key else ""
    for name in container:
        if name not in fields:
            allowed = [prefix + field for field in fields if not (key and field == "name")]
            raise UnknownKeyError(prefix + name, container[name], allowed, _elsewhere(key, name, container))
    values = {}
    for name, annotation in fields.items():
        if name not in container:
            raise ProblemError(prefix + name, MISSING, f"is required and must be {_expected(annotation)}")
        values[name] = _value(container[name], annotation, prefix + name)
    return schema(**values)


def _elsewhere(group: str, key: str, container: Mapping[str, object]) -> str:
    """Say which other options of the group have the key, or nothing."""
    options = OPTIONS.get(group, ())
    having = [name for name in options if key in _fields(OPTIONS[group][name])]
    return f" with {group}={container['name']} (with {group}={'|'.join(having)} there is)" if having else ""


def _expected(annotation: Any) -> str:
    base, _ = _unwrap(annotation)
    return "a section" if dataclasses.is_dataclass(base) else describe(annotation)


def _value(value: object, annotation: Any, key: str) -> Any:
    base, limits = _unwrap(annotation)
    if dataclasses.is_dataclass(base):
        return _group_or_section(value, annotation, key)
    if value == MISSING:
        raise ProblemError(key, value, f"must be given: {describe(annotation)}")
    try:
        return _plain(value, base, limits)
    except ValueError:
        raise ProblemError(key, value, f"must be {describe(annotation)}{_nearest_choice(value, base)}") from None


def _group_or_section(value: object, annotation: Any, key: str) -> Any:
    base, limits = _unwrap(annotation)
    if not isinstance(value, Mapping):
        return _section(value, base, key)
    for limit in limits:
        if isinstance(limit, Group):
            name, options = value.get("name", MISSING), OPTIONS[limit.name]
            if not isinstance(name, str) or name not in options:
                text = f"must be one of {', '.join(options)}{did_you_mean(str(name), options)}"
                raise ProblemError(f"{key}.name", name, text)
    section = _section_class(annotation, value)
    assert section is not None
    return _section(value, section, key)


def _plain(value: object, base: Any, limits: Sequence[object]) -> Any:
    """Return the value converted to the type `base`; raises ValueError where it does not fit."""
    origin = get_origin(base)
    if origin is Literal:
        result: Any = _literal(value, get_args(base))
    elif origin in (Union, types.UnionType):
        result = _union(value, get_args(base))
    elif origin is tuple:
        result = _tuple(value, get_args(base))
    else:
        result = _scalar(value, base)
    if not all(_within(result, limit) for limit in limits):
        raise ValueError(value)
    return result


def _within(value: Any, limit: object) -> bool:
    if isinstance(limit, Bounds):
        return limit.contains(value)
    if isinstance(limit, Filled):
        return len(value) > 0
    if isinstance(limit, FolderName):
        return limit.fits(value)
    raise TypeError(f"unknown limit {limit!r}")


def _literal(value: object, choices: tuple[object, ...]) -> object:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(value)
    return value


def _union(value: object, members: tuple[Any, ...]) -> Any:
    for member in members:
        base, limits = _unwrap(member)
        try:
            return _plain(value, base, limits)
        except ValueError:
            continue
    raise ValueError(value)


def _tuple(value: object, items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(value)
    each = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
    if len(each) != len(value):
        raise ValueError(value)
    return tuple(_plain(item, *_unwrap(kind)) for item, kind in zip(value, each, strict=True))


def _scalar(value: object, base: type) -> object:
    if base is types.NoneType:
        fits = value is None
    elif base is float:
        return _number(value)
    elif base is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # name=5 is a text that looks like a number
    elif base is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, base)
    if not fits or (isinstance(value, str) and not value.isprintable()):
        raise ValueError(value)
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(value)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(value) from None
    if number - number != 0:  # not a number, or infinite
        raise ValueError(value)
    return number


def _nearest_choice(value: object, base: Any) -> str:
    choices = [str(choice) for choice in get_args(base)] if get_origin(base) is Literal else []
    return did_you_mean(str(value), choices)


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Return " (did you mean X?)" for an unknown dotted key, looked for in its own section first."""
    section, _, last = key.rpartition(".")
    settable = [name for name in known if not name.endswith(".name")]
    siblings = [name for name in settable if name.rpartition(".")[0] == section]
    by_last = {name.rpartition(".")[2]: name for name in reversed(settable)}
    match = by_last.get(last) or nearest(key, siblings) or by_last.get(nearest(last, by_last, 0.8) or "")
    return f" (did you mean {match}?)" if match else ""
