"""Where a matrix comes from: AnnData in memory, a view, backed, read lazily, or a path.

Everything becomes a :class:`Matrix`, the description that the compiled module reads: arrays in memory are borrowed
(never copied if scipy and numpy hold them in a type that is read), files of any kind are opened with ferrocyte's own
readers, and anything else is asked for in blocks of rows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import sparse

from ._obs import columns as obs_columns
from ._obs import require
from ._opening import open_path, open_paths
from ._run import means
from .errors import BadInputError, MissingKeyError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import anndata as ad

    from ._core import Study
    from ._obs import Column

    Rows: TypeAlias = tuple[int, int] | list[int] | None

_READABLE = {np.dtype(t) for t in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}


@dataclass
class Matrix:
    """A matrix, cells x genes, as the compiled module reads it.

    `content` is ``("csr" | "csc", data, indices, indptr)``, ``("dense", entries in memory order, rows contiguous)``,
    ``("study", open study, element)`` or ``("blocks", read(start, stop), stored values or None)``.
    """

    name: str
    shape: tuple[int, int]
    content: tuple[Any, ...]
    rows: Rows = None
    genes: list[int] | None = None


@dataclass
class Source:
    """A study: its matrix, the names of its genes and cells, and the way to its columns of obs."""

    matrix: Matrix
    alternatives: list[Matrix]
    genes: list[str]
    n_cells: int
    fingerprint: str
    columns: Callable[[Iterable[str], Iterable[str]], dict[str, Column]]
    mask: Callable[[str], list[bool]]
    cell_name: Callable[[int], str]


def open_source(data: ad.AnnData | str | os.PathLike[str] | Sequence[Any], layer: str | None) -> Source:
    """Describe a study, or several files as one, and the matrix of it that `layer` names.

    ``None`` is ``X``; a layer; ``"raw"``.
    """
    if isinstance(data, (str, os.PathLike)):
        return source_of(open_path(data), os.path.basename(os.fspath(data)), layer)
    if isinstance(data, (list, tuple)) and data and all(isinstance(path, (str, os.PathLike)) for path in data):
        return source_of(open_paths(data), f"{len(data)} files", layer)
    if not all(hasattr(data, attribute) for attribute in ("obs", "var_names", "X", "layers")):
        message = f"expected an AnnData, a path or Sums, found {type(data).__name__}"
        raise BadInputError(message, place="data")
    return _of_anndata(data, layer)


# Paths


def source_of(study: Study, name: str, layer: str | None) -> Source:
    """Describe an open study that is called `name`, and the matrix of it that `layer` names."""
    element = layer or "X"
    (n_cells, n_genes), genes, matrices = study.index(element)
    full = _path_of(element)
    matrix = Matrix(f"{full} of {name}", (n_cells, n_genes), ("study", study, element))
    others = [other for other in _best_first(matrices) if other != full]

    def columns(names: Iterable[str], optional: Iterable[str]) -> dict[str, Column]:
        return study.obs(list(names), list(optional), all_factors=True)

    return Source(
        matrix,
        # Only X and layers have the same genes.
        [
            replace(matrix, name=f"{other} of {name}", content=("study", study, other))
            for other in others
            if other != "raw/X"
        ],
        genes,
        n_cells,
        study.fingerprint(element, means(progress=False)),
        columns,
        study.mask,
        lambda cell: str(study.obs_names()[cell]),
    )


def _path_of(element: str) -> str:
    if element in ("raw", "raw/X", "raw.X"):
        return "raw/X"
    return element if element == "X" or element.startswith("layers/") else f"layers/{element}"


def _best_first(matrices: list[str]) -> list[str]:
    """The names under which counts are kept come first."""
    return sorted(matrices, key=lambda name: ("count" not in name, name == "X"))


# AnnData


def _of_anndata(adata: ad.AnnData, layer: str | None) -> Source:
    lazy = _is_lazy(adata)
    from_raw = _is_raw(layer) and adata.raw is not None
    names = adata.raw.var_names if from_raw else adata.var_names
    var = adata.raw.var if from_raw else adata.var
    matrix = _matrix(adata, layer)

    def columns(wanted: Iterable[str], optional: Iterable[str]) -> dict[str, Column]:
        obs = _lazy_columns(adata.obs, [*wanted, *optional]) if lazy else adata.obs
        return obs_columns(obs, wanted, optional)

    return Source(
        matrix,
        _alternatives(adata, layer),
        [str(name) for name in names],
        adata.n_obs,
        _fingerprint(matrix),
        columns,
        lambda name: _mask(var, name),
        lambda cell: str(adata.obs_names[cell]),
    )


def _mask(var: Any, name: str) -> list[bool]:
    """The truth values of a column of var."""
    column = require(var, name, place="var")
    values = np.asarray(column)
    missing = int(np.sum(column.isna())) if hasattr(column, "isna") else 0
    if missing or not all(value in (True, False) for value in values):
        found = next((str(v) for v in values if v not in (True, False)), "no value")
        message = f"the column holds `{found}`, expected truth values"
        raise BadInputError(message, place=f"mask_var `{name}`", hint="such as highly_variable")
    return [bool(value) for value in values]


def _is_raw(layer: str | None) -> bool:
    return layer in ("raw", "raw/X", "raw.X")


def _is_lazy(adata: ad.AnnData) -> bool:
    """Whether obs stands on disk (``anndata.experimental.read_lazy``)."""
    return type(adata.obs).__name__ == "Dataset2D"


def _lazy_columns(obs: Any, names: list[str]) -> Any:
    """The wanted columns of an obs that stands on disk, in memory."""
    import pandas as pd

    present = [name for name in dict.fromkeys(names) if name in obs.columns]
    return pd.DataFrame({name: pd.Series(obs[name].to_pandas().array) for name in present}, index=range(obs.shape[0]))


def _fingerprint(matrix: Matrix) -> str:
    """What the matrix is, without reading it: shape and number of stored values."""
    stored = f", {len(matrix.content[1]):,} stored" if matrix.content[0] in ("csr", "csc") else ""
    return f"{matrix.shape[0]} x {matrix.shape[1]}{stored}"


def _alternatives(adata: ad.AnnData, layer: str | None) -> list[Matrix]:
    """Other matrices of the same cells and genes, which may hold counts."""
    names = [None, *_best_first(list(adata.layers))]
    found = []
    for name in names:
        if name != layer and not (name is None and layer == "X") and not _is_raw(name):
            try:
                found.append(_matrix(adata, name))
            except (MissingKeyError, UnsupportedError):
                continue
    if adata.raw is not None and not _is_raw(layer):
        found.append(_matrix(adata, "raw"))
    return found


def _matrix(adata: ad.AnnData, layer: str | None) -> Matrix:
    """One matrix of an AnnData, with the selection of a view undone: rows and genes of the parent."""
    name = _name(layer)
    if adata.isbacked and (layer is None or layer == "X" or _is_raw(layer)):
        # Layers of a backed AnnData live in memory; X and raw stand in the file.
        matrix = _of_file(adata, layer, name)
        if matrix is not None:
            return matrix
    if adata.is_view and not _is_raw(layer):
        parent, rows, genes = _selection(adata)
        if parent is not None:
            return replace(matrix_of(_values(parent, layer), name), rows=rows, genes=genes)
    return matrix_of(_values(adata, layer), name)


def _name(layer: str | None) -> str:
    if layer is None or layer == "X":
        return "X of AnnData"
    return "raw/X of AnnData" if _is_raw(layer) else f"layers['{layer}'] of AnnData"


def _values(adata: ad.AnnData, layer: str | None) -> Any:
    if layer is None or layer == "X":
        values = adata.X
        known = [*adata.layers, *(["raw/X"] if adata.raw is not None else [])]
        if values is None:
            message = "there is no X"
            raise MissingKeyError(message, place="AnnData", hint=_known(known))
        return values
    if _is_raw(layer):
        if adata.raw is None:
            message = "there is no raw"
            raise MissingKeyError(message, place="AnnData", hint=_known(["X", *adata.layers]))
        return adata.raw.X
    if layer not in adata.layers:
        message = f"there is no layer `{layer}`"
        raise MissingKeyError(message, place="AnnData", hint=_known(["X", *adata.layers]))
    return adata.layers[layer]


def _known(names: list[str]) -> str:
    return f"its matrices: {', '.join(f'`{name}`' for name in names) or 'none'}"


def _selection(adata: ad.AnnData) -> tuple[ad.AnnData | None, Rows, list[int] | None]:
    """The parent of a view, and the rows and genes of it that the view shows; no parent if anndata does not tell."""
    parent = getattr(adata, "_adata_ref", None)
    rows, genes = getattr(adata, "_oidx", None), getattr(adata, "_vidx", None)
    if parent is None or rows is None or genes is None:
        return None, None, None
    return parent, _indices(rows, parent.n_obs), _columns(genes, parent.n_vars)


def _indices(index: Any, n: int) -> Rows:
    chosen = np.arange(n)[index].ravel()
    if len(chosen) and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen))):
        return None if len(chosen) == n else (int(chosen[0]), int(chosen[-1]) + 1)
    return [int(i) for i in chosen]


def _columns(index: Any, n: int) -> list[int] | None:
    chosen = np.arange(n)[index].ravel()
    return None if np.array_equal(chosen, np.arange(n)) else [int(i) for i in chosen]


def _of_file(adata: ad.AnnData, layer: str | None, name: str) -> Matrix | None:
    """The matrix of a backed AnnData, read by path; ``None`` if the file does not fit what the object shows."""
    path, element = os.fspath(adata.filename), _path_of(layer or "X")
    rows: Rows = None
    genes: list[int] | None = None
    root = adata
    if adata.is_view:
        parent, rows, genes = _selection(adata)
        if parent is None:
            return None
        root = parent
    study = open_path(path)
    shape, _, matrices = study.index("X")
    if element not in matrices or shape != (root.n_obs, root.n_vars):
        return None
    if _is_raw(layer):
        # A view selects cells of raw, never genes.
        shape, genes = study.index(element)[0], None
    return Matrix(f"{name} ({os.path.basename(path)})", shape, ("study", study, element), rows, genes)


def matrix_of(values: Any, name: str) -> Matrix:
    """A matrix, cells x genes, from whatever stands in an AnnData."""
    if sparse.issparse(values):
        return _of_sparse(values, name)
    if isinstance(values, np.ndarray):
        return _of_dense(np.asarray(values), name)
    if hasattr(values, "to_memory") or hasattr(values, "compute") or hasattr(values, "__getitem__"):
        shape = (int(values.shape[0]), int(values.shape[1]))
        return Matrix(name, shape, ("blocks", _reader(values), None))
    message = f"{type(values).__name__} cannot be read"
    raise UnsupportedError(message, place=name, hint="give a scipy sparse matrix, a numpy array, or a path")


def _of_sparse(values: Any, name: str) -> Matrix:
    if values.format not in ("csr", "csc"):
        values = values.tocsr()
    content = (values.format, _numbers(values.data, name), _index(values.indices), _index(values.indptr))
    return Matrix(name, (int(values.shape[0]), int(values.shape[1])), content)


def _of_dense(values: np.ndarray[Any, Any], name: str) -> Matrix:
    shape = (int(values.shape[0]), int(values.shape[1]))
    by_rows = values.flags.c_contiguous or not values.flags.f_contiguous
    entries = np.ascontiguousarray(values).reshape(-1) if by_rows else values.T.reshape(-1)
    return Matrix(name, shape, ("dense", _numbers(entries, name), by_rows))


def _numbers(values: Any, name: str) -> np.ndarray[Any, Any]:
    """Values in a type that the compiled module borrows; others are converted."""
    values = np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values.view(np.uint8)
    if values.dtype.newbyteorder("=") in _READABLE:
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "f":
        return values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    message = f"values of type {values.dtype} are no counts"
    raise BadInputError(message, place=name, hint="give numbers")


def _index(values: Any) -> np.ndarray[Any, Any]:
    values = np.ascontiguousarray(values)
    return values if values.dtype in (np.dtype(np.int32), np.dtype(np.int64)) else values.astype(np.int64)


def _reader(values: Any) -> Callable[[int, int], tuple[Any, Any, Any]]:
    """Blocks of rows of a matrix that only Python can read: dask arrays, matrices on disk."""

    def read(start: int, stop: int) -> tuple[Any, Any, Any]:
        block = values[start:stop]
        if hasattr(block, "compute"):
            block = block.compute(scheduler="synchronous")
        if hasattr(block, "to_memory"):
            block = block.to_memory()
        rows = sparse.csr_matrix(block)
        return _numbers(rows.data, "blocks"), _index(rows.indices), _index(rows.indptr)

    return read
