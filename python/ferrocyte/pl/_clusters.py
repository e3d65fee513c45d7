"""Genes and samples that are alike beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import BadInputError
from ._samples import _groups, _legend
from ._style import axes, colours, diverging, styled
from ._trees import draw_tree

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: With more genes than this their names cannot be read.
_NAMED = 80
_TREES = ("both", "genes", "samples", "none")


@styled
def coolmap(
    values: Any,
    *,
    cluster_by: Literal["de pattern", "expression level"] = "de pattern",
    gene_linkage: str = "complete",
    sample_linkage: str = "complete",
    trees: Literal["both", "genes", "samples", "none"] = "both",
    group: Any = None,
    layer: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw values with genes and samples in the order of a hierarchical clustering (limma's coolmap).

    Parameters
    ----------
    values
        log2 values, genes × samples: an EList, a data frame, an AnnData; such as those of the first genes of a table.
    cluster_by
        ``"de pattern"``: changes of each gene, as z, clustered by correlation. ``"expression level"``: values as they
        are, by Euclidean distance.
    gene_linkage, sample_linkage
        How clusters are joined (:func:`ferrocyte.limma.clustered_values`); ``"none"`` keeps the order.
    trees
        Which trees are drawn.
    group
        A label per sample, told by colours above.
    layer
        The layer of an AnnData.
    title
        The title.
    ax
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Genes on the y axis, samples on the x axis; the numbers are those of ``fe.limma.clustered_values``.

    Raises
    ------
    BadInputError
        No such choice, a gene without a value, or more genes than can be compared each with each.
    """
    from ..limma import clustered_values

    if trees not in _TREES:
        message = f"there is no choice `{trees}`"
        raise BadInputError(message, place="trees", hint=f"it is one of {', '.join(f'`{word}`' for word in _TREES)}")
    found = clustered_values(
        values, cluster_by=cluster_by, gene_linkage=gene_linkage, sample_linkage=sample_linkage, layer=layer
    )
    n_genes, n_samples = found.values.shape
    levels, codes = _groups(group, n_samples)
    gene_tree = found.gene_tree if trees in ("both", "genes") else None
    sample_tree = found.sample_tree if trees in ("both", "samples") else None
    # Rows without names need no room for them.
    height = 1.6 + 0.14 * (n_genes if n_genes <= _NAMED else _NAMED // 2)
    ax = axes(ax, (3.4 + 0.24 * n_samples, height))
    picture = _cells(ax, found.values, signed=cluster_by == "de pattern")
    # Above the cells: colours of groups, then the tree; beside them: the tree, then what explains the colours.
    above, beside = 1.0 + 0.04 / height, 1.02
    if levels != [""]:
        _bands(ax, codes[_leaves(found.sample_tree, n_samples)], len(levels), above + 0.05 / height)
        above += 0.14 / height
    if gene_tree is not None:
        draw_tree(ax.inset_axes((1.01, 0.0, 0.19, 1.0)), gene_tree, sideways=True)
        beside = 1.24
    if sample_tree is not None:
        draw_tree(ax.inset_axes((0.0, above, 1.0, 0.5 / height)), sample_tree, sideways=False)
        above += 0.54 / height
    if levels != [""]:
        _legend(ax, levels, beside=beside - 0.02)
    label = "z of log2 expression" if cluster_by == "de pattern" else "log2 expression"
    ax.figure.colorbar(picture, cax=ax.inset_axes((beside, 0.02, 0.045, 0.3)), label=label)
    if title:
        ax.set_title(title, y=above)
    return ax


def _leaves(tree: Any, n: int) -> Any:
    """The positions that stand in the order of a tree."""
    if tree is None:
        return np.arange(n)
    from scipy.cluster.hierarchy import leaves_list

    return leaves_list(tree)


def _cells(ax: Axes, shown: pd.DataFrame, *, signed: bool) -> Any:
    """The coloured cells and the names beside and below them."""
    numbers = shown.to_numpy()
    if signed:
        most = float(np.nanmax(np.abs(numbers))) or 1.0
        colouring = {"cmap": diverging(), "vmin": -most, "vmax": most}
    else:
        colouring = {"cmap": "viridis"}
    picture = ax.imshow(numbers, aspect="auto", interpolation="nearest", **colouring)
    if len(shown) <= _NAMED:
        ax.set_yticks(range(len(shown)), [str(gene) for gene in shown.index], fontsize=6.5)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(shown):,} genes")
    ax.set_xticks(range(shown.shape[1]), [str(name) for name in shown.columns], rotation=90, fontsize=7.0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0.0)
    return picture


def _bands(ax: Axes, codes: Any, n_levels: int, height: float) -> None:
    """The group of each sample as a colour above its column."""
    for at, colour in enumerate(np.asarray(colours(n_levels), dtype=object)[codes]):
        ax.plot(
            [at - 0.5, at + 0.5], [height, height], color=colour, lw=5.0, clip_on=False, solid_capstyle="butt",
            transform=ax.get_xaxis_transform(),
        )  # fmt: skip
    ax.set_xlim(-0.5, len(codes) - 0.5)
