"""Genes in groups of cells, cell by cell: stacked violins, tracks, a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import BadInputError
from . import _density
from ._colours import level_colours, with_lower
from ._dots import beside_tree, colour_bar, ends, head_line, marker_axes
from ._marked import Filters, cellwise, choose, frame, tree_of
from ._style import INK, axes, styled
from ._words import room, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    from matplotlib.axes import Axes

#: More cells than this are drawn as pixels in vector files.
_MANY = 50_000


@styled
def stacked_violin(
    adata: ad.AnnData,
    var_names: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
    groupby: str | None = None,
    *,
    n_genes: int = 5,
    min_logfoldchange: float | None = 1.0,
    max_p_adjust: float | None = 0.05,
    min_pct: float | None = 0.25,
    max_pct_reference: float | None = 0.75,
    key: str | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    standard_scale: Literal["var", "group"] | None = None,
    dendrogram: bool = False,
    cmap: Any = "Blues",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of genes in groups of cells: a violin for each, coloured by its median.

    Violins stand upright in the row of their group; all have the scale from 0 to the largest value, unless
    `standard_scale` brings them to one.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    var_names
        The genes, by name or symbol; a mapping draws brackets over its parts. ``None``: the first markers of each.
    groupby
        The column of obs with the groups; by default that of the markers.
    n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key
        Which markers are drawn, without `var_names`: see :func:`ferrocyte.get.top_markers`.
    layer, use_raw
        The matrix: X, a layer, or that of raw. By default that of the markers, or X.
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.
    standard_scale
        ``"var"`` brings the values of each gene to 0 to 1, ``"group"`` those of each group.
    dendrogram
        Whether groups stand in the order of a hierarchical clustering, whose tree is drawn.
    cmap
        The map of colours of medians.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The values are those of :func:`ferrocyte.get.obs_df`.

    Raises
    ------
    MissingKeyError
        Where there is no such column or gene, or there are no markers.
    BadInputError
        Where no marker passes the filters, or several genes have a symbol.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.stacked_violin(small_study(), ["gene1", "gene2"], "condition")
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['gene1', 'gene2']
    """
    from matplotlib.collections import PolyCollection

    filters = Filters(n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key)
    chosen = choose(adata, var_names, groupby, filters, layer=layer, use_raw=use_raw, symbols=gene_symbols)
    values, labels, order = cellwise(adata, chosen, gene_symbols)
    levels = [labels.levels[i] for i in order]
    tree = tree_of(adata, chosen.groupby, levels) if dendrogram else None
    if tree is not None:
        levels = list(tree["categories_ordered"])
        order = [labels.levels.index(level) for level in levels]
    values = _scaled(values, labels.codes, order, standard_scale)
    finite = values[np.isfinite(values)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    ax = marker_axes(ax, levels, chosen.genes, chosen.brackets, swap=False, tree=dendrogram, legend=0.6)
    shapes, medians = [], []
    for i, group in enumerate(order):
        mine = values[labels.codes == group]
        for j in range(len(chosen.genes)):
            column = mine[:, j][np.isfinite(mine[:, j])]
            shapes.append(_violin(column, low, high, i, j))
            medians.append(float(np.median(column)) if len(column) else np.nan)
    drawn = PolyCollection(shapes, array=np.array(medians), cmap=with_lower(cmap, None), edgecolors=INK, linewidths=0.4)
    drawn.set_clim(*ends(np.array(medians), None, None))
    ax.hlines(np.arange(len(order) - 1) + 0.5, -0.5, len(chosen.genes) - 0.5, color="#E3E3E3", lw=0.6)
    ax.add_collection(drawn)
    frame(ax, levels, chosen.genes, chosen.brackets, swap=False)
    colour_bar(ax, drawn, beside_tree(ax, tree, chosen.brackets, swap=False), "median expression")
    head_line(ax, title, chosen.brackets)
    return ax


def _scaled(values: Any, codes: Any, order: list[int], standard_scale: str | None) -> Any:
    """Values as they are, or from 0 to 1 in each gene or group."""
    if standard_scale is None:
        return values
    if standard_scale not in ("var", "group"):
        message = f"there is no choice `{standard_scale}`"
        raise BadInputError(message, place="standard_scale", hint="it is one of `var`, `group`, None")
    out = values.copy()
    if standard_scale == "var":
        used = np.isin(codes, order)
        low, high = np.nanmin(out[used], axis=0), np.nanmax(out[used], axis=0)
        return (out - low) / np.where(high > low, high - low, 1.0)
    for group in order:
        mine = codes == group
        low, high = np.nanmin(out[mine]), np.nanmax(out[mine])
        out[mine] = (out[mine] - low) / ((high - low) or 1.0)
    return out


def _violin(values: Any, low: float, high: float, row: int, column: int) -> Any:
    """The outline of a violin in its cell; values that do not differ are a line."""
    height = 0.9

    def up(numbers: Any) -> Any:
        return row + 0.5 * height - height * (np.asarray(numbers) - low) / (high - low)

    if len(values) == 0:
        return np.full((4, 2), np.nan)
    ends = float(values.min()), float(values.max())
    found = _density.curve(values, *ends, n=64)
    if found is None:
        level = up([ends[0], ends[0]])
        return np.column_stack([[column - 0.25, column + 0.25], level])
    wide = 0.42 * found.density / found.density.max()
    y = up(found.at)
    return np.column_stack([np.concatenate([column - wide, (column + wide)[::-1]]), np.concatenate([y, y[::-1]])])


@styled
def tracksplot(
    adata: ad.AnnData,
    var_names: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
    groupby: str | None = None,
    *,
    n_genes: int = 3,
    min_logfoldchange: float | None = 1.0,
    max_p_adjust: float | None = 0.05,
    min_pct: float | None = 0.25,
    max_pct_reference: float | None = 0.75,
    key: str | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    dendrogram: bool = False,
    style: Literal["scanpy", "exprmat"] = "scanpy",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw genes cell by cell: a bar per cell, cells ordered by group, a row for each gene on its own scale from 0.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    var_names
        The genes, by name or symbol. ``None``: the first markers of each group.
    groupby
        The column of obs with the groups; by default that of the markers.
    n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key
        Which markers are drawn, without `var_names`: see :func:`ferrocyte.get.top_markers`.
    layer, use_raw
        The matrix: X, a layer, or that of raw. By default that of the markers, or X.
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.
    dendrogram
        Whether groups stand in the order of a hierarchical clustering.
    style
        The dialect under which new colours of groups are kept in uns.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Cells on the x axis, within each group in their order; genes on the y axis.

    Raises
    ------
    MissingKeyError
        Where there is no such column or gene, or there are no markers.
    BadInputError
        Where no marker passes the filters, or several genes have a symbol.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.tracksplot(small_study(), ["gene1", "gene2"], "condition")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['gene1', 'gene2']
    """
    filters = Filters(n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key)
    chosen = choose(adata, var_names, groupby, filters, layer=layer, use_raw=use_raw, symbols=gene_symbols)
    values, labels, order = _ordered(adata, chosen, gene_symbols, dendrogram=dendrogram)
    colour_of = level_colours(adata, chosen.groupby, labels.levels, style=style)
    names = [labels.levels[group] for group in order]
    ax = axes(ax, (6.4 + room(chosen.genes), max(0.27 * len(chosen.genes), 0.8) + 0.75 * room(names) + 0.4))
    n_cells, first, middles = len(values), 0, []
    for group in order:
        mine = np.flatnonzero(labels.codes == group)
        edges = np.arange(first, first + len(mine) + 1)
        middles.append(first + 0.5 * len(mine))
        for j in range(len(chosen.genes)):
            top = np.nanmax(values[:, j], initial=0.0) or 1.0
            heights = 0.86 * np.nan_to_num(np.clip(values[mine, j], 0.0, None)) / top
            ax.fill_between(
                edges, j + 0.5, j + 0.5 - np.append(heights, heights[-1]), step="post", lw=0,
                color=colour_of[labels.levels[group]], rasterized=n_cells > _MANY,
            )  # fmt: skip
        first += len(mine)
    _cell_axis(ax, names, middles, first)
    ax.set_ylim(len(chosen.genes) - 0.45, -0.5)
    ax.set_yticks(np.arange(len(chosen.genes)) + 0.15, [shown(gene) for gene in chosen.genes], fontsize=7.5)
    ax.tick_params(length=0.0)
    ax.hlines(np.arange(len(chosen.genes)) + 0.5, 0, first, color="#BDBDBD", lw=0.4)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if title:
        ax.set_title(shown(title))
    return ax


@styled
def heatmap_markers(
    adata: ad.AnnData,
    var_names: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
    groupby: str | None = None,
    *,
    n_genes: int = 5,
    min_logfoldchange: float | None = 1.0,
    max_p_adjust: float | None = 0.05,
    min_pct: float | None = 0.25,
    max_pct_reference: float | None = 0.75,
    key: str | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    standard_scale: Literal["var", "group"] | None = None,
    dendrogram: bool = False,
    cmap: Any = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    style: Literal["scanpy", "exprmat"] = "scanpy",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw genes cell by cell as colours, cells ordered by group.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    var_names
        The genes, by name or symbol. ``None``: the first markers of each group.
    groupby
        The column of obs with the groups; by default that of the markers.
    n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key
        Which markers are drawn, without `var_names`: see :func:`ferrocyte.get.top_markers`.
    layer, use_raw
        The matrix: X, a layer, or that of raw. By default that of the markers, or X.
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.
    standard_scale
        ``"var"`` brings the values of each gene to 0 to 1, ``"group"`` those of each group.
    dendrogram
        Whether groups stand in the order of a hierarchical clustering.
    cmap
        The map of colours.
    vmin, vmax
        The ends of the scale of colours.
    style
        The dialect under which new colours of groups are kept in uns.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Cells on the x axis, within each group in their order; genes on the y axis.

    Raises
    ------
    MissingKeyError
        Where there is no such column or gene, or there are no markers.
    BadInputError
        Where no marker passes the filters, or several genes have a symbol.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> ax = fe.pl.heatmap_markers(small_study(), ["gene1", "gene2"], "condition")
    >>> ax.images[0].get_array().shape
    (2, 240)
    """
    from matplotlib.transforms import ScaledTranslation

    filters = Filters(n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key)
    chosen = choose(adata, var_names, groupby, filters, layer=layer, use_raw=use_raw, symbols=gene_symbols)
    values, labels, order = _ordered(adata, chosen, gene_symbols, dendrogram=dendrogram)
    values = _scaled(values, labels.codes, order, standard_scale)
    colour_of = level_colours(adata, chosen.groupby, labels.levels, style=style)
    names = [labels.levels[group] for group in order]
    ax = axes(ax, (6.6 + room(chosen.genes), max(0.17 * len(chosen.genes), 1.0) + 0.75 * room(names) + 0.6))
    cells = np.concatenate([np.flatnonzero(labels.codes == group) for group in order])
    low, high = ends(values[cells], vmin, vmax)
    picture = ax.imshow(
        values[cells].T, aspect="auto", cmap=with_lower(cmap, None), vmin=low, vmax=high,
        extent=(0.0, len(cells), len(chosen.genes) - 0.5, -0.5),
    )  # fmt: skip
    first, middles = 0, []
    below = ax.get_xaxis_transform() + ScaledTranslation(0.0, -5.0 / 72.0, ax.figure.dpi_scale_trans)
    for group in order:
        n = int((labels.codes == group).sum())
        middles.append(first + 0.5 * n)
        ax.plot(
            [first, first + n], [0.0, 0.0], color=colour_of[labels.levels[group]], lw=5.0, clip_on=False,
            solid_capstyle="butt", transform=below,
        )  # fmt: skip
        first += n
        if first < len(cells):
            ax.axvline(first, color="white", lw=0.6)
    _cell_axis(ax, names, middles, len(cells))
    ax.set_yticks(range(len(chosen.genes)), [shown(gene) for gene in chosen.genes], fontsize=7.0)
    ax.tick_params(length=0.0)
    ax.tick_params(axis="x", pad=10.0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    words = "expression" if standard_scale is None else f"0 to 1 by {standard_scale.replace('var', 'gene')}"
    colour_bar(ax, picture, 0.1, words)
    head_line(ax, title, [])
    return ax


def _ordered(adata: ad.AnnData, chosen: Any, symbols: str | None, *, dendrogram: bool) -> tuple[Any, Any, list[int]]:
    """Values by cell, and the groups in their order or in that of a tree."""
    values, labels, order = cellwise(adata, chosen, symbols)
    if dendrogram:
        tree = tree_of(adata, chosen.groupby, [labels.levels[i] for i in order])
        order = [labels.levels.index(level) for level in tree["categories_ordered"]]
    return values, labels, order


def _cell_axis(ax: Axes, names: list[str], middles: list[float], n: int) -> None:
    """The names of groups below their cells, aslant; those of small groups make room for one another."""
    ax.set_xlim(0, n)
    words = [shown(name) for name in names]
    ax.set_xticks(_apart(middles, n), words, rotation=45, ha="right", rotation_mode="anchor", fontsize=7.5)


def _apart(middles: list[float], n: int) -> list[float]:
    """Places in the same order, none nearer to the next than a line of text, as far as they have room."""
    gap = min(0.022 * n, n / max(len(middles), 1))
    out = list(middles)
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + gap)
    if out:
        out[-1] = min(out[-1], float(n))
    for i in reversed(range(len(out) - 1)):
        out[i] = min(out[i], out[i + 1] - gap)
    return out
