"""Figures of many tests: volcano, QQ plots, histogram of p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError
from ._style import DOWN, FAINT, INK, MANY, UP, axes, colours, label_points, need, one_panel, styled, tidy, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes


@styled
def volcano(
    table: pd.DataFrame,
    *,
    group: str | None = None,
    contrast: str | None = None,
    threshold: float = 0.05,
    labels: int | Sequence[str] = 12,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the size of the effect against the evidence for it, a point per gene.

    Parameters
    ----------
    table
        Of :meth:`ferrocyte.lmm.Fit.contrast` or :meth:`~ferrocyte.lmm.Fit.test`.
    group, contrast
        Which rows, if the table holds several.
    threshold
        False discovery rate below which genes are coloured.
    labels
        How many of the first genes are named, or which.
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
        The table holds several groups or contrasts and none was chosen.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> ax = fe.pl.volcano(fit.contrast("condition", "stim", "ctrl"))
    >>> ax.get_ylabel()
    '-log10 p'
    """
    need(table, "gene", "estimate", "log10_p_value", "adj_p_value")
    rows, words = one_panel(table, group, contrast)
    rows = rows[np.isfinite(rows["log10_p_value"]) & np.isfinite(rows["estimate"])]
    x, y = rows["estimate"].to_numpy(), -rows["log10_p_value"].to_numpy()
    found = rows["adj_p_value"].to_numpy() < threshold
    ax = axes(ax, (4.2, 3.8))
    many = len(rows) > MANY
    for chosen, colour, size in ((~found, FAINT, 5), (found & (x > 0), UP, 9), (found & (x <= 0), DOWN, 9)):
        ax.scatter(x[chosen], y[chosen], s=size, c=colour, linewidths=0, alpha=0.8, rasterized=many)
    ax.axvline(0.0, color=INK, lw=0.6, zorder=0)
    limit = 1.08 * max(np.abs(x).max(initial=0.0), 1e-9)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(0.0, 1.08 * max(y.max(initial=0.0), 1.0))
    unit = unit_of(table, "estimate") or "estimate"
    # The title stands above the line that counts genes.
    ax = tidy(ax, title=f"{words if title is None else title}\n", xlabel=unit, ylabel="-log10 p")
    for side, up in ((0.98, True), (0.02, False)):
        n = int((found & ((x > 0) == up)).sum())
        text = f"{n:,} {'up' if up else 'down'}"
        ax.text(
            side,
            1.01,
            text,
            transform=ax.transAxes,
            ha="right" if up else "left",
            va="bottom",
            fontsize=8,
            color=UP if up else DOWN,
        )
    named = _named(rows, labels)
    label_points(ax, x[named], y[named], rows["gene"].to_numpy()[named])
    return ax


def _named(rows: pd.DataFrame, labels: int | Sequence[str]) -> np.ndarray[Any, Any]:
    """Positions of the rows to name, those with the smallest p first."""
    if isinstance(labels, int):
        return np.argsort(rows["log10_p_value"].to_numpy(), kind="stable")[:labels]
    return np.flatnonzero(rows["gene"].isin(list(labels)))


def _by_label(p: Any, by: str) -> dict[str, np.ndarray[Any, Any]]:
    """-log10 p of each group (or of all), without NaN, from a table or numbers."""
    if hasattr(p, "columns"):
        need(p, "log10_p_value", by)
        parts = {
            str(label): -part["log10_p_value"].to_numpy() for label, part in p.groupby(by, observed=True, sort=False)
        }
    else:
        values = np.ravel(np.asarray(p, dtype=float))
        if np.nanmin(values, initial=1.0) < 0.0 or np.nanmax(values, initial=0.0) > 1.0:
            message = "p-values lie between 0 and 1"
            raise BadInputError(message, place="p")
        with np.errstate(divide="ignore"):
            parts = {"": -np.log10(values)}
    parts = {label: part[np.isfinite(part)] for label, part in parts.items()}
    if not any(len(part) for part in parts.values()):
        message = "there is no p-value to draw"
        raise BadInputError(message, place="p")
    return {label: part for label, part in parts.items() if len(part)}


