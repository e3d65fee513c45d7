"""Moderated fits: variances with their prior, fold changes over the mean, calls by contrast, values of top genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import BadInputError
from ._labels import label_points, lay_out
from ._samples import _groups, _legend
from ._style import BAND, DOWN, FAINT, INK, MANY, UP, axes, colours, diverging, styled, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@styled
def sa(fit: Any, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw residual variation against mean expression, with the prior (limma's plotSA).

    Parameters
    ----------
    fit
        Of ``fe.limma.e_bayes`` or ``lm_fit``.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma._points import sa_points

    points = sa_points(fit).dropna(subset=["ave_expr", "sqrt_sigma"])
    ax = axes(ax, (4.2, 3.4))
    outlier = points["outlier"].to_numpy(dtype=bool) if "outlier" in points else np.zeros(len(points), dtype=bool)
    for chosen, colour in ((~outlier, FAINT), (outlier, UP)):
        ax.scatter(
            points["ave_expr"][chosen], points["sqrt_sigma"][chosen], s=4, c=colour, linewidths=0,
            rasterized=len(points) > MANY,
        )  # fmt: skip
    note = f"{len(points):,} genes"
    if "sqrt_prior" in points:
        ordered = points.sort_values("ave_expr")
        ax.plot(ordered["ave_expr"], ordered["sqrt_prior"], color=DOWN, lw=1.6)
        df_prior = np.nanmax(np.asarray(fit.df_prior, dtype=float))
        note += f", prior on {df_prior:.3g} degrees of freedom"
    if outlier.any():
        note += f", {outlier.sum():,} outliers"
    ax.set_ylim(bottom=0.0)
    return tidy(ax, title=title or " ", xlabel="mean log2 expression", ylabel="sqrt of residual s.d.", note=note)


@styled
def md(
    fit: Any,
    *,
    coef: int | str = -1,
    calls: Any = None,
    label: int = 0,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw log fold changes against mean expression (limma's plotMD).

    Parameters
    ----------
    fit
        Of any step from ``fe.limma.lm_fit`` on.
    coef
        Which coefficient or contrast.
    calls
        -1, 0, 1 of ``decide_tests``; by default those at 5 % if the fit is moderated.
    label
        How many genes are named, those with the largest |t| first.
    title
        By default the name of the coefficient.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma._points import md_points

    points = md_points(fit, coef, calls)
    column = fit.coef_index(coef)
    evidence = np.abs(fit.t[:, column]) if "t" in fit else np.abs(points["log_fc"].to_numpy())
    drawn = np.isfinite(points[["ave_expr", "log_fc"]].to_numpy()).all(axis=1)
    x, y, call = (points[name].to_numpy() for name in ("ave_expr", "log_fc", "call"))
    ax = axes(ax, (4.6, 3.6))
    for value, colour, size in ((0, FAINT, 4), (-1, DOWN, 8), (1, UP, 8)):
        chosen = drawn & (call == value)
        ax.scatter(x[chosen], y[chosen], s=size, c=colour, linewidths=0, rasterized=len(points) > MANY)
    ax.axhline(0.0, color=INK, lw=0.6)
    note = f"{(call > 0).sum():,} up, {(call < 0).sum():,} down of {drawn.sum():,} genes"
    title = str(list(fit.coef_names)[column]) if title is None else title
    tidy(ax, title=title, xlabel="mean log2 expression", ylabel="log2 fold change", note=note)
    if label:
        lay_out(ax)
        first = np.argsort(-np.where(drawn, evidence, -np.inf), kind="stable")[:label]
        names = [str(gene) for gene in fit.genes.index[first]]
        label_points(ax, x[first], y[first], names, np.column_stack([x[drawn], y[drawn]]))
    return ax


@styled
def heatmap_genes(
    values: Any,
    table: pd.DataFrame,
    *,
    n: int = 50,
    group: Any = None,
    scale: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the values of the first genes of a table in all samples, ordered by signed t.

    Parameters
    ----------
    values
        log2 values, genes × samples: an EList, a data frame, an AnnData.
    table
        Of ``fe.limma.top_table`` or of ``fe.limma.de`` (one group and contrast).
    n
        How many genes.
    group
        A label per sample: samples are ordered by it, and it is told by colours above.
    scale
        Whether each gene is brought to mean 0 and standard deviation 1.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma._points import heatmap_values

    shown = heatmap_values(values, table, n, scale=scale)
    levels, codes = _groups(group, shown.shape[1])
    order = np.argsort(codes, kind="stable")
    shown, codes = shown.iloc[:, order], codes[order]
    ax = axes(ax, (2.2 + 0.24 * shown.shape[1], 1.2 + 0.14 * len(shown)))
    most = float(np.nanmax(np.abs(shown.to_numpy())))
    picture = ax.imshow(
        shown.to_numpy(), aspect="auto", cmap=diverging(), vmin=-most, vmax=most, interpolation="nearest"
    )
    ax.set_yticks(range(len(shown)), [str(gene) for gene in shown.index], fontsize=6.5)
    ax.set_xticks(range(shown.shape[1]), [str(name) for name in shown.columns], rotation=90, fontsize=7.0)
    if levels != [""]:
        palette = colours(len(levels))
        for code, colour in enumerate(palette):
            for at in np.flatnonzero(codes == code):
                ends = [at - 0.5, at + 0.5]
                ax.plot(
                    ends, [1.015, 1.015], color=colour, lw=5.0, clip_on=False, solid_capstyle="butt",
                    transform=ax.get_xaxis_transform(),
                )  # fmt: skip
        _legend(ax, levels)
    ax.set_xlim(-0.5, shown.shape[1] - 0.5)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0.0)
    ax.figure.colorbar(
        picture,
        cax=ax.inset_axes((1.04, 0.02, 0.045, 0.3)),
        label="z of log2 expression" if scale else "log2 expression",
    )
    if title:
        ax.set_title(title, pad=14.0 if levels != [""] else 6.0)
    return ax


@styled
def venn(
    calls: Any,
    *,
    include: Literal["both", "up", "down"] = "both",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many genes are called in each combination of two or three contrasts.

    Parameters
    ----------
    calls
        -1, 0, 1 of ``fe.limma.decide_tests``, genes × two or three contrasts.
    include
        Calls of either sign, or of one.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from matplotlib.patches import Circle

    from ..limma._points import venn_counts

    counts = venn_counts(calls, include)
    names = [name for name in counts.columns if name != "n"]
    if len(names) not in (2, 3):
        message = f"{len(names)} contrasts, expected two or three"
        raise BadInputError(message, place="calls", hint="choose columns; fe.limma.venn_counts counts any number")
    centres = [(-0.5, 0.0), (0.5, 0.0)] if len(names) == 2 else [(-0.5, 0.35), (0.5, 0.35), (0.0, -0.5)]
    ax = axes(ax, (4.0, 3.8))
    for centre, colour in zip(centres, colours(len(names)), strict=True):
        ax.add_patch(Circle(centre, 0.95, facecolor=colour, alpha=0.18, edgecolor=colour, lw=1.2))
    for row in counts.itertuples(index=False):
        inside = [centre for centre, member in zip(centres, row[:-1], strict=True) if member]
        outside = [centre for centre, member in zip(centres, row[:-1], strict=True) if not member]
        if not inside:
            ax.text(1.45, -1.4, f"{row[-1]:,}", ha="right", va="bottom", color="#666666")
            continue
        at = np.mean(inside, axis=0)
        # Away from the circles that do not take part.
        push = at - np.mean(outside, axis=0) if outside else np.zeros(2)
        length = np.hypot(*push)
        at = at + (0.42 * push / length if length else 0.0)
        ax.text(at[0], at[1], f"{row[-1]:,}", ha="center", va="center")
    places = [(-0.9, 1.05), (0.9, 1.05)] if len(names) == 2 else [(-0.9, 1.35), (0.9, 1.35), (0.0, -1.52)]
    for (x, y), name, colour in zip(places, names, colours(len(names)), strict=True):
        ax.text(x, y, str(name), ha="center", va="bottom" if y > 0 else "top", color=colour, fontsize=9.0)
    ax.set_xlim(-1.6, 1.6)
    ax.set_ylim(-1.75, 1.6)
    ax.set_aspect("equal")
    ax.axis("off")
    if title:
        ax.set_title(title)
    return ax


@styled
def barcode(
    statistics: Any,
    index: Any,
    *,
    index2: Any = None,
    gene_weights: Any = None,
    labels: tuple[str, str] = ("down", "up"),
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw where the genes of a set stand among all genes, ordered by a statistic (limma's barcodeplot).

    Parameters
    ----------
    statistics
        One number per gene, such as the moderated t of a contrast; a Series names the genes.
    index
        The genes of the set: names, positions or a mask.
    index2
        A second set, drawn below: genes that are expected to fall, if those of the first are to rise.
    gene_weights
        What each gene of the set counts.
    labels
        Words for the two ends.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma import barcode_plot

    numbers = barcode_plot(statistics, index, index2, gene_weights=gene_weights)
    n = len(numbers)
    rank = np.arange(n)
    ax = axes(ax, (5.2, 3.2))
    most = max(float(numbers[name].max()) for name in numbers.columns if name.startswith("enrichment"))
    for suffix, side, colour in (("", 1.0, UP), ("2", -1.0, DOWN)):
        if f"in_set{suffix}" not in numbers:
            continue
        at = rank[numbers[f"in_set{suffix}"].to_numpy()]
        ax.vlines(at, side * 0.1, side * 0.6, color=colour, lw=0.8, alpha=0.8)
        worm = side * (0.65 + 0.6 * numbers[f"enrichment{suffix}"].to_numpy() / most)
        ax.plot(rank, worm, color=colour, lw=1.4)
        # The height that a set without enrichment has.
        ax.axhline(side * (0.65 + 0.6 / most), color=colour, lw=0.6, ls=":")
    shades = np.abs(numbers["statistic"].to_numpy()) < np.sqrt(2.0)
    for value, colour in ((True, BAND), (False, FAINT)):
        ax.fill_between(rank, -0.08, 0.08, where=shades == value, color=colour, lw=0.0, step="mid")
    below = "in_set2" in numbers
    ax.set_ylim(-1.35 if below else -0.12, 1.35)
    ax.set_xlim(0, max(n - 1, 1))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    quantiles = np.linspace(0, n - 1, 5).round().astype(int)
    ax.set_xticks(quantiles, [f"{value:.2g}" for value in numbers["statistic"].to_numpy()[quantiles]])
    ax.text(0.0, -0.2, labels[0], transform=ax.transAxes, ha="left", va="top", fontsize=8.0, color=DOWN)
    ax.text(1.0, -0.2, labels[1], transform=ax.transAxes, ha="right", va="top", fontsize=8.0, color=UP)
    size = int(numbers["in_set"].sum())
    note = f"{size:,} of {n:,} genes" + (f", {int(numbers['in_set2'].sum()):,} below" if below else "")
    return tidy(ax, title=title or " ", xlabel="statistic, genes in its order", ylabel="", note=note)
