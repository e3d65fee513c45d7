"""What p-values and z values look like against what chance would give: QQ plots and the histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError
from ._style import BAND, DOWN, INK, MANY, axes, colours, styled, tidy
from ._tables import finite, levels, need, one_contrast, one_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    Values = np.ndarray[Any, Any]

#: Median of a squared standard normal.
_MEDIAN_CHI2 = 0.454936423119572


@styled
def qq(
    table: pd.DataFrame | Sequence[float],
    *,
    group: str | None = None,
    contrast: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw p-values against what chance would give, with the band that holds each of them with 95 % chance.

    The legend gives the inflation :math:`\lambda`, the median of the test statistics (as :math:`\chi^2_1`) over the
    one that chance gives: 1 for null genes, below 1 for a test that is too careful. Points above the line from the
    start mean many true effects, or a test that does not hold its level: only null data can tell which. The band
    takes genes as independent, which they are not quite.

    Parameters
    ----------
    table
        A table of tests, with a colour for each of its groups; or p-values.
    group, contrast
        Which rows of the table; by default all groups.
    title
        By default group and contrast.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        There is no p-value, or numbers that are none; or the table holds several contrasts and none was chosen.
    MissingKeyError
        No such group, contrast or column; the nearest names are listed.

    Notes
    -----
    The i-th smallest of m p-values stands over -log10((i - 1/2) / m); by chance it is Beta(i, m - i + 1), whose 2.5
    and 97.5 % points bound the band. With several groups it is the band of the widest at each place.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.qq(np.random.default_rng(1).uniform(size=1000))
    >>> ax.get_legend().get_texts()[0].get_text()
    'λ = 1.03'
    """
    parts, words = _minus_log10(table, group, contrast)
    ax = axes(ax, (3.8 if len(parts) == 1 else 5.6, 3.8))
    _band(ax, {len(part) for part in parts.values()})
    for (label, part), colour in zip(parts.items(), colours(len(parts)), strict=True):
        observed = np.sort(part)[::-1]
        expected = -np.log10((np.arange(1, len(part) + 1) - 0.5) / len(part))
        text = f"{label} (λ = {_inflation(part):.2f})" if len(parts) > 1 else f"λ = {_inflation(part):.2f}"
        ax.scatter(
            expected, observed, s=7, color=colour, linewidths=0, label=text, rasterized=len(part) > MANY, zorder=2
        )
    if len(parts) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2, handletextpad=0.2, borderpad=0)
    else:
        ax.legend(loc="upper left", handlelength=0, handletextpad=0, markerscale=0)
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0)
    return tidy(
        ax, title=words if title is None else title, xlabel="-log10 p expected by chance", ylabel="-log10 p observed"
    )


