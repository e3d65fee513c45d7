"""Count models: variances of genes, with what all genes say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInputError
from ._style import BAND, FAINT, INK, MANY, UP, axes, styled, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..nbmm import Fit

#: What is drawn, in words.
_WORDS = {"s2": "variance between {}s", "tau": "overdispersion of cells"}

#: Estimates below this share of the smallest that is drawn stand on the floor.
_FLOOR = 0.5


@styled
def nbmm_prior(
    fit: Fit,
    *,
    parameter: str = "s2",
    group: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a variance of each gene against its counts, its distribution over genes, and the compromise of both.

    Grey points are what each gene alone says; those of zero stand on the floor. The line is the trend that all genes
    together make, with a band of one standard deviation (in ln) on either side; coloured points are what moderated
    tests average around. With few donors grey points scatter widely and coloured ones lie close to the line.

    Parameters
    ----------
    fit
        A fit with moderated tests.
    parameter
        ``"s2"``, the variance between donors, or ``"tau"``, the overdispersion of cells.
    group
        Which group, if there are several.
    title
        By default the group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BadInputError
        Tests of the group are not moderated; the message says why.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")
    >>> fe.pl.nbmm_prior(fit).get_ylabel()
    'variance between samples, of ln mean'
    """
    table = fit.prior_table(parameter, group)
    if table.empty:
        labels = fit.groups
        why = labels.loc[group if group is not None else labels.index[0], "moderation"]
        message = f"nothing is moderated: {why}" if why else "nothing is moderated: moderate = False, or tau is zero"
        raise BadInputError(message, place="fit")
    rows = table[np.isfinite(table[["alone", "moderated"]]).all(axis=1)].sort_values("total", kind="stable")
    x, many = rows["total"].to_numpy(), len(rows) > MANY
    middle, spread = rows["prior"].to_numpy(), np.exp(rows["prior_sd"].to_numpy())
    floor = _FLOOR * float(np.min(np.concatenate([rows["moderated"], middle / spread])))
    alone = rows["alone"].to_numpy()
    # A few genes of one donor or one cell run to the bound; they stand at the top.
    ceiling = 3.0 * float(np.max(np.concatenate([rows["moderated"], middle * spread, np.quantile(alone, [0.99])])))

    ax = axes(ax, (5.4, 3.6))
    ax.fill_between(x, middle / spread, middle * spread, color=BAND, linewidth=0, zorder=1)
    shown = np.clip(alone, floor, ceiling)
    ax.scatter(x, shown, s=6, color=FAINT, linewidths=0, rasterized=many, zorder=2, label="gene alone")
    ax.plot(x, middle, color=INK, linewidth=1.2, zorder=4, label="all genes")
    ax.scatter(x, rows["moderated"], s=6, color=UP, linewidths=0, rasterized=many, zorder=3, label="moderated")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(0.8 * floor, 1.25 * ceiling)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2, handletextpad=0.3)
    words = _WORDS[parameter].format(fit._unit())
    n_floor = int((alone <= floor).sum())
    return tidy(
        ax,
        title=(group or words.capitalize()) if title is None else title,
        xlabel="counts of the gene",
        ylabel=f"{words}, of ln mean" if parameter == "s2" else words,
        note=f"{n_floor:,} of {len(rows):,} genes alone at zero or on the floor",
    )
