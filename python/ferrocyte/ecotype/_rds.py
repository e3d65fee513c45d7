"""Models in R's own files (.rds): a named list of matrices, as published recovery models are kept."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadFileError, BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def is_rds(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as files of R do."""
    return str(path).lower().endswith(".rds")


def read_rds(path: str | os.PathLike[str]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables of features × ecotypes by their names in a list of matrices or data frames, and names without one.

    A file that holds one matrix gives it under the name of the file.
    """
    rdata = _library()
    place = Path(path)
    try:
        held = rdata.read_rds(place)
    except OSError as error:
        raise BadFileError(str(error.strerror or error), place=str(place)) from error
    except Exception as error:  # What a damaged file makes the parser do is not documented.
        message = f"this is no file that saveRDS writes: {type(error).__name__}: {error}"
        raise BadFileError(message, place=str(place)) from error
    if hasattr(held, "columns") or not hasattr(held, "items"):
        return {place.name[: -len(".rds")]: _table(held, str(place))}, []
    found = {str(name): one for name, one in held.items()}
    tables = {name: _table(one, f"{place}, `{name}`") for name, one in found.items() if one is not None}
    return tables, [name for name, one in found.items() if one is None]


def write_rds(path: str | os.PathLike[str], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as a named list of matrices with names of rows and columns, which ``readRDS`` reads."""
    import pandas as pd

    rdata = _library()
    for name, table in tables.items():
        if table.size == 0:
            message = f"the model of `{name}` is empty"
            raise BadInputError(message, place="models")
    rdata.write_rds(Path(path), dict(tables), constructor_dict={pd.DataFrame: _matrix})


def _library() -> Any:
    if importlib.util.find_spec("rdata") is None:
        message = ".rds files need rdata, which is not installed: pip install 'ferrocyte[rds]'"
        raise ImportError(message)
    import rdata

    return rdata


def _matrix(table: pd.DataFrame, converter: Any) -> Any:
    """A data frame as a matrix of R: numbers column by column, with names of both dimensions."""
    from rdata.conversion.to_r import build_r_object
    from rdata.parser import RObjectType

    names = [np.array([str(name) for name in axis], dtype=np.str_) for axis in table.axes]
    attributes = converter.convert_to_r_attributes({"dim": np.array(table.shape, dtype=np.int32), "dimnames": names})
    values = np.ascontiguousarray(table.to_numpy(dtype=np.float64).ravel(order="F"))
    return build_r_object(RObjectType.REAL, value=values, attributes=attributes)


def _table(held: Any, place: str) -> pd.DataFrame:
    """A matrix with names, or a data frame, as the library reads it."""
    import pandas as pd

    if hasattr(held, "columns"):
        table = held
    else:
        named = [held.coords.get(dimension) for dimension in held.dims] if hasattr(held, "dims") else []
        if len(named) != 2 or any(names is None for names in named):
            message = "expected a matrix with names of rows (features) and columns (ecotypes)"
            raise BadFileError(message, place=place, hint="or a named list of such matrices: list(B = W1, T = W2)")
        table = pd.DataFrame(held.to_numpy(), *(names.to_numpy() for names in named))
    try:
        values = table.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = "weights are no numbers"
        raise BadFileError(message, place=place) from error
    index = pd.Index([str(name) for name in table.index], name="feature")
    return pd.DataFrame(values, index=index, columns=[str(name) for name in table.columns])
