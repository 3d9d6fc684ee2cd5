"""Tables of names."""

import pytest

from snnrun.errors import RunError, UserError
from snnrun.registry import Registry, did_you_mean, nearest


def registry() -> Registry[int]:
    numbers: Registry[int] = Registry("number")
    numbers.register("one")(1)
    numbers.register("three")(3)
    return numbers


def test_what_was_registered_is_found_in_order():
    numbers = registry()
    assert (numbers["three"], list(numbers), len(numbers), "two" in numbers) == (3, ["one", "three"], 2, False)


def test_an_unknown_name():
    with pytest.raises(UserError, match=r"^'thre': no such number \(did you mean three\?\); allowed are one, three$"):
        registry()["thre"]


def test_a_name_that_is_taken():
    with pytest.raises(UserError, match="number 'one' is registered already"):
        registry().register("one")(1)


def test_nearest():
    assert nearest("surogate", ["neuron", "surrogate"]) == "surrogate"
    assert nearest("xyz", ["neuron", "surrogate"]) is None
    assert did_you_mean("xyz", ["neuron"]) == ""


def test_exit_codes():
    assert (UserError.exit_code, RunError.exit_code) == (2, 1)
