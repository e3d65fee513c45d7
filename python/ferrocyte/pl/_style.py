"""The one style of the figures: colours, fonts, thin axes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ..errors import BadInputError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

#: Okabe and Ito's colours (2008), with wine red in the place of yellow, which is too pale for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222", "#882255")

#: Text and axes, points of no interest, bands, estimates above and below zero.
INK, FAINT, BAND, UP, DOWN = "#222222", "#B8B8B8", "#E6E6E6", "#D55E00", "#0072B2"

#: More points than this are drawn as pixels in vector files.
MANY = 2000

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
    "legend.title_fontsize": 8.0,
    "figure.dpi": 120.0,
    "savefig.dpi": 200.0,
    # TrueType in PDF and PostScript: text stays text, in the font it was drawn with.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}


def style() -> AbstractContextManager[None]:
    """Make figures of one's own in the same style; the settings end with the block.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> import matplotlib.pyplot as plt
    >>> with fe.pl.style():
    ...     figure, ax = plt.subplots()
    """
    _require_matplotlib()
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

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.p_histogram(np.linspace(0, 1, 101))
    >>> page = io.BytesIO()
    >>> fe.pl.save(ax, page, format="pdf")
    >>> page.getvalue()[:5]
    b'%PDF-'
    """
    whole = figure if hasattr(figure, "savefig") else whole_figure(figure)
    with style():
        whole.savefig(path, **{"bbox_inches": "tight", **keywords})


def axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes that were given, or those of a new figure of `size` inches."""
    if ax is None:
        from matplotlib import pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    if not hasattr(ax, "transData"):
        message = f"expected matplotlib axes, found {type(ax).__name__}"
        raise BadInputError(message, place="ax", hint="give one of the axes that plt.subplots() returns")
    return ax


def whole_figure(ax: Axes) -> Figure:
    """The figure of axes, also where they stand in a figure within it."""
    return ax.figure.canvas.figure


def tidy(ax: Axes, *, title: str | None, xlabel: str, ylabel: str, note: str = "") -> Axes:
    """Words and axes in the style, whoever made the axes; the note stands small below the title."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if title:
        ax.set_title(title, loc="left", pad=17.0 if note else 6.0)
    elif note:
        # A title without words keeps the room above the axes, which the note alone does not.
        ax.set_title(" ", loc="left", pad=3.0)
    if note:
        ax.annotate(
            note, (0.0, 1.0), xytext=(0.0, 4.0), xycoords="axes fraction", textcoords="offset points",
            ha="left", va="bottom", fontsize=7.5, color="#666666", annotation_clip=False,
            # A note that is wider than its axes must not make them narrower.
            in_layout=False,
        )  # fmt: skip
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax


def colours(n: int) -> list[Any]:
    """`n` colours: the palette, or even steps of a map for more than it has; none comes twice."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.92, n)))


def diverging() -> Any:
    """The colour map of signed values, from :data:`DOWN` through white to :data:`UP`; grey where there is none."""
    from matplotlib.colors import LinearSegmentedColormap

    steps = ["#004C77", DOWN, "#FFFFFF", UP, "#8F3F00"]
    places = [0.0, 0.18, 0.5, 0.82, 1.0]
    # An odd number of steps, so that zero is white.
    made = LinearSegmentedColormap.from_list("ferrocyte_diverging", list(zip(places, steps, strict=True)), N=257)
    return made.with_extremes(bad="#D4D4D4")


def _require_matplotlib() -> None:
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        message = "figures need matplotlib, which is not installed: pip install 'ferrocyte[plot]'"
        raise ImportError(message)
