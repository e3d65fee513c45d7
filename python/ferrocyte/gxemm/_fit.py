"""Models of traits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._inputs import handed, markers
from ._kinship import kinship
from ._result import GxemmResult

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Request:
    """How a model is fitted."""

    gtype: str
    etype: str
    method: str
    variance: str
    information: str
    use_diag: bool
    weighted: bool
    prev: float | None
    last_noise: bool
    errors: str
    route: str
    probes: int
    blocks: int
    seed: int


def fit(
    y: Any,
    X: Any = None,
    K: Any = None,
    Z: Any = None,
    *,
    gtype: str = "hom",
    etype: str = "hom",
    method: str = "reml",
    variance: str = "unconstrained",
    information: str = "average",
    use_diag: bool = True,
    weighted: bool = False,
    prev: float | None = None,
    last_noise: bool = True,
    errors: str = "corrected",
    route: str = "auto",
    genotypes: Any = None,
    probes: int = 10,
    blocks: int = 100,
    seed: int = 0,
    standardize: str = "sample",
    sex_linked: bool = False,
    individuals: Sequence[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> GxemmResult:
    """Fit genetic and noise variances of traits, by environment.

    The covariance of a trait is ``s_g K + Σ_k s_k K∘(z_k z_k') + Σ_k t_k diag(z_k²) + s_e I``; the trait is first
    scaled to variance 1.

    Parameters
    ----------
    y
        A trait: an array of individuals, NaN where there is no value; or several: individuals × traits. Individuals
        without a value are left out of that trait.
    X
        Covariates, individuals × columns, without intercept. The main effects of the environments belong here (of a
        partition all but one). Texts and categories become indicator columns.
    K
        Kinship, individuals × individuals (``float32`` is kept in single precision), or a path for :func:`kinship`.
    Z
        Environments, individuals × environments: 0/1, or numbers. A column of labels becomes a partition.
    gtype, etype
        How genetic variance and noise depend on the environment: ``"hom"`` (not at all), ``"iid"`` (one variance for
        all environments), ``"free"`` (one each).
    method
        ``"reml"``, ``"he"`` (moments, with the jackknife over individuals), ``"pcgc"`` (cases and controls) or
        ``"rhe"`` (moments of very many individuals, from `genotypes` that are read in blocks and never held).
    variance
        ``"unconstrained"``: below zero too, where the likelihood has an optimum inside; or ``"nonnegative"``.
    information
        Whence REML has its standard errors: ``"average"`` or ``"expected"``.
    use_diag
        Whether moments use each individual's own square, at half weight.
    weighted
        Whether pairs of cases and controls count by the size that is expected of their product.
    prev
        Share of cases in the population, for ``pcgc``.
    last_noise
        Whether the last environment has a noise of its own, where environments are no partition.
    errors
        Whence ``"he"`` has its standard errors: the jackknife over individuals less what it counts twice
        (``"corrected"``), or as it is (``"jackknife"``), too large by up to √2 among unrelated individuals.
    route
        How REML comes to the covariance of the individuals: ``"auto"``, by what kinship and environments allow
        (families on their own, the directions of few markers, eigenvectors that all traits share), or ``"dense"``, one
        matrix. No number changes beyond rounding; the column ``route`` says what was done.
    genotypes
        For ``"rhe"``, instead of `K`: PLINK genotypes (a path), or counts 0, 1, 2 of individuals × markers, negative or
        NaN where they are not known. Without names of individuals they are those of `y`, in their order.
    probes, blocks, seed
        For ``"rhe"``: random vectors for the traces, blocks of markers that the jackknife leaves out one at a time, and
        the seed of the vectors. What the vectors add to the error is in ``mc_se[..]``.
    standardize, sex_linked
        How genotypes become a kinship, where `K` is their path: see :func:`kinship`.
    individuals
        Names of the individuals of `y`. Tables with an index of names are brought into their order.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    GxemmResult
        A row for each trait: variances, heritabilities, shares, tests, status.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> rng = np.random.default_rng(1)
    >>> G = rng.binomial(2, 0.4, (300, 400)).astype(float)
    >>> G = (G - G.mean(0)) / G.std(0, ddof=1)
    >>> y = G @ rng.normal(size=400) / 20 + rng.normal(size=300)
    >>> found = fe.gxemm.fit(y, K=G @ G.T / 400)
    >>> found.status[0]
    'ok'
    >>> bool(abs(found.h2["estimate"].iloc[0] - 0.5) < 0.4)
    True
    """
    request = Request(
        gtype,
        etype,
        method,
        variance,
        information,
        use_diag,
        weighted,
        prev,
        last_noise,
        errors,
        route,
        probes,
        blocks,
        seed,
    )
    given = means(n_threads, max_memory, progress=progress)
    if method == "rhe":
        study, named = handed(y, X, None, Z, individuals)
        source = K if genotypes is None else genotypes
        read = markers(source, study, standardize, named=named, sex_linked=sex_linked)
        return GxemmResult.of(_core.gxemm_fit_genotypes(study, read, request, given))
    if genotypes is not None:
        message = f"genotypes are for method rhe, found {method}"
        raise BadInputError(message, place="genotypes", hint="make a kinship of them: fe.gxemm.kinship")
    if K is None:
        message = "a model needs the kinship of its individuals"
        raise BadInputError(message, place="K")
    if isinstance(K, (str, os.PathLike)):
        K = kinship(
            K,
            standardize=standardize,
            sex_linked=sex_linked,
            n_threads=n_threads,
            max_memory=max_memory,
            progress=progress,
        )
    study, _ = handed(y, X, K, Z, individuals)
    return GxemmResult.of(_core.gxemm_fit(study, request, given))
