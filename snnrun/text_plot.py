"""Curves in plain characters, for a terminal of any kind."""

from collections.abc import Mapping, Sequence

MARKS = ".o+x"
MARGIN = 7
STEP = 5  # percent that the axis is rounded to


def plot(curves: Mapping[str, Sequence[tuple[float, float]]], width: int, height: int, x_name: str, y_name: str) -> str:
    """Return curves as lines of text: a mark for each point, the last curve on top.

    Args:
        curves: (x, y) by name; those without a point are left out.
        width, height: of the picture, in characters.
        x_name, y_name: what the axes are.
    """
    drawn = {name: points for name, points in curves.items() if points}
    all_points = [point for points in drawn.values() for point in points]
    left, right = (pick(x for x, _ in all_points) for pick in (min, max))
    bottom = STEP * (min(y for _, y in all_points) // STEP)
    top = max(-STEP * (-max(y for _, y in all_points) // STEP), bottom + STEP)
    columns = max(width - MARGIN - 1, 10)
    canvas = [[" "] * columns for _ in range(height)]
    for mark, points in zip(MARKS, drawn.values(), strict=False):
        for x, y in points:
            column = round((x - left) / ((right - left) or 1) * (columns - 1))
            row = round((top - y) / (top - bottom) * (height - 1))
            canvas[row][column] = mark
    legend = "  ".join(f"{mark} {name}" for mark, name in zip(MARKS, drawn, strict=False))
    lines = [f"{y_name}   {legend}"]
    for row, characters in enumerate(canvas):
        level = top - (top - bottom) * row / (height - 1)
        label = f"{level:.0f}" if row in (0, height - 1) else ""
        lines.append(f"{label:>{MARGIN - 1}} |{''.join(characters).rstrip()}")
    lines.append(f"{'':>{MARGIN}}+{'-' * columns}")
    ends = f"{left:g}", f"{right:g} {x_name}"
    lines.append(f"{'':>{MARGIN + 1}}{ends[0]}{ends[1]:>{columns - len(ends[0])}}")
    return "\n".join(line.rstrip() for line in lines)
