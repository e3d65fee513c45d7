"""Quality of cells and genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._sources import open_source
from ._study import cells_and_genes, frame, matrix, study, to_change, truths, type_of_totals, whole

if TYPE_CHECKING:
    from collections.abc import Collection

    import anndata as ad
    import pandas as pd


def calculate_qc_metrics(
    adata: ad.AnnData,
    *,
    expr_type: str = "counts",
    var_type: str = "genes",
    qc_vars: Collection[str] | str = (),
    percent_top: Collection[int] | None = (50, 100, 200, 500),
    layer: str | None = None,
    use_raw: bool = False,
    inplace: bool = False,
    log1p: bool = True,
    parallel: bool | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Measure cells and genes: totals, detected genes, shares of flagged genes; one pass over the cells.

    A share of nothing (a cell without counts) is 0; such cells are counted in a warning, and so is a flag that no gene
    has.

    Parameters
    ----------
    adata
        An AnnData of counts, cells × genes, in memory, a view or backed.
    expr_type, var_type
        The words for counts and genes in the names of columns.
    qc_vars
        Columns of var with truth values, such as ``"mt"``: sets of genes whose totals and shares are wanted.
    percent_top
        Numbers of most abundant genes whose share is wanted, none above the number of genes; ``None`` is none.
    layer, use_raw
        The matrix: X, a layer, or that of raw.
    inplace
        Whether the columns are added to obs and var, or returned.
    log1p
        Whether ln(1 + x) of totals and numbers is added too.
    parallel
        Has no effect; there for scripts that give it.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    tuple of pandas.DataFrame, or None
        Without `inplace` the columns of cells and of genes. Of cells: ``n_genes_by_counts``, ``total_counts``,
        ``pct_counts_in_top_N_genes`` (percent), and per flag ``total_counts_FLAG``, ``pct_counts_FLAG`` (percent). Of
        genes: ``n_cells_by_counts``, ``mean_counts``, ``pct_dropout_by_counts`` (percent), ``total_counts``.

    Raises
    ------
    BadInputError
        Where values are missing, infinite or negative, or more top genes are asked for than there are.
    MissingKeyError
        Where a column or layer does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> cells.var["first"] = [i < 6 for i in range(60)]
    >>> fe.pp.calculate_qc_metrics(cells, qc_vars="first", percent_top=[20], inplace=True)
    >>> [name for name in cells.obs if name.startswith("pct")]
    ['pct_counts_in_top_20_genes', 'pct_counts_first']
    """
    adata = to_change(adata) if inplace else study(adata)
    source = matrix(adata, layer, use_raw=use_raw)
    flags = [qc_vars] if isinstance(qc_vars, str) else list(qc_vars)
    held = [(flag, _flagged(adata, flag, use_raw=use_raw)) for flag in flags]
    top = [whole(n, "percent_top") for n in percent_top or ()]
    tables = _core.cells_qc(
        source, cells_and_genes(adata, raw=use_raw), held, top, means(n_threads, max_memory, progress=progress)
    )
    totals = type_of_totals(adata.raw.X if use_raw else adata.X if layer is None else adata.layers[layer])
    index = adata.raw.var_names if use_raw else adata.var_names
    obs = _as_scanpy(frame(tables[0], adata.obs_names), flags, expr_type, var_type, totals=totals, log1p=log1p)
    var = frame(tables[1], index).drop(columns=flags)
    var = _as_scanpy(var, [], expr_type, var_type, totals=totals, log1p=log1p)
    if not inplace:
        return obs, var
    adata.obs[obs.columns] = obs
    if use_raw:
        var = var.reindex(adata.var_names)
    adata.var[var.columns] = var
    return None


def _flagged(adata: ad.AnnData, flag: str, *, use_raw: bool) -> list[bool]:
    values = open_source(adata, "raw").mask(flag) if use_raw else truths(adata, flag, "qc_vars").tolist()
    return list(values)


def _as_scanpy(
    table: pd.DataFrame, flags: list[str], expr_type: str, var_type: str, *, totals: Any, log1p: bool
) -> pd.DataFrame:
    """Names and types as scanpy has them."""
    import pandas as pd

    columns = {}
    in_32_bits = {f"pct_counts_{flag}" for flag in flags}
    in_32_bits |= {str(name) for name in table if str(name).startswith("log1p_total_counts")}
    for name, values in table.items():
        name = str(name)
        if name.startswith("log1p_") and not log1p:
            continue
        dtype = values.dtype
        if name.startswith("total_counts") or (name in in_32_bits and totals == np.float32):
            dtype = totals
        elif name == "n_genes_by_counts":
            dtype = np.dtype(np.int32)
        columns[_renamed(name, flags, expr_type, var_type)] = values.astype(dtype)
    return pd.DataFrame(columns, index=table.index)


def _renamed(name: str, flags: list[str], expr_type: str, var_type: str) -> str:
    """A column under the words of the caller; the name of a flag, which ends it, stays."""
    flag = next((flag for flag in flags if name.endswith(f"counts_{flag}")), "")
    own = name.removesuffix(flag) if flag else name
    return own.replace("genes", var_type).replace("counts", expr_type) + flag
