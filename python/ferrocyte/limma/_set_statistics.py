"""Tests of gene sets from one statistic per gene: ranks, random sets, barcodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._gene_sets import one_set
from ._inputs import vector

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

__all__ = [
    "barcode_plot",
    "gene_set_test",
    "rank_sum_test_with_correlation",
    "tricube_moving_average",
    "wilcox_gst",
]


def rank_sum_test_with_correlation(
    index: Any, statistics: Any, correlation: float = 0.0, df: float = np.inf
) -> dict[str, float]:
    """Wilcoxon's rank sum test of a set whose genes are correlated.

    Parameters
    ----------
    index
        The genes of the set: names, positions or a mask.
    statistics
        One number per gene; a Series names the genes.
    correlation
        Correlation between the genes of the set.
    df
        Degrees of freedom with which `correlation` was estimated; infinite where it is known.

    Returns
    -------
    dict
        One-sided p-values ``less`` and ``greater``.
    """
    values, identifiers = statistics_of(statistics)
    set_ = one_set(index, identifiers, len(values))
    out = _core.limma_rank_sum(set_, values, float(correlation), float(df))
    return dict(zip(("less", "greater"), out, strict=True))


def gene_set_test(
    index: Any,
    statistics: Any,
    alternative: str = "mixed",
    type: str = "auto",
    *,
    ranks_only: bool = True,
    nsim: int = 9999,
    seed: int = 0,
    n_threads: int | None = None,
) -> float:
    """Test whether a set stands out among statistics of all genes, taken as independent.

    Parameters
    ----------
    index
        The genes of the set: names, positions or a mask.
    statistics
        One number per gene; a Series names the genes.
    alternative
        ``"mixed"``, ``"either"``, ``"up"`` or ``"down"``; also ``"two.sided"``, ``"greater"``, ``"less"``.
    type
        ``"t"``: statistics have a direction; ``"f"``: they have none; ``"auto"``: they have if signs differ.
    ranks_only
        Whether ranks are compared (Wilcoxon's test) rather than the mean with those of random sets.
    nsim
        Number of random sets.
    seed
        The same seed gives the same random sets.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    """
    values, identifiers = statistics_of(statistics)
    set_ = one_set(index, identifiers, len(values))
    words = {"two.sided": "either", "greater": "up", "less": "down"}
    manner = (words.get(alternative, alternative), type.lower(), ranks_only, whole(nsim, "nsim"), int(seed))
    return _core.limma_gene_set_test(set_, values, manner, means(n_threads, progress=False))


def wilcox_gst(index: Any, statistics: Any, alternative: str = "mixed", **options: Any) -> float:
    """:func:`gene_set_test` by ranks."""
    return gene_set_test(index, statistics, alternative, **{**options, "ranks_only": True})


def barcode_plot(
    statistics: Any,
    index: Any,
    index2: Any = None,
    *,
    gene_weights: Any = None,
    span_worm: float = 0.45,
) -> pd.DataFrame:
    """The numbers of a barcode plot: genes in the order of a statistic, and where those of a set stand.

    Parameters
    ----------
    statistics
        One number per gene; a Series names the genes.
    index
        The genes of the set: names, positions or a mask.
    index2
        A second set: genes that are expected to fall, if those of the first are to rise.
    gene_weights
        What each gene of the set counts, one per gene of `index`; without `index2` those with negative weights are the
        second set.
    span_worm
        Share of all genes over which the density of a set is averaged.

    Returns
    -------
    pandas.DataFrame
        One row per gene, from the smallest statistic to the largest: ``statistic``, ``in_set``, ``enrichment`` (density
        of the set over its mean), and ``in_set2``, ``enrichment2`` for a second set. Genes without a statistic are left
        out.
    """
    import pandas as pd

    values = np.asarray(statistics, dtype=float).reshape(-1)
    identifiers = statistics.index if hasattr(statistics, "index") else pd.RangeIndex(len(values))
    there = np.flatnonzero(~np.isnan(values))
    place = np.full(len(values), -1)
    place[there] = np.arange(len(there))
    first, weights = _barcode_set(index, gene_weights, identifiers, place)
    second: Array | None = None
    second_weights: Array | None = None
    if index2 is not None:
        second, _ = _barcode_set(index2, None, identifiers, place)
    elif weights is not None and (weights < 0).any():
        second, second_weights = first[weights < 0], weights[weights < 0]
        first, weights = first[weights > 0], weights[weights > 0]
    observed = np.ascontiguousarray(values[there])
    table: dict[str, Any] = {}
    for suffix, set_, given in (("", first, weights), ("2", second, second_weights)):
        if set_ is None:
            continue
        order, places, enrichment = _core.limma_barcode(
            [int(g) for g in set_], observed, None if given is None else [float(w) for w in given], float(span_worm)
        )
        table["statistic"] = observed[order]
        table[f"in_set{suffix}"] = np.isin(np.arange(len(order)), places)
        table[f"enrichment{suffix}"] = enrichment
    return pd.DataFrame(table, index=identifiers[there][order])


def tricube_moving_average(x: Any, span: float = 0.5) -> Array:
    """Moving averages with tricube weights over a share `span` of the values; at the ends over fewer."""
    return _core.limma_tricube_moving_average(np.ascontiguousarray(x, dtype=float).reshape(-1), float(span))


def statistics_of(statistics: Any) -> tuple[Array, Any]:
    """Numbers of genes, and what sets name the genes by."""
    values = np.ascontiguousarray(np.asarray(statistics, dtype=float).reshape(-1))
    identifiers = statistics.index if hasattr(statistics, "index") else range(len(values))
    return values, identifiers


def whole(number: Any, place: str) -> int:
    """A whole number of at least 1."""
    if isinstance(number, bool) or int(number) != number or number < 1:
        message = f"expected a whole number of at least 1, found {number!r}"
        raise BadInputError(message, place=place)
    return int(number)


def _barcode_set(index: Any, weights: Any, identifiers: Any, place: Array) -> tuple[Array, Array | None]:
    """Places of the genes of a set among those with a statistic, and their weights."""
    set_ = np.array(one_set(index, identifiers, len(place)))
    given = None if weights is None else vector(weights, len(set_), "gene_weights", "gene of the set")
    there = place[set_] >= 0
    return place[set_][there], None if given is None else given[there]
