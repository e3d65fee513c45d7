"""How genes are judged, and where outliers among spectra end: before anything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._tables import frame
from ._inputs import HowPrepared, inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def variable_genes(
    counts: Any,
    n_genes: int | None = None,
    *,
    threshold: float | None = None,
    min_mean: float = 0.5,
    layer: str | None = None,
    tpm: Any = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Judge how much more genes vary than their means explain.

    Parameters
    ----------
    counts
        Counts, cells x genes: an AnnData, a data frame, a path.
    n_genes
        How many are selected, those of largest ratio; ``None`` selects those above the threshold.
    threshold
        The ratio above which genes are selected; ``None`` is one more than the spread of ordinary Fano factors.
    min_mean
        The mean above which genes are selected by ratio, in counts per million.
    layer
        The matrix of the counts; ``None`` is X.
    tpm
        Expression in place of counts per million: a layer, an AnnData, a path.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    DataFrame
        Index gene: `mean`, `sd`, `fano`, `expected_fano`, `fano_ratio`, `selected`. ``attrs`` hold `a` and `b` of the
        expected Fano factor ``a^2 mean + b^2``, `threshold` and `min_mean`.

    Raises
    ------
    BadInputError
        Values that are missing, infinite or negative; no gene that varies.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> genes = fe.cnmf.variable_genes(small_study(n_genes=60), 10)
    >>> int(genes.selected.sum())
    10
    """
    how = HowPrepared(n_genes=n_genes, threshold=threshold, min_mean=min_mean)
    found, a, b, t, mean = _core.cnmf_variable_genes(
        inputs(counts, layer, tpm), how, means(n_threads, max_memory, progress=progress)
    )
    table = frame(found).set_index("gene")
    table.attrs.update({"a": a, "b": b, "threshold": t, "min_mean": mean})
    return table


def suggest_density_threshold(local_density: Sequence[float]) -> tuple[float, int]:
    """Suggest a threshold of local density: the middle of the first wide gap, and how many spectra lie beyond.

    The densities are sorted; the first gap of more than 0.05 above which less than half of them lie parts outliers from
    spectra that replicates find again. Without such a gap the threshold is 2, which keeps all.

    Parameters
    ----------
    local_density
        Mean distances of spectra to their neighbours.

    Returns
    -------
    tuple
        The threshold, and the number of spectra that it drops.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.cnmf.suggest_density_threshold([0.25, 0.25, 0.25, 0.75])
    (0.5, 1)
    >>> fe.cnmf.suggest_density_threshold([0.01, 0.02, 0.03])
    (2.0, 0)
    """
    return _core.cnmf_suggest_threshold(np.ascontiguousarray(local_density, dtype=np.float64))
