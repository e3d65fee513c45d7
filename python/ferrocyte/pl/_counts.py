"""Count models: variances of genes with what all genes say of them, and one gene over its donors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInputError
from ._style import BAND, FAINT, INK, MANY, PALETTE, UP, axes, styled, tidy
from ._tables import missing

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

    ax = axes(ax, (4.6, 3.6))
    ax.fill_between(x, middle / spread, middle * spread, color=BAND, linewidth=0, zorder=1)
    shown = np.clip(alone, floor, ceiling)
    ax.scatter(x, shown, s=6, color=FAINT, linewidths=0, rasterized=many, zorder=2, label="gene alone")
    ax.plot(x, middle, color=INK, linewidth=1.2, zorder=4, label="all genes")
    ax.scatter(x, rows["moderated"], s=6, color=UP, linewidths=0, rasterized=many, zorder=3, label="moderated")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(0.8 * floor, 1.25 * ceiling)
    ax.legend(loc="upper left", markerscale=2, handletextpad=0.3)
    words = _WORDS[parameter].format(_unit(fit))
    n_floor = int((alone <= floor).sum())
    return tidy(
        ax,
        title=(group or words.capitalize()) if title is None else title,
        xlabel="counts of the gene",
        ylabel=f"{words}, of ln mean" if parameter == "s2" else words,
        note=f"{n_floor:,} of {len(rows):,} genes alone at zero or on the floor",
    )


def _unit(fit: Fit) -> str:
    """What the random intercept is over."""
    found = re.search(r"\(1 \| ([^)]*)\)", fit.formula)
    return found[1] if found else "donor"


@styled
def nbmm_gene(
    fit: Fit,
    gene: str,
    *,
    group: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what is known of a gene's donors: posterior mean of each effect, with two standard errors.

    Effects are differences from what the fixed effects say of a donor, in log2 of the mean. They are shrunken towards
    zero, the more the fewer counts a donor has; the band is two standard deviations of the donor effect.

    Parameters
    ----------
    fit
        A fit.
    gene
        Name of the gene.
    group
        Which group, if there are several.
    title
        By default gene and group.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingKeyError
        No such gene or group.
    BadInputError
        Several genes have this name, or the gene has no estimate.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fit = fe.nbmm.fit(small_study(), "~ condition + (1 | sample)")
    >>> fe.pl.nbmm_gene(fit, "gene2").get_xlabel()
    'effect of the sample (log2)'
    """
    if gene not in fit.genes:
        missing("gene", gene, fit.genes, "gene")
    table = fit.random_effects(group).loc[gene]
    if getattr(table, "ndim", 1) != 1:
        message = f"several genes are named `{gene}`"
        raise BadInputError(message, place="gene")
    effects = table["effect"] / np.log(2.0)
    errors = table["se"] / np.log(2.0)
    drawn = effects.dropna().sort_values(kind="stable").index
    if len(drawn) == 0:
        message = f"`{gene}` has no estimate"
        raise BadInputError(message, place="gene", hint="fit.status says why")
    moderated = fit.prior_table("s2", group)
    series = moderated["moderated"] if len(moderated) else fit.s2 if group is None else fit.s2.loc[group]
    spread = float(np.sqrt(np.asarray(series)[list(fit.genes).index(gene)])) / np.log(2.0)
    ax = axes(ax, (4.2, 0.9 + 0.19 * len(drawn)))
    y = np.arange(len(drawn))
    ax.axvspan(-2.0 * spread, 2.0 * spread, color=BAND, linewidth=0, zorder=0)
    ax.axvline(0.0, color=INK, lw=0.6, zorder=1)
    ax.errorbar(
        effects[drawn],
        y,
        xerr=2.0 * errors[drawn],
        fmt="o",
        ms=4.0,
        color=PALETTE[0],
        ecolor=INK,
        elinewidth=0.8,
        zorder=2,
    )
    ax.set_yticks(y, [str(donor) for donor in drawn])
    ax.set_ylim(-0.7, len(drawn) - 0.3)
    left = effects.isna().sum()
    unit = _unit(fit)
    note = f"band: two standard deviations of {unit}s ({spread:.2g} each)"
    note += f"; {left} {unit}s without expected counts" if left else ""
    words = f"{gene}, {group}" if group else gene
    return tidy(
        ax, title=words if title is None else title, xlabel=f"effect of the {unit} (log2)", ylabel="", note=note
    )
