"""Heritability of traits by environment, and what accounts for their variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._style import INK, PALETTE, axes, styled, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..gxemm import GxemmResult

#: Standard errors on each side of an interval of 95 %.
_WIDTH = 1.959963984540054


@styled
def gxemm_heritability(
    fit: GxemmResult, *, trait: int | str = 0, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the heritability of each environment with its 95 % interval.

    Parameters
    ----------
    fit
        What :func:`ferrocyte.gxemm.fit` gives.
    trait
        Which trait.
    title
        By default the name of the trait.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Environments on the x axis, heritability on the y axis.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made = fe.sim.gxemm(200, 50, seed=1)
    >>> fit = fe.gxemm.fit(made["y"], made["X"], made["K"], made["Z"], gtype="free", etype="free")
    >>> ax = fe.pl.gxemm_heritability(fit)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['env1', 'env2']
    """
    one = fit.trait(trait)
    values = np.asarray(one["h2"])
    errors = _WIDTH * np.sqrt(np.maximum(np.diag(one["h2_covariance"]), 0.0))
    names = [name.removeprefix("h2[").removesuffix("]") for name in one["h2_names"]]
    ax = axes(ax, (1.6 + 0.6 * len(names), 3.0))
    places = np.arange(len(names))
    ax.errorbar(places, values, yerr=errors, fmt="o", color=PALETTE[0], ecolor=INK, elinewidth=1.0, capsize=3.0, ms=5.0)
    ax.axhline(0.0, color=INK, lw=0.8)
    ax.set_xticks(places, names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    return tidy(ax, title=one["name"] if title is None else title, xlabel="", ylabel="heritability")


@styled
def gxemm_shares(fit: GxemmResult, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw for every trait the shares of its variance: bars side by side, since a share may be negative.

    Parameters
    ----------
    fit
        What :func:`ferrocyte.gxemm.fit` gives.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Traits on the x axis, shares of the mean variance of the people, with one standard error, on the y axis.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made = fe.sim.gxemm(200, 50, seed=1)
    >>> ax = fe.pl.gxemm_shares(fe.gxemm.fit(made["y"], made["X"], made["K"], made["Z"], gtype="free", etype="free"))
    >>> len(ax.patches)
    5
    """
    shown = [one for one in fit.traits if len(one["shares"])]
    k = len(fit.variances)
    ax = axes(ax, (1.6 + 0.25 * k * max(len(shown), 1), 3.0))
    for j, name in enumerate(fit.variances):
        places = np.arange(len(shown)) + (j - 0.5 * (k - 1)) * 0.8 / k
        heights = [100.0 * one["shares"][j] for one in shown]
        errors = [100.0 * np.sqrt(max(one["shares_covariance"][j, j], 0.0)) for one in shown]
        colour = PALETTE[j % len(PALETTE)]
        ax.bar(places, heights, 0.75 / k, yerr=errors, color=colour, ecolor=INK, error_kw={"lw": 0.8}, label=name)
    ax.axhline(0.0, color=INK, lw=0.8)
    ax.set_xticks(np.arange(len(shown)), [one["name"] for one in shown])
    ax.legend()
    return tidy(ax, title=title or "", xlabel="", ylabel="share of variance (%)")
