"""Columns of cells on their way to a model: numbers, or codes and levels; never a text per cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    Column: TypeAlias = np.ndarray[Any, Any] | tuple[np.ndarray[Any, Any], list[str]]


def columns(obs: pd.DataFrame, names: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Column]:
    """The named columns of `obs`, those of `optional` that exist, and every categorical one.

    The categorical columns that no model names are wanted by the check for replication, which looks for the label of
    the unit that was treated.
    """
    if not obs.columns.is_unique:
        twice = sorted({str(name) for name in obs.columns[obs.columns.duplicated()]})
        message = f"columns occur twice: {', '.join(f'`{name}`' for name in twice)}"
        raise BadInputError(message, place="obs", hint="rename one of each")
    wanted = [name for name in dict.fromkeys(names) if name in obs.columns]
    wanted += [name for name in optional if name in obs.columns and name not in wanted]
    wanted += [name for name in obs.columns[obs.dtypes == "category"] if isinstance(name, str) and name not in wanted]
    return {name: column(obs[name], name) for name in wanted}


def column(series: pd.Series[Any], name: str) -> Column:
    """One column: float64 (NaN where missing), or int32 codes (-1 where missing) and levels.

    Categories keep their order; texts become levels in sorted order; truth values become ``FALSE``, ``TRUE``.
    """
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _codes(series.array.codes), [_level(value) for value in dtype.categories]
    if pd.api.types.is_bool_dtype(dtype):
        values = series.array
        missing = np.asarray(pd.isna(values))
        truths = np.asarray(series.fillna(value=False) if missing.any() else values, dtype=bool)
        return _codes(np.where(missing, -1, truths)), ["FALSE", "TRUE"]
    if pd.api.types.is_complex_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype):
        message = f"the column has type {dtype}, expected numbers, text, categories or truth values"
        raise BadInputError(message, place=f"obs column `{name}`")
    if pd.api.types.is_numeric_dtype(dtype):
        return np.ascontiguousarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return _from_objects(series, name)


def _from_objects(series: pd.Series[Any], name: str) -> Column:
    """Texts, and object columns that hold only truth values, numbers or texts."""
    import pandas as pd

    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "boolean":
        return column(series.astype("boolean"), name)
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return column(pd.to_numeric(series), name)
    if inferred not in ("string", "empty"):
        message = f"the column holds values of several types ({inferred}), expected texts or numbers"
        raise BadInputError(message, place=f"obs column `{name}`", hint="make it categorical")
    codes, levels = pd.factorize(series, sort=True)
    return _codes(codes), [str(level) for level in levels]


def _codes(codes: Any) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(codes, dtype=np.int32)


def _level(value: object) -> str:
    """A category as text; whole numbers without a decimal point, truth values as R writes them."""
    if isinstance(value, (bool, np.bool_)):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def require(obs: pd.DataFrame, name: str, place: str = "obs") -> pd.Series[Any]:
    """A column of `obs` (or of var) by name, or an error with the names that exist."""
    import difflib

    if name in obs.columns:
        return obs[name]
    known = [str(known) for known in obs.columns]
    near = difflib.get_close_matches(name, known, 3) or known[:20]
    message = f"there is no column `{name}`"
    raise MissingKeyError(message, place=place, hint=f"there are {', '.join(f'`{known}`' for known in near)}")
