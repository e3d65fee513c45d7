"""`fe.io`: what is read is what anndata wrote; what cannot be read is said."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from common import golden
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import ferrocyte as fe


@pytest.fixture
def study() -> ad.AnnData:
    """One of everything that anndata writes."""
    rng = np.random.default_rng(1)
    n, p = 30, 12
    names = pd.Index([f"cell {i}" for i in range(n)], name="barcode")
    obs = pd.DataFrame(
        {
            "float": rng.normal(size=n),
            "small": rng.integers(0, 9, n).astype("int8"),
            "flag": rng.random(n) < 0.5,
            "ordered": pd.Categorical.from_codes(rng.integers(-1, 3, n), ["z", "b", "a"], ordered=True),
            "numbers": pd.Categorical.from_codes(rng.integers(0, 2, n), [10, 2]),
            "truths": pd.Categorical.from_codes(rng.integers(0, 2, n), [True, False]),
            "int_na": pd.array([None if i % 7 == 0 else i for i in range(n)], dtype="Int32"),
            "bool_na": pd.array([None if i % 5 == 0 else i % 2 == 0 for i in range(n)], dtype="boolean"),
            'odd "name"\t': np.arange(n, dtype="uint16"),
        },
        index=names,
    )
    counts = sparse.random(n, p, 0.3, "csr", dtype=np.float32, random_state=2)
    return ad.AnnData(
        X=counts,
        obs=obs,
        var=pd.DataFrame(index=[f"g{i}" for i in range(p)]),
        layers={"columns": counts.tocsc().astype("int64"), "dense": rng.normal(size=(n, p))},
        obsm={"frame": obs[["float", "ordered"]], "cube": rng.normal(size=(n, 2, 3)), "sparse": counts[:, :4]},
        obsp={"near": sparse.eye(n, format="csr")},
        uns={
            "text": "é",
            "number": 3,
            "truth": np.bool_(True),
            "none": {},
            "words": np.array([["a", "b"], ["", "ç"]], dtype=object),
            "records": np.array([("g1", 0.5), ("g2", -1.5)], dtype=[("names", "O"), ("scores", "f4")]),
            "deep": {"er": {"array": np.arange(6).reshape(1, 2, 3)}},
        },
    )


def check_items(found, expected) -> None:
    assert list(found) == sorted(expected)
    for name, value in expected.items():
        ours = found[name]
        if isinstance(value, dict):
            check_items(ours, value)
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(ours, value)
        elif sparse.issparse(value):
            assert ours.format == value.format
            assert ours.dtype == value.dtype
            assert (ours != value).nnz == 0
        elif isinstance(value, np.ndarray):
            assert ours.dtype == value.dtype
            np.testing.assert_array_equal(ours, value)
        else:
            assert ours == value


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_what_anndata_writes_is_read(study, tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "study.h5ad"
    study.write_h5ad(path, compression=compression)
    for threads in (1, 3):
        found = fe.io.read(path, n_threads=threads)
        assert isinstance(found, ad.AnnData)
        pd.testing.assert_frame_equal(found.obs, study.obs)
        pd.testing.assert_frame_equal(found.var, study.var)
        assert (found.X != study.X).nnz == 0
        for group in ("layers", "obsm", "obsp", "uns"):
            check_items(getattr(found, group), dict(getattr(study, group)))


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {".", "_index"} and not name.isspace()
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@st.composite
def frames(draw: st.DrawFn, n: int) -> pd.DataFrame:
    """A data frame of n rows with any columns that anndata can write."""
    kinds = {
        "float": st.floats(width=32),
        "int": st.integers(-(2**63), 2**63 - 1),
        "bool": st.booleans(),
        "Int64": st.none() | st.integers(-(2**31), 2**31),
        "category": st.none() | TEXTS,
    }
    columns = {}
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        kind = draw(st.sampled_from(sorted(kinds)))
        values = draw(st.lists(kinds[kind], min_size=n, max_size=n))
        columns[name] = pd.Categorical(values) if kind == "category" else pd.array(values, dtype=kind)
        if kind in {"float", "int", "bool"}:
            columns[name] = columns[name].to_numpy()
    return pd.DataFrame(columns, index=pd.Index([f"row {i}" for i in range(n)], dtype=object))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_frame_that_anndata_writes_is_read(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 5))
    obs, var = data.draw(frames(n)), data.draw(frames(data.draw(st.integers(0, 3))))
    written = ad.AnnData(sparse.csr_matrix((n, len(var)), dtype=np.float32), obs=obs, var=var)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.h5ad"
        written.write_h5ad(path)
        found, theirs = fe.io.read_h5ad(path), ad.read_h5ad(path)
    for part in ("obs", "var"):
        pd.testing.assert_frame_equal(getattr(found, part), getattr(theirs, part), check_index_type=False)


def test_without_a_matrix_and_with_nothing_at_all(tmp_path: Path) -> None:
    for name, adata in {
        "names": ad.AnnData(obs=pd.DataFrame(index=["a", "b"]), var=pd.DataFrame(index=["g"])),
        "empty": ad.AnnData(np.zeros((0, 0), dtype=np.float32)),
    }.items():
        path = tmp_path / f"{name}.h5ad"
        adata.write_h5ad(path)
        found = fe.io.read_h5ad(path)
        assert found.shape == adata.shape
        assert (found.X is None) == (adata.X is None)
        assert found.obs_names.tolist() == adata.obs_names.tolist()


def test_raw_comes_back(study, tmp_path: Path) -> None:
    study.raw = study
    part = study[:, :5].copy()
    part.write_h5ad(tmp_path / "raw.h5ad")
    found = fe.io.read_h5ad(tmp_path / "raw.h5ad")
    assert found.shape == (30, 5)
    assert found.raw.shape == (30, 12)
    assert (found.raw.X != study.X).nnz == 0


def test_what_is_not_known_is_said(study, tmp_path: Path) -> None:
    path = tmp_path / "study.h5ad"
    study.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        later = file["uns"].create_group("later")
        later.attrs.update({"encoding-type": "interval-array", "encoding-version": "7.0.0"})
    with pytest.warns(fe.FerrocyteWarning, match=r"uns/later \(interval-array 7.0.0\) is left out"):
        found = fe.io.read_h5ad(path)
    assert "later" not in found.uns
    assert "left out" in fe.io.info(path).set_index("element").loc["uns/later", "note"]


def test_levels_that_are_not_distinct_are_refused(study, tmp_path: Path) -> None:
    path = tmp_path / "study.h5ad"
    study.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["obs/ordered/categories"][0] = "a"
    with pytest.raises(fe.BadFileError, match="obs/ordered: its categories are not distinct"):
        fe.io.read_h5ad(path)


def test_kinds_that_are_not_studies_are_told(tmp_path: Path) -> None:
    (tmp_path / "odd.bin").write_bytes(b"\x00\x01\x02")
    with pytest.raises(fe.UnsupportedError, match=r"odd\.bin: a binary file"):
        fe.io.read(tmp_path / "odd.bin")
    with pytest.raises(fe.BadFileError, match="no such file"):
        fe.io.read(tmp_path / "none.h5ad")


def test_modalities(monkeypatch: pytest.MonkeyPatch) -> None:
    path = golden("cells") / "io" / "two_modalities_ad012.h5mu"
    atac = fe.io.read_h5ad(path, modality="atac")
    assert atac.shape == (55, 30)
    with pytest.raises(fe.MissingKeyError, match="there is no modality `atax`"):
        fe.io.read_h5ad(path, modality="atax")
    with pytest.raises(fe.UnsupportedError, match="one modality at a time"):
        fe.io.read_h5ad(path)
    table = fe.io.info(path).set_index("element")
    assert table.loc["mod/atac/X", "shape"] == "55 x 30"
    assert table.loc["mod/rna", "bytes"] > table.loc["mod/atac", "bytes"] > 0
    monkeypatch.setitem(sys.modules, "mudata", None)
    with pytest.raises(fe.UnsupportedError, match="pip install mudata"):
        fe.io.read_h5mu(path)


def test_old_studies_can_be_fitted() -> None:
    path = golden("cells") / "io_legacy" / "anndata_v0.5.0_small.h5ad"
    found = fe.io.read_h5ad(path)
    sums = fe.lmm.sums(path, "~ log(libsize) + (1 | phase)", use_raw=True, transform="none")
    other = fe.lmm.sums(
        ad.AnnData(found.raw.X, obs=found.obs, var=found.raw.var), "~ log(libsize) + (1 | phase)", transform="none"
    )
    for name, array in other.arrays().items():
        if isinstance(array, np.ndarray):
            np.testing.assert_allclose(sums.arrays()[name], array, rtol=1e-12)
