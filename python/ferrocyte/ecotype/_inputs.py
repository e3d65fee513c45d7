"""Cells, their columns, and options on their way in."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .. import _core
from .._opening import Opening, open_path
from .._run import means
from .._sources import Matrix, matrix_of, open_source, source_of
from ..errors import BadFileError, BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    #: Columns of cells: a data frame, a table in a file, or several of these.
    Table: TypeAlias = "pd.DataFrame | str | os.PathLike[str]"
    Meta: TypeAlias = "Table | Sequence[Table] | None"

Orientation: TypeAlias = Literal["genes_x_cells", "cells_x_genes"]
Mode: TypeAlias = Literal["exact", "compat"]
Rng: TypeAlias = Literal["native", "r"]
Normalize: TypeAlias = Literal["none", "log1p_cp10k"]

_SHOWN = 5


@dataclass
class Cells:
    """Named cells x genes, as the compiled module reads them, and what is done to them first."""

    matrix: Matrix
    names: list[str]
    genes: list[str]
    normalize: str = "none"
    nan: str = "error"
    auto_log: bool = True


@dataclass
class Training:
    """How models are trained."""

    mode: str
    scale: bool
    balance_sample: bool
    nfeature: int
    nfeature_per_se: int | None
    min_cells: int
    downsample: int
    seed: int
    rng: str | None
    small_classes: str | None


@dataclass
class Recovery:
    """How cells are labelled."""

    mode: str
    scale: bool
    cells_per_run: int
    min_score: float
    min_cells: int
    non_se_label: str


@dataclass
class Study:
    """Cells, and where their columns are."""

    cells: Cells
    columns: pd.DataFrame | None
    fingerprint: str = ""


def read_cells(
    data: Any,
    meta: Meta = None,
    *,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
    duplicates: str = "error",
) -> Study:
    """Describe cells: an AnnData, a data frame, a path, or a list of these, of which the genes that all have are taken.

    `orientation` is that of data frames and of text (.tsv, .csv, .txt, .mtx, each also with .gz). `meta`, a data frame,
    a path or a list of these, has a row for each cell, found by its name: the index, or a column ``CID``, or the first
    column of a file. Of an AnnData it is ``obs`` unless it is given. Each part of a list is normalised by itself, with
    all of its genes.
    """
    if isinstance(data, (list, tuple)):
        parts = [
            read_cells(
                part,
                layer=layer,
                orientation=orientation,
                normalize=normalize,
                auto_log=auto_log,
                nan=nan,
                duplicates=duplicates,
            )
            for part in data
        ]
        found, cells, genes, columns = _joined(parts)
        fingerprint = "; ".join(part.fingerprint for part in parts)
        normalize, nan = "none", "error"
    else:
        found, cells, genes, columns, fingerprint = _described(data, layer, orientation)
        genes = _core.ecotype_gene_names(genes, duplicates)
    if meta is not None:
        columns = aligned(_table(meta), cells)
    named = Cells(found, cells, genes, normalize=normalize, nan=nan, auto_log=auto_log)
    return Study(named, columns, fingerprint)


def _described(
    data: Any, layer: str | None, orientation: Orientation
) -> tuple[Matrix, list[str], list[str], pd.DataFrame | None, str]:
    """The matrix of one study, its cells and genes, what columns it has itself, and its fingerprint."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        by_cells = data if orientation == "cells_x_genes" else data.T
        values = by_cells.to_numpy(dtype=np.float64)
        cells, genes = [str(name) for name in by_cells.index], [str(name) for name in by_cells.columns]
        return matrix_of(values, "a data frame"), cells, genes, None, f"{len(cells)} x {len(genes)}"
    if isinstance(data, (str, os.PathLike)):
        study = open_path(data, Opening(transpose=_is_text(data) and orientation == "genes_x_cells"))
        source = source_of(study, os.path.basename(os.fspath(data)), layer)
        cells = [str(name) for name in study.obs_names()]
        held = study.obs([], [], all_columns=True)
        columns = pd.DataFrame({name: _values(column) for name, column in held.items()}, index=cells)
        return source.matrix, cells, source.genes, columns, source.fingerprint
    if hasattr(data, "obs_names"):
        source = open_source(data, layer)
        cells = [str(name) for name in data.obs_names]
        return source.matrix, cells, source.genes, data.obs.set_axis(cells, axis=0), source.fingerprint
    message = f"expected an AnnData, a data frame or a path, or a list of these, found {type(data).__name__}"
    raise BadInputError(message, place="data")


