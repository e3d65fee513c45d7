"""What is not of interest: effects of batches, hidden variables, replicates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._containers import EList
from ._design import model_matrix
from ._fit import blocks_of
from ._inputs import Held, design_of, expressed, grid, labels, weights_of

__all__ = ["ave_dups", "ave_reps", "aver_arrays", "remove_batch_effect", "wsva"]

Array = np.ndarray[Any, Any]


def remove_batch_effect(
    x: Any,
    batch: Any = None,
    batch2: Any = None,
    covariates: Any = None,
    design: Any = None,
    group: Any = None,
    *,
    weights: Any = None,
    block: Any = None,
    correlation: float | None = None,
    method: str = "ls",
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Remove the effects of batches and covariates from log-values, for plots and clustering.

    For tests, put the batches into the design instead.

    Parameters
    ----------
    x
        Log-values of genes × samples, an ``EList`` or an AnnData.
    batch, batch2
        The batch of each sample, of two kinds.
    covariates
        Numbers of samples (samples × covariates); their mean effect stays.
    design
        What is to stay, samples × coefficients; by default one mean.
    group
        Instead of a design: the group of each sample.
    weights, block, correlation, method
        How the effects are fitted, as in :func:`lm_fit`.
    layer, n_threads, progress
        As in :func:`lm_fit`.

    Returns
    -------
    DataFrame or ndarray
        Genes × samples: an array for an array, else a data frame. A warning names what is confounded with the design,
        which is not removed.
    """
    import pandas as pd

    held = expressed(x, layer)
    genes, samples = held.values.shape
    if group is not None:
        design = model_matrix("~ group", pd.DataFrame({"group": pd.Series(list(group)).astype(str)}))
        design.index = pd.RangeIndex(samples) if len(design) == samples else design.index
    plain = Held(held.values, held.genes, held.samples)
    batches = [
        _batch(given, samples, name) for name, given in (("batch", batch), ("batch2", batch2)) if given is not None
    ]
    columns = None
    if covariates is not None:
        numbers = np.asarray(covariates, dtype=np.float64)
        columns = grid(numbers[:, None] if numbers.ndim == 1 else numbers, "covariates")
    out = _core.limma_remove_batch_effect(
        held.core(),
        design_of(design, plain),
        batches,
        columns,
        weights_of(weights, genes, samples),
        (
            None if block is None else blocks_of(block, samples),
            None if correlation is None else float(correlation),
            method,
        ),
        means(n_threads, progress=progress),
    )
    return out if isinstance(x, np.ndarray) else pd.DataFrame(out, index=held.genes.index, columns=held.samples.index)


def wsva(
    y: Any,
    design: Any = None,
    *,
    n_sv: int = 1,
    weight_by_sd: bool = False,
    layer: str | None = None,
    n_threads: int | None = None,
) -> Array:
    """Find hidden variables: directions in which samples vary beside the design.

    Parameters
    ----------
    y
        Log-values of genes × samples, an ``EList`` or an AnnData.
    design
        Design matrix, samples × coefficients; by default that of `y`, else one mean.
    n_sv
        Number of variables.
    weight_by_sd
        Whether genes count by their residual standard deviation.
    layer, n_threads
        As in :func:`lm_fit`.

    Returns
    -------
    ndarray
        Samples × variables, each with mean square 1; their signs mean nothing.
    """
    held = expressed(y, layer)
    means_ = means(n_threads, progress=False)
    return _core.limma_wsva(held.core(), design_of(design, held), int(n_sv), bool(weight_by_sd), means_)


