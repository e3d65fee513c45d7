"""Genes in groups of cells as dots and as a matrix: how strongly, and in how many cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import BadInputError
from ._marked import Filters, choose, frame, head_room, summed, tree_of
from ._style import INK, axes, styled
from ._trees import draw_tree
from ._words import room, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    from matplotlib.axes import Axes

#: The area of a dot that stands for all cells, in square typographic points.
_LARGEST = 120.0

#: A tree takes so many inches.
_TREE = 0.6

_PARTS = (0.2, 0.4, 0.6, 0.8, 1.0)


@styled
def dotplot(
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
    swap_axes: bool = False,
    cmap: Any = "Blues",
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw genes in groups of cells as dots: the larger, the more cells have the gene, the darker, the higher its mean.

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
        ``"var"`` brings the colours of each gene to 0 to 1, ``"group"`` those of each group.
    dendrogram
        Whether groups stand in the order of a hierarchical clustering, whose tree is drawn.
    swap_axes
        Whether groups stand along the x axis.
    cmap
        The map of colours.
    vmin, vmax
        The ends of the scale of colours.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The numbers are those of :func:`ferrocyte.get.group_expression`.

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
    >>> ax = fe.pl.dotplot(small_study(), ["gene1", "gene2"], "condition")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['ctrl', 'stim']
    """
    filters = Filters(n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key)
    chosen = choose(adata, var_names, groupby, filters, layer=layer, use_raw=use_raw, symbols=gene_symbols)
    mean, fraction, _ = summed(adata, chosen, gene_symbols, standard_scale)
    tree = tree_of(adata, chosen.groupby, list(mean.index)) if dendrogram else None
    if tree is not None:
        mean, fraction = (table.loc[tree["categories_ordered"]] for table in (mean, fraction))
    ax = marker_axes(ax, mean.index, chosen.genes, chosen.brackets, swap=swap_axes, tree=tree is not None, legend=1.5)
    rows, columns = np.indices(mean.shape).reshape(2, -1)
    low, high = ends(mean.to_numpy(), vmin, vmax)
    # A dot of a gene that is high in a group is found first: it lies above its neighbours.
    order = np.argsort(-fraction.to_numpy().ravel(), kind="stable")
    x, y = (rows, columns) if swap_axes else (columns, rows)
    dots = ax.scatter(
        x[order], y[order], s=_LARGEST * fraction.to_numpy().ravel()[order], c=mean.to_numpy().ravel()[order],
        cmap=cmap, vmin=low, vmax=high, edgecolors="#9AA5B1", linewidths=0.4,
    )  # fmt: skip
    frame(ax, [str(g) for g in mean.index], chosen.genes, chosen.brackets, swap=swap_axes)
    beside = beside_tree(ax, tree, chosen.brackets, swap=swap_axes)
    _sizes(ax, beside)
    colour_bar(ax, dots, beside + 0.85, _value_label(standard_scale))
    head_line(ax, title, [] if swap_axes else chosen.brackets, tree_above=swap_axes and tree is not None)
    return ax


