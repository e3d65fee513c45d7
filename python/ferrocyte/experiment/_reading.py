"""Samples on their way in: counts, names of cells, columns of obs and var."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._messages import warn
from ..errors import BadFileError, BadInputError, UnsupportedError
from ..io import read, read_text
from ._say import say
from ._slots import register_all

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from .. import _core

#: Columns of var of files from elsewhere that hold symbols, and identifiers.
_SYMBOLS = ("gene", "gene_symbols", "gene_symbol", "gene_name", "symbol", "gene_names")
_IDS = ("id", "gene_ids", "gene_id", "ensembl_id", "ensembl")


def read_sample(table: _core.SampleTable, i: int, base: str, genes: pd.DataFrame | None, how: dict[str, Any]) -> Any:
    """Sample `i` of a table: cells × genes of counts (CSR, float32), cells called ``SAMPLE:1``, ``SAMPLE:2``, ….

    `base` is the folder to which locations are relative, `genes` a table that genes are looked up in.
    """
    location, is_text = table.location(i)
    path = os.path.join(base, location)
    found = read_text(path, transpose=True, **how) if is_text else read(path, **how)
    if hasattr(found, "mod"):
        message = "a file of several modalities is no sample"
        raise UnsupportedError(message, place=location, hint="write one modality as an .h5ad file")
    adata = _counts(found, location)
    _name_cells(adata, table, i)
    _describe_genes(adata)
    if genes is not None:
        adata = _mapped(adata, genes)
    register_all(adata)
    return adata


def _counts(found: ad.AnnData, location: str) -> ad.AnnData:
    """A study of the counts alone: those of the layer `counts`, if there is one, else X."""
    import anndata as ad
    from scipy import sparse

    values = found.layers.get("counts", found.X)
    if values is None:
        message = "there is neither X nor a layer `counts`"
        raise BadFileError(message, place=location)
    matrix = sparse.csr_matrix(values).astype(np.float32)
    odd = np.flatnonzero(~(np.isfinite(matrix.data) & (matrix.data >= 0)))
    if len(odd):
        cell = found.obs_names[int(np.searchsorted(matrix.indptr, odd[0], side="right")) - 1]
        gene = found.var_names[int(matrix.indices[odd[0]])]
        message = f"{len(odd)} values are missing, infinite or negative, the first in cell `{cell}`, gene `{gene}`"
        raise BadInputError(message, place=location, hint="give raw counts, as X or as layer `counts`")
    if not np.array_equal(matrix.data, np.round(matrix.data)):
        warn(f"{location}: values are not whole numbers; counts are expected")
    return ad.AnnData(matrix, obs=found.obs.copy(), var=found.var.copy())


def _name_cells(adata: ad.AnnData, table: _core.SampleTable, i: int) -> None:
    """Names of cells, and the columns of the table before those that the file has."""
    import pandas as pd

    names, barcodes = table.cell_names(i, [str(name) for name in adata.obs_names])
    n = adata.n_obs
    columns: dict[str, Any] = {
        name: pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), categories=[value]) for name, value in table.obs(i)
    }
    columns["barcode"] = np.array(barcodes, dtype=object)
    columns["ubc"] = np.array(barcodes, dtype=object)
    columns |= {name: adata.obs[name].array for name in adata.obs if name not in columns}
    adata.obs = pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _describe_genes(adata: ad.AnnData) -> None:
    """Columns `gene` (symbols) and `id` of var, from what the file has."""
    names = np.array([str(name) for name in adata.var_names], dtype=object)
    for column, known in (("gene", _SYMBOLS), ("id", _IDS)):
        source = next((name for name in known if name in adata.var), None)
        adata.var[column] = names if source is None else np.array(adata.var[source].astype(str), dtype=object)


def _mapped(adata: ad.AnnData, genes: pd.DataFrame) -> ad.AnnData:
    """The genes that a table knows, by identifier or symbol, with its columns; of several with one id the first."""
    import pandas as pd

    by_id = dict(zip(genes["id"], range(len(genes)), strict=True))
    by_symbol = {name: row for row, name in reversed(list(enumerate(genes["gene"])))}
    rows = [
        by_id.get(one, by_id.get(str(one).split(".")[0], by_symbol.get(symbol, -1)))
        for one, symbol in zip(adata.var["id"], adata.var["gene"], strict=True)
    ]
    found = pd.Series(rows)
    kept = ((found >= 0) & ~found.duplicated()).to_numpy()
    unknown, again = int((found < 0).sum()), int((found >= 0).sum() - kept.sum())
    say(f"{unknown} genes (out of {len(rows)}) not in the table of genes.")
    say(f"total {int(kept.sum())} genes mapped{f', {again} mapped twice left out' if again else ''}.")
    if not kept.any():
        message = "no gene of the sample is in the table of genes"
        raise BadInputError(message, place="genes", hint="are identifiers of another species, or another kind?")
    out = adata[:, kept].copy()
    chosen = genes.iloc[found[kept].to_numpy()]
    for name in genes.columns:
        out.var[name] = chosen[name].array
    return out


def read_genes(genes: Any) -> pd.DataFrame | None:
    """A table of genes (a path of TSV or GTF, or a data frame) with at least the columns ``id`` and ``gene``."""
    import pandas as pd

    if genes is None:
        return None
    if isinstance(genes, (str, os.PathLike)):
        plain = os.fspath(genes).lower().removesuffix(".gz")
        try:
            table = _gtf(genes) if plain.endswith((".gtf", ".gff")) else pd.read_csv(genes, sep="\t", dtype={"id": str})
        except OSError as fault:
            message = fault.strerror or str(fault)
            raise BadFileError(message, place=os.fspath(genes)) from None
    else:
        table = genes.copy()
    table = table.rename(columns={"symbol": "gene", "gene_id": "id", "gene_name": "gene", "chromosome": "chr"})
    for name in ("id", "gene"):
        if name not in table:
            message = f"the table of genes has no column `{name}`"
            raise BadInputError(message, place="genes", hint=f"its columns are {', '.join(map(str, table.columns))}")
    return table.astype({"id": str, "gene": str})


def _gtf(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The genes of a GTF file: identifier, symbol, where they lie, and their kind."""
    import pandas as pd

    names = ["chr", "source", "feature", "start", "end", "score", "strand", "frame", "attributes"]
    lines = pd.read_csv(path, sep="\t", comment="#", header=None, names=names, dtype={"chr": str})
    lines = lines[lines["feature"] == "gene"].reset_index(drop=True)
    fields = {"id": "gene_id", "gene": "gene_name", "subtype": "gene_(?:bio)?type"}
    found = {name: lines["attributes"].str.extract(f'{word} "([^"]*)"', expand=False) for name, word in fields.items()}
    table = pd.DataFrame({**found, **{name: lines[name] for name in ("chr", "start", "end", "strand")}})
    table["gene"] = table["gene"].fillna(table["id"])
    return table.astype(dict.fromkeys(("subtype", "chr", "strand"), "category"))