def _joined(parts: Sequence[Study]) -> tuple[Matrix, list[str], list[str], pd.DataFrame | None]:
    """The cells of several studies, and the genes and columns that all have, in the order of the first."""
    import pandas as pd
    from scipy import sparse

    if not parts:
        message = "there is no study in the list"
        raise BadInputError(message, place="data")
    known = [set(part.cells.genes) for part in parts]
    genes = [gene for gene in parts[0].cells.genes if all(gene in one for one in known)]
    if not genes:
        message = f"{len(parts)} studies have no gene in common"
        raise BadInputError(message, place="data", hint="are names of genes of one kind, and cells not for genes?")
    cells = [name for part in parts for name in part.cells.names]
    if len(set(cells)) != len(cells):
        twice = _twice(cells)
        message = f"{len(twice)} cells stand in more than one study: {some(twice)}"
        raise BadInputError(
            message, place="data", hint="give cells names that differ, such as with their sample before"
        )
    rows = []
    for part in parts:
        indptr, indices, values = _core.ecotype_values(part.cells, means(progress=False))
        whole = sparse.csr_matrix((values, indices, indptr), shape=(len(part.cells.names), len(part.cells.genes)))
        place = {gene: i for i, gene in enumerate(part.cells.genes)}
        rows.append(whole[:, [place[gene] for gene in genes]])
    stacked = sparse.csr_matrix(sparse.vstack(rows))
    stacked.sort_indices()
    tables = [part.columns for part in parts if part.columns is not None]
    columns = pd.concat(tables, join="inner") if len(tables) == len(parts) else None
    return matrix_of(stacked, f"{len(parts)} studies"), cells, genes, columns


