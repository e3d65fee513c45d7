"""What figures of genes in groups of cells share: which genes, which groups, in which order, and their frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._annotated import Labels, categorical, labels_of, target, values_of
from .._features import drop_unknown, expression, find_genes
from ..errors import BadInputError
from ..get._groups import _display_order, group_expression, top_markers
from ._style import INK
from ._words import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd
    from matplotlib.axes import Axes

    Wanted = str | Sequence[str] | Mapping[str, str | Sequence[str]] | None


@dataclass(frozen=True)
class Filters:
    """Which markers are chosen where no genes are named: see :func:`ferrocyte.get.top_markers`."""

    n_genes: int
    min_logfoldchange: float | None
    max_p_adjust: float | None
    min_pct: float | None
    max_pct_reference: float | None
    key: str | None


@dataclass(frozen=True)
class Chosen:
    """The genes of a figure, one column each, under what brackets they stand, and the matrix they come from."""

    genes: list[str]
    brackets: list[tuple[str, int, int]]
    groupby: str
    layer: str | None
    use_raw: bool | None


def choose(
    adata: ad.AnnData,
    var_names: Wanted,
    groupby: str | None,
    filters: Filters,
    *,
    layer: str | None,
    use_raw: bool | None,
    symbols: str | None,
) -> Chosen:
    """The genes that were named, or the first markers of each group, and the groups."""
    from ..tl._markers import ranked

    adata = target(adata)
    if var_names is not None:
        if groupby is None:
            message = "which groups of cells are compared?"
            raise BadInputError(message, place="groupby", hint="name a column of obs")
        parts = _parts(var_names)
        values = values_of(adata, layer, use_raw=use_raw)
        every = [gene for _, genes in parts for gene in genes]
        known = set(drop_unknown(adata, values, list(dict.fromkeys(every)), symbols=symbols, place="var_names"))
        parts = [(name, [gene for gene in genes if gene in known]) for name, genes in parts]
        return Chosen(*_columns(parts, bracketed=hasattr(var_names, "items")), groupby, layer, use_raw)
    params = ranked(adata, filters.key)["params"]
    groupby = groupby or str(params["groupby"])
    found = top_markers(
        adata, n_genes=filters.n_genes, key=filters.key, min_logfoldchange=filters.min_logfoldchange,
        max_p_adjust=filters.max_p_adjust, min_pct=filters.min_pct, max_pct_reference=filters.max_pct_reference,
    )  # fmt: skip
    if found.empty:
        message = "no marker passes the filters"
        hint = "loosen min_logfoldchange, max_p_adjust, min_pct or max_pct_reference"
        raise BadInputError(message, place="markers", hint=hint)
    levels = [str(level) for level in found["group"].cat.categories]
    ordered = [levels[i] for i in np.argsort(_display_order(levels))]
    parts = [(level, found.loc[found["group"] == level, "gene"].to_list()) for level in ordered]
    if layer is None and use_raw is None:
        layer, use_raw = params.get("layer"), params.get("use_raw")
    return Chosen(*_columns(parts, bracketed=True), groupby, layer, bool(use_raw) if layer is None else None)


def _parts(var_names: Any) -> list[tuple[str, list[str]]]:
    if hasattr(var_names, "items"):
        return [(str(name), [genes] if isinstance(genes, str) else list(genes)) for name, genes in var_names.items()]
    genes = [var_names] if isinstance(var_names, str) else [str(gene) for gene in var_names]
    if not genes:
        message = "there is no gene to draw"
        raise BadInputError(message, place="var_names")
    return [("", genes)]


def _columns(parts: list[tuple[str, list[str]]], *, bracketed: bool) -> tuple[list[str], list[tuple[str, int, int]]]:
    """Genes side by side, and the brackets over them: name, first and last column."""
    genes: list[str] = []
    brackets = []
    for name, own in parts:
        if own and bracketed:
            brackets.append((name, len(genes), len(genes) + len(own) - 1))
        genes.extend(own)
    return genes, brackets


def summed(
    adata: ad.AnnData, chosen: Chosen, symbols: str | None, standard_scale: Literal["var", "group"] | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series[int]]:
    """Means (or scaled means) and fractions, groups × genes of the figure, and the cells of each group."""
    table = group_expression(
        adata, chosen.genes, chosen.groupby, layer=chosen.layer, use_raw=chosen.use_raw, gene_symbols=symbols,
        standard_scale=standard_scale, progress=False,
    )  # fmt: skip
    value = "mean" if standard_scale is None else "scaled"
    shape = {"index": "group", "columns": "gene"}
    mean = table.pivot(**shape, values=value)[chosen.genes]
    fraction = table.pivot(**shape, values="fraction")[chosen.genes]
    return mean, fraction, table.drop_duplicates("group").set_index("group")["n_cells"]


def cellwise(adata: ad.AnnData, chosen: Chosen, symbols: str | None) -> tuple[np.ndarray[Any, Any], Labels, list[int]]:
    """Values of the genes of the figure, cells × genes, the groups of cells, and the groups in their order."""
    labels = labels_of(adata, chosen.groupby)
    values = values_of(adata, chosen.layer, use_raw=chosen.use_raw)
    found = find_genes(adata, values, chosen.genes, symbols=symbols)
    place = {name: i for i, name in enumerate(found.names)}
    numbers = expression(values, found)[:, [place[gene] for gene in chosen.genes]]
    present = np.flatnonzero(np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.levels)))
    if len(present) == 0:
        message = "no cell has a group"
        raise BadInputError(message, place=f"groupby `{chosen.groupby}`")
    order = present[np.argsort(_display_order([labels.levels[i] for i in present]))]
    return numbers, labels, [int(i) for i in order]


def tree_of(adata: ad.AnnData, groupby: str, levels: Sequence[str]) -> dict[str, Any]:
    """The hierarchical clustering of the groups: the one in uns if it is of these groups, else a new one."""
    from ..tl import dendrogram

    held = adata.uns.get(f"dendrogram_{groupby}")
    if held is not None and set(held["categories_ordered"]) == set(levels):
        return dict(held)
    categorical(adata, groupby)
    made = dendrogram(adata, groupby, inplace=False)
    if made is None or set(made["categories_ordered"]) != set(levels):
        message = "the tree is not one of these groups"
        raise BadInputError(message, place="dendrogram", hint="call fe.tl.dendrogram for the column again")
    return made


def frame(
    ax: Axes, groups: Sequence[str], genes: Sequence[str], brackets: list[tuple[str, int, int]], *, swap: bool
) -> None:
    """Names of groups and genes beside the cells, and brackets that say whose markers genes are."""
    along, across = (groups, genes) if swap else (genes, groups)
    ax.set_xlim(-0.5, len(along) - 0.5)
    ax.set_ylim(len(across) - 0.5, -0.5)
    size = 7.5 if max(len(along), len(across)) <= 60 else 5.0
    ax.set_xticks(range(len(along)), [shown(name) for name in along], rotation=90, fontsize=size)
    ax.set_yticks(range(len(across)), [shown(name) for name in across], fontsize=size)
    ax.tick_params(length=0.0)
    for name, first, last in brackets:
        _bracket(ax, name, first, last, swap=swap)


def _bracket(ax: Axes, name: str, first: int, last: int, *, swap: bool) -> None:
    ends = [first - 0.35, last + 0.35]
    place, across = ([1.0, 1.0], ax.get_yaxis_transform()) if swap else (ends, ax.get_xaxis_transform())
    level = ends if swap else [1.0, 1.0]
    size = (3.0, 0.0) if swap else (0.0, 3.0)
    from matplotlib.transforms import ScaledTranslation

    moved = across + ScaledTranslation(size[0] / 72.0, size[1] / 72.0, ax.figure.dpi_scale_trans)
    ax.plot(place, level, color=INK, lw=0.8, clip_on=False, transform=moved, solid_capstyle="butt")
    middle = 0.5 * (first + last)
    # A name stands upright where it is wider than its genes.
    upright = not swap and len(shown(name)) > 2.4 * (last - first + 1)
    ax.annotate(
        shown(name),
        (1.0, middle) if swap else (middle, 1.0),
        xycoords=across,
        xytext=(6.0, 0.0) if swap else (0.0, 6.0),
        textcoords="offset points",
        ha="left" if swap or upright else "center",
        va="center" if swap else "bottom",
        rotation=60.0 if upright else 0.0,
        rotation_mode="anchor",
        fontsize=7.5,
        annotation_clip=False,
    )


def head_room(brackets: list[tuple[str, int, int]]) -> float:
    """About how many inches brackets and their names take above the axes."""
    if not brackets:
        return 0.0
    upright = [name for name, first, last in brackets if len(shown(name)) > 2.4 * (last - first + 1)]
    return 0.25 + 0.055 * max((len(shown(name)) for name in upright), default=0)
