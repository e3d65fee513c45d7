"""Tables of genes, and calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._tables import frame
from ..errors import BadInputError
from ._fit import check_fit, core_fit
from ._inputs import grid

if TYPE_CHECKING:
    import pandas as pd

    from ._containers import MArrayLM

    Array = np.ndarray[Any, Any]

__all__ = ["classify_tests_f", "count_calls", "decide_tests", "top_table", "top_table_f", "top_treat"]

#: Other words for what tables are sorted by.
_ORDERS = {
    "P": "p",
    "p_value": "p",
    "P.Value": "p",
    "T": "t",
    "b": "B",
    "lods": "B",
    "M": "logFC",
    "log_fc": "logFC",
    "A": "AveExpr",
    "Amean": "AveExpr",
    "ave_expr": "AveExpr",
}


def top_table(
    fit: MArrayLM,
    coef: Any = None,
    number: float = 10,
    *,
    genelist: Any = None,
    adjust_method: str | None = "BH",
    sort_by: str | None = None,
    resort_by: str | None = None,
    p_value: float = 1.0,
    fc: float | None = None,
    lfc: float | None = None,
    confint: bool | float = False,
    log10_p_value: bool = False,
) -> pd.DataFrame:
    """The genes with the strongest evidence, as a data frame.

    Parameters
    ----------
    fit
        From :func:`e_bayes` or :func:`treat`.
    coef
        Position or name of a coefficient, or a list of them. By default all but the intercept; after :func:`treat` the
        last. More than one: a table of joint tests, :func:`top_table_f`.
    number
        Rows at most; ``math.inf`` for all.
    genelist
        Annotation of the genes (data frame, or one value per gene) in place of that of the fit.
    adjust_method
        ``"BH"``, ``"BY"``, ``"holm"``, ``"hochberg"``, ``"hommel"``, ``"bonferroni"`` or ``"none"``, over all genes.
    sort_by
        ``"B"`` (default), ``"p"``, ``"t"``, ``"logFC"`` (both by size), ``"AveExpr"`` or ``"none"``; for joint tests
        ``"F"`` or ``"none"``. Ties keep the order of the genes; NaN come last.
    resort_by
        What the chosen rows are sorted by in the end, t and logFC by their values.
    p_value
        Largest adjusted p-value shown.
    fc, lfc
        Smallest fold change, or size of a log2 fold change, shown.
    confint
        Whether confidence intervals are given, of level 0.95 or of the level given.
    log10_p_value
        Whether logarithms of p-values are given, which never underflow to zero.

    Returns
    -------
    pandas.DataFrame
        One row per gene, indexed by gene: columns of annotation, ``log_fc``, ``ci_l``, ``ci_r`` (on request),
        ``ave_expr``, ``t``, ``p_value``, ``adj_p_value``, ``log10_p_value`` (on request), ``b``. Where names of genes
        come twice they stand in a column ``ID``.
    """
    coefs = _coefs(fit, coef)
    lfc = _log_fold(fc, lfc)
    if len(coefs) > 1:
        return top_table_f(
            fit,
            coefs,
            number,
            genelist=genelist,
            adjust_method=adjust_method,
            sort_by="F" if sort_by in (None, "B") else sort_by,
            p_value=p_value,
            lfc=lfc,
            log10_p_value=log10_p_value,
        )
    level = None if confint is False else 0.95 if confint is True else float(confint)
    shown = (
        _number(number),
        adjust_method or "BH",
        _order(sort_by or "B"),
        None if resort_by is None else _order(resort_by),
        float(p_value),
        lfc,
        level,
        log10_p_value,
    )
    rows, table = _core.limma_top_table(core_fit(fit), moderated_arrays(fit), coefs[0], shown)
    return _with_genes(fit, rows, table, genelist)


def top_table_f(
    fit: MArrayLM,
    coef: Any = None,
    number: float = 10,
    *,
    genelist: Any = None,
    adjust_method: str | None = "BH",
    sort_by: str = "F",
    p_value: float = 1.0,
    fc: float | None = None,
    lfc: float | None = None,
    log10_p_value: bool = False,
) -> pd.DataFrame:
    """The genes with the strongest joint evidence for several coefficients, as a data frame.

    Parameters
    ----------
    coef
        Positions or names of coefficients; by default all but the intercept.
    sort_by
        ``"F"`` (by p-value) or ``"none"``.
    fc, lfc
        Genes are shown if any of the log2 fold changes is larger in size.
    fit, number, genelist, adjust_method, p_value, log10_p_value
        As for :func:`top_table`.

    Returns
    -------
    pandas.DataFrame
        Columns of annotation, one column of log2 fold changes per coefficient, ``ave_expr``, ``F``, ``p_value``,
        ``adj_p_value``, ``log10_p_value`` (on request).
    """
    check_fit(fit)
    if fit.get("treat_lfc") is not None:
        message = "tests against a threshold are of one coefficient"
        raise BadInputError(message, place="coef", hint="use top_treat(fit, coef)")
    coefs = _coefs(fit, coef)
    shown = (
        _number(number),
        adjust_method or "BH",
        _order(sort_by),
        None,
        float(p_value),
        _log_fold(fc, lfc),
        None,
        log10_p_value,
    )
    rows, table = _core.limma_top_table_f(core_fit(fit), moderated_arrays(fit), coefs, shown)
    return _with_genes(fit, rows, table, genelist)


def top_treat(fit: MArrayLM, coef: Any = None, number: float = 10, **options: Any) -> pd.DataFrame:
    """The genes with the strongest evidence of a fold change beyond the threshold of :func:`treat`, by p-value.

    Parameters
    ----------
    fit
        From :func:`treat`.
    coef
        Position or name of a coefficient; by default the last.
    number
        Rows at most.
    **options
        As for :func:`top_table`.
    """
    options.setdefault("sort_by", "p")
    if coef is not None and not isinstance(coef, str) and np.size(coef) > 1:
        message = f"tests against a threshold are of one coefficient, found {coef!r}"
        raise BadInputError(message, place="coef")
    return top_table(fit, fit.shape[1] - 1 if coef is None else coef, number, **options)


def decide_tests(
    fit: Any,
    *,
    method: str = "separate",
    adjust_method: str = "BH",
    p_value: float = 0.05,
    lfc: float = 0.0,
    coefficients: Any = None,
) -> pd.DataFrame:
    """Which coefficients of which genes are significantly up (1) or down (-1).

    Parameters
    ----------
    fit
        From :func:`e_bayes` or :func:`treat`; or p-values, genes × tests.
    method
        ``"separate"``: each coefficient for itself. ``"global"``: all tests as one family. ``"hierarchical"``: genes by
        F, then coefficients within these. ``"nestedF"``: genes by F, then nested F tests within these.
    adjust_method
        As for :func:`top_table`.
    p_value
        Adjusted p-values below this are called.
    lfc
        Log2 fold changes up to this are not.
    coefficients
        With p-values: estimates of the same shape, whose signs are taken.

    Returns
    -------
    pandas.DataFrame
        -1, 0 or 1, genes × coefficients (NaN where there is no test); :func:`count_calls` counts them.
    """
    import pandas as pd

    from ._containers import MArrayLM

    how = (method, adjust_method, float(p_value), float(lfc))
    if isinstance(fit, MArrayLM):
        calls = _core.limma_decide_tests(core_fit(fit), moderated_arrays(fit), how)
        return _calls(calls, fit.row_names(), fit.column_names())
    values = np.asarray(fit, dtype=np.float64)
    p = grid(values[:, None] if values.ndim == 1 else values, "p_value")
    signs = None if coefficients is None else grid(np.reshape(coefficients, p.shape), "coefficients")
    named = fit if isinstance(fit, pd.DataFrame) else pd.DataFrame(p)
    return _calls(_core.limma_call_p_values(p, signs, how), named.index, named.columns)


def count_calls(calls: Any) -> pd.DataFrame:
    """How many genes are down, not significant and up, for each coefficient of :func:`decide_tests`."""
    import pandas as pd

    table = pd.DataFrame(calls)
    return pd.DataFrame({"down": (table < 0).sum(), "not_significant": (table == 0).sum(), "up": (table > 0).sum()}).T


def classify_tests_f(
    fit: Any,
    *,
    cor_matrix: Any = None,
    df: Any = math.inf,
    p_value: float = 0.01,
    fstat_only: bool = False,
) -> Any:
    """Nested F tests: which t of each gene make its joint test significant.

    Parameters
    ----------
    fit
        From :func:`e_bayes`; or t statistics, genes × tests.
    cor_matrix
        Correlation of the t; by default that of the fit, else none.
    df
        Denominator degrees of freedom, one number or one per gene; of a fit: its own.
    p_value
        The level.
    fstat_only
        Whether F is returned instead of calls.

    Returns
    -------
    pandas.DataFrame
        -1, 0 or 1, genes × tests. With `fstat_only` a series of F, whose ``attrs`` hold ``df1`` and ``df2``.
    """
    import pandas as pd

    from ._containers import MArrayLM

    if isinstance(fit, MArrayLM):
        t, index, columns = grid(_moderated_field(fit, "t")), fit.row_names(), fit.column_names()
        cor_matrix = fit.cov_coefficients if cor_matrix is None else cor_matrix
        df = np.asarray(fit.df_residual) + np.asarray(fit.df_prior)
    else:
        table = pd.DataFrame(fit)
        t, index, columns = grid(table.to_numpy(), "tstat"), table.index, table.columns
    correlation = grid(np.eye(t.shape[1]) if cor_matrix is None else np.asarray(cor_matrix), "cor_matrix")
    df2 = np.ascontiguousarray(np.broadcast_to(np.asarray(df, dtype=np.float64), (t.shape[0],)))
    if fstat_only:
        statistic, df1 = _core.limma_f_statistics(t, correlation, df2)
        found = pd.Series(statistic, index=index, name="F")
        found.attrs = {"df1": df1, "df2": df2.tolist()}
        return found
    return _calls(_core.limma_classify_tests_f(t, correlation, df2, float(p_value)), index, columns)


def _calls(calls: Array, index: Any, columns: Any) -> pd.DataFrame:
    """Calls as whole numbers, unless some are missing."""
    import pandas as pd

    whole = calls if np.isnan(calls).any() else calls.astype(np.int8)
    return pd.DataFrame(whole, index=index, columns=columns)


def moderated_arrays(fit: MArrayLM) -> tuple[Any, ...]:
    """The moderated statistics of a fit for the compiled module."""
    lods, lfc = fit.get("lods"), fit.get("treat_lfc")
    return (
        np.atleast_1d(np.asarray(_moderated_field(fit, "s2_prior"), dtype=float)),
        np.atleast_1d(np.asarray(fit.df_prior, dtype=float)),
        np.ascontiguousarray(fit.s2_post, dtype=float),
        np.ascontiguousarray(fit.df_total, dtype=float),
        grid(fit.t),
        grid(fit.p_value),
        None if lods is None else grid(lods),
        None if lfc is None else (float(lfc), bool(fit.get("upshot", False))),
    )


def _moderated_field(fit: MArrayLM, name: str) -> Any:
    if name not in fit:
        message = "the fit has no moderated statistics"
        raise BadInputError(message, place="fit", hint="call e_bayes(fit) or treat(fit) first")
    return fit[name]


def _coefs(fit: MArrayLM, coef: Any) -> list[int]:
    check_fit(fit)
    if coef is None:
        if fit.get("treat_lfc") is not None:
            return [fit.shape[1] - 1]
        names = [str(name) for name in fit.coef_names]
        chosen = [j for j, name in enumerate(names) if name not in ("(Intercept)", "Intercept")]
        return chosen or [0]
    several = not isinstance(coef, str) and np.iterable(coef)
    chosen = [fit.coef_index(c) for c in coef] if several else [fit.coef_index(coef)]
    if not chosen:
        message = "expected at least one coefficient, found none"
        raise BadInputError(message, place="coef")
    if len(chosen) > 1 and fit.get("treat_lfc") is not None:
        message = f"tests against a threshold are of one coefficient, found {coef!r}"
        raise BadInputError(message, place="coef")
    return chosen


def _number(number: float) -> int | None:
    if number == math.inf:
        return None
    if int(number) != number or number < 1:
        message = f"expected a whole number of at least 1, or math.inf, found {number}"
        raise BadInputError(message, place="number")
    return int(number)


def _log_fold(fc: float | None, lfc: float | None) -> float:
    if lfc is not None:
        return float(lfc)
    if fc is None:
        return 0.0
    if not fc >= 1.0:
        message = f"expected a fold change of at least 1, found {fc}"
        raise BadInputError(message, place="fc", hint="give its reciprocal, or a logarithm as lfc=")
    return math.log2(fc)


def _order(word: str) -> str:
    return _ORDERS.get(word, word)


def _with_genes(fit: MArrayLM, rows: Array, table: dict[str, Any], genelist: Any) -> pd.DataFrame:
    """The table with names and annotation of its genes."""
    import pandas as pd

    found = frame(table)
    genes = fit.genes
    if genelist is not None:
        genes = genelist if isinstance(genelist, pd.DataFrame) else pd.DataFrame({"ID": np.asarray(genelist)})
        if len(genes) != len(fit.genes):
            message = f"{len(genes)} rows, expected {len(fit.genes)}, one per gene"
            raise BadInputError(message, place="genelist")
        if isinstance(genes.index, pd.RangeIndex):
            genes = genes.set_axis(fit.genes.index)
    annotation = genes.iloc[rows]
    if not genes.index.is_unique and "ID" not in annotation:
        annotation = annotation.copy()
        annotation.insert(0, "ID", annotation.index)
    found.index = annotation.index if genes.index.is_unique else pd.Index(rows)
    names = [name for name in annotation if name not in found]
    for place, name in enumerate(names):
        found.insert(place, name, annotation[name].to_numpy())
    return found
