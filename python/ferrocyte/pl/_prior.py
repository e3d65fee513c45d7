"""What all genes say about the variance between units, and what it makes of each gene's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInputError
from ._style import BAND, FAINT, INK, MANY, UP, axes, styled, tidy
from ._tables import levels, missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..lmm import Fit

#: Ratios below this share of the smallest that is drawn stand on the floor.
_FLOOR = 0.5


@styled
def prior(
    fit: Fit,
    *,
    group: str | None = None,
    component: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the variance between units of each gene, its distribution over genes, and the compromise of both.

    Grey points are what each gene alone says: the ratio of the variance between units (samples, donors) to the residual
    variance, over its expression; those at or below zero stand on the floor. The line is the prior, which all genes
    together make, with a band of one standard deviation (in ln) on either side; coloured points are what moderated
    tests average around. With few units grey points scatter widely and coloured ones lie close to the line; with many,
    each gene keeps its own.

    Parameters
    ----------
    fit
        A fit with moderated tests.
    group
        Which group, if there are several.
    component
        Which random term, if there are two; by default the first.
    title
        By default group and term.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        Tests of the group are not moderated; the message says why.
    MissingKeyError
        No such group or term.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.lmm.fit(small_study(), "~ log(libsize) + condition + (1 | sample)")
    >>> fe.pl.prior(fit).get_ylabel()
    'variance between samples / residual variance'
    """
    if not hasattr(fit, "priors"):
        message = f"expected a fit, found {type(fit).__name__}"
        raise BadInputError(message, place="fit")
    table = fit.priors(group)
    if table.empty:
        labels = fit.groups
        why = labels.loc[group if group is not None else labels.index[0], "moderation"]
        message = f"tests are not moderated: {why}" if why else "tests are not moderated: moderate = False"
        raise BadInputError(message, place="fit")
    present = levels(table, "component")
    if component is not None and component not in present:
        missing("random term", component, present, "component")
    chosen = component or present[0]
    rows = table[(table["component"] == chosen) & np.isfinite(table[["trend", "ratio", "posterior"]]).all(axis=1)]
    rows = rows.sort_values("trend", kind="stable")
    x, many = np.exp(rows["trend"].to_numpy()), len(rows) > MANY
    shown = np.concatenate([rows["posterior"], rows["prior"] * np.exp(-rows["prior_sd"])])
    floor = _FLOOR * float(np.min(shown))

    ax = axes(ax, (4.6, 3.6))
    middle, spread = rows["prior"].to_numpy(), np.exp(rows["prior_sd"].to_numpy())
    ax.fill_between(x, middle / spread, middle * spread, color=BAND, linewidth=0, zorder=1)
    alone = np.maximum(rows["ratio"].to_numpy(), floor)
    at_zero = int((rows["ratio"] <= floor).sum())
    ax.scatter(x, alone, s=6, color=FAINT, linewidths=0, rasterized=many, zorder=2, label="gene alone")
    ax.plot(x, middle, color=INK, linewidth=1.2, zorder=4, label="all genes")
    ax.scatter(x, rows["posterior"], s=6, color=UP, linewidths=0, rasterized=many, zorder=3, label="moderated")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.8 * floor)
    ax.legend(loc="lower right", markerscale=2, handletextpad=0.3)
    words = ", ".join(word for word in (group, chosen if len(present) > 1 else None) if word)
    return tidy(
        ax,
        title=words if title is None else title,
        xlabel=f"mean of {fit.unit}",
        ylabel=f"variance between {chosen}s / residual variance",
        note=f"{at_zero} of {len(rows)} genes alone at zero or below",
    )
