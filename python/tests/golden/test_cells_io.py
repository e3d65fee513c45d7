"""Every file of the folders of files is read as the reference reader sees it.

A folder below `cells` with `EXPECTED*.json.gz` is a folder of files; each file that it lists and that stands beside it
is a case. The lists have all of data frames and single values, and of matrices extents, types, sums and first
entries; every value of a matrix is compared with what h5py reads from the file.
"""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from common import GOLDEN
from scipy import sparse

import ferrocyte as fe

CELLS = GOLDEN / "cells"

#: Kinds of files whose readers come from elsewhere, and the functions that must exist for them.
READERS = {"h5ad": "read_h5ad", "h5mu": "read_h5mu", "tenx": "read_10x", "zarr": "read_zarr"}

#: Lists of first entries that are wrong in the reference data itself: README.md beside the files says how.
FIRST_ENTRIES_LISTED_WRONG = {("int64_indptr_unsorted_ad012.h5ad", "X"), ("int64_indptr_unsorted_ad013.h5ad", "X")}

#: Names that pandas 2 and 3 have for one type of text.
TEXT = {"str", "string"}

#: Types of numpy in which readers hold an array of texts: the second is anndata's from 0.13 on, for Zarr alone.
TEXTS = {"object", "StringDType()"}


def cases() -> dict[str, tuple[Path, dict[str, Any]]]:
    found = {}
    for listing in sorted(CELLS.glob("*/EXPECTED*.json.gz")):
        with gzip.open(listing, "rt") as text:
            files = json.load(text)["files"]
        for name, expected in files.items():
            path = listing.parent / name
            if path.exists():
                found[f"{listing.parent.name}/{name}"] = (path, expected)
    return found


CASES = cases()


def kind_of(path: Path, expected: dict[str, Any]) -> str:
    if "zarr" in path.name:
        return "zarr"
    if path.suffix in {".h5ad", ".h5mu"}:
        return path.suffix[1:]
    assert {"genomes", "var_names_symbols", "content"} & set(expected), path
    return "tenx"


def of_kind(*kinds: str) -> list[str]:
    return [name for name, (path, expected) in CASES.items() if kind_of(path, expected) in kinds]


def reader(kind: str) -> Any:
    return getattr(fe.io, READERS[kind])


# ---- comparison with the lists


def number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def same_number(a: Any, b: Any) -> bool:
    a, b = number(a), number(b)
    return a == b or (math.isnan(a) and math.isnan(b))


def is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def check_values(place: str, found: Any, expected: list[Any]) -> None:
    found = list(found)
    assert len(found) == len(expected), place
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        if b is None:
            assert is_missing(a), f"{place}[{i}]: {a!r}, expected none"
        elif isinstance(b, str) and b not in {"inf", "-inf"}:
            assert a == b, f"{place}[{i}]: {a!r}, expected {b!r}"
        else:
            assert same_number(a, b), f"{place}[{i}]: {a!r}, expected {b!r}"


def check_dtype(place: str, found: Any, expected: str) -> None:
    name = str(found)
    same = name == expected or {name, expected} <= TEXT or {name, expected} == TEXTS
    assert same, f"{place}: {name}, expected {expected}"


def check_column(place: str, found: pd.Series, expected: dict[str, Any]) -> None:
    check_dtype(place, found.dtype, expected["dtype"])
    if expected["dtype"] == "category":
        assert found.cat.ordered == expected["ordered"], place
        check_values(f"{place}: levels", found.cat.categories, expected["categories"])
        assert found.cat.codes.tolist() == expected["codes"], place
    else:
        check_values(place, found, expected["values"])


def check_frame(place: str, found: pd.DataFrame, expected: dict[str, Any], *, in_order: bool = True) -> None:
    assert found.index.name == expected["index_name"], place
    check_values(f"{place}: index", found.index, expected["index"])
    if in_order:
        assert list(found.columns) == list(expected["columns"]), place
    for name, column in expected["columns"].items():
        check_column(f"{place}/{name}", found[name], column)


