"""Items of a file, as the extension hands them over, as what Python has for them.

`python/src/io/read.rs` tells the tuples. Arrays are taken as they come, without a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["column", "data_frame", "item", "named"]

#: What stands for an item that was not read.
_OPAQUE = object()


def named(items: Iterable[tuple[str, tuple[Any, ...]]], place: str) -> dict[str, Any]:
    """Give the items of a group by their names, without those that were not read."""
    found = ((name, item(inner, f"{place}/{name}")) for name, inner in items)
    return {name: inner for name, inner in found if inner is not _OPAQUE}


def item(found: tuple[Any, ...], place: str) -> Any:
    """Give any item as what Python has for it; `place` is where it stands in its file."""
    word, *parts = found
    if word == "null":
        return None
    if word == "scalar":
        return _scalar(parts[0])
    if word == "array":
        shape, entries = parts
        return _array(entries).reshape(shape)[()]
    if word == "column":
        return column(parts[0], place)
    if word == "sparse":
        return _sparse(*parts)
    if word == "frame":
        return data_frame(parts[0], place)
    if word == "records":
        return _records(*parts)
    if word == "dict":
        return named(parts[0], place)
    return _OPAQUE


def data_frame(found: tuple[str, tuple[Any, ...], list[tuple[str, tuple[Any, ...]]]], place: str) -> pd.DataFrame:
    """Give a data frame with its index, its columns in their order."""
    import pandas as pd

    name, names, columns = found
    index = pd.Index(column(names, f"{place}/{name}"), name=None if name == "_index" else name)
    values = {i: column(values, f"{place}/{key}") for i, (key, values) in enumerate(columns)}
    frame = pd.DataFrame(values, index=index, copy=False)
    # By position until here: two columns may have one name.
    frame.columns = pd.Index([key for key, _ in columns], dtype=None if columns else object)
    return frame


def column(found: tuple[Any, ...], place: str) -> Any:
    """Give a column as an array of numpy or pandas."""
    import pandas as pd

    word, *parts = found
    if word == "numbers":
        return parts[0]
    if word == "nullable":
        values, missing = parts
        kinds = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
        return kinds.get(values.dtype.kind, pd.arrays.IntegerArray)(values, missing)
    if word == "texts":
        values, na = parts
        return _objects(values) if na is None else pd.array(_objects(values, pd.NA), dtype=_text_type(na))
    codes, levels, ordered = parts
    categories = pd.Index(column(levels, place))
    if not categories.is_unique or categories.hasnans:
        message = "its categories are not distinct" if not categories.is_unique else "one of its categories is missing"
        raise BadFileError(message, place=place)
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _text_type(na: str) -> Any:
    """Give pandas' type of texts of which some are missing; before pandas 2.3 there is only one."""
    import pandas as pd

    if na == "NaN":
        try:
            return pd.StringDtype(na_value=np.nan)
        except TypeError:
            pass
    return pd.StringDtype()


def _objects(values: list[Any], missing: Any = None) -> np.ndarray[Any, Any]:
    """Give texts as an array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    if missing is not None:
        array[[i for i, value in enumerate(values) if value is None]] = missing
    return array


def _array(entries: Any) -> np.ndarray[Any, Any]:
    """Give the entries of an array, in one dimension."""
    if isinstance(entries, tuple):
        texts, width = entries
        return np.array(texts, dtype=f"<U{max(width, 1)}")
    return _objects(entries) if isinstance(entries, list) else entries


def _scalar(entries: Any) -> Any:
    """Give one value as Python's own type."""
    value = _array(entries)[0]
    return value.item() if isinstance(value, np.generic) else value


def _sparse(
    kind: str,
    shape: tuple[int, int],
    data: np.ndarray[Any, Any],
    indices: np.ndarray[Any, Any],
    indptr: np.ndarray[Any, Any],
) -> Any:
    """Give a sparse matrix with these very arrays: scipy's constructor would look at them all and may copy them."""
    from scipy import sparse

    make = sparse.csr_matrix if kind == "csr" else sparse.csc_matrix
    matrix = make(shape, dtype=data.dtype)
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def _records(n: int, fields: list[tuple[str, tuple[int, ...], Any]]) -> np.ndarray[Any, Any]:
    """Give records as an array of a structured type."""
    columns = [(name, shape, _array(entries)) for name, shape, entries in fields]
    records = np.empty(n, dtype=[(name, values.dtype, shape) for name, shape, values in columns])
    for name, shape, values in columns:
        records[name] = values.reshape((n, *shape))
    return records
