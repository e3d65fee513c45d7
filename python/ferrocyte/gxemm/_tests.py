"""Tests of estimates and of fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..errors import BadInputError

if TYPE_CHECKING:
    import pandas as pd

    from ._result import GxemmResult


def waldtest(z: float, Var: float, *, two_sided: bool = False) -> float:
    """Test an estimate for being zero, against a larger one (`two_sided`: any other): p, NaN without a variance."""
    return float(np.exp(_core.gxemm_ln_wald(float(z), float(Var), two_sided)))


def mvwaldtest(z: Any, Var: Any) -> float:
    """Test all estimates for being zero: p of χ² with as many degrees of freedom.

    NaN where the covariance is not positive definite, or its eigenvalues span more than eight orders of magnitude.
    """
    estimates = np.atleast_1d(np.asarray(z, dtype=np.float64))
    covariance = np.atleast_2d(np.asarray(Var, dtype=np.float64))
    if covariance.shape != (estimates.size, estimates.size):
        message = f"{estimates.size} estimates need a covariance of that size, found the shape {covariance.shape}"
        raise BadInputError(message, place="Var")
    return float(np.exp(_core.gxemm_ln_joint_wald(estimates.tolist(), np.ascontiguousarray(covariance))))


def h2_equal_test(h2: Any, h2Covmat: Any = None, trait: int | str = 0) -> float:
    """Test heritabilities for being equal, from a fit (and a trait) or from estimates and their covariance: p."""
    from ._result import GxemmResult

    if isinstance(h2, GxemmResult):
        one = h2.trait(trait)
        h2, h2Covmat = one["h2"], one["h2_covariance"]
    values = np.asarray(h2, dtype=np.float64)
    covariance = np.ascontiguousarray(np.asarray(h2Covmat, dtype=np.float64))
    return float(np.exp(_core.gxemm_ln_equal(values.tolist(), covariance)))


def lrtest(fit1: GxemmResult, fit0: GxemmResult, df: int | None = None, *, mixture: bool = False) -> pd.DataFrame:
    """Likelihood-ratio tests of two REML fits of the same traits and covariates, the larger model first.

    Parameters
    ----------
    fit1, fit0
        The fits.
    df
        How many variances the smaller model lacks; by default those that it has not.
    mixture
        Whether the genetic variances that the smaller model lacks may not be negative: p is then that of a mixture of
        χ² distributions, whose weights follow from their covariance in `fit1`. Differences of noise have no bound. Fit
        both with ``variance="nonnegative"``. Without, the reference is χ²: conservative at the boundary.

    Returns
    -------
    pandas.DataFrame
        A row for each trait: ``stat``, ``df``, ``p_value``, ``log10_p_value``, and ``weights`` of the mixture.
    """
    import pandas as pd

    names = [one["name"] for one in fit1.traits]
    if names != [one["name"] for one in fit0.traits] or fit1.coefficients != fit0.coefficients:
        message = "the fits are of different traits or covariates"
        raise BadInputError(message, place="fit0")
    for fit in (fit1, fit0):
        if fit.options["method"] != "reml":
            message = f"likelihoods come from reml, found a fit by {fit.options['method']}"
            raise BadInputError(message, place="method")
    lacking = [k for k, name in enumerate(fit1.variances) if name not in fit0.variances]
    df = len(lacking) if df is None else df
    if df < 1:
        message = f"the first model has {df} variances more than the second"
        raise BadInputError(message, place="df", hint="the larger model comes first")
    bounded = [k for k in lacking if fit1.variances[k].startswith("g") or not fit1.partition]
    rows = []
    for one, zero in zip(fit1.traits, fit0.traits, strict=True):
        l1, l0 = one["log_likelihood"], zero["log_likelihood"]
        weights: list[float] = []
        if mixture:
            covariance = np.ascontiguousarray(one["free_covariance"][np.ix_(bounded, bounded)])
            ln_p, weights = _core.gxemm_ln_mixture(l1, l0, covariance, len(lacking) - len(bounded))
        else:
            ln_p = _core.gxemm_ln_likelihood_ratio(l1, l0, float(df))
        rows.append((one["name"], max(2 * (l1 - l0), 0.0), df, np.exp(ln_p), ln_p / np.log(10), weights))
    columns = ["trait", "stat", "df", "p_value", "log10_p_value", "weights"]
    return pd.DataFrame(rows, columns=columns)
