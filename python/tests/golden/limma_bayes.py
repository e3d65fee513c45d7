"""Moderation, tables, calls and small items under the names of the reference cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ferrocyte import limma

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def top_table(fit: limma.MArrayLM, **options: Any) -> pd.DataFrame:
    """The table, all rows unless their number is given."""
    return limma.top_table(fit, **{"number": math.inf, **options})


def top_treat(fit: limma.MArrayLM, **options: Any) -> pd.DataFrame:
    """The table, all rows unless their number is given."""
    return limma.top_treat(fit, **{"number": math.inf, **options})


FN: dict[str, Callable[..., Any]] = {
    "e_bayes": limma.e_bayes,
    "treat": limma.treat,
    "squeeze_var": limma.squeeze_var,
    "fit_f_dist": limma.fit_f_dist,
    "fit_f_dist_robustly": limma.fit_f_dist_robustly,
    "fit_f_dist_unequal_df1": limma.fit_f_dist_unequal_df1,
    "trigamma_inverse": limma.trigamma_inverse,
    "logmdigamma": limma.logmdigamma,
    "tmixture": limma.tmixture,
    "top_table": top_table,
    "top_table_f": limma.top_table_f,
    "top_treat": top_treat,
    "decide_tests": limma.decide_tests,
    "classify_tests_f": limma.classify_tests_f,
    "p_adjust": limma.p_adjust,
    "prop_true_null": limma.prop_true_null,
    "convest": limma.convest,
    "zscore_t": limma.zscore_t,
    "fit_gamma_intercept": limma.fit_gamma_intercept,
    "pred_fcm": limma.pred_fcm,
    "genas": limma.genas,
}
