"""Genes and samples in the order of a hierarchical clustering, as `ferrocyte.pl.coolmap` draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import BadInputError
from ._inputs import expressed

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = ["ClusteredValues", "clustered_values"]

#: All pairs of so many genes take half a gigabyte.
_MOST_GENES = 11_000
_BY = ("de pattern", "expression level")
_LINKAGES = ("complete", "average", "single", "ward", "centroid", "median", "weighted", "none")


class ClusteredValues(NamedTuple):
    """Values in the order of their clusters, and the trees."""

    #: Genes × samples; neighbours are alike.
    values: pd.DataFrame
    #: The trees of genes and samples as scipy's linkage matrices, over the order of the input; None without clustering.
    gene_tree: Array | None
    sample_tree: Array | None


def clustered_values(
    values: Any,
    *,
    cluster_by: Literal["de pattern", "expression level"] = "de pattern",
    gene_linkage: str = "complete",
    sample_linkage: str = "complete",
    layer: str | None = None,
) -> ClusteredValues:
    """Order genes and samples by hierarchical clustering (the numbers of limma's coolmap).

    Parameters
    ----------
    values
        log2 values, genes × samples: an EList, a data frame, an AnnData.
    cluster_by
        ``"de pattern"``: values become z (mean 0 and standard deviation 1 of each gene), and genes are as far apart as
        their correlation is below 1. ``"expression level"``: values stay, and distances of genes are Euclidean. Those
        of samples are Euclidean distances of the values in both cases.
    gene_linkage, sample_linkage
        ``"complete"``, ``"average"``, ``"single"``, ``"ward"``, ``"centroid"``, ``"median"``, ``"weighted"``, or
        ``"none"`` to keep the order.
    layer
        The layer of an AnnData.

    Returns
    -------
    ClusteredValues
        ``values`` (genes × samples, in order), ``gene_tree`` and ``sample_tree``. Missing values stay missing and count
        as the mean of their gene in distances.

    Examples
    --------
    >>> import ferrocyte as fe, pandas as pd
    >>> y = pd.DataFrame([[1.0, 5, 2], [4, 0, 4], [2, 7, 3]], ["a", "b", "c"], ["s", "t", "u"])
    >>> fe.limma.clustered_values(y).values.round(2)
          t     s     u
    b -1.15  0.58  0.58
    a  1.12 -0.80 -0.32
    c  1.13 -0.76 -0.38
    """
    import pandas as pd

    for place, word, choices in (
        ("cluster_by", cluster_by, _BY),
        ("gene_linkage", gene_linkage, _LINKAGES),
        ("sample_linkage", sample_linkage, _LINKAGES),
    ):
        if word not in choices:
            message = f"there is no choice `{word}`"
            raise BadInputError(message, place=place, hint=f"it is one of {', '.join(f'`{c}`' for c in choices)}")
    held = expressed(values, layer)
    if len(held.values) > _MOST_GENES and gene_linkage != "none":
        message = f"{len(held.values):,} genes are too many to compare each with each, expected at most {_MOST_GENES:,}"
        raise BadInputError(message, place="values", hint="choose some, such as the first of a table")
    shown, filled = _filled(held.values, [str(gene) for gene in held.genes.index])
    by_pattern = cluster_by == "de pattern"
    z = _standardised(filled)
    if by_pattern:
        shown = np.where(np.isnan(shown), np.nan, z)
    genes, gene_tree = _tree(z if by_pattern else filled, gene_linkage, correlation=by_pattern)
    samples, sample_tree = _tree(filled.T, sample_linkage, correlation=False)
    ordered = pd.DataFrame(
        shown[np.ix_(genes, samples)], index=held.genes.index[genes], columns=held.samples.index[samples]
    )
    return ClusteredValues(ordered, gene_tree, sample_tree)


def _filled(values: Array, names: list[str]) -> tuple[Array, Array]:
    """The values with NaN for what is no number, and with the mean of the gene in its place."""
    shown = np.where(np.isfinite(values), values, np.nan)
    empty = np.isnan(shown).all(axis=1)
    if empty.any():
        message = f"gene `{names[int(np.flatnonzero(empty)[0])]}` has no value"
        raise BadInputError(message, place="values", hint="leave it out")
    return shown, np.where(np.isnan(shown), np.nanmean(shown, axis=1, keepdims=True), shown)


def _standardised(values: Array) -> Array:
    """Rows with mean 0 and standard deviation 1; those that do not vary are 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / max(values.shape[1] - 1, 1))
    # What rounding leaves of a row of equal values does not vary.
    varies = spread > 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    return np.where(varies, centred / np.where(varies, spread, 1.0), 0.0)


def _tree(rows: Array, linkage: str, *, correlation: bool) -> tuple[Array, Array | None]:
    """The order of rows, and the tree that it comes from."""
    if linkage == "none" or len(rows) < 3:
        return np.arange(len(rows)), None
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import pdist, squareform

    if correlation:
        # Of standardised rows; one that does not vary is as far from all others as unrelated ones.
        distance = np.clip(1.0 - rows @ rows.T / max(rows.shape[1] - 1, 1), 0.0, 2.0)
        np.fill_diagonal(distance, 0.0)
        apart = squareform(distance, checks=False)
    else:
        apart = pdist(rows)
    tree = hierarchy.linkage(apart, linkage)
    return hierarchy.leaves_list(tree), tree
