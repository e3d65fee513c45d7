"""Columns of obs and genes, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._annotated import target, values_of
from .._features import expression, feature, find_genes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anndata as ad
    import pandas as pd


def obs_df(
    adata: ad.AnnData,
    keys: str | Iterable[str],
    *,
    layer: str | None = None,
    gene_symbols: str | None = None,
    use_raw: bool | None = False,
) -> pd.DataFrame:
    """Columns of obs and values of genes, by cell: what figures of cells are drawn from.

    Parameters
    ----------
    adata
        Cells × genes.
    keys
        Columns of obs, and genes by name or symbol. A column is taken before a gene of the same name.
    layer, use_raw
        The matrix of the genes: X, a layer, or that of raw (``None``: if there is one and no layer is named).
    gene_symbols
        The column of var with the symbols; ``None``: names of genes, then the usual columns of symbols.

    Returns
    -------
    DataFrame
        Cells × `keys`, in their order; genes are float64.

    Raises
    ------
    MissingKeyError
        Where there is no such column or gene; names that are like it are listed.
    BadInputError
        Where several genes have the symbol.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fe.get.obs_df(small_study(), ["cell_type", "gene1"]).head(2)
          cell_type  gene1
    cell1         B    2.0
    cell2         T    2.0
    """
    import pandas as pd

    adata = target(adata)
    wanted = [keys] if isinstance(keys, str) else list(dict.fromkeys(keys))
    columns = {name: adata.obs[name] for name in wanted if name in adata.obs.columns}
    genes = [name for name in wanted if name not in columns]
    if len(genes) == 1:
        columns[genes[0]] = feature(adata, genes[0], layer=layer, use_raw=use_raw, symbols=gene_symbols, place="keys")
    elif genes:
        values = values_of(adata, layer, use_raw=use_raw)
        found = find_genes(adata, values, genes, symbols=gene_symbols, place="keys")
        numbers = expression(values, found)
        columns |= {name: pd.Series(numbers[:, i], index=adata.obs_names) for i, name in enumerate(found.names)}
    return pd.DataFrame({name: columns[name] for name in wanted}, index=adata.obs_names)