def check_matrix(place: str, found: Any, expected: dict[str, Any], *, first: bool = True) -> None:
    if expected["kind"] == "array":
        assert isinstance(found, np.ndarray), f"{place}: {type(found)}"
    else:
        assert sparse.issparse(found), f"{place}: {type(found)}"
        assert found.format == expected["kind"], place
    check_dtype(place, found.dtype, expected["dtype"])
    assert list(found.shape) == expected["shape"], place
    if found.dtype.kind in "OU":
        check_values(place, found.ravel()[: len(expected["flat_first"])], expected["flat_first"])
        return
    # The reference adds 32-bit floats in 32 bits.
    close = {"rtol": 1e-5 if found.dtype == np.float32 else 1e-12, "atol": 1e-4 if found.dtype == np.float32 else 1e-9}
    if expected["sum"] is not None:
        np.testing.assert_allclose(found.sum(dtype=np.float64), expected["sum"], err_msg=place, **close)
    if expected["kind"] == "array":
        check_values(place, found.ravel()[: len(expected["flat_first"])], expected["flat_first"])
        return
    assert found.nnz == expected["nnz"], place
    sums = np.asarray(found.sum(axis=1, dtype=np.float64)).ravel()
    np.testing.assert_allclose(sums, expected["row_sums"], err_msg=place, **close)
    if first:
        dense = found.toarray()
        for i, j, value in expected["coo_first"]:
            # A place may be stored more than once: the list has what is stored, the matrix their sum.
            again = [entry[2] for entry in expected["coo_first"] if entry[:2] == [i, j]]
            assert len(again) > 1 or has_duplicates(found) or same_number(dense[i, j], value), f"{place}[{i}, {j}]"


def has_duplicates(matrix: Any) -> bool:
    copy = matrix.copy()
    copy.sum_duplicates()
    return copy.nnz != matrix.nnz


def check_item(place: str, found: Any, expected: Any) -> None:
    if expected is None:
        assert found is None, place
        return
    kind = expected["kind"]
    if kind == "dict":
        check_items(place, found, expected["items"])
    elif kind == "dataframe":
        check_frame(place, found, expected)
    elif kind == "scalar":
        assert type(found).__name__ == expected["type"], f"{place}: {type(found)}"
        check_values(place, [found], [expected["value"]])
    elif kind == "recarray":
        assert list(found.dtype.names) == list(expected["fields"]), place
        for name, field in expected["fields"].items():
            check_dtype(f"{place}/{name}", found.dtype[name], field["dtype"])
            check_values(f"{place}/{name}", found[name], field["values"])
    else:
        check_matrix(place, found, expected)


def check_items(place: str, found: Any, expected: dict[str, Any]) -> None:
    assert sorted(found) == sorted(expected), place
    for name, inner in expected.items():
        check_item(f"{place}/{name}", found[name], inner)


def check_content(name: str, found: Any, expected: dict[str, Any]) -> None:
    """An AnnData against its list."""
    assert list(found.shape) == expected["shape"], name
    assert (found.X is None) == (expected["X"] is None), name
    if expected["X"] is not None:
        check_matrix(
            "X", found.X, expected["X"], first=(name.rpartition("/")[2], "X") not in FIRST_ENTRIES_LISTED_WRONG
        )
    check_frame("obs", found.obs, expected["obs"])
    check_frame("var", found.var, expected["var"])
    # anndata 0.13 lists X once more, as the layer without a name.
    layers = {key: value for key, value in expected["layers"].items() if key != "null" or "null" in found.layers}
    check_items("layers", found.layers, layers)
    for group in ("obsm", "varm", "obsp", "varp"):
        check_items(group, getattr(found, group), expected[group])
    check_items("uns", found.uns, expected.get("uns", {}))
    raw = expected.get("raw")
    assert (found.raw is None) == (raw is None), name
    if raw is not None:
        assert list(found.raw.shape) == raw["shape"], name
        check_matrix("raw/X", found.raw.X, raw["X"])
        check_frame("raw/var", found.raw.var, raw["var"])


