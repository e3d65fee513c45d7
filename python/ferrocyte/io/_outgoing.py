"""What stands in an ``AnnData`` or ``MuData``, as the tuples that `python/src/io/write.rs` takes.

One function for each place where something can stand: :func:`item` for anything in ``uns`` or ``obsm``,
:func:`column` for a column of a data frame. What cannot be stored is refused by the name of its place, its type and a
way out; nothing is converted in silence except what keeps every value: lists become arrays, other sparse formats CSR.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
from scipy import sparse

from ..errors import BadInputError, UnsupportedError

if TYPE_CHECKING:
    import anndata
    import mudata

    Item = tuple[Any, ...]

__all__ = ["anndata_item", "column", "item", "mudata_item"]

#: Types of numbers that are stored as they are.
_NUMBERS = {np.dtype(t) for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")}


def anndata_item(adata: anndata.AnnData, place: str) -> Item:
    """Describe an AnnData; `place` is where it stands in the file."""
    at = f"{place}/" if place else ""
    entries = [("obs", data_frame(adata.obs, f"{at}obs")), ("var", data_frame(adata.var, f"{at}var"))]
    backed = _file_behind(adata)
    if backed is not None:
        entries.append(("X", ("stored", backed, "X")))
    elif adata.X is not None:
        entries.append(("X", item(adata.X, f"{at}X")))
    for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        entries.append((name, _dict(getattr(adata, name), at + name)))
    raw = adata.raw
    if raw is not None:
        matrix = ("stored", backed, "raw/X") if backed is not None else item(raw.X, f"{at}raw/X")
        parts = [
            ("X", matrix),
            ("var", data_frame(raw.var, f"{at}raw/var")),
            ("varm", _dict(raw.varm, f"{at}raw/varm")),
        ]
        entries.append(("raw", ("folder", "raw", [], parts)))
    return ("folder", "anndata", [], entries)


def mudata_item(mdata: mudata.MuData) -> Item:
    """Describe a MuData."""
    from .. import __version__

    modalities = [(_key(name, "mod"), anndata_item(adata, f"mod/{name}")) for name, adata in mdata.mod.items()]
    entries = [
        ("mod", ("folder", "plain", [("mod-order", [name for name, _ in modalities])], modalities)),
        ("obs", data_frame(_own(mdata, "obs"), "obs")),
        ("var", data_frame(_own(mdata, "var"), "var")),
    ]
    for name in ("obsm", "varm", "obsp", "varp", "obsmap", "varmap", "uns"):
        entries.append((name, _dict(getattr(mdata, name), name)))
    attributes = [("axis", int(mdata.axis)), ("encoder", "ferrocyte"), ("encoder-version", __version__)]
    return ("folder", "mudata", attributes, entries)


def _own(mdata: mudata.MuData, attribute: str) -> pd.DataFrame:
    """The columns of a MuData without the copies of those of its modalities, which mudata makes again."""
    frame: pd.DataFrame = getattr(mdata, attribute)
    copies = []
    for name, adata in mdata.mod.items():
        rows = np.asarray(getattr(mdata, f"{attribute}map")[name]).ravel().astype(np.int64)
        theirs = getattr(adata, attribute)
        for label in theirs.columns:
            mine = f"{name}:{label}"
            if mine in frame.columns and len(rows) == len(frame):
                here = frame[mine].to_numpy()[rows > 0]
                there = theirs[label].to_numpy()[rows[rows > 0] - 1]
                if pd.Series(here, dtype=object).equals(pd.Series(there, dtype=object)):
                    copies.append(mine)
    return frame.drop(columns=copies)


def _file_behind(adata: anndata.AnnData) -> str | None:
    """The file whose matrix a backed AnnData shows as it is."""
    if not getattr(adata, "isbacked", False) or adata.is_view:
        return None
    return os.fspath(adata.filename)


def item(value: Any, place: str) -> Item:
    """Describe anything that may stand in a file."""
    if value is None:
        return ("null",)
    if isinstance(value, str):
        return ("text", _text(value, place))
    if isinstance(value, (bool, int, float, np.generic)):
        return _scalar(value, place)
    if isinstance(value, Mapping):
        return _dict(value, place)
    if isinstance(value, pd.DataFrame):
        return data_frame(value, place)
    if sparse.issparse(value):
        return _sparse(value, place)
    if isinstance(value, np.ndarray):
        return _array(value, place)
    if isinstance(value, (list, tuple)):
        return _list(value, place)
    return _other(value, place)


def _other(value: Any, place: str) -> Item:
    """What other libraries made: lazily read matrices are read, the rest is known or refused."""
    if isinstance(value, pd.Index):
        value = value.array
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return ("column", column(value, place))
    if isinstance(value, (set, frozenset)):
        _refuse(value, place, "make it a sorted list")
    if isinstance(value, pd.Series):
        _refuse(value, place, "make it a data frame (.to_frame()) or an array (.to_numpy())")
    if isinstance(value, bytes):
        _refuse(value, place, "decode it to str")
    module = type(value).__module__.partition(".")[0]
    if module == "dask":
        return item(value.compute(), place)
    if module == "h5py" or module == "zarr":
        return item(value[()], place)
    if module == "anndata" and hasattr(value, "to_memory"):
        return item(value.to_memory(), place)
    return _refuse(value, place, "make it an array, a data frame, a text or a number, or leave it out")


def _dict(values: Mapping[Any, Any], place: str) -> Item:
    entries = [(_key(name, place), item(value, f"{place}/{name}")) for name, value in values.items()]
    return ("folder", "dict", [], entries)


def _scalar(value: Any, place: str) -> Item:
    try:
        array = np.array([value])
    except OverflowError:
        array = np.array([value], dtype=object)
    if array.dtype.kind in "US":
        return ("text", _text(str(value), place))
    if array.dtype not in _NUMBERS:
        _refuse(value, place, _advice(array.dtype))
    return ("number", array)


def _list(values: list[Any] | tuple[Any, ...], place: str) -> Item:
    try:
        array = np.array(values)
    except ValueError:  # lists of different lengths
        array = np.array(None)
    # numpy makes texts of numbers that stand beside texts, and numbers of truth values beside numbers.
    kinds = {isinstance(value, str) for value in values}
    if (
        array.dtype == object
        or array.shape[:1] != (len(values),)
        or (array.dtype.kind == "U" and kinds == {True, False})
    ):
        _refuse(values, place, "give all its entries one type and one length, or make it a dict")
    return _array(array, place)


def _array(values: np.ndarray[Any, Any], place: str) -> Item:
    if isinstance(values, np.ma.MaskedArray):
        _refuse(values, place, "fill what is masked (.filled(...))")
    values = np.asarray(values)
    if values.dtype.names is not None:
        return _records(values, place)
    if values.dtype.kind in "UOT":
        texts = _texts(values, place, missing=False)
        return ("text", texts[0]) if values.shape == () else ("texts", list(values.shape), texts)
    flat = _numbers(values, place)
    return ("number", flat) if values.shape == () else ("array", list(values.shape), flat)


def _records(values: np.ndarray[Any, Any], place: str) -> Item:
    if values.ndim != 1:
        _refuse(values, place, "records have one axis: flatten it")
    fields = []
    for name in values.dtype.names or ():
        at = f"{place}/{name}"
        cells = values[name]
        if cells.dtype.kind == "S":
            cells = np.char.decode(cells, "utf-8")
        flat = _texts(cells, at, missing=False) if cells.dtype.kind in "UOT" else _numbers(cells, at)
        fields.append((_key(name, place), list(cells.shape[1:]), flat))
    return ("records", len(values), fields)


def _sparse(values: Any, place: str) -> Item:
    if values.ndim != 2:
        _refuse(values, place, "make it an array")
    if values.format not in ("csr", "csc"):
        values = values.tocsr()
    end = int(values.indptr[-1]) if len(values.indptr) else 0
    shape = (int(values.shape[0]), int(values.shape[1]))
    parts = _numbers(values.data[:end], place), _index(values.indices[:end]), _index(values.indptr)
    return ("sparse", values.format, shape, *parts)


def _index(values: Any) -> np.ndarray[Any, Any]:
    values = np.ascontiguousarray(values)
    return values if values.dtype in (np.dtype(np.int32), np.dtype(np.int64)) else values.astype(np.int64)


def data_frame(frame: pd.DataFrame, place: str) -> Item:
    """Describe a data frame."""
    if isinstance(frame.index, pd.MultiIndex) or isinstance(frame.columns, pd.MultiIndex):
        _refuse(frame, place, "make its index and columns of one level (.reset_index())")
    name = frame.index.name
    if name is None:
        name = "_index"
    elif name in frame.columns:
        if not np.array_equal(np.asarray(frame[name]), np.asarray(frame.index)):
            message = f"its index is called `{name}`, as is a column with other values"
            raise BadInputError(message, place=place, hint="set index.name = None, or rename the column")
        # The column keeps the name.
        name = "_index"
    columns = [
        (_key(label, place), column(frame.iloc[:, i].array, f"{place}/{label}"))
        for i, label in enumerate(frame.columns)
    ]
    return ("frame", _key(name, place), column(frame.index.array, f"{place}/{name}"), columns)


def column(values: Any, place: str) -> Item:
    """Describe a column of a data frame: an array of numpy or pandas of one axis."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = np.ascontiguousarray(values.codes)
        levels = column(values.categories.array, f"{place}/categories")
        return ("categorical", codes, levels, bool(values.ordered))
    if isinstance(dtype, pd.StringDtype):
        na = "NA" if dtype.na_value is pd.NA else None
        return ("texts", _texts(values.to_numpy(dtype=object, na_value=None), place, missing=True), na)
    if isinstance(values, pd.arrays.FloatingArray):
        _refuse(values, place, 'make it plain floats (.astype("float64")), with NaN for what is missing')
    if isinstance(values, (pd.arrays.IntegerArray, pd.arrays.BooleanArray)):
        plain = dtype.numpy_dtype
        filled = values.to_numpy(dtype=plain, na_value=plain.type(0))
        return ("nullable", np.ascontiguousarray(filled), np.ascontiguousarray(values.isna()))
    if not isinstance(values, (np.ndarray, pd.arrays.NumpyExtensionArray)):
        _refuse(values, place, _advice(dtype))
    values = np.asarray(values)
    if values.dtype.kind in "UOT":
        return ("texts", _texts(values, place, missing=True), None)
    return ("numbers", _numbers(values, place))


