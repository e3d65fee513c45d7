"""One study from every place: the same matrix gives the same numbers, whatever holds it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import FORMULA, golden, same_bits
from scipy import sparse

import ferrocyte as fe
from ferrocyte._examples import small_study


def sums_of(data, **options):
    return fe.lmm.sums(data, FORMULA, progress=False, **options).arrays()


def assert_same(ours, theirs):
    for name in ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm"):
        assert same_bits(ours[name], theirs[name]), name
    assert ours["coefficients"] == theirs["coefficients"]


@pytest.fixture(scope="module")
def reference():
    return sums_of(small_study())


VALUES = ["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("form", ["csr", "csc", "dense C", "dense F"])
def test_types_and_layouts(adata, reference, dtype, form):
    counts = adata.X.astype(dtype)
    if form == "csc":
        counts = counts.tocsc()
    elif form.startswith("dense"):
        counts = np.array(counts.toarray(), order=form[-1])
    adata.X = counts
    assert_same(sums_of(adata), reference)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("indices", ["int32", "int64"])
@pytest.mark.parametrize("indptr", ["int32", "int64"])
def test_widths_of_indices(adata, reference, form, indices, indptr):
    counts = adata.X.asformat(form)
    counts.indices, counts.indptr = counts.indices.astype(indices), counts.indptr.astype(indptr)
    adata.X = counts
    assert_same(sums_of(adata), reference)


def test_unsorted_rows_and_duplicates(adata, reference):
    counts = adata.X.copy()
    for start, stop in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
        counts.indices[start:stop] = counts.indices[start:stop][::-1]
        counts.data[start:stop] = counts.data[start:stop][::-1]
    counts.has_sorted_indices = False
    adata.X = counts
    assert_same(sums_of(adata), reference)
    # Each value as the sum of itself less one, and one.
    rows = np.repeat(np.arange(adata.n_obs), np.diff(counts.indptr))
    twice = sparse.csr_matrix(counts.shape, dtype=np.float32)
    order = np.argsort(np.concatenate([rows, rows]), kind="stable")
    twice.data = np.concatenate([counts.data - 1, np.ones_like(counts.data)])[order]
    twice.indices = np.concatenate([counts.indices, counts.indices])[order]
    twice.indptr = counts.indptr * 2
    adata.X = twice
    assert_same(sums_of(adata), reference)


def test_sparse_arrays_and_other_formats(adata, reference):
    for make in (sparse.csr_array, sparse.csc_array):
        adata.X = make(adata.X)
        assert_same(sums_of(adata), reference)
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X.toarray())
    assert_same(sums_of(adata, layer="counts"), reference)


def test_nothing_is_written_to_the_input(adata):
    before = adata.copy()
    fe.lmm.fit(adata, FORMULA)
    assert (adata.X != before.X).nnz == 0
    assert not adata.uns
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    # The loan of the arrays is over: they can be written again.
    adata.X.data[:] = 1


@pytest.fixture
def path(adata, tmp_path):
    path = tmp_path / "study.h5ad"
    adata.layers["dense"] = adata.X.toarray()
    adata.layers["csc"] = adata.X.tocsc()
    adata.raw = adata.copy()
    adata.write_h5ad(path, compression="gzip")
    return path


@pytest.mark.parametrize("layer", [None, "X", "dense", "csc", "raw"])
def test_a_path(path, reference, layer):
    assert_same(sums_of(path, layer=layer), reference)
    assert_same(sums_of(str(path), layer=layer), reference)


@pytest.mark.parametrize("layer", [None, "dense", "raw"])
def test_backed(path, reference, layer):
    backed = ad.read_h5ad(path, backed="r")
    assert_same(sums_of(backed, layer=layer), reference)
    backed.file.close()


ROWS = {
    "range": slice(20, 220),
    "mask": np.arange(240) % 5 != 0,
    "shuffled": np.random.default_rng(5).permutation(240)[:200],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("genes", [slice(None), slice(3, 30), [7, 3, 22, 11]], ids=["all", "range", "list"])
def test_views(adata, path, rows, genes):
    adata.layers["counts"] = adata.X.tocsc()
    whole = sums_of(adata[rows, genes].copy())
    view = adata[rows, genes]
    assert view.is_view
    assert_same(sums_of(view), whole)
    assert_same(sums_of(view, layer="counts"), whole)
    nested = adata[rows][:, genes]
    assert_same(sums_of(nested), whole)
    backed = ad.read_h5ad(path, backed="r")
    assert_same(sums_of(backed[rows, genes]), whole)
    assert_same(sums_of(backed[rows, genes], layer="raw"), sums_of(adata[rows].copy()))
    backed.file.close()


def test_raw_of_a_view(adata):
    adata.raw = adata.copy()
    rows = np.arange(240) % 5 != 0
    whole = sums_of(adata[rows].copy())
    assert_same(sums_of(adata[rows, :10], layer="raw"), whole)


def test_dask_arrays(adata, reference):
    da = pytest.importorskip("dask.array")
    for counts in (adata.X.toarray(), adata.X):
        lazy = adata.copy()
        lazy.X = da.from_array(counts, chunks=(50, adata.n_vars), asarray=False)
        assert_same(sums_of(lazy), reference)


def test_read_lazy(path, reference):
    pytest.importorskip("xarray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = ad.experimental.read_lazy(path)
        assert_same(sums_of(lazy), reference)


def test_blocks_that_raise_raise_as_they_are(adata):
    class Broken:
        shape = adata.shape

        def __getitem__(self, rows):
            message = "the disk is gone"
            raise RuntimeError(message)

    from ferrocyte._sources import matrix_of, open_source

    source = open_source(adata, None)
    source.matrix = matrix_of(Broken(), "X")
    from ferrocyte._run import means
    from ferrocyte.lmm._sums import Request, _collect

    request = Request(FORMULA, [], None, "log1p", None, "refuse", "refuse", None, False, None, "")
    with pytest.raises(RuntimeError, match="the disk is gone"):
        _collect(source, request, ["donor", "condition", "sample"], means(progress=False))


@pytest.mark.parametrize(
    ("make", "same"),
    [
        (lambda s: s.astype(str).astype(object), True),
        (lambda s: s.astype("string"), True),
        (lambda s: s.astype(str).astype("category"), True),
        (lambda s: s.cat.codes.astype(str), False),
    ],
)
def test_columns_of_texts(adata, reference, make, same):
    adata.obs["condition"] = make(adata.obs["condition"])
    found = sums_of(adata)
    assert same_bits(found["XX"], reference["XX"])
    assert (found["coefficients"] == reference["coefficients"]) == same


def test_truth_values_and_nullable_numbers(adata):
    adata.obs["treated"] = adata.obs["condition"] == "stim"
    adata.obs["older"] = pd.array(adata.obs["age"].astype(int), dtype="Int64")
    formula = "~ treated + {} + (1 | sample)"
    plain = fe.lmm.sums(adata, formula.format("age")).arrays()
    nullable = fe.lmm.sums(adata, formula.format("older")).arrays()
    assert plain["coefficients"] == ["(Intercept)", "treatedTRUE", "age"]
    assert same_bits(plain["XX"], nullable["XX"])
    adata.obs["treated"] = pd.array(adata.obs["treated"], dtype="boolean")
    assert same_bits(fe.lmm.sums(adata, formula.format("age")).arrays()["XX"], plain["XX"])


def test_library_size_is_a_column_or_the_total(adata, caplog):
    totals = fe.lmm.sums(adata, "~ log(libsize) + (1 | sample)").arrays()
    adata.obs["libsize"] = np.asarray(adata.X.sum(axis=1)).ravel()
    with caplog.at_level("INFO", logger="ferrocyte"):
        column = fe.lmm.sums(adata, "~ log(libsize) + (1 | sample)").arrays()
    assert any("obs column `libsize`" in record.message for record in caplog.records)
    np.testing.assert_allclose(column["XX"], totals["XX"], rtol=1e-14)
    adata.obs["libsize"] *= 2
    other = fe.lmm.sums(adata, "~ log(libsize) + (1 | sample)").arrays()
    assert abs(other["XX"][0, 1] - column["XX"][0, 1]) > 100


def test_shards_of_rows_merge_to_the_whole(adata, path):
    whole = fe.lmm.sums(adata, FORMULA)
    for source in (adata, path):
        first, *others = (fe.lmm.sums(source, FORMULA, rows=rows) for rows in ((0, 70), (70, 150), (150, 240)))
        total = first.merge(*others)
        for name, array in whole.arrays().items():
            if isinstance(array, np.ndarray):
                np.testing.assert_allclose(total.arrays()[name], array, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(fe.lmm.fit(total).coef, fe.lmm.fit(whole).coef, rtol=1e-8, atol=1e-10)


def test_modern_files_open_or_say_why():
    folder = golden("cells") / "io"
    files = sorted(folder.glob("*.h5ad"))
    assert files
    refused = {}
    for file in files:
        try:
            assert len(fe.io.info(file))
        except fe.FerrocyteError as error:
            refused[file.name] = str(error)
    # A message names the file, and no file of a modern version is turned away in silence.
    assert all(name in text for name, text in refused.items()), refused
    assert len(refused) < len(files) / 2, refused


MEMORY = """
    import resource, sys
    import numpy as np, scipy.sparse as sp, anndata as ad, pandas as pd
    import ferrocyte as fe
    n, per_cell, genes = int(sys.argv[1]), 200, 2000
    rng = np.random.default_rng(1)
    indices = np.tile(np.arange(0, genes, genes // per_cell, dtype=np.int32), n)
    counts = sp.csr_matrix((np.ones(n * per_cell, dtype=np.float32), indices, np.arange(n + 1) * per_cell), (n, genes))
    sample = pd.Categorical.from_codes(np.arange(n) % 8, [f"s{i}" for i in range(8)])
    adata = ad.AnnData(counts, obs=pd.DataFrame({"sample": sample}, index=np.arange(n).astype(str)))
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fe.lmm.sums(adata[:2000].copy(), "~ 1 + (1 | sample)")
    before = peak()
    fe.lmm.sums(adata, "~ 1 + (1 | sample)", max_memory="64MiB")
    print((peak() - before) // 1024, counts.data.nbytes + counts.indices.nbytes >> 20)
"""


def test_memory_does_not_grow_with_cells():
    """Arrays are borrowed and read in blocks: a pass over a matrix of 240 MiB takes a fraction of it."""
    script = textwrap.dedent(MEMORY)
    done = subprocess.run([sys.executable, "-c", script, "150000"], capture_output=True, text=True, check=True)
    grown, size = map(int, done.stdout.split())
    assert size > 200
    assert grown < 64
