"""Linear models of all genes, and contrasts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._containers import MArrayLM
from ._inputs import design_frame, design_of, expressed, grid, labels, names_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["contrasts_fit", "fitted", "lm_fit", "residuals"]

#: Statistics that no longer hold once coefficients are others.
_MODERATED = (
    "t",
    "p_value",
    "log10_p_value",
    "lods",
    "F",
    "F_p_value",
    "var_prior",
    "s2_post",
    "s2_prior",
    "df_prior",
    "df_total",
    "proportion",
)


def lm_fit(
    data: Any,
    design: Any = None,
    *,
    ndups: int = 1,
    spacing: int = 1,
    block: Any = None,
    correlation: float | None = None,
    weights: Any = None,
    method: str = "ls",
    layer: str | None = None,
    check_counts: bool = True,
    keep_covariances: bool = True,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> MArrayLM:
    """Fit a linear model to the log-values of every gene.

    Parameters
    ----------
    data
        Log-values of genes × samples (data frame or array), an ``EList``, or an AnnData, whose voom layers are used
        where they exist.
    design
        Design matrix, samples × coefficients; by default that of `data`, else one mean.
    ndups, spacing
        How often each gene is measured within a sample, and how many rows apart.
    block
        The block of each sample: samples of a block are correlated.
    correlation
        The correlation within blocks or between duplicates, from :func:`duplicate_correlation`.
    weights
        A number, one per sample, one per gene, or genes × samples; by default those of `data`. A weight that is not
        positive makes the value missing.
    method
        ``"ls"`` (least squares) or ``"robust"`` (Huber's M-estimator).
    layer
        The layer of an AnnData.
    check_counts
        Whether whole numbers above 50 are refused, which are counts rather than log-values.
    keep_covariances
        Whether the covariances of each gene are kept where genes differ, for ``contrasts_fit(.., exact=True)``.
    n_threads
        Number of threads; all processors by default. Never changes the answer.
    progress
        Whether to show progress; by default on a terminal.

    Returns
    -------
    MArrayLM
        ``coefficients``, ``stdev_unscaled`` (genes × coefficients), ``sigma``, ``df_residual``, ``Amean`` (genes),
        ``cov_coefficients`` (rank × rank, in the order of ``pivot``), ``rank``, ``pivot``. NaN: cannot be estimated.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> y = np.array([[1.0, 2.0, 4.0, 5.0]])
    >>> fit = fe.limma.lm_fit(y, np.array([[1, 0], [1, 0], [1, 1], [1, 1]]))
    >>> fit.coefficients.round(6)
    array([[1.5, 3. ]])
    """
    held = expressed(data, layer)
    genes, samples = held.values.shape
    model = design_of(design, held)
    given = held.weights if weights is None else weights
    out = _core.limma_lm_fit(
        held.core(),
        model,
        weights_of(given, genes, samples),
        None if block is None else blocks_of(block, samples),
        None if correlation is None else float(correlation),
        (int(ndups), int(spacing), method, check_counts, keep_covariances),
        means(n_threads, progress=progress),
    )
    annotation = held.genes
    if ndups > 1:
        first = np.arange(genes).reshape(-1, ndups, spacing)[:, 0].ravel()
        annotation = annotation.iloc[first]
    fit = MArrayLM(**out, design=design_frame(model, held), genes=annotation, method=method)
    if block is not None or ndups > 1:
        fit["correlation"] = None if correlation is None else float(correlation)
        fit["block"] = None if block is None else np.asarray(block)
    return fit


def contrasts_fit(
    fit: MArrayLM,
    contrasts: Any = None,
    *,
    coefficients: Any = None,
    exact: bool = False,
    n_threads: int | None = None,
) -> MArrayLM:
    """Estimates and errors of contrasts of the coefficients.

    Parameters
    ----------
    fit
        From :func:`lm_fit`.
    contrasts
        Weights, coefficients × contrasts (:func:`make_contrasts`); or expressions such as ``["B - A"]``.
    coefficients
        Instead of contrasts: names or positions of coefficients to keep.
    exact
        Whether errors use the correlations of each gene's own weights and missing values. By default those of the
        design are taken for all genes, as limma does; with weights of genes and a design that is not orthogonal the
        errors are then approximate.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    MArrayLM
        The fit with contrasts for coefficients. Statistics of an earlier :func:`e_bayes` are gone.
    """
    if (contrasts is None) == (coefficients is None):
        message = "give contrasts or coefficients, one of them"
        raise BadInputError(message, place="contrasts")
    check_fit(fit)
    if coefficients is not None:
        return _select(fit, coefficients)
    matrix, rows, names = _contrast_matrix(fit, contrasts)
    out = _core.limma_contrasts_fit(core_fit(fit), matrix, rows, names, exact, means(n_threads, progress=False))
    return _refit(fit, out, matrix)


def fitted(fit: MArrayLM) -> np.ndarray[Any, Any]:
    """Fitted values, genes × samples; coefficients that cannot be estimated count as zero.

    A gene without any coefficient is NaN.
    """
    if fit.get("contrasts") is not None:
        message = "a fit of contrasts has no fitted values"
        raise BadInputError(message, place="fit", hint="take those of the fit that the contrasts were made from")
    coefficients = np.asarray(fit.coefficients)
    values = np.nan_to_num(coefficients) @ np.asarray(fit.design, dtype=float).T
    values[np.isnan(coefficients).all(axis=1)] = np.nan
    return np.asarray(values)


def residuals(fit: MArrayLM, data: Any, *, layer: str | None = None) -> np.ndarray[Any, Any]:
    """Values less fitted values, genes × samples; `data` is what was fitted."""
    return expressed(data, layer).values - fitted(fit)


def blocks_of(block: Any, n_samples: int, place: str = "block") -> list[int]:
    """Numbers of blocks from labels of samples; a sample without a label is an error."""
    codes, _ = labels(block, n_samples, place)
    if (codes < 0).any():
        message = f"sample {int(np.flatnonzero(codes < 0)[0]) + 1} has no label"
        raise BadInputError(message, place=place, hint="give it one of its own, or leave it out")
    return [int(code) for code in codes]


def _contrast_matrix(fit: MArrayLM, contrasts: Any) -> tuple[Any, list[str], list[str]]:
    import pandas as pd

    from ._design import make_contrasts

    if isinstance(contrasts, str):
        contrasts = [contrasts]
    if isinstance(contrasts, (list, tuple, dict)) and all(isinstance(c, str) for c in contrasts):
        contrasts = make_contrasts(contrasts=contrasts, levels=list(fit.coef_names))
    if isinstance(contrasts, (pd.DataFrame, pd.Series)):
        frame = contrasts.to_frame() if isinstance(contrasts, pd.Series) else contrasts
        return grid(frame.to_numpy(), "contrasts"), names_of(frame.index), [str(name) for name in frame.columns]
    weights = np.asarray(contrasts, dtype=np.float64)
    weights = weights[:, None] if weights.ndim == 1 else weights
    return grid(weights, "contrasts"), [], [f"contrast{k + 1}" for k in range(weights.shape[1])]


def check_fit(fit: Any) -> None:
    """Refuse what is no fit."""
    if not isinstance(fit, MArrayLM):
        message = f"expected a fit, found {type(fit).__name__}"
        raise BadInputError(message, place="fit", hint="lm_fit(values, design) makes one")


def core_fit(fit: MArrayLM) -> tuple[Any, ...]:
    """A fit for the compiled module."""
    check_fit(fit)
    return (
        grid(fit.coefficients),
        grid(fit.stdev_unscaled),
        np.ascontiguousarray(fit.sigma, dtype=float),
        np.ascontiguousarray(fit.df_residual, dtype=float),
        grid(fit.cov_coefficients),
        int(fit.rank),
        [int(j) for j in fit.pivot],
        np.ascontiguousarray(fit.Amean, dtype=float),
        None if fit.get("gene_covariances") is None else grid(fit.gene_covariances),
        [str(name) for name in fit.coef_names],
    )


def _refit(fit: MArrayLM, fields: dict[str, Any], contrasts: Any) -> MArrayLM:
    import pandas as pd

    out = fit.copy()
    for name in _MODERATED:
        out.__dict__.pop(name, None)
    out.__dict__.update(fields)
    out["contrasts"] = pd.DataFrame(contrasts, index=list(fit.coef_names), columns=fields["coef_names"])
    return out


def _select(fit: MArrayLM, coefficients: Sequence[Any] | Any) -> MArrayLM:
    """Columns of a fit; covariances of those among them that can be estimated."""
    chosen = [coefficients] if isinstance(coefficients, str) or not np.iterable(coefficients) else coefficients
    columns = [fit.coef_index(coef) for coef in chosen]
    r = fit.cov_coefficients.shape[0]
    order = [int(j) for j in fit.pivot[:r]] if r < len(fit.coef_names) else list(range(r))
    kept = [order.index(j) for j in columns if j in order]
    weights = np.zeros((len(fit.coef_names), len(columns)))
    weights[columns, range(len(columns))] = 1.0
    fields = {
        "coefficients": fit.coefficients[:, columns],
        "stdev_unscaled": fit.stdev_unscaled[:, columns],
        "cov_coefficients": fit.cov_coefficients[np.ix_(kept, kept)],
        "gene_covariances": None,
        "coef_names": [fit.coef_names[j] for j in columns],
    }
    return _refit(fit, fields, weights)