def _numbers(values: np.ndarray[Any, Any], place: str) -> np.ndarray[Any, Any]:
    """Numbers flat, contiguous and in a type that is stored; nothing is copied if they are."""
    native = values.dtype.newbyteorder("=")
    if native not in _NUMBERS:
        _refuse(values, place, _advice(values.dtype))
    return np.ascontiguousarray(values, dtype=native).reshape(-1)


def _texts(values: np.ndarray[Any, Any], place: str, *, missing: bool) -> list[str | None]:
    """Texts in row-major order, ``None`` where they are missing; whatever else is refused."""
    texts: list[Any] = values.ravel().tolist()
    for i, text in enumerate(texts):
        if type(text) is str:
            continue
        if isinstance(text, str):
            texts[i] = str(text)
        elif missing and (text is None or text is pd.NA or (isinstance(text, float) and text != text)):
            texts[i] = None
        else:
            hint = "make all of them texts (.astype(str)) or give them a type of numbers"
            message = f"entry {i} is {text!r} of type {type(text).__name__}, expected text"
            raise UnsupportedError(message, place=place, hint=hint)
    for i, text in enumerate(texts):
        if text is not None and (not text.isascii() or "\0" in text):
            _text(text, place, i)
    return texts


def _text(text: str, place: str, row: int | None = None) -> str:
    """A text that can be stored."""
    where = "it" if row is None else f"entry {row}"
    if "\0" in text:
        message = f"{where} contains a NUL: {text!r}"
        raise UnsupportedError(message, place=place, hint="remove the NUL, which no format of files stores")
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{where} is no Unicode text: {text!r}"
        raise UnsupportedError(
            message, place=place, hint='replace what is lone (.encode("utf-8", "replace"))'
        ) from None
    return str(text)


