"""Cells, their columns, and options on their way in."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .._opening import open_path
from .._sources import Matrix, matrix_of, open_source
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

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


def read_cells(
    data: Any,
    meta: pd.DataFrame | None = None,
    *,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
) -> Study:
    """Describe cells: an AnnData, a data frame (its orientation is `orientation`), or a path.

    `meta` has a row for each cell, found by its name: the index, or a column ``CID``. Of an AnnData it is ``obs``
    unless it is given.
    """
    import pandas as pd

    columns: pd.DataFrame | None = None
    if isinstance(data, pd.DataFrame):
        by_cells = data if orientation == "cells_x_genes" else data.T
        values = by_cells.to_numpy(dtype=np.float64)
        found = matrix_of(values, "a data frame")
        cells, genes = [str(name) for name in by_cells.index], [str(name) for name in by_cells.columns]
    elif isinstance(data, (str, os.PathLike)):
        source, study = open_source(data, layer), open_path(data)
        found, genes, cells = source.matrix, source.genes, [str(name) for name in study.obs_names()]
        held = study.obs([], [], all_columns=True)
        columns = pd.DataFrame({name: _values(column) for name, column in held.items()}, index=cells)
    elif hasattr(data, "obs_names"):
        source = open_source(data, layer)
        found, genes, cells = source.matrix, source.genes, [str(name) for name in data.obs_names]
        columns = data.obs.set_axis(cells, axis=0)
    else:
        message = f"expected an AnnData, a data frame or a path, found {type(data).__name__}"
        raise BadInputError(message, place="data")
    if meta is not None:
        columns = aligned(meta, cells)
    named = Cells(found, cells, genes, normalize=normalize, nan=nan, auto_log=auto_log)
    return Study(named, columns)


def _values(column: Any) -> Any:
    """A column as the bindings read it: numbers, or codes and levels."""
    import pandas as pd

    if isinstance(column, tuple):
        return pd.Categorical.from_codes(column[0], categories=column[1])
    return column


def aligned(meta: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """The rows of `meta` in the order of `cells`, found by name."""
    table = meta.set_index("CID") if "CID" in meta.columns else meta
    names = [str(name) for name in table.index]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(names) < 10_000 else _twice(names)
        message = f"{len(twice)} cells stand in the table more than once: {_some(twice)}"
        raise BadInputError(message, place="meta", hint="leave one row for each cell")
    table = table.set_axis(names, axis=0)
    known = set(names)
    missing = [name for name in cells if name not in known]
    if missing:
        extra = known.difference(cells)
        message = f"{len(missing)} cells have no row in the table: {_some(missing)}"
        hint = f"its index, or a column CID, holds their names; {len(extra)} of its rows are of no cell"
        raise BadInputError(message, place="meta", hint=hint)
    return table.loc[list(cells)]


def _twice(names: list[str]) -> list[str]:
    import pandas as pd

    index = pd.Index(names)
    return sorted({str(name) for name in index[index.duplicated()]})


def _some(names: Iterable[str]) -> str:
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
            raise MissingKeyError(message, place=place, hint=f"columns are {_some(known) if known else 'none'}")
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
        raise MissingKeyError(message, place="columns of cells", hint=f"columns are {_some(map(str, frame.columns))}")
    return strings(frame[name], f"column `{name}`")
