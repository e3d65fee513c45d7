"""The one style of the figures: colours, axes, labels that do not cover each other."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

#: Okabe and Ito's colours (2008), without yellow, which is too pale for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#4D4D4D")

INK, FAINT, UP, DOWN = "#222222", "#B8B8B8", "#D55E00", "#0072B2"

#: More points than this are drawn as pixels in vector files.
MANY = 500

_SETTINGS = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.dpi": 120.0,
    "savefig.dpi": 200.0,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}


def style() -> AbstractContextManager[None]:
    """Make own figures in the same style: ``with fe.pl.style(): fig, ax = plt.subplots()``."""
    import matplotlib as mpl

    return mpl.rc_context(_SETTINGS)


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the style, and leave matplotlib's settings as they were."""

    @functools.wraps(draw)
    def inside(*arguments: P.args, **keywords: P.kwargs) -> R:
        with style():
            return draw(*arguments, **keywords)

    return inside


def save(figure: Axes | Figure, path: str | os.PathLike[str], **keywords: Any) -> None:
    """Write a figure to a file, by the ending of its name, with fonts embedded and margins cut.

    Parameters
    ----------
    figure
        A figure, or axes of it.
    path
        ``.pdf``, ``.svg``, ``.png``, ...
    **keywords
        Passed to ``Figure.savefig``.
    """
    whole = figure.get_figure() if not hasattr(figure, "savefig") else figure
    with style():
        whole.savefig(path, **{"bbox_inches": "tight", **keywords})


def axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or those of a new figure of `size` inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def tidy(ax: Axes, *, title: str | None = None, xlabel: str = "", ylabel: str = "") -> Axes:
    """Titles and axes in the style, whoever made the axes."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if title:
        ax.set_title(title, loc="left")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax


def colours(n: int) -> list[Any]:
    """`n` colours: the palette, or even steps of a map for more than it has."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.92, n)))


def one_panel(table: pd.DataFrame, group: str | None, contrast: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of one group and contrast, and words for the title."""
    words = []
    for column, wanted in (("group", group), ("contrast", contrast)):
        need(table, column)
        present = list(dict.fromkeys(table[column].astype(str)))
        if wanted is None and len(present) > 1:
            message = f"the table holds {len(present)} of `{column}`"
            names = ", ".join(f"`{name}`" for name in present[:10])
            raise BadInputError(message, place=column, hint=f"draw one of {names}")
        if wanted is not None and wanted not in present:
            message = f"there is no {column} `{wanted}` in the table"
            names = ", ".join(f"`{name}`" for name in present[:10])
            raise MissingKeyError(message, place=column, hint=f"there are {names}")
        if wanted is not None:
            table = table[table[column].astype(str) == wanted]
        if present and (wanted or present[0]) != "all":
            words.append(wanted or present[0])
    return table, ", ".join(words)


def need(table: pd.DataFrame, *columns: str) -> None:
    """Fail unless the table has these columns."""
    absent = [column for column in columns if column not in table.columns]
    if absent:
        message = f"the table has no column {', '.join(f'`{column}`' for column in absent)}"
        raise MissingKeyError(message, place="table", hint="give the table of `contrast` or `test`")


def unit_of(table: pd.DataFrame, column: str) -> str:
    """The unit of a column, where the table knows it."""
    return str(table.attrs.get("units", {}).get(column, ""))


def label_points(ax: Axes, x: Sequence[float], y: Sequence[float], names: Iterable[str]) -> None:
    """Write names beside points, the first ones first; those that find no free place are left out."""
    figure = ax.get_figure()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    frame = ax.get_window_extent(renderer).expanded(1.06, 1.06)
    taken: list[Any] = []
    points = ax.transData.transform(np.column_stack([x, y])) if len(x) else np.empty((0, 2))
    for i, name in enumerate(names):
        for dx, dy in _OFFSETS:
            text = ax.annotate(
                name,
                (x[i], y[i]),
                xytext=(dx, dy),
                textcoords="offset points",
                fontsize=7,
                color=INK,
                ha="left" if dx > 0 else "right" if dx < 0 else "center",
                va="bottom" if dy > 0 else "top" if dy < 0 else "center",
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#808080", "shrinkA": 0, "shrinkB": 2}
                if abs(dx) + abs(dy) > 10
                else None,
            )
            # Of the text alone: the line to the point may cross what it likes.
            box = text.get_window_extent(renderer) if text.arrow_patch is None else _text_box(text, renderer)
            free = not any(box.overlaps(other) for other in taken)
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            covers = sum(bool(box.contains(*point)) for j, point in enumerate(points) if j != i)
            if free and inside and not covers:
                taken.append(box)
                break
            text.remove()


def _text_box(text: Any, renderer: Any) -> Any:
    from matplotlib.text import Text

    return Text.get_window_extent(text, renderer)


_OFFSETS = [(4, 0), (-4, 0), (0, 4), (0, -4), (4, 4), (-4, 4), (4, -4), (-4, -4)] + [
    (dx, dy)
    for radius in (12, 20, 30)
    for dx, dy in (
        (radius, 0),
        (-radius, 0),
        (radius, radius),
        (-radius, radius),
        (radius, -radius),
        (-radius, -radius),
        (0, radius),
    )
]
