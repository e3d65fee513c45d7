"""Genes in groups of cells: means and fractions, and the first markers of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._annotated import close_to, labels_of, natural, target, values_of
from .._features import find_genes
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ..tl._markers import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anndata as ad
    import pandas as pd

_SCALES = ("var", "group")


def group_expression(
    adata: ad.AnnData,
    var_names: str | Iterable[str],
    groupby: str,
    *,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    standard_scale: Literal["var", "group"] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Tell how strongly genes are expressed in groups of cells, and by how many: what a dot plot shows.

    Parameters
    ----------
    adata
        Cells × genes: logarithms of normalised counts.
    var_names
        The genes, by name or symbol.
    groupby
        The column of obs with the groups; cells without group are left out.
    layer, use_raw
        The matrix: X, a layer, or that of raw (``None``: if there is one and no layer is named).
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.
    standard_scale
        ``"var"`` brings the means of each gene over the groups to 0 to 1, ``"group"`` those of each group over the
        genes, into the column ``scaled``. What does not differ is 0.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    DataFrame
        A row for each gene and group: ``group``, ``gene`` (categorical, in the order of the levels and of `var_names`),
        ``n_cells``, ``mean`` over all cells of the group, ``fraction`` of them whose value is not 0, and ``scaled``.

    Raises
    ------
    MissingKeyError
        Where there is no such column, layer or gene; names that are like it are listed.
    BadInputError
        Where several genes have a symbol, or values are missing or infinite.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> table = fe.get.group_expression(small_study(), ["gene1", "gene2"], "condition")
    >>> table[["group", "gene", "n_cells"]]
      group   gene  n_cells
    0  ctrl  gene1      120
    1  ctrl  gene2      120
    2  stim  gene1      120
    3  stim  gene2      120
    """
    import pandas as pd

    if standard_scale is not None and standard_scale not in _SCALES:
        message = f"there is no choice `{standard_scale}`"
        raise BadInputError(message, place="standard_scale", hint="it is one of `var`, `group`, None")
    adata = target(adata)
    labels = labels_of(adata, groupby)
    values = values_of(adata, layer, use_raw=use_raw)
    wanted = [var_names] if isinstance(var_names, str) else list(var_names)
    genes = find_genes(adata, values, wanted, symbols=gene_symbols)
    if not genes.names:
        message = "there is no gene to look at"
        raise BadInputError(message, place="var_names")
    found = _core.cells_aggregate(
        values.of_genes(genes.positions).matrix,
        (values.cells, genes.names),
        tuple(labels),
        1.0,
        means(n_threads, max_memory, progress=progress),
    )
    n_cells = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.levels))
    present = np.flatnonzero(n_cells)
    order = present[np.argsort(_display_order([labels.levels[i] for i in present]))]
    if len(order) == 0:
        message = "no cell has a group"
        raise BadInputError(message, place=f"groupby `{groupby}`")
    levels = [labels.levels[i] for i in order]
    mean, expressing = found["mean"][order], found["count_nonzero"][order]
    table = pd.DataFrame(
        {
            "group": pd.Categorical.from_codes(np.repeat(np.arange(len(levels)), len(genes.names)), levels),
            "gene": pd.Categorical.from_codes(np.tile(np.arange(len(genes.names)), len(levels)), genes.names),
            "n_cells": np.repeat(n_cells[order], len(genes.names)),
            "mean": mean.ravel(),
            "fraction": (expressing / np.maximum(n_cells[order], 1)[:, None]).ravel(),
        }
    )
    if standard_scale is not None:
        table["scaled"] = _scaled(mean, axis=0 if standard_scale == "var" else 1).ravel()
    return table


def _display_order(levels: list[str]) -> np.ndarray[Any, Any]:
    """The place at which each level stands: as it is, but numbers by their size."""
    if not all(level.isdigit() for level in levels):
        return np.arange(len(levels))
    place = {level: i for i, level in enumerate(natural(levels))}
    return np.array([place[level] for level in levels])


