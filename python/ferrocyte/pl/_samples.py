"""Samples before a fit: library sizes, densities of log-values, multidimensional scaling, voom's trend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._labels import label_points, lay_out
from ._style import FAINT, INK, MANY, UP, axes, colours, styled, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


def _groups(group: Any, n: int) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Levels of a grouping of samples and the level of each; one level without a grouping."""
    import pandas as pd

    if group is None:
        return [""], np.zeros(n, dtype=int)
    values = pd.Categorical(group) if not hasattr(group, "cat") else group.array
    if len(values) != n:
        from ..errors import BadInputError

        message = f"{len(values)} labels for {n} samples"
        raise BadInputError(message, place="group")
    used = values.remove_unused_categories()
    return [str(level) for level in used.categories], np.asarray(used.codes)


def _legend(ax: Axes, levels: Sequence[str], title: str | None = None, *, beside: float = 1.0) -> None:
    """What the colours of groups mean, at the right of the axes or, with `beside`, further away."""
    from matplotlib.lines import Line2D

    if levels != [""]:
        handles = [
            Line2D([], [], marker="o", ls="", color=colour, label=level)
            for level, colour in zip(levels, colours(len(levels)), strict=True)
        ]
        ax.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(beside, 1.0), borderaxespad=0.0)


@styled
def library_sizes(
    counts: Any, *, group: Any = None, layer: str | None = None, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the total count of each sample as a bar.

    Parameters
    ----------
    counts
        A DGEList, a data frame or array (genes × samples), or an AnnData.
    group
        A label per sample, for colours.
    layer
        The layer of an AnnData.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> ax = fe.pl.library_sizes(pd.DataFrame({"a": [1e6, 2e6], "b": [3e6, 4e6]}))
    >>> ax.get_ylabel()
    'library size, millions'
    """
    from ..limma._points import library_sizes as sizes

    found = sizes(counts, layer)
    levels, codes = _groups(group, len(found))
    palette = colours(len(levels))
    ax = axes(ax, (1.6 + 0.28 * max(len(found), 6), 3.2))
    ax.bar(range(len(found)), found.to_numpy() / 1e6, color=[palette[code] for code in codes], width=0.75)
    ax.axhline(float(np.median(found)) / 1e6, color=INK, lw=0.8, ls=":")
    ax.set_xticks(range(len(found)), [str(name) for name in found.index], rotation=90)
    _legend(ax, levels)
    return tidy(ax, title=title, xlabel="", ylabel="library size, millions")


@styled
def densities(
    values: Any, *, group: Any = None, layer: str | None = None, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the density of the log-values of each sample.

    Parameters
    ----------
    values
        log2 values of genes × samples, such as ``fe.limma.cpm(counts, log=True)``.
    group
        A label per sample, for colours.
    layer
        The layer of an AnnData.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma._points import density_curves

    curves = density_curves(values, layer)
    levels, codes = _groups(group, curves.shape[1])
    palette = colours(len(levels))
    ax = axes(ax, (4.2, 3.2))
    for code, (_, curve) in zip(codes, curves.items(), strict=True):
        ax.plot(curves.index, curve, color=palette[code], lw=1.0, alpha=0.8)
    ax.set_ylim(bottom=0.0)
    _legend(ax, levels)
    return tidy(ax, title=title, xlabel="log2 counts per million", ylabel="density")


@styled
def mds(
    values: Any,
    *,
    group: Any = None,
    top: int = 500,
    dims: tuple[int, int] = (1, 2),
    label: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
    gene_selection: Literal["pairwise", "common"] = "pairwise",
    layer: str | None = None,
) -> Axes:
    """Draw samples so that distances are typical log2 fold changes (limma's plotMDS).

    Parameters
    ----------
    values
        log2 values of genes × samples, an EList, or an AnnData.
    group
        A label per sample, for colours.
    top
        How many genes make a distance.
    dims
        Which dimensions, counted from 1.
    label
        Whether samples are named.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    gene_selection
        Whether each pair of samples has its own genes, or all have those that vary most.
    layer
        The layer of an AnnData.
    """
    from ..limma import mds_coords

    found = mds_coords(values, top=top, gene_selection=gene_selection, layer=layer)
    x, y = found.coords[:, dims[0] - 1], found.coords[:, dims[1] - 1]
    levels, codes = _groups(group, len(x))
    palette = colours(len(levels))
    ax = axes(ax, (4.6, 3.8))
    ax.scatter(x, y, s=28, c=[palette[code] for code in codes], linewidths=0)
    _legend(ax, levels)
    share = [f" ({100 * found.var_explained[d - 1]:.0f} %)" for d in dims]
    ax.margins(0.12)
    tidy(ax, title=title, xlabel=f"leading log2 FC {dims[0]}{share[0]}", ylabel=f"leading log2 FC {dims[1]}{share[1]}")
    if label:
        lay_out(ax)
        label_points(ax, list(x), list(y), [str(name) for name in found.samples], np.column_stack([x, y]))
    return ax


@styled
def voom_trend(v: Any, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw voom's trend: the residual variation of each gene against its mean log2 count, and the line of the weights.

    Parameters
    ----------
    v
        Of ``fe.limma.voom(..., save_plot=True)``.
    title
        The title.
    ax
        Where to draw; by default a new figure.
    """
    from ..limma._points import voom_points

    points, line = voom_points(v)
    ax = axes(ax, (4.2, 3.4))
    ax.scatter(points["log2_count"], points["sqrt_sd"], s=4, c=FAINT, linewidths=0, rasterized=len(points) > MANY)
    ax.plot(line["log2_count"], line["sqrt_sd"], color=UP, lw=1.6)
    ax.set_ylim(bottom=0.0)
    note = f"{len(points):,} genes"
    return tidy(ax, title=title or " ", xlabel="mean log2(count + 0.5)", ylabel="sqrt of residual s.d.", note=note)