# ---- comparison with h5py, value by value


def stored(node: h5py.Group | h5py.Dataset) -> Any:
    """A matrix as h5py finds it: an array, or the arrays of a sparse matrix."""
    if isinstance(node, h5py.Dataset):
        return node[()]
    return {name: node[name][()] for name in ("data", "indices", "indptr")}


def check_stored(place: str, found: Any, node: h5py.Group | h5py.Dataset) -> None:
    values = stored(node)
    if isinstance(values, dict):
        for name, array in values.items():
            ours = getattr(found, name)
            assert ours.dtype == array.dtype, f"{place}/{name}"
            np.testing.assert_array_equal(ours, array, err_msg=f"{place}/{name}")
    elif values.dtype.names is None and values.dtype.kind not in "OS":
        assert found.dtype == values.dtype, place
        np.testing.assert_array_equal(found, values, err_msg=place)


def is_matrix(node: Any) -> bool:
    return isinstance(node, h5py.Dataset) or "data" in node


def check_against_h5py(found: Any, root: h5py.Group) -> int:
    """Every matrix of an AnnData against the file; how many there were."""
    compared = 0
    if "X" in root:
        check_stored("X", found.X, root["X"])
        compared += 1
    for group in ("layers", "obsm", "varm", "obsp", "varp"):
        if group not in root:
            continue
        if isinstance(root[group], h5py.Dataset):
            # Before anndata 0.7 these were records.
            for name in root[group].dtype.names:
                np.testing.assert_array_equal(getattr(found, group)[name], root[group][name])
            continue
        for name, node in root[group].items():
            if is_matrix(node):
                check_stored(f"{group}/{name}", getattr(found, group)[name], node)
                compared += 1
    raw = next((root[path] for path in ("raw/X", "raw.X") if path in root), None)
    if raw is not None:
        check_stored("raw/X", found.raw.X, raw)
        compared += 1
    return compared


# ---- the cases


def test_there_are_cases() -> None:
    assert CASES, f"no reference cases under {CELLS}"


@pytest.mark.parametrize("name", of_kind("h5ad"))
def test_h5ad(name: str) -> None:
    path, expected = CASES[name]
    found = reader("h5ad")(path)
    # First what is stored: scipy sorts the entries of a matrix when it works with it.
    with h5py.File(path) as file:
        compared = check_against_h5py(found, file)
    assert compared > 0 or expected["content"]["X"] is None
    check_content(name, found, expected["content"])


@pytest.mark.parametrize("name", of_kind("h5mu"))
def test_h5mu(name: str) -> None:
    path, expected = CASES[name]
    found = reader("h5mu")(path)
    if "mod_order" in expected:
        assert list(found.mod) == expected["mod_order"]
    assert sorted(found.mod) == sorted(expected["mod"])
    if "axis" in expected:
        assert found.axis == expected["axis"]
    if "shape" in expected:
        assert list(found.shape) == expected["shape"]
    for part in ("obs", "var"):
        if part in expected:
            # Columns that mudata pulls from the modalities depend on its version: all that are listed must be there.
            check_frame(part, getattr(found, part), expected[part], in_order=False)
    if "var_names" in expected:
        assert found.var_names.tolist() == expected["var_names"]
    for modality, positions in expected.get("obsmap", {}).items():
        assert found.obsmap[modality].tolist() == positions
    with h5py.File(path) as file:
        for modality, content in expected["mod"].items():
            alone = fe.io.read_h5ad(path, modality=modality)
            for adata in (found.mod[modality], alone):
                assert check_against_h5py(adata, file["mod"][modality]) > 0
                check_content(name, adata, content)
        for part in ("obsm", "varm", "obsmap", "varmap"):
            for key, node in file.get(part, {}).items():
                ours = getattr(found, part)[key]
                np.testing.assert_array_equal(np.ravel(ours), np.ravel(node[()]), err_msg=f"{part}/{key}")