def _scaled(mean: np.ndarray[Any, Any], *, axis: int) -> np.ndarray[Any, Any]:
    low = mean.min(axis=axis, keepdims=True)
    width = mean.max(axis=axis, keepdims=True) - low
    return (mean - low) / np.where(width > 0.0, width, 1.0)


def top_markers(
    adata: ad.AnnData,
    *,
    n_genes: int | None = 5,
    groups: str | Iterable[str] | None = None,
    key: str | None = None,
    min_logfoldchange: float | None = 1.0,
    max_p_adjust: float | None = 0.05,
    min_pct: float | None = 0.25,
    max_pct_reference: float | None = 0.75,
) -> pd.DataFrame:
    """Choose the first markers of each group, of those that pass the filters; the bounds themselves do not pass.

    Parameters
    ----------
    adata
        Cells × genes, with the markers of :func:`ferrocyte.tl.rank_genes_groups`, in either dialect.
    n_genes
        How many of each group at most; ``None`` is all.
    groups
        The groups; ``None`` is all.
    key
        Where the markers are in uns; ``None`` is ``rank_genes_groups`` or ``markers``.
    min_logfoldchange, max_p_adjust
        The log2 fold change is above the one, the adjusted p-value below the other; ``None`` is no bound.
    min_pct, max_pct_reference
        The fraction of cells that have the gene is above the one in the group, and below the other in the reference.
        They are passed over, with a warning, where the markers were found without fractions (``pts``).

    Returns
    -------
    DataFrame
        A row for each marker, group after group, by falling score: ``group``, ``gene``, ``score``, ``log2_fc``,
        ``p_value``, ``adj_p_value``, ``fraction``, ``fraction_reference`` (NaN where they are not known).

    Raises
    ------
    MissingKeyError
        Where there are no markers, or no such group.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.X = cells.X.log1p()
    >>> fe.tl.rank_genes_groups(cells, "condition", pts=True)
    >>> found = fe.get.top_markers(cells, n_genes=2, min_logfoldchange=0.5, max_pct_reference=None)
    >>> found.loc[found["group"] == "stim", "gene"].to_list()
    ['gene1', 'gene2']
    """
    import pandas as pd

    from .._messages import warn

    result = ranked(target(adata), key)
    known = list(result["names"].dtype.names)
    wanted = known if groups is None else [groups] if isinstance(groups, str) else [str(group) for group in groups]
    for group in wanted:
        if group not in known:
            message = f"there is no group `{group}`"
            raise MissingKeyError(message, place="groups", hint=close_to(group, known))
    tables = [_filtered(result, group, min_logfoldchange, max_p_adjust) for group in wanted]
    table = pd.concat(tables, ignore_index=True)
    for column, bound, above in (("fraction", min_pct, True), ("fraction_reference", max_pct_reference, False)):
        if bound is None:
            continue
        if table[column].isna().all() and len(table):
            warn(f"the markers have no fractions, so that {column} is not looked at: find them with pts=True")
            continue
        table = table[table[column] > bound if above else table[column] < bound]
    if n_genes is not None:
        table = table.groupby("group", sort=False, observed=True).head(n_genes)
    table = table.assign(group=pd.Categorical(table["group"], categories=wanted))
    return table.reset_index(drop=True)


def _filtered(result: dict[str, Any], group: str, min_change: float | None, max_p: float | None) -> pd.DataFrame:
    """The markers of a group within the bounds on change and evidence."""
    import pandas as pd

    from ._markers import _fractions

    names = np.asarray(result["names"][group], dtype=object)
    shares = _fractions(result, group)
    table = pd.DataFrame({"group": group, "gene": names, "score": result["scores"][group].astype(float)})
    for column, field in (("log2_fc", "logfoldchanges"), ("p_value", "pvals"), ("adj_p_value", "pvals_adj")):
        table[column] = result[field][group].astype(float) if field in result else np.nan
    table["fraction"] = shares.get("pct_nz_group", np.nan)
    table["fraction_reference"] = shares.get("pct_nz_reference", np.nan)
    keep = table["gene"].notna()
    if min_change is not None:
        keep &= table["log2_fc"] > min_change
    if max_p is not None:
        keep &= table["adj_p_value"] < max_p
    return table[keep]
