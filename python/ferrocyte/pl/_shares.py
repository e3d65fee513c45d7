"""What accounts for the variance of genes: fixed effects, random terms, residual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import BadInputError
from ._style import FAINT, INK, MANY, PALETTE, axes, styled, tidy
from ._tables import finite, levels, missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..lmm import Fit

#: Columns of the table of shares that are no parts of the variance.
_OTHERS = {"group", "gene", "variance", "r2_marginal", "r2_conditional", "status", "reason", "n_cells"}

#: Fewer genes than this are drawn as points.
_FEW = 10


@styled
def variance_shares(
    data: Fit | pd.DataFrame,
    *,
    group: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution over genes of each part's share of the variance: a violin per part, the median in it.

    Parameters
    ----------
    data
        A fit, or its :meth:`~ferrocyte.lmm.Fit.variance_shares`.
    group
        Which group, if there are several.
    title
        By default the group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Parts on the x axis, the residual last; shares in percent on the y axis.

    Raises
    ------
    BadInputError
        No gene has shares, or there are several groups and none was chosen.
    MissingKeyError
        No such group; the nearest names are listed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> ax = fe.pl.variance_shares(fit)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['fixed', 'sample', 'residual']
    """
    rows, parts, words = _shares(data, group)
    ax = axes(ax, (1.4 + 0.8 * len(parts), 3.2))
    places = np.arange(len(parts))
    for place, part, colour in zip(places, parts, _colours(parts), strict=True):
        percent = 100.0 * rows[part].to_numpy()
        if len(percent) >= _FEW and np.ptp(percent) > 0.0:
            drawn = ax.violinplot(percent, [place], widths=0.8, showextrema=False)
            for body in cast("list[Any]", drawn["bodies"]):
                body.set(facecolor=colour, edgecolor="none", alpha=0.6)
        else:
            ax.scatter(np.full(len(percent), place), percent, s=8, color=colour, rasterized=len(percent) > MANY)
        low, middle, high = np.percentile(percent, [25.0, 50.0, 75.0])
        ax.plot([place, place], [low, high], color=INK, lw=2.5, solid_capstyle="butt")
        # A median of zero is drawn whole, too.
        ax.plot(place, middle, "o", color="white", ms=4.0, mec=INK, mew=0.8, clip_on=False, zorder=3)
    ax.set_xticks(places, parts)
    ax.set_ylim(0.0, 100.0)
    return tidy(ax, title=words if title is None else title, xlabel="", ylabel="share of variance (%)")


@styled
def variance_shares_top(
    data: Fit | pd.DataFrame,
    part: str,
    *,
    n: int = 15,
    group: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the genes of which one part accounts for most: a bar per gene, divided into the shares of all parts.

    Parameters
    ----------
    data
        A fit, or its :meth:`~ferrocyte.lmm.Fit.variance_shares`.
    part
        By which part genes are chosen: ``"fixed"``, a random term, ``"residual"``. It is drawn first.
    n
        How many genes.
    group
        Which group, if there are several.
    title
        By default the group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Genes on the y axis, the first on top.

    Raises
    ------
    BadInputError
        No gene has shares, or there are several groups and none was chosen.
    MissingKeyError
        No such part or group; the nearest names are listed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> ax = fe.pl.variance_shares_top(fit, "sample", n=5)
    >>> len(ax.get_yticks())
    5
    """
    if n < 1:
        message = f"expected at least one gene, found {n}"
        raise BadInputError(message, place="n")
    rows, parts, words = _shares(data, group)
    if part not in parts:
        missing("part", part, parts, "part")
    colour_of = dict(zip(parts, _colours(parts), strict=True))
    rows = rows.sort_values(part, ascending=False, kind="stable").head(n)
    ax = axes(ax, (4.6, 0.9 + 0.2 * len(rows)))
    places, left = np.arange(len(rows)), np.zeros(len(rows))
    for name in [part, *(other for other in parts if other != part)]:
        width = 100.0 * rows[name].to_numpy()
        ax.barh(places, width, left=left, height=0.8, color=colour_of[name], label=name)
        left = left + width
    ax.set_yticks(places, rows["gene"])
    ax.invert_yaxis()
    ax.set_xlim(0.0, 100.0)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderpad=0.0)
    return tidy(ax, title=words if title is None else title, xlabel="share of variance (%)", ylabel="")


def _shares(data: Fit | pd.DataFrame, group: str | None) -> tuple[pd.DataFrame, list[str], str]:
    """The genes of one group that have shares, the parts, and words for the title."""
    table: Any = data.variance_shares() if hasattr(data, "variance_shares") else data
    if not hasattr(table, "columns"):
        message = f"expected a fit or its shares, found {type(table).__name__}"
        raise BadInputError(message, place="data")
    for name in ("group", "gene", "residual"):
        if name not in table.columns:
            missing("column", name, table.columns, "data")
    present = levels(table, "group")
    if group is None and len(present) > 1:
        message = f"there are {len(present)} groups"
        names = ", ".join(f"`{name}`" for name in present)
        raise BadInputError(message, place="group", hint=f"choose one of {names}")
    if group is not None and group not in present:
        missing("group", group, present, "group")
    rows = table if group is None else table[table["group"].astype(str) == group]
    # What no gene of the group has (a term of another group, fixed effects that the sums do not tell) is no part.
    parts = [str(name) for name in table.columns if name not in _OTHERS and rows[name].notna().any()]
    if "residual" not in parts:
        message = "no gene has shares of variance"
        raise BadInputError(message, place="data", hint="the columns `status` and `reason` say why")
    words = "" if group is None and present == ["all"] else str(group or present[0])
    return finite(rows, *parts), parts, words


def _colours(parts: list[str]) -> list[Any]:
    """A colour of the palette for each part, grey for the residual."""
    return [FAINT if part == "residual" else PALETTE[i % len(PALETTE)] for i, part in enumerate(parts)]
