"""Counts before a fit: normalisation factors, counts per million, the filter of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._containers import DGEList
from ._inputs import counted, design_of, labels, vector

if TYPE_CHECKING:
    from ._inputs import Held

    Array = np.ndarray[Any, Any]

__all__ = ["calc_norm_factors", "cpm", "filter_by_expr", "norm_lib_sizes", "rpkm"]


def calc_norm_factors(
    counts: Any,
    lib_size: Any = None,
    method: str = "TMM",
    *,
    ref_column: Any = None,
    logratio_trim: float = 0.3,
    sum_trim: float = 0.05,
    do_weighting: bool = True,
    a_cutoff: float = -1e10,
    p: float = 0.75,
    zero_lib: str = "error",
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Normalisation factors: what library sizes are multiplied by so that they compare. Their product is 1.

    Parameters
    ----------
    counts
        Counts of genes × samples (data frame or array), a ``DGEList``, or an AnnData.
    lib_size
        Library size of each sample; by default the total counts, or those of the ``DGEList``.
    method
        ``"TMM"``, ``"TMMwsp"`` (for sparse counts), ``"RLE"``, ``"upperquartile"`` or ``"none"``.
    ref_column
        The sample that others are compared with, by position or name; by default the one that is most like the others.
    logratio_trim, sum_trim
        Shares of genes left out at each end of the log ratios and of the mean abundances (TMM).
    do_weighting
        Whether log ratios are weighted by their precision (TMM).
    a_cutoff
        Genes with a mean log2 abundance of at most this are left out (TMM).
    p
        The quantile of ``"upperquartile"``.
    zero_lib
        What is done with a sample without counts: ``"error"``, ``"drop"`` (it gets NaN) or ``"keep"``.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    numpy.ndarray or DGEList
        One factor per sample. For a ``DGEList``: the same with these as ``norm_factors``.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> counts = np.array([[10, 20], [30, 60], [50, 100], [5, 900]])
    >>> fe.limma.calc_norm_factors(counts, method="RLE").round(3)
    array([2.384, 0.419])
    """
    held = counted(counts, layer)
    if isinstance(counts, DGEList) and lib_size is None:
        lib_size = counts.lib_size
    factors = _core.limma_norm_factors(
        held.core(),
        None if lib_size is None else vector(lib_size, held.values.shape[1], "lib_size"),
        (
            method,
            zero_lib,
            _reference(ref_column, held),
            float(logratio_trim),
            float(sum_trim),
            bool(do_weighting),
            float(a_cutoff),
            float(p),
        ),
        means(n_threads, progress=progress),
    )
    if not isinstance(counts, DGEList):
        return factors
    out = counts.copy()
    out.samples["norm_factors"] = factors
    return out


#: The newer name of the same.
norm_lib_sizes = calc_norm_factors


def cpm(
    counts: Any,
    *,
    lib_size: Any = None,
    log: bool = False,
    prior_count: float = 2.0,
    normalized_lib_sizes: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
) -> Any:
    """Counts per million, genes × samples, or their log2.

    Parameters
    ----------
    counts
        Counts of genes × samples (data frame or array), a ``DGEList``, or an AnnData.
    lib_size
        Library size of each sample; by default the total counts, or those of the ``DGEList``.
    log
        Whether to give log2 values.
    prior_count
        The count that is added before the logarithm to a sample of mean library size, and in proportion to others.
    normalized_lib_sizes
        Whether the factors of a ``DGEList`` are used.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    pandas.DataFrame or numpy.ndarray
        An array for an array, else a data frame.
    """
    held = counted(counts, layer)
    sizes = _sizes(counts, held, lib_size, normalized=normalized_lib_sizes)
    run = means(n_threads, progress=False)
    return _named(counts, held, _core.limma_cpm(held.core(), sizes, None, log, float(prior_count), run))


def rpkm(
    counts: Any,
    gene_length: Any,
    *,
    lib_size: Any = None,
    log: bool = False,
    prior_count: float = 2.0,
    normalized_lib_sizes: bool = True,
    layer: str | None = None,
    n_threads: int | None = None,
) -> Any:
    """Counts per million and thousand bases; `gene_length` in bases, one per gene. Otherwise as :func:`cpm`."""
    held = counted(counts, layer)
    sizes = _sizes(counts, held, lib_size, normalized=normalized_lib_sizes)
    lengths = vector(gene_length, held.values.shape[0], "gene_length", "gene")
    run = means(n_threads, progress=False)
    return _named(counts, held, _core.limma_cpm(held.core(), sizes, lengths, log, float(prior_count), run))


def filter_by_expr(
    counts: Any,
    design: Any = None,
    *,
    group: Any = None,
    lib_size: Any = None,
    min_count: float = 10.0,
    min_total_count: float = 15.0,
    large_n: float = 10.0,
    min_prop: float = 0.7,
    layer: str | None = None,
    n_threads: int | None = None,
) -> Array:
    """Which genes have enough counts in enough samples to be worth a test.

    A gene is kept if in as many samples as the smallest group has it has at least as many counts per million as
    `min_count` are in a sample of median library size, and if its total count is large enough.

    Parameters
    ----------
    counts
        Counts of genes × samples (data frame or array), a ``DGEList``, or an AnnData.
    design
        Design matrix; its leverages tell the size of the smallest group.
    group
        Instead: the group of each sample. A ``DGEList`` may have it. Without either all samples are alike.
    lib_size
        Library size of each sample; by default the total counts, or those of the ``DGEList``.
    min_count, min_total_count
        Counts in one sample and in all.
    large_n, min_prop
        Of groups larger than `large_n` only the share `min_prop` of what is more counts.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    numpy.ndarray
        One truth value per gene.
    """
    held = counted(counts, layer)
    n = held.values.shape[1]
    if group is None and design is None and isinstance(counts, DGEList) and "group" in counts.samples:
        group = counts.samples["group"]
    codes = None
    if group is not None and design is None:
        found, _ = labels(group, n, "group")
        if (found < 0).any():
            message = f"sample {int(np.flatnonzero(found < 0)[0]) + 1} has no group"
            raise BadInputError(message, place="group")
        codes = [int(code) for code in found]
    return np.asarray(
        _core.limma_filter_by_expr(
            held.core(),
            _sizes(counts, held, lib_size),
            codes,
            None if design is None else design_of(design, held),
            (float(min_count), float(min_total_count), float(large_n), float(min_prop)),
            means(n_threads, progress=False),
        )
    )


def _sizes(counts: Any, held: Held, lib_size: Any, *, normalized: bool = True) -> Array | None:
    if lib_size is not None:
        return vector(lib_size, held.values.shape[1], "lib_size")
    if isinstance(counts, DGEList) and not normalized:
        return np.ascontiguousarray(counts.lib_size)
    return held.lib_size


def _reference(ref_column: Any, held: Held) -> int | None:
    if ref_column is None:
        return None
    n = held.values.shape[1]
    if isinstance(ref_column, str):
        places = held.samples.index.get_indexer_for([ref_column])
        if places[0] < 0:
            message = f"there is no sample `{ref_column}`"
            raise BadInputError(message, place="ref_column")
        return int(places[0])
    if not 0 <= int(ref_column) < n:
        message = f"expected a sample between 0 and {n - 1}, found {ref_column!r}"
        raise BadInputError(message, place="ref_column")
    return int(ref_column)


def _named(counts: Any, held: Held, values: Array) -> Any:
    import pandas as pd

    if isinstance(counts, np.ndarray):
        return values
    return pd.DataFrame(values, index=held.genes.index, columns=held.samples.index)
