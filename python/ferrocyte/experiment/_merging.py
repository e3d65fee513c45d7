"""Samples one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from ..errors import BadInputError, MissingKeyError
from ..io import concat
from ._slots import register_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad

#: Columns of var that samples bring along if nothing is said.
USUAL = (
    *("chr", "start", "end", "strand", "id", "subtype", "gene", "tlen", "cdslen", "assembly", "uid"),
    *("feature_types", "genome", "vst.hvg"),
)


def merged(
    samples: Mapping[str, ad.AnnData],
    join: Literal["outer", "inner"],
    variables: Mapping[str, str | None] | Sequence[str] | None,
    obsm: Sequence[str],
    means: dict[str, Any],
) -> ad.AnnData:
    """Good cells and genes of all samples (all of those that were not looked at) as one study."""
    import pandas as pd

    if not samples:
        message = "there is no sample to merge"
        raise BadInputError(message, place="merge")
    parts = {name: _good(adata) for name, adata in samples.items()}
    for name, part in parts.items():
        if not part.n_obs or not part.n_vars:
            message = f"sample `{name}` has no good {'cell' if not part.n_obs else 'gene'}"
            raise BadInputError(message, place="merge", hint="loosen the bounds of `qc`, or leave the sample out")
    whole = concat(parts, join=join, key="sample", n_threads=means["n_threads"], progress=means["progress"])
    genes = [[str(gene) for gene in part.var_names] for part in parts.values()]
    _, places = _core.io_join(genes, list(parts), join)
    whole.var = pd.DataFrame(_columns(list(parts.values()), places, whole.n_vars, variables), index=whole.var_names)
    for key in obsm:
        lost = next((name for name, part in parts.items() if key not in part.obsm), None)
        if lost is not None:
            message = f"sample `{lost}` has no `{key}`"
            raise MissingKeyError(message, place="obsm", hint=f"it has {', '.join(parts[lost].obsm) or 'none'}")
        whole.obsm[key] = np.concatenate([np.asarray(part.obsm[key]) for part in parts.values()])
    first = ["sample", *(name for name in whole.obs if name != "sample")]
    whole.obs = whole.obs[first]
    register_all(whole)
    return whole


def _good(adata: ad.AnnData) -> ad.AnnData:
    """Those of the cells and genes of a sample that are good, if that has been asked."""
    cells = adata.obs["qc"].to_numpy(dtype=bool) if "qc" in adata.obs else slice(None)
    genes = adata.var["qc"].to_numpy(dtype=bool) if "qc" in adata.var else slice(None)
    return adata[cells, genes]


def _columns(parts: list[ad.AnnData], places: list[list[int]], n: int, variables: Any) -> dict[str, Any]:
    """Columns of var that several samples have, as one each."""
    if variables is None:
        wanted = {name: None for name in USUAL if any(name in part.var for part in parts)}
    else:
        wanted = dict(variables) if hasattr(variables, "items") else dict.fromkeys(variables)
    return {name: _column(name, rule, parts, places, n) for name, rule in wanted.items()}


def _column(name: str, rule: str | None, parts: list[ad.AnnData], places: list[list[int]], n: int) -> Any:
    import pandas as pd

    known = [(part.var[name], where) for part, where in zip(parts, places, strict=True) if name in part.var]
    if not known:
        message = f"no sample has the column `{name}`"
        raise MissingKeyError(message, place="var", hint=f"there are {', '.join(map(str, parts[0].var.columns))}")
    columns = [series for series, _ in known]
    truths = all(pd.api.types.is_bool_dtype(column.dtype) for column in columns)
    numbers = not truths and all(pd.api.types.is_numeric_dtype(column.dtype) for column in columns)

    def plain(column: Any) -> Any:
        if truths:
            return column.to_numpy(dtype=bool)
        if numbers:
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return [None if pd.isna(value) else str(value) for value in column]

    found = _core.study_merge_column(n, [(plain(column), list(where)) for column, where in known], rule)
    if not isinstance(found, np.ndarray):
        if all(isinstance(column.dtype, pd.CategoricalDtype) for column in columns):
            return pd.Categorical(found)
        return np.array(found, dtype=object)
    # Whole numbers on which all samples agree stay whole.
    whole = numbers and all(pd.api.types.is_integer_dtype(column.dtype) for column in columns)
    if whole and np.isfinite(found).all() and np.array_equal(found, np.round(found)):
        return found.astype(np.int64)
    return found