@styled
def matrixplot(
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
    swap_axes: bool = False,
    cmap: Any = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the means of genes in groups of cells as colours.

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
        ``"var"`` brings the colours of each gene to 0 to 1, ``"group"`` those of each group.
    dendrogram
        Whether groups stand in the order of a hierarchical clustering, whose tree is drawn.
    swap_axes
        Whether groups stand along the x axis.
    cmap
        The map of colours.
    vmin, vmax
        The ends of the scale of colours.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The numbers are those of :func:`ferrocyte.get.group_expression`.

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
    >>> ax = fe.pl.matrixplot(small_study(), ["gene1", "gene2"], "condition")
    >>> ax.images[0].get_array().shape
    (2, 2)
    """
    filters = Filters(n_genes, min_logfoldchange, max_p_adjust, min_pct, max_pct_reference, key)
    chosen = choose(adata, var_names, groupby, filters, layer=layer, use_raw=use_raw, symbols=gene_symbols)
    mean, _, _ = summed(adata, chosen, gene_symbols, standard_scale)
    tree = tree_of(adata, chosen.groupby, list(mean.index)) if dendrogram else None
    if tree is not None:
        mean = mean.loc[tree["categories_ordered"]]
    ax = marker_axes(ax, mean.index, chosen.genes, chosen.brackets, swap=swap_axes, tree=tree is not None, legend=0.6)
    values = mean.to_numpy()
    low, high = ends(values, vmin, vmax)
    picture = ax.imshow(
        values.T if swap_axes else values, aspect="auto", cmap=cmap, vmin=low, vmax=high, interpolation="nearest"
    )
    frame(ax, [str(g) for g in mean.index], chosen.genes, chosen.brackets, swap=swap_axes)
    for spine in ax.spines.values():
        spine.set_visible(False)
    beside = beside_tree(ax, tree, chosen.brackets, swap=swap_axes)
    colour_bar(ax, picture, beside, _value_label(standard_scale))
    head_line(ax, title, [] if swap_axes else chosen.brackets, tree_above=swap_axes and tree is not None)
    return ax


def marker_axes(
    ax: Axes | None,
    groups: Sequence[object],
    genes: Sequence[object],
    brackets: list[Any],
    *,
    swap: bool,
    tree: bool,
    legend: float,
) -> Axes:
    """The axes of groups × genes, or those of a new figure with room for what stands around them."""
    along, across = (groups, genes) if swap else (genes, groups)
    wide = max(0.19 * len(along), 1.2) + room(across) + legend + (_TREE if tree and not swap else 0.0)
    above = (0.0 if swap else head_room(brackets)) + (_TREE if tree and swap else 0.0)
    beside = room([name for name, _, _ in brackets]) if swap and brackets else 0.0
    return axes(ax, (wide + beside + 0.6, max(0.21 * len(across), 1.2) + room(along) + above + 0.4))


def beside_tree(ax: Axes, tree: dict[str, Any] | None, brackets: list[Any], *, swap: bool) -> float:
    """Draw the tree, if there is one, and say how many inches right of the axes the next thing stands."""
    from matplotlib.transforms import blended_transform_factory as blended

    beside = 0.1
    if swap and brackets:
        beside += 0.12 + 0.062 * max(len(shown(name)) for name, _, _ in brackets)
    if tree is None:
        return beside
    if swap:
        above = blended(ax.transAxes, _inches_from(ax, 0.0, 1.0))
        place = ax.inset_axes((0.0, 0.04, 1.0, _TREE - 0.1), transform=above)
    else:
        right = blended(_inches_from(ax, 1.0, 0.0), ax.transAxes)
        place = ax.inset_axes((0.04, 0.0, _TREE - 0.1, 1.0), transform=right)
        beside += _TREE
    draw_tree(place, tree["linkage"], sideways=not swap)
    return beside


def colour_bar(ax: Axes, drawn: Any, beside: float, label: str) -> None:
    """The bar of colours, `beside` inches right of the axes."""
    bar = ax.figure.colorbar(drawn, cax=ax.inset_axes((beside, 0.0, 0.11, 1.0), transform=_inches_from(ax, 1.0, 0.0)))
    bar.set_label(label, fontsize=7.5)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.0, length=2.0)


def head_line(ax: Axes, title: str | None, brackets: list[Any], *, tree_above: bool = False) -> None:
    """The title, above brackets or a tree."""
    if title:
        ax.set_title(shown(title), pad=8.0 + 72.0 * (_TREE if tree_above else head_room(brackets)))


def ends(values: Any, vmin: float | None, vmax: float | None) -> tuple[float, float]:
    """The ends of the scale of colours; what is not negative begins at 0, and what does not differ has a range too."""
    finite = values[np.isfinite(values)]
    low = vmin if vmin is not None else min(0.0, float(finite.min())) if len(finite) else 0.0
    high = vmax if vmax is not None else float(finite.max()) if len(finite) else 0.0
    if low > high:
        message = f"vmin is {low:g} and vmax {high:g}"
        raise BadInputError(message, place="vmin", hint="vmin is below vmax")
    return float(low), float(high) if high > low else float(low) + 1.0


def _inches_from(ax: Axes, x: float, y: float) -> Any:
    """Inches from a corner of the axes."""
    from matplotlib.transforms import ScaledTranslation

    corner: Any = ax.transAxes
    return ax.figure.dpi_scale_trans + ScaledTranslation(x, y, corner)


def _value_label(standard_scale: str | None) -> str:
    words = {None: "mean expression", "var": "mean, 0 to 1 by gene", "group": "mean, 0 to 1 by group"}
    return words[standard_scale]


def _sizes(ax: Axes, beside: float) -> None:
    """What the sizes of dots mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", ls="", ms=np.sqrt(_LARGEST * part), color="#9AA5B1", mec=INK, mew=0.3,
               label=f"{100 * part:.0f} %")
        for part in _PARTS
    ]  # fmt: skip
    ax.legend(
        handles=handles, title="cells with\nthe gene", loc="upper left", bbox_to_anchor=(beside - 0.05, 0.0),
        bbox_transform=_inches_from(ax, 1.0, 1.0), borderaxespad=0.0, labelspacing=0.75, handletextpad=0.5,
        alignment="left", fontsize=7.0, title_fontsize=7.5, borderpad=0.0,
    )  # fmt: skip
