"""Loops over the neurons of one sample at one time step, made for a neuron model."""

from collections.abc import Callable
from typing import Any, NamedTuple

from snnrun.engine.cpu.compile import row_function
from snnrun.engine.cpu.neurons.base import Equations


class RowLoops(NamedTuple):
    """The loops of one model.

    Attributes:
        advance: (constants, rules, before, after, s, current, x): one step; writes the rows `after` and `x`.
        retreat: (constants, rules, before, after, s, grad_x, grad_state, grad_s, grad_current): its adjoint; replaces
            the rows `grad_state`, writes `grad_s` and `grad_current`.
        retreat_constants: the same, with the rows `grad_constants` added to, last.
        rows: (array, m) -> the rows array[0, m], array[1, m], ... of the state variables.
        constant_rows: array -> the rows array[0], array[1], ... of the constants.
    """

    advance: Any
    retreat: Any
    retreat_constants: Any
    rows: Any
    constant_rows: Any


def row_loops(equations: Equations) -> RowLoops:
    """Make the loops of a model."""
    step, adjoint = equations.step, equations.adjoint
    state_at, put_state = row_function(_AT[equations.states]), row_function(_PUT[equations.states])
    constants_at, add_constants = row_function(_AT[equations.constants]), row_function(_ADD[equations.constants])

    @row_function
    def advance(constants, rules, before, after, s, current, x):  # type: ignore[no-untyped-def]
        for n in range(len(x)):
            state, distance = step(constants_at(constants, n), rules, state_at(before, n), s[n], current[n])
            put_state(after, n, state)
            x[n] = distance

    @row_function
    def retreat(constants, rules, before, after, s, grad_x, grad_state, grad_s, grad_current):  # type: ignore[no-untyped-def]
        for n in range(len(s)):
            grads = adjoint(
                constants_at(constants, n), rules, state_at(before, n), state_at(after, n),
                s[n], state_at(grad_state, n), grad_x[n],
            )  # fmt: skip
            put_state(grad_state, n, grads[0])
            grad_s[n] = grads[1]
            grad_current[n] = grads[2]

    @row_function
    def retreat_constants(  # type: ignore[no-untyped-def]
        constants, rules, before, after, s, grad_x, grad_state, grad_s, grad_current, grad_constants
    ):
        for n in range(len(s)):
            grads = adjoint(
                constants_at(constants, n), rules, state_at(before, n), state_at(after, n),
                s[n], state_at(grad_state, n), grad_x[n],
            )  # fmt: skip
            put_state(grad_state, n, grads[0])
            grad_s[n] = grads[1]
            grad_current[n] = grads[2]
            add_constants(grad_constants, n, grads[3])

    return RowLoops(
        advance, retreat, retreat_constants,
        row_function(_ROWS[equations.states]), row_function(_FIRST_ROWS[equations.constants]),
    )  # fmt: skip


Rows = Any
# numba needs tuples of a known length, written out; one line a length.
_AT: dict[int, Callable[[Rows, int], Any]] = {
    1: lambda rows, n: (rows[0][n],),
    2: lambda rows, n: (rows[0][n], rows[1][n]),
    3: lambda rows, n: (rows[0][n], rows[1][n], rows[2][n]),
    4: lambda rows, n: (rows[0][n], rows[1][n], rows[2][n], rows[3][n]),
    5: lambda rows, n: (rows[0][n], rows[1][n], rows[2][n], rows[3][n], rows[4][n]),
}
_ROWS: dict[int, Callable[[Any, int], Rows]] = {
    1: lambda array, m: (array[0, m],),
    2: lambda array, m: (array[0, m], array[1, m]),
    3: lambda array, m: (array[0, m], array[1, m], array[2, m]),
    4: lambda array, m: (array[0, m], array[1, m], array[2, m], array[3, m]),
}
_FIRST_ROWS: dict[int, Callable[[Any], Rows]] = {
    1: lambda array: (array[0],),
    2: lambda array: (array[0], array[1]),
    3: lambda array: (array[0], array[1], array[2]),
    4: lambda array: (array[0], array[1], array[2], array[3]),
    5: lambda array: (array[0], array[1], array[2], array[3], array[4]),
}


def _put1(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] = values[0]


def _put2(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] = values[0]
    rows[1][n] = values[1]


def _put3(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] = values[0]
    rows[1][n] = values[1]
    rows[2][n] = values[2]


def _put4(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] = values[0]
    rows[1][n] = values[1]
    rows[2][n] = values[2]
    rows[3][n] = values[3]


def _add1(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] += values[0]


def _add2(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] += values[0]
    rows[1][n] += values[1]


def _add3(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] += values[0]
    rows[1][n] += values[1]
    rows[2][n] += values[2]


def _add4(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] += values[0]
    rows[1][n] += values[1]
    rows[2][n] += values[2]
    rows[3][n] += values[3]


def _add5(rows: Rows, n: int, values: Any) -> None:
    rows[0][n] += values[0]
    rows[1][n] += values[1]
    rows[2][n] += values[2]
    rows[3][n] += values[3]
    rows[4][n] += values[4]


_PUT = {1: _put1, 2: _put2, 3: _put3, 4: _put4}
_ADD = {1: _add1, 2: _add2, 3: _add3, 4: _add4, 5: _add5}
