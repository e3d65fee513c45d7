"""Zarr stores: what ferrocyte writes anndata reads, and the other way round."""

from __future__ import annotations

import zipfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import ferrocyte as fe
from ferrocyte import _core

from .common import golden

zarr = pytest.importorskip("zarr", minversion="3")

# anndata announces what its next version writes, and zarr that records and consolidated metadata have no specification.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*zarr v[23].*:UserWarning"),
    pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part"),
]


def study() -> ad.AnnData:
    """One of everything that a store holds."""
    rng = np.random.default_rng(3)
    n, p = 70, 13
    counts = sp.random(n, p, 0.3, format="csr", random_state=3, dtype=np.float32)
    counts.data = np.ceil(counts.data * 9)
    obs = pd.DataFrame(
        {
            "donor": pd.Categorical(rng.choice(["d1", "d2", "d3"], n), categories=["d3", "d1", "d2"], ordered=True),
            "age": rng.integers(20, 80, n),
            "score": rng.normal(size=n),
            "flag": rng.random(n) < 0.5,
            "maybe": pd.array([None if i % 9 == 0 else i for i in range(n)], dtype="Int32"),
            "naïve name": [f"zelle {i} é" for i in range(n)],
        },
        index=[f"c{i}" for i in range(n)],
    )
    obs["donor"] = obs["donor"].where(np.arange(n) % 11 != 0)
    var = pd.DataFrame(index=[f"g{i}" for i in range(p)])
    adata = ad.AnnData(counts, obs=obs, var=var)
    adata.layers["csc"] = counts.tocsc()
    adata.layers["dense"] = counts.toarray().astype(np.float64)
    adata.obsm["X_pca"] = rng.normal(size=(n, 3)).astype(np.float32)
    adata.obsm["frame"] = pd.DataFrame({"a": np.arange(n)}, index=obs.index)
    adata.obsp["graph"] = sp.eye(n, format="csr")
    adata.raw = adata.copy()
    adata.uns["nested"] = {
        "text": "a title",
        "number": 3,
        "float": 0.5,
        "flag": True,
        "texts": np.array(["x", "yy", ""], dtype=object),
        "empty": np.zeros((0, 4)),
        "cube": np.arange(24).reshape(2, 3, 4),
    }
    adata.uns["records"] = np.array([(1.5, "ab"), (2.5, "c")], dtype=[("x", "<f4"), ("y", "<U2")])
    return adata


