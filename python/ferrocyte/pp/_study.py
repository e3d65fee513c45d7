"""What every step does with an AnnData: it finds the matrix, keeps names for messages, and writes into it."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._messages import warn
from .._obs import column, require
from .._sources import open_source
from ..errors import BadInputError, UnsupportedError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from .._obs import Column
    from .._sources import Matrix


class CellsAndGenes(NamedTuple):
    """Names of cells and genes, for messages."""

    cells: list[str]
    genes: list[str]


def study(adata: Any) -> ad.AnnData:
    """The argument if it is an AnnData with cells of different names, else an error."""
    if not all(hasattr(adata, attribute) for attribute in ("obs", "var", "obsm", "uns", "X")):
        message = f"expected an AnnData, found {type(adata).__name__}"
        hint = "wrap a matrix: anndata.AnnData(matrix); read a file: ferrocyte.io.read_h5ad(path)"
        raise BadInputError(message, place="adata", hint=hint)
    names = adata.obs_names
    if not names.is_unique:
        twice = names[names.duplicated()]
        message = f"{len(twice)} cells have the name of another, the first is `{twice[0]}`"
        raise BadInputError(message, place="obs_names", hint="make them unique: adata.obs_names_make_unique()")
    return adata


def to_change(adata: Any, *, copy: bool = False) -> ad.AnnData:
    """The study that a step writes into: a copy if asked for; a view becomes a study of its own."""
    adata = study(adata)
    if copy:
        return adata.to_memory() if adata.isbacked else adata.copy()
    if adata.is_view:
        warn("the AnnData is a view: it becomes a study of its own, and its parent is left as it is")
        adata._init_as_actual(adata.copy())
    return adata


def in_memory(adata: ad.AnnData, what: str) -> None:
    """Refuses to change a matrix that stands in a file."""
    if adata.isbacked:
        message = f"the AnnData is backed by a file, {what} would change it"
        raise UnsupportedError(message, place="adata", hint="load it first: adata = adata.to_memory()")


def cells_and_genes(adata: ad.AnnData, *, raw: bool = False) -> CellsAndGenes:
    """The names of cells and genes."""
    genes = adata.raw.var_names if raw else adata.var_names
    return CellsAndGenes([str(name) for name in adata.obs_names], [str(name) for name in genes])


def matrix(adata: ad.AnnData, layer: str | None = None, *, use_raw: bool = False) -> Matrix:
    """The matrix of a study that is read: X, a layer, or raw."""
    if use_raw and layer is not None:
        message = f"use_raw=True and layer=`{layer}` name two matrices"
        raise BadInputError(message, place="layer", hint="give one of them")
    return open_source(adata, "raw" if use_raw else layer).matrix


def selected(adata: ad.AnnData, found: Matrix, genes: np.ndarray[Any, Any]) -> Matrix:
    """Some genes of a matrix; `genes` has a truth value for each gene of the study."""
    from dataclasses import replace

    before = np.arange(adata.n_vars) if found.genes is None else np.asarray(found.genes)
    return replace(found, genes=[int(gene) for gene in before[genes]])


def levels(adata: ad.AnnData, key: str, place: str) -> Column:
    """A column of obs as codes and levels; numbers become levels in rising order, with a note."""
    import pandas as pd

    series = require(adata.obs, key, place=place)
    found = column(series, key)
    if not isinstance(found, tuple):
        warn(f"obs column `{key}` holds numbers: each of them is taken for a level")
        found = column(pd.Series(pd.Categorical(series), index=series.index), key)
    return found


def truths(adata: ad.AnnData, mask: Any, place: str) -> np.ndarray[Any, Any]:
    """A column of var, or an array, as one truth value per gene."""
    if isinstance(mask, str):
        mask = require(adata.var, mask, place=place)
    values = np.asarray(mask)
    if values.shape != (adata.n_vars,):
        message = f"{values.shape} values for {adata.n_vars} genes"
        raise BadInputError(message, place=place, hint="give one truth value per gene, or the name of a column of var")
    if not all(value in (True, False) for value in values.tolist()):
        odd = next(value for value in values.tolist() if value not in (True, False))
        message = f"truth values are expected, found {odd!r}"
        raise BadInputError(message, place=place)
    return values.astype(bool)


def frame(table: dict[str, Any], index: pd.Index[Any]) -> pd.DataFrame:
    """A table of the compiled module as a data frame."""
    import pandas as pd

    return pd.DataFrame(table["columns"], index=index)


def points(adata: ad.AnnData, name: str, n_columns: int | None = None, place: str = "use_rep") -> np.ndarray[Any, Any]:
    """Coordinates of cells in 64 bits, rows contiguous: an entry of obsm, or X. NaN is refused with a count."""
    values: Any = adata.X if name == "X" else adata.obsm[name]
    if hasattr(values, "to_numpy"):
        # anndata has seen to it that its rows are the cells of the study.
        values = values.to_numpy()
    if name == "X":
        values = values.to_memory() if hasattr(values, "to_memory") else values
        values = values.toarray() if hasattr(values, "toarray") else values
    values = np.asarray(values)
    if values.ndim != 2:
        message = f"coordinates have two dimensions, these {values.ndim}"
        raise BadInputError(message, place=f"obsm `{name}`")
    if n_columns is not None:
        if n_columns > values.shape[1]:
            message = f"{n_columns} components are asked for, there are {values.shape[1]}"
            raise BadInputError(message, place=place, hint="compute more of them with ferrocyte.pp.pca")
        values = values[:, :n_columns]
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        first = adata.obs_names[int(np.argmax(bad))]
        message = f"{int(bad.sum())} of {len(bad)} cells have missing or infinite coordinates, the first is `{first}`"
        raise BadInputError(message, place=f"obsm `{name}`", hint="leave these cells out")
    return np.ascontiguousarray(values, dtype=np.float64)


def type_of_totals(values: Any) -> Any:
    """Totals of 32-bit floats are such, those of whole numbers are whole; as scanpy has it."""
    dtype = np.dtype(getattr(values, "dtype", np.float64))
    return np.dtype(np.float32 if dtype == np.float32 else np.int64 if dtype.kind in "iub" else np.float64)


def seed_of(random_state: Any) -> int:
    """The seed of a random step."""
    return whole(random_state, "random_state", 0)


def whole(value: Any, place: str, least: int = 1) -> int:
    """A whole number of at least `least`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not float(value).is_integer() or value < least:
        message = f"a whole number of at least {least} is expected, found {value!r}"
        raise BadInputError(message, place=place)
    return int(float(value))


def refuse(place: str, value: Any, reason: str, hint: str | None = None, *, usual: Any = None) -> None:
    """Refuses an argument of scanpy that is not at its default, with the reason."""
    if value is usual or (isinstance(value, (bool, int, float, str)) and value == usual):
        return
    message = f"{value!r} is not supported: {reason}"
    raise UnsupportedError(message, place=place, hint=hint)