def _is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a table or matrix in text, which does not say what its rows are."""
    name = os.fspath(path).lower().removesuffix(".gz")
    return name.endswith((".tsv", ".csv", ".txt", ".mtx")) and not os.path.isdir(path)


def _table(meta: Any) -> pd.DataFrame:
    """Columns of cells: a data frame, a table in a file, or several of these, one below the other."""
    import pandas as pd

    if isinstance(meta, (list, tuple)):
        return pd.concat([_table(one).pipe(_by_name) for one in meta])
    if not isinstance(meta, (str, os.PathLike)):
        return meta
    separator = "," if ".csv" in os.path.basename(os.fspath(meta)).lower() else "\t"
    try:
        first = pd.read_csv(meta, sep=separator, nrows=0).columns
        names = "CID" if "CID" in first else first[0]
        # Names stay texts, also where they are numbers that begin with 0.
        return pd.read_csv(meta, sep=separator, dtype={names: str}).set_index(names)
    except (OSError, ValueError, IndexError) as error:
        message = f"this is no table of cells: {error}"
        raise BadFileError(message, place=os.fspath(meta)) from error


def _by_name(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("CID") if "CID" in table.columns else table


def _values(column: Any) -> Any:
    """A column as the bindings read it: numbers, or codes and levels."""
    import pandas as pd

    if isinstance(column, tuple):
        return pd.Categorical.from_codes(column[0], categories=column[1])
    return column


def aligned(meta: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """The rows of `meta` in the order of `cells`, found by name."""
    table = _by_name(meta)
    names = [str(name) for name in table.index]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 10_000 else _twice(names)
        message = f"{len(twice)} cells stand in the table more than once: {some(twice)}"
        raise BadInputError(message, place="meta", hint="leave one row for each cell")
    table = table.set_axis(names, axis=0)
    known = set(names)
    missing = [name for name in cells if name not in known]
    if missing:
        extra = known.difference(cells)
        message = f"{len(missing)} cells have no row in the table: {some(missing)}"
        hint = f"its index, or a column CID, holds their names; {len(extra)} of its rows are of no cell"
        raise BadInputError(message, place="meta", hint=hint)
    return table.loc[list(cells)]


def _twice(names: list[str]) -> list[str]:
    import pandas as pd

    index = pd.Index(names)
    return sorted({str(name) for name in index[index.duplicated()]})


def some(names: Iterable[str]) -> str:
    """The first of names, and how many more there are."""
    listed = list(names)
    shown = ", ".join(f"`{name}`" for name in listed[:_SHOWN])
    return shown if len(listed) <= _SHOWN else f"{shown} and {len(listed) - _SHOWN} more"


def texts(study: Study, key: Any, place: str, missing: str | None = None) -> list[str]:
    """A column of cells as texts: the name of a column, or values in the order of the cells.

    Values that are missing become `missing`; if that is ``None`` they are refused.
    """
    import pandas as pd

    if isinstance(key, str):
        if study.columns is None or key not in study.columns.columns:
            known = [] if study.columns is None else [str(name) for name in study.columns.columns]
            message = f"there is no column `{key}`"
            raise MissingKeyError(message, place=place, hint=f"columns are {some(known) if known else 'none'}")
        values = study.columns[key]
    elif isinstance(key, pd.Series):
        values = key if len(key) != len(study.cells.names) else _of_series(key, study.cells.names)
    else:
        values = pd.Series(list(key))
    if len(values) != len(study.cells.names):
        message = f"{len(values)} values for {len(study.cells.names)} cells"
        raise BadInputError(message, place=place)
    return strings(values, place, missing)


def _of_series(series: pd.Series[Any], cells: list[str]) -> pd.Series[Any]:
    """A series in the order of the cells, if its index names them."""
    names = [str(name) for name in series.index]
    if names == cells or set(names) != set(cells):
        return series
    return series.set_axis(names).loc[cells]


def strings(values: Any, place: str, missing: str | None = None) -> list[str]:
    """Labels as texts; whole numbers without a decimal point."""
    import pandas as pd

    series = pd.Series(values)
    absent = series.isna().to_numpy()
    if absent.any() and missing is None:
        message = f"{int(absent.sum())} values are missing"
        raise BadInputError(message, place=place, hint="give each cell a value")
    return [missing or "" if gone else _text(value) for value, gone in zip(series, absent, strict=True)]


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def all_or(count: float | None) -> int | None:
    """A number of features; infinity and ``None`` are all."""
    if count is None or math.isinf(count):
        return None
    return int(count)


def coordinates(table: Any, x: str = "X", y: str = "Y") -> tuple[list[float], list[float]]:
    """Two columns of coordinates, or the first two of ``obsm["spatial"]`` of an AnnData."""
    if hasattr(table, "obsm") and "spatial" in table.obsm:
        places = np.asarray(table.obsm["spatial"], dtype=np.float64)
        return places[:, 0].tolist(), places[:, 1].tolist()
    frame = frame_of(table)
    for name in (x, y):
        if name not in frame.columns:
            message = f"there is no column `{name}`"
            raise MissingKeyError(message, place="coordinates", hint='give columns X and Y, or obsm["spatial"]')
    return frame[x].astype(float).tolist(), frame[y].astype(float).tolist()


def frame_of(table: Any) -> pd.DataFrame:
    """The columns of cells: a data frame, or obs of an AnnData."""
    return table.obs if hasattr(table, "obs") else table


def column_of(table: Any, name: str) -> list[str]:
    """A column of labels of a table."""
    frame = frame_of(table)
    if name not in frame.columns:
        message = f"there is no column `{name}`"
        raise MissingKeyError(message, place="columns of cells", hint=f"columns are {some(map(str, frame.columns))}")
    return strings(frame[name], f"column `{name}`")