@styled
def p_histogram(
    table: pd.DataFrame | Sequence[float],
    *,
    group: str | None = None,
    contrast: str | None = None,
    bins: int = 20,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of p-values; the dashed line is what chance alone would give.

    Flat with a peak at zero is as it should be; a slope over the whole range, or a peak at one, means that the test
    does not fit the data.

    Parameters
    ----------
    table
        A table of tests, or p-values.
    group, contrast
        Which rows, if the table holds several.
    bins
        Number of bars.
    title
        By default group and contrast.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        There is no p-value, or the table holds several groups or contrasts and none was chosen.
    MissingKeyError
        No such group, contrast or column; the nearest names are listed.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.p_histogram(np.random.default_rng(1).uniform(size=1000), bins=10)
    >>> len(ax.patches)
    10
    """
    if bins < 1:
        message = f"expected at least one bar, found {bins}"
        raise BadInputError(message, place="bins")
    words = ""
    if hasattr(table, "columns"):
        rows, words = one_panel(need(table, "group", "contrast", "p_value"), group, contrast)
        values = finite(rows, "p_value")["p_value"].to_numpy()
    else:
        values = _p_values(table)
    ax = axes(ax, (3.8, 3.0))
    ax.hist(values, bins=bins, range=(0.0, 1.0), color=DOWN, edgecolor="white", lw=0.5)
    ax.axhline(len(values) / bins, color=INK, lw=0.9, ls=(0, (4, 3)))
    ax.set_xlim(0.0, 1.0)
    return tidy(ax, title=words if title is None else title, xlabel="p", ylabel="genes")


@styled
def qq_normal(
    z: Sequence[float],
    *,
    title: str | None = None,
    ylabel: str = "z observed",
    ax: Axes | None = None,
) -> Axes:
    """Draw z values against the standard normal distribution.

    Made for tests of variance components, ``fit.theta["var1"] / fit.se_theta["var1"]``: points on the line mean a
    component that is zero for all genes, points above it genes with a variance of their own.

    Parameters
    ----------
    z
        The values; those that are not finite are left out.
    title, ylabel
        Words of the axes.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        No value is finite.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.qq_normal(np.random.default_rng(1).normal(size=200))
    """
    from scipy import stats

    values = np.ravel(np.asarray(z, dtype=float))
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        message = "there is no finite value to draw"
        raise BadInputError(message, place="z")
    n = len(values)
    rank = np.arange(1, n + 1)
    expected = stats.norm.ppf((rank - 0.5) / n)
    low, high = stats.norm.ppf(stats.beta.ppf([[0.025], [0.975]], rank, n - rank + 1))
    ax = axes(ax, (3.8, 3.8))
    ax.fill_between(expected, low, high, color=BAND, lw=0, zorder=0)
    ax.plot(expected[[0, -1]], expected[[0, -1]], color=INK, lw=0.8, zorder=1)
    ax.scatter(expected, values, s=8, color=DOWN, linewidths=0, rasterized=n > MANY, zorder=2)
    return tidy(ax, title=title, xlabel="z of the normal distribution", ylabel=ylabel)


def _minus_log10(
    table: pd.DataFrame | Sequence[float], group: str | None, contrast: str | None
) -> tuple[dict[str, Values], str]:
    """-log10 p of each group, and words for the title."""
    if not hasattr(table, "columns"):
        with np.errstate(divide="ignore"):
            values = -np.log10(_p_values(table))
        return {"": np.where(np.isinf(values), -np.log10(np.finfo(float).tiny), values)}, ""
    need(table, "group", "contrast", "log10_p_value")
    rows, words = one_panel(table, group, contrast) if group is not None else one_contrast(table, contrast)
    rows = finite(rows, "log10_p_value")
    of = rows["group"].astype(str)
    return {name: -rows.loc[of == name, "log10_p_value"].to_numpy() for name in levels(rows, "group")}, words


def _p_values(values: Sequence[float]) -> Values:
    """Numbers that are p-values, without NaN."""
    p = np.ravel(np.asarray(values, dtype=float))
    p = p[~np.isnan(p)]
    if not len(p):
        message = "there is no p-value to draw"
        raise BadInputError(message, place="table")
    if p.min() < 0.0 or p.max() > 1.0:
        message = f"p-values lie between 0 and 1, found {p.min() if p.min() < 0.0 else p.max():g}"
        raise BadInputError(message, place="table")
    return p


def _band(ax: Axes, sizes: set[int]) -> None:
    """The line of chance, and the band of the i-th smallest of m p-values, for each m."""
    from scipy import stats

    for m in sorted(sizes):
        rank = np.unique(np.geomspace(1, m, 200).round())
        expected = -np.log10((rank - 0.5) / m)
        low, high = stats.beta.ppf([[0.975], [0.025]], rank, m - rank + 1)
        ax.fill_between(expected, -np.log10(low), -np.log10(high), color=BAND, lw=0, zorder=0)
    end = -np.log10(0.5 / max(sizes))
    ax.plot([0.0, end], [0.0, end], color=INK, lw=0.8, zorder=1)


def _inflation(minus_log10: Values) -> float:
    """Median of the statistics over that of chance."""
    from scipy import stats

    return float(stats.chi2.isf(10.0 ** -np.median(minus_log10), 1) / _MEDIAN_CHI2)
