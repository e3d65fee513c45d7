"""Small items around many tests: adjustment, true nulls, z-scores, shrunk and associated effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..errors import BadInputError
from ._bayes import _numbers, _repeated
from ._fit import core_fit
from ._tables import moderated_arrays

if TYPE_CHECKING:
    from ._containers import MArrayLM

    Array = np.ndarray[Any, Any]

__all__ = [
    "convest",
    "fit_gamma_intercept",
    "genas",
    "p_adjust",
    "pred_fcm",
    "prop_true_null",
    "zscore_t",
]


def p_adjust(p: Any, method: str = "BH") -> Array:
    """Adjust p-values for many tests; NaN are tests that were not made.

    Parameters
    ----------
    p
        P-values.
    method
        ``"BH"`` (or ``"fdr"``), ``"BY"``, ``"holm"``, ``"hochberg"``, ``"hommel"``, ``"bonferroni"`` or ``"none"``.
    """
    values = np.asarray(p, dtype=np.float64)
    return _core.limma_p_adjust(_numbers(values, "p"), method).reshape(values.shape)


def prop_true_null(p: Any, method: str = "lfdr") -> float:
    """The share of true null hypotheses among tests, from their p-values.

    Parameters
    ----------
    p
        P-values; NaN are left out.
    method
        ``"lfdr"``, ``"mean"``, ``"hist"`` or ``"convest"``.
    """
    return _core.limma_prop_true_null(_numbers(p, "p"), method)


def convest(p: Any) -> float:
    """The share of true null hypotheses from a convex decreasing density of p-values (Langaas et al. 2005)."""
    return _core.limma_prop_true_null(_numbers(p, "p"), "convest")


def zscore_t(x: Any, df: Any, *, approx: bool = False, method: str = "bailey") -> Array:
    """Normal deviates with the tail probabilities of t statistics.

    Parameters
    ----------
    x
        t statistics.
    df
        Their degrees of freedom, one number or one each.
    approx
        Whether a formula is used instead of the tail probabilities.
    method
        The formula: ``"bailey"``, ``"hill"`` or ``"wallace"``.
    """
    values = np.asarray(x, dtype=np.float64)
    degrees = np.broadcast_to(np.asarray(df, dtype=np.float64), values.shape) if np.ndim(df) > 1 else df
    flat = _numbers(values, "x")
    z = _core.limma_zscore_t(flat, _repeated(degrees, len(flat), "df"), method if approx else "exact")
    return z.reshape(values.shape)


def fit_gamma_intercept(y: Any, offset: Any = 0.0) -> float:
    """The intercept `x` of gamma variables `y` with means ``offset + x``, by maximum likelihood.

    Parameters
    ----------
    y
        Values, none of them negative.
    offset
        Offsets, one number or one per value.
    """
    values = _numbers(y, "y")
    return _core.limma_fit_gamma_intercept(values, _repeated(offset, len(values), "offset"))


def pred_fcm(fit: MArrayLM, coef: Any = 1) -> Array:
    """Predictive log fold changes: estimates shrunk towards zero by the share of error in their variance.

    Parameters
    ----------
    fit
        From :func:`e_bayes`.
    coef
        Position or name of a coefficient.
    """
    return _core.limma_pred_fcm(core_fit(fit), moderated_arrays(fit), fit.coef_index(coef))


def genas(fit: MArrayLM, coef: Any = (0, 1), subset: str = "all") -> dict[str, Any]:
    """Genuine association of two coefficients over genes, parted from that of their errors (Phipson 2013).

    Parameters
    ----------
    fit
        From :func:`e_bayes`.
    coef
        Positions or names of two coefficients.
    subset
        The genes that are looked at, ideally those that change: ``"all"``; ``"Fpval"``, as many as
        :func:`prop_true_null` estimates, by the joint test of both coefficients; ``"p.union"`` or ``"p.int"``, as many
        by the p-values of one or the other, or of both; ``"logFC"`` or ``"predFC"``, the largest tenth by the estimate,
        or by :func:`pred_fcm`, of one or the other. Variances of a subset are moderated anew, among themselves.

    Returns
    -------
    dict
        ``technical_correlation`` (of the errors), ``biological_correlation`` (of true effects), ``covariance_matrix``
        (2 × 2, of true effects over the residual variance), ``deviance`` and ``p_value`` of the biological
        correlation, ``n`` (genes).
    """
    chosen = [fit.coef_index(c) for c in coef]
    if len(chosen) != 2:
        message = f"expected two coefficients, found {len(chosen)}"
        raise BadInputError(message, place="coef")
    out = _core.limma_genas(core_fit(fit), moderated_arrays(fit), chosen, subset)
    v11, v12, v22 = out.pop("covariance")
    out["covariance_matrix"] = np.array([[v11, v12], [v12, v22]])
    return out
