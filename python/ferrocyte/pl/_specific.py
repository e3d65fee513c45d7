"""Cell type-specific variance: of one gene in each cell type, and what makes up that of many genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import BadInputError
from ._style import FAINT, INK, MANY, PALETTE, axes, styled, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..ctmm import CtmmResult

#: Fewer genes than this are drawn as points.
_FEW = 10


@styled
def ctmm_variances(
    fit: CtmmResult,
    gene: str,
    *,
    level: float = 0.95,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the variances of a gene between individuals: what all cell types share, then what is specific to each.

    Parameters
    ----------
    fit
        Models ``free``, ``iid`` or ``hom`` of :func:`ferrocyte.ctmm.fit`.
    gene
        Its name.
    level
        How often the intervals (t distribution, standard errors of the fit) hold the variance.
    title
        By default the gene.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Variances on the x axis, the shared one on top.

    Raises
    ------
    BadInputError
        The fit has no variances of that kind, or the gene has no estimate.
    MissingKeyError
        There is no such gene.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made, truth = fe.sim.ctmm(20, 60, seed=1)
    >>> ax = fe.pl.ctmm_variances(fe.ctmm.fit(made), "gene01")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['shared', 'type1', 'type2', 'type3', 'type4']
    """
    from scipy import stats

    _need(fit)
    if not 0.0 < level < 1.0:
        message = f"expected a level between 0 and 1, found {level:g}"
        raise BadInputError(message, place="level")
    place = fit._place(gene)
    names = [name for name in fit.variances if name == "hom2" or name == "V" or name.startswith("V[")]
    at = [fit.variances.index(name) for name in names]
    value = fit.theta[place, at]
    if not np.isfinite(value).any():
        message = f"`{gene}` has no estimate: {fit.table['reason'].iloc[place]}"
        raise BadInputError(message, place="gene")
    se = np.sqrt(fit.theta_covariance[place][at, at])
    half = stats.t.ppf(0.5 + level / 2, fit.table["df"].iloc[place]) * se
    words = [{"hom2": "shared", "V": "specific"}.get(name, name[2:-1]) for name in names]
    ax = axes(ax, (3.6, 0.9 + 0.32 * len(names)))
    rows = np.arange(len(names))
    for row, (x, width) in enumerate(zip(value, half, strict=True)):
        colour = INK if row == 0 else PALETTE[0]
        if np.isfinite(width):
            ax.plot([x - width, x + width], [row, row], color=colour, lw=1.4)
        ax.plot(x, row, "o", color=colour, ms=5.0)
    ax.axvline(0.0, color=FAINT, lw=0.8, zorder=0)
    ax.set_yticks(rows, words)
    ax.set_ylim(len(names) - 0.5, -0.5)
    return tidy(ax, title=gene if title is None else title, xlabel="variance between individuals", ylabel="")


@styled
def ctmm_shares(
    fit: CtmmResult,
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what makes up the variance of overall expression, over genes: shared, specific, means, covariates.

    Each part is a share of the sum of all parts of the gene, negative ones taken for zero; noise is no part.

    Parameters
    ----------
    fit
        Of :func:`ferrocyte.ctmm.fit`, with proportions.
    title
        None by default.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Parts on the x axis; shares in percent on the y axis.

    Raises
    ------
    BadInputError
        No gene has shares.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made, truth = fe.sim.ctmm(20, 60, seed=1)
    >>> ax = fe.pl.ctmm_shares(fe.ctmm.fit(made))
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['shared', 'specific', 'means']
    """
    _need(fit)
    columns = {"shared": "hom2", "specific": "share[V]", "means": "share[means]"}
    columns |= {name: f"share[{name}]" for name in [*fit.fixed, *fit.random]}
    columns = {word: name for word, name in columns.items() if name in fit.table}
    parts = np.maximum(fit.table[list(columns.values())].to_numpy(float), 0.0)
    whole = parts.sum(axis=1, keepdims=True)
    percent = 100.0 * parts[(whole[:, 0] > 0.0) & np.isfinite(whole[:, 0])]
    percent = percent / (percent.sum(axis=1, keepdims=True) / 100.0)
    if not len(percent):
        message = "no gene has shares of variance"
        raise BadInputError(message, place="fit", hint="they need proportions, and estimates")
    ax = axes(ax, (1.2 + 0.8 * len(columns), 3.2))
    for place in range(len(columns)):
        own, colour = percent[:, place], PALETTE[place % len(PALETTE)]
        if len(own) >= _FEW and np.ptp(own) > 0.0:
            for body in cast("list[Any]", ax.violinplot(own, [place], widths=0.8, showextrema=False)["bodies"]):
                body.set(facecolor=colour, edgecolor="none", alpha=0.6)
        else:
            ax.scatter(np.full(len(own), place), own, s=8, color=colour, rasterized=len(own) > MANY)
        low, middle, high = np.percentile(own, [25.0, 50.0, 75.0])
        ax.plot([place, place], [low, high], color=INK, lw=2.5, solid_capstyle="butt")
        ax.plot(place, middle, "o", color="white", ms=4.0, mec=INK, mew=0.8, clip_on=False, zorder=3)
    ax.set_xticks(np.arange(len(columns)), list(columns))
    ax.set_ylim(0.0, 100.0)
    return tidy(ax, title=title or "", xlabel="", ylabel="share of variance (%)")


def _need(fit: CtmmResult) -> None:
    """The fit has the parts that are drawn."""
    if not hasattr(fit, "theta_covariance") or not hasattr(fit, "variances"):
        message = f"expected a fit of fe.ctmm, found {type(fit).__name__}"
        raise BadInputError(message, place="fit")
    if "hom2" not in fit.variances:
        message = "the model `full` does not tell shared from specific variance"
        raise BadInputError(message, place="fit", hint="fit the model `free`, `iid` or `hom`")
