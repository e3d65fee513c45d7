"""Sums from files: the same bits whatever the layout, compression, memory and number of threads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from common import same_bits
from scipy import sparse

import ferrocyte as fe

FORMULA = "~ log(libsize) + cluster + cluster:treatment + (1 | sample)"
COMPRESSIONS = [None, "gzip", "lzf"]


def sums_of(data, **options):
    return fe.lmm.sums(data, FORMULA, progress=False, **options).arrays()


def assert_same(ours, theirs, what):
    for name in ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm"):
        assert same_bits(ours[name], theirs[name]), f"{name}: {what}"


@pytest.fixture(scope="module")
def study():
    """5,000 cells, so that blocks end within; some values of more than a table holds."""
    study = fe.lmm.simulate(120, 5000, n_samples=8, n_clusters=3, seed=2)
    study.X.data[::1013] = 5000
    return study


@pytest.fixture(scope="module")
def reference(study):
    return sums_of(study, n_threads=1)


@pytest.fixture(scope="module")
def files(study, tmp_path_factory):
    """The study in every layout and compression: X by rows, and layers by columns and dense."""
    folder = tmp_path_factory.mktemp("streams")
    paths = {}
    for compression in COMPRESSIONS:
        copy = study.copy()
        copy.layers["csc"] = sparse.csc_matrix(study.X)
        copy.layers["dense"] = study.X.toarray()
        paths[compression] = folder / f"{compression}.h5ad"
        copy.write_h5ad(paths[compression], compression=compression)
    return paths


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("layer", [None, "csc", "dense"])
def test_files(files, reference, compression, layer):
    for threads in (1, 2):
        # 100 kB hold neither the accumulators of all genes nor the columns: several passes over genes.
        for memory in ("1GiB", "100kB", "36kB"):
            found = sums_of(files[compression], layer=layer, n_threads=threads, max_memory=memory)
            assert_same(found, reference, f"{layer} {compression}, {threads} threads, {memory}")


@pytest.mark.parametrize("form", ["csr", "csc", "dense C", "dense F"])
def test_memory(study, reference, form):
    copy = study.copy()
    if form.startswith("dense"):
        copy.X = np.array(study.X.toarray(), order=form[-1])
    else:
        copy.X = study.X.asformat(form)
    for threads in (1, 2):
        for memory in ("1GiB", "36kB"):
            found = sums_of(copy, n_threads=threads, max_memory=memory)
            assert_same(found, reference, f"{form}, {threads} threads, {memory}")


@pytest.mark.parametrize("layer", [None, "csc", "dense"])
def test_rows(study, files, layer):
    """A shard of a file is that of the matrix in memory, and its rows are numbered alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in ((0, 1000), (1000, 4096), (4999, 5000)):
            expected = sums_of(study, rows=rows, n_threads=1)
            for compression in COMPRESSIONS:
                found = sums_of(files[compression], layer=layer, rows=rows, n_threads=2, max_memory="36kB")
                assert_same(found, expected, f"rows {rows}, {layer} {compression}")


def test_a_damaged_chunk_is_named(files, tmp_path):
    import h5py

    path = tmp_path / "damaged.h5ad"
    path.write_bytes(files["gzip"].read_bytes())
    with h5py.File(path) as file:
        data = file["X/data"]
        assert data.id.get_num_chunks() > 1
        chunk = data.id.get_chunk_info(1)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + 20)
        file.write(b"\xff" * (chunk.size - 20))
    for threads in (1, 2):
        with pytest.raises(fe.BadFileError, match=r"X/data: (chunk 1: |elements \d+\.\.\d+ cannot be read)"):
            sums_of(path, n_threads=threads)
