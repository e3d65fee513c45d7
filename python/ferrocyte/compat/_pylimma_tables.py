"""Tables and calls in pylimma's form."""
# ruff: noqa: FBT001, FBT002 -- positions of arguments are those that scripts rely on

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import limma
from ._pylimma_forms import fields_of, is_anndata, native_fit

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]


def top_table(
    data: Any,
    coef: Any = None,
    number: float = 10,
    genelist: Any = None,
    adjust_method: str = "BH",
    sort_by: str = "B",
    resort_by: str | None = None,
    p_value: float = 1.0,
    fc: float | None = None,
    lfc: float = 0.0,
    confint: bool | float = False,
    key: str = "pylimma",
) -> pd.DataFrame:
    """The genes with the strongest evidence, of a fit or of the one in ``uns[key]``.

    Parameters
    ----------
    data
        From :func:`e_bayes` or :func:`treat`, or an AnnData.
    coef
        Position from 0 or name of a coefficient, or a list of them (then a table of F tests). By default all but
        ``(Intercept)``; after :func:`treat` the last.
    genelist
        Names of the genes, or a data frame; they become the last columns.
    number, adjust_method, sort_by, resort_by, p_value, fc, lfc, confint
        As in :func:`ferrocyte.limma.top_table`.
    key
        Where in ``uns``.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``gene``: names, or ``gene1``, ``gene2``, .. where there are none.
    """
    fields = fields_of(data, key)
    fit = native_fit(fields)
    chosen = _chosen(fit, coef)
    if len(chosen) > 1:
        order = "F" if sort_by == "B" else sort_by
        return top_table_f(data, number, genelist, adjust_method, order, p_value, fc, lfc, coef_idx=chosen, key=key)
    table = limma.top_table(
        _numbered(fit),
        chosen[0],
        number,
        adjust_method=adjust_method,
        sort_by="p" if sort_by == "B" and "lods" not in fit else sort_by,
        resort_by=resort_by,
        p_value=p_value,
        fc=fc,
        lfc=None if fc is not None and lfc == 0 else lfc,
        confint=confint,
    )
    return _named(table, fields, genelist)


def top_table_f(
    fit: Any,
    number: float = 10,
    genelist: Any = None,
    adjust_method: str = "BH",
    sort_by: str = "F",
    p_value: float = 1.0,
    fc: float | None = None,
    lfc: float | None = None,
    *,
    coef_idx: Any = None,
    key: str = "pylimma",
) -> pd.DataFrame:
    """The genes with the strongest joint evidence for all coefficients, or for those of `coef_idx`.

    pylimma 0.2.0 tests all of them even with `coef_idx`; here the chosen ones are tested, as in R.
    """
    fields = fields_of(fit, key)
    native = native_fit(fields)
    table = limma.top_table_f(
        _numbered(native),
        list(range(native.shape[1])) if coef_idx is None else coef_idx,
        number,
        adjust_method=adjust_method,
        sort_by=sort_by,
        p_value=p_value,
        fc=fc,
        lfc=None if fc is not None and not lfc else lfc,
    )
    return _named(table, fields, genelist)


def top_treat(
    fit: Any, coef: Any = 0, sort_by: str = "p", resort_by: str | None = None, **options: Any
) -> pd.DataFrame:
    """The genes with the strongest evidence beyond the threshold of :func:`treat`; options as for :func:`top_table`."""
    return top_table(fit, coef, sort_by=sort_by, resort_by=resort_by, **options)


def decide_tests(
    data: Any,
    method: str = "separate",
    adjust_method: str = "BH",
    p_value: float = 0.05,
    lfc: float = 0.0,
    coefficients: Any = None,
    *,
    key: str = "pylimma",
) -> Array:
    """Significantly up (1), down (-1) or neither (0), genes × coefficients, of a fit or of p-values."""
    fitted = is_anndata(data) or isinstance(data, dict)
    calls = limma.decide_tests(
        native_fit(fields_of(data, key)) if fitted else data,
        method=method,
        adjust_method=adjust_method,
        p_value=p_value,
        lfc=lfc,
        coefficients=coefficients,
    )
    values = calls.to_numpy()
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(np.int64)


def classify_tests_f(
    fit: Any,
    cor_matrix: Any = None,
    df: Any = np.inf,
    p_value: float = 0.01,
    fstat_only: bool = False,
) -> Any:
    """Nested F tests: calls of genes × tests, or with `fstat_only` F and its degrees of freedom."""
    given = native_fit(fit) if isinstance(fit, dict) else fit
    found = limma.classify_tests_f(given, cor_matrix=cor_matrix, df=df, p_value=p_value, fstat_only=fstat_only)
    if fstat_only:
        return found.to_numpy(), found.attrs["df1"], np.asarray(found.attrs["df2"])
    return found.to_numpy(dtype=np.float64)


def venn_counts(x: Any, include: str = "both") -> pd.DataFrame:
    """How many genes are called in each combination; the last column is ``Counts``."""
    import pandas as pd

    calls = x if isinstance(x, pd.DataFrame) else pd.DataFrame(np.asarray(x)).add_prefix("col")
    return limma.venn_counts(calls, include).rename(columns={"n": "Counts"})  # type: ignore[arg-type]


def _chosen(fit: limma.MArrayLM, coef: Any) -> list[int]:
    if coef is None:
        if fit.get("treat_lfc") is not None:
            return [fit.shape[1] - 1]
        names = [str(name) for name in fit.coef_names]
        return [k for k, name in enumerate(names) if name != "(Intercept)"] or [0]
    several = not isinstance(coef, str) and np.iterable(coef)
    return [fit.coef_index(one) for one in (coef if several else [coef])]


def _numbered(fit: limma.MArrayLM) -> limma.MArrayLM:
    """The fit with positions for names, which tables are then indexed by."""
    import pandas as pd

    out = fit.copy()
    out["genes"] = pd.DataFrame(index=pd.RangeIndex(fit.shape[0]))
    return out


def _named(table: pd.DataFrame, fields: dict[str, Any], genelist: Any) -> pd.DataFrame:
    """Names of genes for their positions, and annotation in the last columns."""
    import pandas as pd

    rows = table.index.to_numpy()
    genes = fields.get("genes") if genelist is None else genelist
    if isinstance(genes, pd.DataFrame):
        table.index = genes.index[rows]
        for name in genes:
            table[name] = genes[name].to_numpy()[rows]
    elif genelist is not None:
        table.index = pd.Index(rows + 1)
        table["ID"] = np.asarray(genelist)[rows]
    elif genes is not None:
        table.index = pd.Index(np.asarray(genes)[rows])
    else:
        table.index = pd.Index([f"gene{row + 1}" for row in rows])
    table.index.name = "gene"
    return table
