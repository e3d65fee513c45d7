"""Pseudobulk of the design by which CTMM was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..ctmm import Pseudobulk


@dataclass
class CtmmRequest:
    """What is simulated."""

    n_genes: int
    n_individuals: int
    truth: str
    concentration: list[float] | None
    ratios: list[float] | None
    hom2: float | None
    mean_share: float | None
    specific_share: float | None
    noise: float | None
    noise_variance: float | None
    seed: int


def ctmm(
    n_genes: int = 1000,
    n_individuals: int = 100,
    truth: str = "free",
    *,
    concentration: Sequence[float] | None = None,
    ratios: Sequence[float] | None = None,
    hom2: float | None = None,
    mean_share: float | None = None,
    specific_share: float | None = None,
    noise: float | None = None,
    noise_variance: float | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[Pseudobulk, dict[str, Any]]:
    """Pseudobulk with known variances, by the design of the paper (Chen & Dahl 2024).

    Parameters
    ----------
    n_genes, n_individuals
        Size. Individuals have one composition and noise for all genes; genes are independent.
    truth
        ``"hom"`` (cell types vary alike), ``"free"`` (each has a variance of its own) or ``"full"`` (with covariances).
    concentration
        Weights of the Dirichlet distribution of proportions, one for each cell type; (2, 2, 2, 2).
    ratios
        Relative sizes of the means and of V; (8, 4, 2, 1), or all 1 with another `concentration`.
    hom2, mean_share, specific_share
        Variance that cell types share (0.25), and variances of overall expression that means and V make (0.5 and 0 for
        ``hom``, else 0.25 and 0.25).
    noise, noise_variance
        Mean (0.25) and variance (0.02) of the noise of overall expression.
    seed
        The seed.
    n_threads
        With what means; it changes no number.

    Returns
    -------
    Pseudobulk
        Genes × individuals × cell types.
    dict
        The truth: ``hom2``, ``beta`` and ``V``.
    """
    from ..ctmm._prepare import of_made

    lists = [None if values is None else [float(x) for x in values] for values in (concentration, ratios)]
    request = CtmmRequest(
        n_genes, n_individuals, truth, *lists, hom2, mean_share, specific_share, noise, noise_variance, seed
    )
    made = _core.ctmm_simulate(request, means(n_threads, progress=False))
    return of_made(made), {"hom2": made["hom2"], "beta": made["beta"], "V": made["v"]}