def _key(name: Any, place: str) -> str:
    """The name of an element or column."""
    if not isinstance(name, str):
        message = f"the name {name!r} is of type {type(name).__name__}, expected text"
        raise BadInputError(message, place=place, hint="rename it, such as with str(...)")
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        message = f"`{name}` cannot be the name of an element"
        raise BadInputError(message, place=place, hint="names are not empty and have no `/`: rename it")
    return _text(name, place)


def _advice(dtype: Any) -> str:
    """What to do about a type that is not stored."""
    kind = getattr(dtype, "kind", "")
    if kind == "f":
        return 'make it .astype("float32") or .astype("float64")'
    if kind == "c":
        return "store its .real and .imag"
    if kind in "mM" and kind:
        return "make it texts (.astype(str)) or a number of units"
    if kind == "S":
        return "make it texts (.astype(str))"
    if isinstance(dtype, pd.SparseDtype):
        return "make it dense (.sparse.to_dense())"
    return "give it a type of numpy: .astype(...)"


def _refuse(value: Any, place: str, hint: str) -> NoReturn:
    dtype = getattr(value, "dtype", None)
    kind = type(value).__name__ if dtype is None else f"{type(value).__name__} of type {dtype}"
    message = f"{kind} cannot be stored"
    raise UnsupportedError(message, place=place, hint=hint)
