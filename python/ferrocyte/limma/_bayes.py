"""Moderated statistics, and the squeezed variances that they stand on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._fit import _MODERATED, check_fit, core_fit
from ._inputs import grid, vector

if TYPE_CHECKING:
    from ._containers import MArrayLM

    Array = np.ndarray[Any, Any]

__all__ = [
    "e_bayes",
    "fit_f_dist",
    "fit_f_dist_robustly",
    "fit_f_dist_unequal_df1",
    "logmdigamma",
    "squeeze_var",
    "tmixture",
    "treat",
    "trigamma_inverse",
]


def e_bayes(
    fit: MArrayLM,
    *,
    proportion: float = 0.01,
    stdev_coef_lim: tuple[float, float] = (0.1, 4.0),
    trend: Any = False,
    span: float | None = None,
    robust: bool = False,
    winsor_tail_p: tuple[float, float] = (0.05, 0.1),
    legacy: bool | None = None,
    n_threads: int | None = None,
) -> MArrayLM:
    """Moderated t, F and B statistics (Smyth 2004).

    The residual variances of all genes are squeezed towards a prior that is estimated from them; t and F are formed
    with the posterior variances.

    Parameters
    ----------
    fit
        From :func:`lm_fit` or :func:`contrasts_fit`.
    proportion
        Share of the genes that are assumed to change. Only the log-odds depend on it.
    stdev_coef_lim
        Limits of the standard deviation of log fold changes of genes that change. Only the log-odds depend on it.
    trend
        Whether the prior variance follows the mean log-value of the genes; or numbers, one per gene, that it follows.
    span
        Share of the genes that the trend looks at; asks for maximum likelihood.
    robust
        Whether genes with outlying variances get less prior information.
    winsor_tail_p
        Shares of small and of large variances that a robust fit winsorises.
    legacy
        ``True``: the prior by moments, as limma did before 3.62. ``False``: by maximum likelihood. ``None``: by moments
        where all genes have the same residual degrees of freedom, else by maximum likelihood.
    n_threads
        Number of threads; all processors by default. Never changes the answer.

    Returns
    -------
    MArrayLM
        A new fit that also has ``s2_prior``, ``df_prior`` (a number, or one per gene), ``s2_post``, ``df_total``
        (genes), ``t``, ``p_value``, ``lods`` (genes × coefficients), ``var_prior`` (coefficients), ``proportion`` and,
        on designs of full rank, ``F`` and ``F_p_value`` (genes).

    Raises
    ------
    BadInputError
        Where no gene has residual degrees of freedom (no replication).
    """
    check_fit(fit)
    low, high = stdev_coef_lim
    design = fit.get("design")
    out = _core.limma_e_bayes(
        core_fit(fit),
        None if design is None else grid(np.asarray(design, dtype=float), "design"),
        float(proportion),
        [float(low), float(high)],
        _manner(_covariate(fit, trend), robust, winsor_tail_p, span, legacy),
        means(n_threads, progress=False),
    )
    return _moderated(fit, out)


def treat(
    fit: MArrayLM,
    *,
    fc: float = 1.2,
    lfc: float | None = None,
    trend: Any = False,
    robust: bool = False,
    winsor_tail_p: tuple[float, float] = (0.05, 0.1),
    legacy: bool | None = None,
    upshot: bool = False,
    span: float | None = None,
    n_threads: int | None = None,
) -> MArrayLM:
    """Moderated tests that fold changes are larger than a threshold (McCarthy and Smyth 2009).

    Parameters
    ----------
    fit
        From :func:`lm_fit` or :func:`contrasts_fit`.
    fc
        Fold change that does not count, at least 1.
    lfc
        The same as a log2 fold change; takes the place of `fc`.
    upshot
        Whether p-values are averaged over thresholds up to the given one.
    trend, robust, winsor_tail_p, legacy, span, n_threads
        As for :func:`e_bayes`.

    Returns
    -------
    MArrayLM
        A new fit with ``t`` (how far beyond the threshold; 0 within it), ``p_value``, ``treat_lfc`` and the moderated
        variances of :func:`e_bayes`; without log-odds and F. Tables: :func:`top_treat`.
    """
    check_fit(fit)
    if lfc is None:
        if not fc >= 1.0:
            message = f"expected a fold change of at least 1, found {fc}"
            raise BadInputError(message, place="fc", hint="give its reciprocal, or a logarithm as lfc=")
        lfc = math.log2(fc)
    out = _core.limma_treat(
        core_fit(fit),
        float(lfc),
        upshot,
        _manner(_covariate(fit, trend), robust, winsor_tail_p, span, legacy),
        means(n_threads, progress=False),
    )
    return _moderated(fit, out)


def squeeze_var(
    var: Any,
    df: Any,
    *,
    covariate: Any = None,
    span: float | None = None,
    robust: bool = False,
    winsor_tail_p: tuple[float, float] = (0.05, 0.1),
    legacy: bool | None = None,
) -> dict[str, Any]:
    """Squeeze variances towards a common or trended prior.

    Parameters
    ----------
    var
        Variances.
    df
        Their degrees of freedom, one number or one each.
    covariate
        What the prior variance follows, one number per variance.
    span, robust, winsor_tail_p, legacy
        As for :func:`e_bayes`.

    Returns
    -------
    dict
        ``var_post`` (one per variance), ``var_prior`` and ``df_prior`` (a number, or one per variance).
    """
    x = _numbers(var, "var")
    post, prior, df_prior = _core.limma_squeeze_var(
        x,
        _repeated(df, len(x), "df"),
        _manner(_optional(covariate, len(x)), robust, winsor_tail_p, span, legacy),
        means(1, progress=False),
    )
    return {"var_post": post, "var_prior": prior, "df_prior": df_prior}


def fit_f_dist(x: Any, df1: Any, covariate: Any = None) -> dict[str, Any]:
    """Estimate scale and second degrees of freedom of a scaled F distribution, from moments of logarithms.

    Parameters
    ----------
    x
        Variances.
    df1
        Their degrees of freedom, one number or one each.
    covariate
        What the scale follows, one number per variance.

    Returns
    -------
    dict
        ``scale`` (a number, or one per variance) and ``df2``.
    """
    values = _numbers(x, "x")
    return _core.limma_fit_f_dist(
        values,
        _repeated(df1, len(values), "df1"),
        _optional(covariate, len(values)),
        None,
        means(1, progress=False),
    )


def fit_f_dist_robustly(
    x: Any, df1: Any, covariate: Any = None, *, winsor_tail_p: tuple[float, float] = (0.05, 0.1)
) -> dict[str, Any]:
    """Estimate a scaled F distribution from winsorised logarithms (Phipson et al. 2016).

    Parameters
    ----------
    x, df1, covariate
        As for :func:`fit_f_dist`.
    winsor_tail_p
        Shares of small and of large variances that are winsorised.

    Returns
    -------
    dict
        ``scale``, ``df2``, ``df2_shrunk`` (one per variance, smaller for outliers) and ``df2_outlier``.
    """
    values = _numbers(x, "x")
    low, high = winsor_tail_p
    return _core.limma_fit_f_dist(
        values,
        _repeated(df1, len(values), "df1"),
        _optional(covariate, len(values)),
        [float(low), float(high)],
        means(1, progress=False),
    )


def fit_f_dist_unequal_df1(
    x: Any,
    df1: Any,
    covariate: Any = None,
    *,
    span: float | None = None,
    robust: bool = False,
    prior_weights: Any = None,
) -> dict[str, Any]:
    """Estimate a scaled F distribution by profile maximum likelihood, for any degrees of freedom.

    Parameters
    ----------
    x, df1, covariate
        As for :func:`fit_f_dist`.
    span
        Share of the variances that the trend looks at.
    robust
        Whether outliers are found and given less prior information.
    prior_weights
        How much each variance counts; by default all the same.

    Returns
    -------
    dict
        ``scale``, ``df2``, and if robust ``df2_shrunk`` and ``df2_outlier``.
    """
    values = _numbers(x, "x")
    return _core.limma_fit_f_dist_unequal(
        values,
        _repeated(df1, len(values), "df1"),
        _optional(covariate, len(values)),
        (span, robust),
        None if prior_weights is None else vector(prior_weights, len(values), "prior_weights", "variance"),
        means(1, progress=False),
    )


def trigamma_inverse(x: Any) -> Array:
    """The `y` with ``trigamma(y) = x``; NaN for negative `x`."""
    return _core.limma_gamma_function("trigamma_inverse", _numbers(x, "x"))


def logmdigamma(x: Any) -> Array:
    """``log(x) - digamma(x)`` without cancellation."""
    return _core.limma_gamma_function("logmdigamma", _numbers(x, "x"))


def tmixture(
    tstat: Any,
    stdev_unscaled: Any,
    df: Any,
    *,
    proportion: float,
    v0_lim: tuple[float, float] | None = None,
) -> float:
    """The prior variance of coefficients that are not zero, over the residual variance (Smyth 2004, section 6.3).

    Parameters
    ----------
    tstat
        Moderated t.
    stdev_unscaled, df
        Unscaled standard errors and degrees of freedom, one number or one each.
    proportion
        Share of the coefficients that are assumed not to be zero.
    v0_lim
        Limits of the variance.
    """
    t = _numbers(tstat, "tstat")
    limits = None if v0_lim is None else (float(v0_lim[0]), float(v0_lim[1]))
    u, d = _repeated(stdev_unscaled, len(t), "stdev_unscaled"), _repeated(df, len(t), "df")
    return _core.limma_tmixture(t, u, d, float(proportion), limits)


def _moderated(fit: MArrayLM, fields: dict[str, Any]) -> MArrayLM:
    out = fit.copy()
    for name in (*_MODERATED, "treat_lfc", "upshot"):
        out.__dict__.pop(name, None)
    out.__dict__.update(fields)
    return out


def _covariate(fit: MArrayLM, trend: Any) -> Array | None:
    if trend is None or trend is False:
        return None
    if trend is True:
        return vector(fit.Amean, len(fit.sigma), "Amean", "gene")
    return vector(trend, len(fit.sigma), "trend", "gene")


def _manner(
    covariate: Array | None,
    robust: bool,  # noqa: FBT001
    winsor_tail_p: tuple[float, float],
    span: float | None,
    legacy: bool | None,  # noqa: FBT001
) -> tuple[Array | None, bool, list[float], float | None, bool | None]:
    low, high = winsor_tail_p
    return covariate, bool(robust), [float(low), float(high)], None if span is None else float(span), legacy


def _numbers(values: Any, place: str) -> Array:
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return vector(flat, len(flat), place)


def _repeated(values: Any, length: int, place: str) -> Array:
    if np.ndim(values) == 0 or np.size(values) == 1:
        return np.full(length, float(np.asarray(values, dtype=np.float64).reshape(-1)[0]))
    return vector(values, length, place, "value")


def _optional(covariate: Any, length: int) -> Array | None:
    return None if covariate is None else vector(covariate, length, "covariate", "variance")
