"""Names beside points, none over another and none over a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import INK, whole_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: Beyond this distance from its point, in typographic points, a name is tied to it by a line.
_TIED = 9.0

#: Half the width of a point, in typographic points.
_RADIUS = 1.5


def _places() -> list[tuple[float, float]]:
    """Where a name is tried: right and left of its point, then on growing rings; the nearest first."""
    places = [(5.0, 0.0), (-5.0, 0.0), (4.0, 4.0), (-4.0, 4.0), (4.0, -4.0), (-4.0, -4.0), (0.0, 6.0), (0.0, -6.0)]
    for radius in (11.0, 17.0, 24.0, 32.0, 42.0, 54.0):
        for degrees in (0, 180, 20, 160, 40, 140, -20, 200, 65, 115, -40, 220, 90, -65, 245):
            angle = np.deg2rad(degrees)
            places.append((radius * float(np.cos(angle)), radius * float(np.sin(angle))))
    return places


_PLACES = _places()


def lay_out(ax: Axes) -> None:
    """Give all axes of the figure their place, as names cannot be placed before."""
    whole_figure(ax).draw_without_rendering()


def label_points(ax: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str], among: Any) -> None:
    """Write names beside points, the first ones first; a name that finds no free place is left out.

    Parameters
    ----------
    ax
        Axes whose limits and place in the figure are final: see :func:`lay_out`.
    x, y, names
        The points to name, in data units.
    among
        All drawn points, m x 2, in data units, which names should not cover.
    """
    frame = ax.get_window_extent()
    points = ax.transData.transform(np.asarray(among, dtype=float))
    taken: list[Any] = []
    for at, name in zip(zip(x, y, strict=True), names, strict=True):
        here = ax.transData.transform(at)
        others = points[np.abs(points - here).max(axis=1) > 0.5]
        text = ax.annotate(name, at, xytext=(0, 0), textcoords="offset points", fontsize=7, color=INK, zorder=5)
        box = _place(text, here, frame, others, taken)
        if box is None:
            text.remove()
        else:
            taken.append(box)


def _place(text: Any, here: Any, frame: Any, others: Any, taken: list[Any]) -> Any:
    """Move the text to the first free place and return its box in pixels; ``None`` if there is none."""
    pixels = text.figure.canvas.figure.dpi / 72.0
    size = text.get_window_extent()
    for dx, dy in _PLACES:
        ha, left = _side(dx, size.width)
        va, bottom = _side(dy, size.height)
        x0, y0 = here[0] + dx * pixels + left, here[1] + dy * pixels + bottom
        x1, y1 = x0 + size.width, y0 + size.height
        inside = frame.x0 <= x0 and x1 <= frame.x1 + 0.02 * frame.width and frame.y0 <= y0 and y1 <= frame.y1
        if not inside or any(x0 < b[2] and b[0] < x1 and y0 < b[3] and b[1] < y1 for b in taken):
            continue
        near = _RADIUS * pixels
        covered = (others[:, 0] > x0 - near) & (others[:, 0] < x1 + near)
        covered &= (others[:, 1] > y0 - near) & (others[:, 1] < y1 + near)
        if covered.any():
            continue
        text.set(ha={"start": "left", "end": "right"}.get(ha, ha), va={"start": "bottom", "end": "top"}.get(va, va))
        text.xyann = (dx, dy)
        if np.hypot(dx, dy) > _TIED:
            _tie(text, dx, dy)
        return (x0, y0, x1, y1)
    return None


def _side(offset: float, extent: float) -> tuple[str, float]:
    """On which side of its anchor a text lies, and where its box begins from there."""
    if offset > 1.0:
        return "start", 0.0
    if offset < -1.0:
        return "end", -extent
    return "center", -0.5 * extent


def _tie(text: Any, dx: float, dy: float) -> None:
    """A thin line from the text to its point."""
    text.axes.annotate(
        "", text.xy, xytext=(dx, dy), textcoords="offset points", zorder=4,
        arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#8A8A8A", "shrinkA": 0.0, "shrinkB": 2.5},
    )  # fmt: skip