@styled
def qq(
    p: pd.DataFrame | Sequence[float],
    *,
    by: str = "group",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw p-values against what chance would give, with the band that holds 95 % of them by chance.

    Points above the line from the start mean a test that does not hold its level (or many true effects); the band
    takes genes as independent, which they are not quite.

    Parameters
    ----------
    p
        A table of tests, or p-values.
    by
        Column of the table: a colour for each of its values.
    title
        Title of the axes.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        There is no p-value, or numbers that are none.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.qq(np.random.default_rng(1).uniform(size=1000))
    """
    from scipy import stats

    parts = _by_label(p, by)
    ax = axes(ax, (3.8, 3.8))
    n = max(len(part) for part in parts.values())
    rank = np.unique(np.geomspace(1, n, 200).round())
    expected = -np.log10((rank - 0.5) / n)
    low, high = stats.beta.ppf([[0.975], [0.025]], rank, n - rank + 1)
    ax.fill_between(expected, -np.log10(low), -np.log10(high), color="#E4E4E4", lw=0, zorder=0)
    ax.plot(expected[[0, -1]], expected[[0, -1]], color=INK, lw=0.8, zorder=1)
    for (label, part), colour in zip(parts.items(), colours(len(parts)), strict=True):
        observed = np.sort(part)[::-1]
        theirs = -np.log10((np.arange(1, len(part) + 1) - 0.5) / len(part))
        ax.scatter(
            theirs, observed, s=6, color=colour, linewidths=0, label=label, rasterized=len(part) > MANY, zorder=2
        )
    if len(parts) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2, handletextpad=0.2, borderpad=0)
    ax.set_xlim(0)
    ax.set_ylim(0)
    return tidy(ax, title=title, xlabel="-log10 p expected by chance", ylabel="-log10 p observed")


@styled
def p_histogram(
    p: pd.DataFrame | Sequence[float],
    *,
    bins: int = 20,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of p-values; the dashed line is what chance alone would give.

    Parameters
    ----------
    p
        A table of tests, or p-values.
    bins
        Number of bars.
    title
        Title of the axes.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.p_histogram(np.random.default_rng(1).uniform(size=1000))
    """
    if hasattr(p, "columns"):
        need(p, "p_value")
        values = p["p_value"].to_numpy()
    else:
        values = np.ravel(np.asarray(p, dtype=float))
    values = values[np.isfinite(values)]
    if not len(values):
        message = "there is no p-value to draw"
        raise BadInputError(message, place="p")
    ax = axes(ax, (3.8, 3.0))
    ax.hist(values, bins=bins, range=(0.0, 1.0), color=DOWN, edgecolor="white", lw=0.5)
    ax.axhline(len(values) / bins, color=INK, lw=0.9, ls=(0, (4, 3)))
    ax.set_xlim(0.0, 1.0)
    return tidy(ax, title=title, xlabel="p", ylabel="genes")


@styled
def qq_normal(
    z: Sequence[float], *, title: str | None = None, ylabel: str = "z observed", ax: Axes | None = None
) -> Axes:
    """Draw z values against the normal distribution, such as ``fit.theta.var1 / fit.se_theta.var1``.

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

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> ax = fe.pl.qq_normal(np.random.default_rng(1).normal(size=200))
    """
    from scipy import stats

    values = np.sort(np.ravel(np.asarray(z, dtype=float)))
    values = values[np.isfinite(values)]
    if not len(values):
        message = "there is no value to draw"
        raise BadInputError(message, place="z")
    ax = axes(ax, (3.8, 3.8))
    expected = stats.norm.ppf((np.arange(1, len(values) + 1) - 0.5) / len(values))
    ax.axline((0.0, 0.0), slope=1.0, color=INK, lw=0.8, zorder=1)
    ax.scatter(expected, values, s=10, color=DOWN, linewidths=0, rasterized=len(values) > MANY, zorder=2)
    return tidy(ax, title=title, xlabel="z of the normal distribution", ylabel=ylabel)
