"""Tables of plain text, for a terminal, a pipe and a file alike."""

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns under their names; one whose cells all begin with a digit is aligned to the right.

    >>> print(table(["run", "epochs"], [["a", "9"], ["bcd", "10"]]))
    run  epochs
    a         9
    bcd      10
    """
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    numeric = [any(row[k] for row in rows) and all(_number(row[k]) for row in rows) for k in range(len(columns))]
    lines = []
    for line in cells:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _number(cell: str) -> bool:
    return cell in ("", "-") or cell[0].isdigit()
