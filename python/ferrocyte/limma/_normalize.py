"""Log-values made alike between samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._run import means
from ._containers import EList
from ._inputs import Held, expressed, vector

__all__ = [
    "normalize_between_arrays",
    "normalize_cyclic_loess",
    "normalize_median_values",
    "normalize_quantiles",
]


def normalize_between_arrays(
    x: Any,
    method: str = "quantile",
    *,
    cyclic_method: str = "fast",
    ties: bool = True,
    span: float = 0.7,
    iterations: int = 3,
    adaptive_span: bool = False,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Make the distributions of log-values alike between samples.

    Parameters
    ----------
    x
        Log-values of genes × samples (data frame or array), an ``EList``, or an AnnData. NaN stays NaN.
    method
        ``"quantile"`` (the same distribution), ``"scale"`` (the same median, by a factor), ``"cyclicloess"`` (no trend
        of differences over the mean) or ``"none"``.
    cyclic_method
        ``"fast"`` (each sample against the mean of all), ``"affy"`` (all pairs, averaged) or ``"pairs"`` (each pair in
        turn).
    ties
        Whether values that tie stay tied (``"quantile"``).
    span, adaptive_span, iterations
        The curves of ``"cyclicloess"``: share of the genes that a line sees, whether that depends on their number
        instead, and how often curves are taken away.
    layer
        The layer of an AnnData.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    numpy.ndarray, pandas.DataFrame or EList
        What was given, normalised: an ``EList`` for an ``EList``, an array for an array, else a data frame.
    """
    manner = (method, ties, cyclic_method, float(span), adaptive_span, int(iterations))
    return _normalized(x, layer, None, manner, means(n_threads, progress=progress))


def normalize_quantiles(x: Any, *, ties: bool = True, layer: str | None = None, n_threads: int | None = None) -> Any:
    """Give all samples the same distribution: the mean of theirs, rank by rank."""
    manner = ("quantile", ties, "fast", 0.7, False, 3)
    return _normalized(x, layer, None, manner, means(n_threads, progress=False))


def normalize_median_values(x: Any, *, layer: str | None = None) -> Any:
    """Divide each sample by its median over the geometric mean of all medians."""
    return _normalized(x, layer, None, ("scale", True, "fast", 0.7, False, 3), means(1, progress=False))


def normalize_cyclic_loess(
    x: Any,
    weights: Any = None,
    *,
    span: float = 0.7,
    iterations: int = 3,
    method: str = "fast",
    adaptive_span: bool = False,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Take away smooth curves of differences over means; `weights` of genes say how much they count in these.

    Other arguments as in :func:`normalize_between_arrays`; `method` is its `cyclic_method`.
    """
    manner = ("cyclicloess", True, method, float(span), adaptive_span, int(iterations))
    return _normalized(x, layer, weights, manner, means(n_threads, progress=progress))


def _normalized(x: Any, layer: str | None, weights: Any, manner: Any, run: Any) -> Any:
    held = expressed(x, layer)
    given = None if weights is None else vector(weights, held.values.shape[0], "weights", "gene")
    return like(x, held, _core.limma_normalize(held.core(), given, manner, run))


def like(x: Any, held: Held, values: np.ndarray[Any, Any]) -> Any:
    """New values in the form in which the old came."""
    import pandas as pd

    if isinstance(x, EList):
        out = x.copy()
        out.E = values
        return out
    if isinstance(x, np.ndarray):
        return values
    return pd.DataFrame(values, index=held.genes.index, columns=held.samples.index)