def ave_reps(x: Any, ID: Any = None) -> Any:
    """Average rows with the same identifier; missing values are left out.

    Parameters
    ----------
    x
        Genes × samples, or an ``EList``.
    ID
        The identifier of each row; by default its name.

    Returns
    -------
    DataFrame, ndarray or EList
        As `x`, one row per identifier in order of first appearance. Weights of an ``EList`` are averaged too.
    """
    import pandas as pd

    held = expressed(x)
    rows = held.values.shape[0]
    codes, names = _codes(held.genes.index if ID is None else ID, rows, "ID")

    def average(values: Array) -> Array:
        return _core.limma_average(grid(values), None, "rows", codes, len(names))

    averages = average(held.values)
    if isinstance(x, EList):
        out = x.copy()
        first = [codes.index(k) for k in range(len(names))]
        out.genes = x.genes.iloc[first].set_axis(pd.Index(names))
        out.E = averages
        if held.weights is not None:
            out.weights = average(held.weights)
        return out
    return averages if isinstance(x, np.ndarray) else pd.DataFrame(averages, index=names, columns=held.samples.index)


def aver_arrays(x: Any, id: Any = None, *, weights: Any = None) -> Any:
    """Average samples with the same identifier; missing values are left out.

    Parameters
    ----------
    x
        Genes × samples, or an ``EList``.
    id
        The identifier of each sample; by default its name.
    weights
        Genes × samples; by default those of `x`.

    Returns
    -------
    DataFrame, ndarray or EList
        As `x`, one column per identifier in order of first appearance. An ``EList`` comes with the sums of the weights.
    """
    import pandas as pd

    held = expressed(x)
    genes, samples = held.values.shape
    codes, names = _codes(held.samples.index if id is None else id, samples, "id")
    given = held.weights if weights is None else weights
    matrix = None if given is None else grid(np.broadcast_to(np.asarray(given, dtype=float), (genes, samples)))
    averages = _core.limma_average(held.values, matrix, "columns", codes, len(names))
    if isinstance(x, EList):
        out = x[:, [codes.index(k) for k in range(len(names))]]
        out.E = averages
        out.samples = out.samples.set_axis(pd.Index(names))
        if matrix is not None:
            sums = np.zeros_like(averages)
            np.add.at(sums.T, codes, np.where(np.isfinite(held.values), matrix, 0.0).T)
            out.weights = sums
        return out
    return averages if isinstance(x, np.ndarray) else pd.DataFrame(averages, index=held.genes.index, columns=names)


def ave_dups(x: Any, *, ndups: int = 2, spacing: int = 1, weights: Any = None) -> Any:
    """Average the duplicates of each gene within samples; missing values are left out.

    Parameters
    ----------
    x
        Rows × samples.
    ndups, spacing
        How often each gene is measured, and how many rows apart.
    weights
        Of the shape of `x`.

    Returns
    -------
    DataFrame or ndarray
        Genes × samples, named by the first of their rows.
    """
    import pandas as pd

    held = expressed(x)
    matrix = None if weights is None else grid(weights, "weights")
    averages = _core.limma_average_duplicates(held.values, matrix, int(ndups), int(spacing))
    if isinstance(x, np.ndarray):
        return averages
    first = np.arange(len(held.genes)).reshape(-1, ndups, spacing)[:, 0].ravel()
    return pd.DataFrame(averages, index=held.genes.index[first], columns=held.samples.index)


def _batch(given: Any, n_samples: int, place: str) -> tuple[list[int], list[str]]:
    codes, levels = labels(given, n_samples, place)
    if (codes < 0).any():
        message = f"sample {int(np.flatnonzero(codes < 0)[0]) + 1} has none"
        raise BadInputError(message, place=place, hint="give it a batch of its own, or leave it out")
    present = np.unique(codes)
    return [int(code) for code in np.searchsorted(present, codes)], [levels[code] for code in present]


def _codes(given: Any, length: int, place: str) -> tuple[list[int], list[Any]]:
    import pandas as pd

    if len(given) != length:
        message = f"{len(given)} identifiers, expected {length}"
        raise BadInputError(message, place=place)
    codes, names = pd.factorize(np.asarray(given), use_na_sentinel=False)
    return [int(code) for code in codes], list(names)