@pytest.mark.parametrize("name", of_kind("h5ad"))
def test_info_tells_of_every_matrix(name: str) -> None:
    path, expected = CASES[name]
    table = fe.io.info(path).set_index("element")
    x = expected["content"]["X"]
    if x is not None:
        assert table.loc["X", ["kind", "dtype"]].tolist() == [x["kind"], x["dtype"]]
        assert table.loc["X", "shape"] == " x ".join(map(str, x["shape"]))
    assert not table["note"].str.startswith("unreadable").any(), table["note"].tolist()


@pytest.mark.parametrize("name", of_kind("zarr"))
def test_zarr(name: str, tmp_path: Path) -> None:
    path, expected = CASES[name]
    read = reader("zarr")
    check_content(name, read(path), expected["content"])
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        (root,) = {marker.parent for marker in tmp_path.rglob("*") if is_root_of_zarr(marker)}
        check_content(name, read(root), expected["content"])


def is_root_of_zarr(path: Path) -> bool:
    """Whether this is what marks the outermost folder of a Zarr store."""
    marks = (".zgroup", "zarr.json")
    return path.name in marks and not any((path.parent.parent / mark).exists() for mark in marks)


@pytest.mark.parametrize("name", of_kind("tenx"))
def test_10x(name: str) -> None:
    path, expected = CASES[name]
    read = reader("tenx")
    if not path.is_file():
        # The files of some lie one folder down, named after the genome.
        path = next(found.parent for pattern in ("matrix.mtx", "matrix.mtx.gz") for found in path.rglob(pattern))
    readings = {(): expected["content"]} if "content" in expected else {}
    for genome, content in expected.get("genomes", {}).items():
        readings[("genome", genome)] = content
    if "var_names_symbols" in expected:
        readings[("feature_types", None)] = expected["var_names_symbols"]
    if "var_names_ids_gex_only" in expected:
        readings[("var_names", "gene_ids")] = expected["var_names_ids_gex_only"]
    assert readings, name
    for words, content in readings.items():
        check_tenx(f"{name} {words}", read(path, **({words[0]: words[1]} if words else {})), content)


def check_tenx(place: str, found: Any, expected: dict[str, Any]) -> None:
    assert list(found.shape) == expected["shape"], place
    # The reference transposes, ours are compressed rows; and its ids became numbers where they look like such.
    check_matrix(place, found.X, {**expected["X"], "kind": "csr"})
    assert found.obs_names.tolist() == expected["obs"]["index"], place
    assert found.var_names.tolist() == expected["var"]["index"], place
    for name, column in expected["var"]["columns"].items():
        assert [str(value) for value in found.var[name]] == [str(value) for value in column["values"]], (
            f"{place}: {name}"
        )


@pytest.mark.parametrize("path", sorted(CELLS.glob("edge/filter_*.h5ad")), ids=lambda path: path.stem)
def test_filters_are_read_or_refused_by_name(path: Path) -> None:
    found = outcome(path)
    if isinstance(found, fe.UnsupportedError):
        assert path.stem.removeprefix("filter_") in str(found)
        assert "X/data" in str(found)
        return
    counts = CELLS / "edge" / "edge.json"
    if not counts.exists():
        pytest.skip("the counts were not handed out")
    expected = np.array(json.loads(counts.read_text())["counts"], dtype=float)
    matrix = found.X.toarray() if sparse.issparse(found.X) else found.X
    np.testing.assert_array_equal(matrix, expected)


def outcome(path: Path) -> Any:
    """What reading a file gives: its content, or that it is not supported."""
    try:
        return fe.io.read_h5ad(path)
    except fe.UnsupportedError as refusal:
        return refusal
