"""Markers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._annotated import close_to
from .._obs import require
from ..errors import MissingKeyError
from ..tl._markers import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anndata as ad
    import pandas as pd

_COLUMNS = ("names", "scores", "logfoldchanges", "pvals", "pvals_adj", "log10_p", "log10_q", "log2fc_mean")


def rank_genes_groups_df(
    adata: ad.AnnData,
    group: str | Iterable[str] | None,
    *,
    key: str = "rank_genes_groups",
    pval_cutoff: float | None = None,
    log2fc_min: float | None = None,
    log2fc_max: float | None = None,
    gene_symbols: str | None = None,
) -> pd.DataFrame:
    """The markers of groups, which :func:`ferrocyte.tl.rank_genes_groups` found, as a table.

    Parameters
    ----------
    adata
        Cells × genes, with markers.
    group
        The group, several, or ``None`` for all.
    key
        Where the markers are in uns.
    pval_cutoff
        Adjusted p-values are below it.
    log2fc_min, log2fc_max
        log2 fold changes are above the one and below the other.
    gene_symbols
        A column of var that is added.

    Returns
    -------
    DataFrame
        A row for each gene by falling score, group after group: ``group`` (if there are several), ``names``,
        ``scores``, ``logfoldchanges``, ``pvals``, ``pvals_adj``; ``log10_p`` and ``log10_q``, the -log10 of both, which
        go on below 1e-308 (not of markers that others wrote); ``log2fc_mean`` if it was asked for; the column
        `gene_symbols`; ``pct_nz_group`` and ``pct_nz_reference``, the shares of cells that have the gene, if they were
        asked for. Genes that were filtered out are left out.

    Raises
    ------
    MissingKeyError
        Where there are no such markers, group or column.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.X = cells.X.log1p()
    >>> fe.tl.rank_genes_groups(cells, "condition", pts=True)
    >>> table = fe.get.rank_genes_groups_df(cells, "stim", pval_cutoff=0.001, log2fc_min=0)
    >>> sorted(table["names"])
    ['gene1', 'gene2']
    """
    import pandas as pd

    result = ranked(adata, key)
    known = list(result["names"].dtype.names)
    groups = known if group is None else [group] if isinstance(group, str) else [str(one) for one in group]
    for one in groups:
        if one not in known:
            message = f"there is no group `{one}`"
            raise MissingKeyError(message, place=f"uns['{key}']", hint=close_to(one, known))
    tables = []
    for one in groups:
        columns = {name: np.asarray(result[name][one]) for name in _COLUMNS if name in result}
        tables.append(pd.DataFrame({"group": one, **columns, **_fractions(result, one)}))
    table = pd.concat(tables, ignore_index=True)
    keep = table["names"].notna()
    if pval_cutoff is not None:
        if "pvals_adj" not in table:
            message = "these markers have no p-values"
            raise MissingKeyError(
                message, place=f"uns['{key}']", hint="they are those of a regression: leave pval_cutoff"
            )
        keep &= table["pvals_adj"] < pval_cutoff
    if log2fc_min is not None:
        keep &= table["logfoldchanges"] > log2fc_min
    if log2fc_max is not None:
        keep &= table["logfoldchanges"] < log2fc_max
    table = table[keep].reset_index(drop=True)
    if gene_symbols is not None:
        var = adata.raw.var if result["params"].get("use_raw") and adata.raw is not None else adata.var
        symbols = require(var, gene_symbols, place="var")
        at = next((i for i, name in enumerate(table.columns) if name.startswith("pct_")), len(table.columns))
        table.insert(at, gene_symbols, symbols.reindex(table["names"]).to_numpy())
    if group is not None and len(groups) == 1:
        return table.drop(columns="group")
    return table


def _fractions(result: dict[str, Any], group: str) -> dict[str, Any]:
    """Shares of cells that have each gene, in the order of the result."""
    out = {}
    names = result["names"][group]
    for column, part, of in (
        ("pct_nz_group", "pts", group),
        ("pct_nz_reference", "pts_rest", group),
        ("pct_nz_reference", "pts", result["params"]["reference"]),
    ):
        if part in result and of in result[part] and column not in out:
            out[column] = result[part][of].reindex(names).to_numpy()
    return out
