"""Genotypes and a trait of the design by which GxEMM was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class GxemmRequest:
    """What is simulated."""

    n_individuals: int
    n_snps: int
    frequency: float
    hom: float
    specific: list[float]
    noise: list[float]
    effect: float
    seed: int


def gxemm(
    n_individuals: int = 1000,
    n_snps: int = 100,
    *,
    frequency: float = 0.3,
    hom: float = 0.2,
    specific: Sequence[float] = (0.1, 0.4),
    noise: Sequence[float] = (0.7, 0.4),
    effect: float = 0.5,
    seed: int = 0,
    n_threads: int | None = None,
) -> dict[str, Any]:
    """Genotypes of individuals in environments, and a trait with heritability by environment.

    Parameters
    ----------
    n_individuals, n_snps
        Size; markers are independent.
    frequency
        Frequency of the counted allele.
    hom
        Genetic variance that environments share.
    specific, noise
        Genetic variance of each environment besides, and its noise; as many as there are environments, in which
        individuals are with equal chance.
    effect
        Mean of the first environment less that of the last.
    seed
        The seed.
    n_threads
        With what means; it changes no number.

    Returns
    -------
    dict
        ``y``, ``X`` (main effects of all environments but the last), ``Z``, ``K`` (of sample-standardised genotypes),
        as :func:`ferrocyte.gxemm.fit` takes them, with ``genotypes`` (individuals × markers).

    Examples
    --------
    >>> import ferrocyte as fe
    >>> made = fe.sim.gxemm(200, 50, seed=1)
    >>> made["K"].shape, made["Z"].columns.tolist()
    ((200, 200), ['env1', 'env2'])
    """
    import numpy as np
    import pandas as pd

    request = GxemmRequest(
        n_individuals,
        n_snps,
        frequency,
        hom,
        [float(x) for x in specific],
        [float(x) for x in noise],
        effect,
        seed,
    )
    made = _core.gxemm_simulate(request, means(n_threads, progress=False))
    ids = made["individuals"]
    genotypes = made["genotypes"]
    varies = genotypes.std(axis=0) > 0
    scaled = genotypes[:, varies].astype(np.float64)
    scaled = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0, ddof=1)
    names = [f"env{k + 1}" for k in range(len(request.specific))]
    environments = pd.DataFrame(
        np.eye(len(names))[made["environment"]], index=pd.Index(ids, name="individual"), columns=names
    )
    return {
        "y": pd.Series(made["values"], index=environments.index, name="trait"),
        "X": environments[names[:-1]],
        "Z": environments,
        "K": pd.DataFrame(scaled @ scaled.T / scaled.shape[1], index=ids, columns=ids),
        "genotypes": genotypes,
    }
