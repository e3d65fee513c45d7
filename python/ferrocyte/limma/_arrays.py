"""How reliable each sample is, and how strongly samples of a block are correlated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import MissingKeyError
from ._fit import blocks_of, core_fit
from ._inputs import design_of, expressed, grid, weights_of

if TYPE_CHECKING:
    from ._containers import MArrayLM

    Array = np.ndarray[Any, Any]

__all__ = ["DuplicateCorrelation", "array_weights", "array_weights_quick", "duplicate_correlation"]


def array_weights(
    y: Any,
    design: Any = None,
    *,
    weights: Any = None,
    var_design: Any = None,
    var_group: Any = None,
    prior_n: float = 10,
    method: str = "auto",
    maxiter: int = 50,
    tol: float = 1e-5,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Array:
    """Estimate weights of samples: the inverse of their variances relative to the geometric mean.

    Parameters
    ----------
    y
        Log-values of genes × samples, an ``EList`` or an AnnData.
    design
        Design matrix, samples × coefficients; by default that of `y`, else one mean.
    weights
        Prior weights; by default those of `y`. Zero means that the value is missing.
    var_design
        What log-variances depend on, samples × parameters; by default each sample has its own.
    var_group
        Instead: the group of each sample, whose samples share a variance.
    prior_n
        Genes without differences between samples that the data are pooled with. The more, the closer weights are to 1.
    method
        ``"reml"`` (all genes at once), ``"genebygene"`` (one step per gene, in their order, on which the answer
        depends) or ``"auto"``: ``"genebygene"`` where there are weights or missing values, else ``"reml"``.
    maxiter, tol
        Steps at most, and the gain below which they end (``"reml"``).
    layer
        The layer of an AnnData.
    n_threads, progress
        As in :func:`lm_fit`.

    Returns
    -------
    ndarray
        One weight per sample. With fewer than two residual degrees of freedom or two genes all are 1.
    """
    held = expressed(y, layer)
    genes, samples = held.values.shape
    group = None if var_group is None else blocks_of(var_group, samples, "var_group")
    return _core.limma_array_weights(
        held.core(),
        design_of(design, held),
        weights_of(held.weights if weights is None else weights, genes, samples),
        group,
        None if var_design is None else _columns(var_design),
        (float(prior_n), method, int(maxiter), float(tol)),
        means(n_threads, progress=progress),
    )


def array_weights_quick(y: Any, fit: MArrayLM, *, layer: str | None = None, n_threads: int | None = None) -> Array:
    """Weights of samples from a fit: one over the mean squared standardised residual.

    Parameters
    ----------
    y
        What was fitted.
    fit
        From :func:`lm_fit`, on the coefficients of its design.
    layer, n_threads
        As in :func:`lm_fit`.

    Returns
    -------
    ndarray
        One weight per sample; NaN for one that the design fits exactly.
    """
    held = expressed(y, layer)
    design = design_of(fit.design, held)
    return _core.limma_array_weights_quick(held.core(), design, core_fit(fit), means(n_threads, progress=False))


@dataclass(frozen=True)
class DuplicateCorrelation:
    """The correlation within blocks or between duplicates; stands for its number wherever one is expected.

    Attributes
    ----------
    consensus_correlation
        The correlation.
    atanh_correlations
        The inverse hyperbolic tangent of each gene's; NaN where a gene cannot tell.
    """

    consensus_correlation: float
    atanh_correlations: Array

    @property
    def cor(self) -> float:
        """The same as ``consensus_correlation``."""
        return self.consensus_correlation

    def __float__(self) -> float:
        return self.consensus_correlation

    def __getitem__(self, name: str) -> Any:
        if name not in ("consensus_correlation", "cor", "atanh_correlations"):
            message = f"there is no field `{name}`"
            raise MissingKeyError(message, place="DuplicateCorrelation")
        return getattr(self, name)

    def __repr__(self) -> str:
        told = int(np.isfinite(self.atanh_correlations).sum())
        return f"DuplicateCorrelation: {self.consensus_correlation:.4g} from {told} genes"


def duplicate_correlation(
    y: Any,
    design: Any = None,
    *,
    ndups: int = 2,
    spacing: int = 1,
    block: Any = None,
    trim: float = 0.15,
    weights: Any = None,
    layer: str | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> DuplicateCorrelation:
    """Estimate the correlation of samples within blocks, or of duplicates within samples.

    Parameters
    ----------
    y
        Log-values of genes × samples, an ``EList`` or an AnnData.
    design
        Design matrix, samples × coefficients; by default that of `y`, else one mean.
    ndups, spacing
        Without blocks: how often each gene is measured within a sample, and how many rows apart.
    block
        The block of each sample.
    trim
        Share of genes left out of the mean at either end.
    weights
        As in :func:`lm_fit`; by default those of `y`.
    layer, n_threads, progress
        As in :func:`lm_fit`.

    Returns
    -------
    DuplicateCorrelation
        ``consensus_correlation`` (also ``cor``) and ``atanh_correlations``. Blocks that are all of one sample, or that
        the design already holds, give 0, with a warning.

    Notes
    -----
    For each gene restricted maximum likelihood of a random effect of blocks; the consensus is the hyperbolic tangent
    of a trimmed mean (Smyth, Michaud and Scott 2005). Weights scale values and design, not the block effect.
    """
    held = expressed(y, layer)
    genes, samples = held.values.shape
    consensus, atanh = _core.limma_duplicate_correlation(
        held.core(),
        design_of(design, held),
        weights_of(held.weights if weights is None else weights, genes, samples),
        None if block is None else blocks_of(block, samples),
        (int(ndups), int(spacing), float(trim)),
        means(n_threads, progress=progress),
    )
    return DuplicateCorrelation(consensus, atanh)


def _columns(values: Any) -> Array:
    columns = np.asarray(values, dtype=np.float64)
    return grid(columns[:, None] if columns.ndim == 1 else columns, "var_design")