def assert_same(found: ad.AnnData, expected: ad.AnnData) -> None:
    """Compare all that a store holds."""
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    for one, other in [
        (found.X, expected.X),
        (found.raw.X, expected.raw.X),
        *(
            (getattr(found, group)[key], getattr(expected, group)[key])
            for group in ("layers", "obsm", "obsp")
            for key in getattr(expected, group)
        ),
    ]:
        if isinstance(other, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
            continue
        assert type(one) is type(other)
        assert one.dtype == other.dtype
        assert (one != other).sum() == 0
    nested = found.uns["nested"]
    assert sorted(nested) == sorted(expected.uns["nested"])
    for key, value in expected.uns["nested"].items():
        np.testing.assert_array_equal(np.asarray(nested[key]), np.asarray(value))
    records = expected.uns["records"]
    assert found.uns["records"].dtype.names == records.dtype.names
    for field in records.dtype.names:
        np.testing.assert_array_equal(found.uns["records"][field].astype(records[field].dtype), records[field])


@pytest.mark.parametrize("compression", ["zstd", "gzip", None])
def test_anndata_reads_what_is_written(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "study.zarr"
    expected = study()
    fe.io.write_zarr(expected, path, compression=compression)
    assert_same(ad.read_zarr(path), expected)
    assert_same(fe.io.read_zarr(path), expected)
    # With its consolidated metadata, which zarr checks against nothing else.
    group = zarr.open_consolidated(str(path), mode="r")
    assert group["obs"].attrs["encoding-type"] == "dataframe"
    assert group["X/data"].shape == expected.X.data.shape


@pytest.mark.parametrize("version", [2, 3])
def test_what_anndata_writes_is_read(tmp_path: Path, version: int) -> None:
    path = tmp_path / "study.zarr"
    expected = study()
    with ad.settings.override(zarr_write_format=version):
        expected.write_zarr(path)
    assert_same(fe.io.read_zarr(path), expected)
    archive = tmp_path / "study.zarr.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(path.rglob("*")):
            zipped.write(file, file.relative_to(path))
    assert_same(fe.io.read(archive), expected)


LAYOUTS = {
    2: {
        "plain": {"compressors": None},
        "fortran": {"order": "F"},
        "big": {"dtype": ">f8"},
    },
    3: {
        "plain": {"compressors": None},
        "turned": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
        "gzip": {"compressors": zarr.codecs.GzipCodec(level=3)},
        "blosc": {"compressors": zarr.codecs.BloscCodec(cname="blosclz", shuffle="bitshuffle", typesize=8)},
        "shards": {"shards": (32, 10)},
        "plain shards": {"shards": (32, 10), "compressors": None},
    },
}


@pytest.mark.parametrize("version", [2, 3])
def test_layouts_that_anndata_does_not_choose_are_read(tmp_path: Path, version: int) -> None:
    path = tmp_path / "study.zarr"
    expected = study()
    with ad.settings.override(zarr_write_format=version):
        expected.write_zarr(path)
    group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
    dense = expected.layers["dense"]
    for name, options in LAYOUTS[version].items():
        made = {"shape": dense.shape, "chunks": (16, 5), "dtype": "f8", **options}
        array = group.create_array(f"layers/{name}", **made)
        array[:] = dense
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    layers = fe.io.read_zarr(path).layers
    for name in LAYOUTS[version]:
        np.testing.assert_array_equal(layers[name], dense, err_msg=name)


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    def files(name: str, n_threads: int) -> dict[str, bytes]:
        fe.io.write_zarr(study(), tmp_path / name, n_threads=n_threads)
        return {
            str(f.relative_to(tmp_path / name)): f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()
        }

    assert files("a.zarr", 1) == files("b.zarr", 2)


def test_only_stores_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "study.zarr"
    fe.io.write_zarr(study(), path)
    fe.io.write_zarr(study()[:5], path)
    assert fe.io.read_zarr(path).n_obs == 5
    assert [f.name for f in tmp_path.iterdir()] == ["study.zarr"]
    other = tmp_path / "other.zarr"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(fe.errors.BadFileError, match="not replaced"):
        fe.io.write_zarr(study(), other)
    assert (other / "notes.txt").read_text() == "mine"


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fe.errors.BadInputError, match=r"\.zarr"):
        fe.io.write_zarr(study(), tmp_path / "study.h5ad")
    with pytest.raises(fe.errors.BadInputError, match="compression"):
        fe.io.write_zarr(study(), tmp_path / "study.zarr", compression="lzf")
    with pytest.raises(fe.errors.BadInputError, match="from 1 to 22"):
        fe.io.write_zarr(study(), tmp_path / "study.zarr", compression_level=23)
    assert not list(tmp_path.iterdir())


def test_golden_stores_equal_their_h5ad() -> None:
    for version in (2, 3):
        store = fe.io.read(golden("cells/io") / f"full_zarr_v{version}_ad012.zip")
        file = fe.io.read(golden("cells/io") / "full_gzip_ad012.h5ad")
        pd.testing.assert_frame_equal(store.obs, file.obs)
        assert (store.X != file.X).nnz == 0
        assert sorted(store.uns) == sorted(file.uns)


def test_modalities_in_one_store(tmp_path: Path) -> None:
    """What mudata keeps in Zarr is a MuData, its modalities are studies, and it becomes an .h5mu file."""
    mudata = pytest.importorskip("mudata")
    rna = study()
    protein = ad.AnnData(np.ones((70, 4), dtype=np.float32), obs=pd.DataFrame(index=rna.obs_names))
    protein.var_names = [f"p{i}" for i in range(4)]
    expected = mudata.MuData({"rna": rna, "protein": protein})
    path = tmp_path / "study.zarr"
    expected.write_zarr(path)
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(path).as_posix())
    file = tmp_path / "study.h5mu"
    assert _core.run_program(["ferrocyte", "convert", str(path), str(file), "-q"]) == 0
    for place in (path, archive, file):
        found = fe.io.read(place)
        assert isinstance(found, mudata.MuData)
        assert list(found.mod) == ["rna", "protein"]
        assert_same(found["rna"], rna)
        np.testing.assert_array_equal(found["protein"].X, protein.X)
        assert fe.io.read_zarr(place, modality="protein").shape == (70, 4)
