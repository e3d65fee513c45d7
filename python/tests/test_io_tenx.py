"""10x files and folders, MatrixMarket, tables, and several studies as one: as AnnData, and through every door."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.io
from common import GOLDEN
from scipy import sparse

import ferrocyte as fe
from ferrocyte._examples import small_file, small_tenx
from ferrocyte.errors import BadFileError, BadInputError, MissingKeyError, UnsupportedError

KANG = GOLDEN / "cells" / "kang"
TENX = GOLDEN / "cells" / "io_legacy"


def dense(adata: ad.AnnData) -> np.ndarray:
    return adata.X.toarray()


def test_a_folder_and_a_file_of_the_same_kind():
    file, folder = fe.io.read_10x(TENX / "tenx_v3_filtered.h5"), fe.io.read_10x(TENX / "tenx_v3_mtx")
    assert file.shape == folder.shape == (1107, 507)
    assert file.X.dtype == folder.X.dtype == np.float32
    assert sparse.issparse(file.X)
    assert file.X.format == folder.X.format == "csr"
    assert (file.X != folder.X).nnz == 0
    assert list(file.obs_names) == list(folder.obs_names)
    assert list(file.var_names) == list(folder.var_names)
    assert list(file.var.columns) == ["gene_ids", "feature_types", "genome"]
    assert list(folder.var.columns) == ["gene_ids", "feature_types"]
    with gzip.open(TENX / "tenx_v3_mtx" / "matrix.mtx.gz") as stream:
        expected = scipy.io.mmread(stream).T
    np.testing.assert_array_equal(dense(folder), expected.toarray())


def test_names_and_features_are_chosen():
    genes = fe.io.read_10x(small_tenx())
    assert list(genes.var_names) == ["TP53", "TP53-1", "ISG15"]
    everything = fe.io.read_10x(small_tenx(), feature_types=None, var_names="ids", dtype="float64")
    assert list(everything.var_names) == ["E1", "E2", "A1", "E3"]
    assert list(everything.var["gene_symbols"]) == ["TP53", "TP53", "CD3", "ISG15"]
    assert everything.X.dtype == np.float64
    np.testing.assert_array_equal(dense(everything), [[5, 0, 2, 0], [0, 4, 0, 1]])
    with pytest.raises(MissingKeyError, match="features of type `ATAC`"):
        fe.io.read_10x(small_tenx(), feature_types="ATAC")
    with pytest.raises(UnsupportedError, match="no 10x file or folder: this is h5ad"):
        fe.io.read_10x(small_file())
    with pytest.raises(BadInputError, match="genes are not called by `names`"):
        fe.io.read_10x(small_tenx(), var_names="names")


@pytest.mark.parametrize("field", ["integer", "real"])
@pytest.mark.parametrize("packed", [False, True])
def test_any_matrix_is_what_scipy_reads(tmp_path, field, packed):
    rng = np.random.default_rng(3)
    matrix = sparse.random(60, 41, 0.2, "coo", rng=rng)
    matrix.data = np.round(matrix.data * 100) if field == "integer" else matrix.data * 10.0 ** rng.integers(-9, 9, 492)
    text = io.BytesIO()
    scipy.io.mmwrite(text, matrix, field=field)
    path = tmp_path / ("m.mtx.gz" if packed else "m.mtx")
    path.write_bytes(gzip.compress(text.getvalue()) if packed else text.getvalue())
    expected = scipy.io.mmread(io.BytesIO(text.getvalue())).toarray()
    found = fe.io.read_mtx(path, dtype="float64")
    np.testing.assert_array_equal(dense(found), expected)
    np.testing.assert_array_equal(dense(fe.io.read_mtx(path, transpose=True, dtype="float64")), expected.T)
    assert list(found.obs_names[:2]) == ["0", "1"]


def test_tables(tmp_path):
    frame = pd.DataFrame([[0.0, 2.5], [1.0, 0.0]], index=["c1", "c2"], columns=["A", "B"])
    for name, sep in [("t.tsv", "\t"), ("t.csv.gz", ","), ("t.ssv", " ")]:
        frame.to_csv(tmp_path / name, sep=sep)
        found = fe.io.read_text(tmp_path / name)
        assert list(found.obs_names) == ["c1", "c2"]
        assert list(found.var_names) == ["A", "B"]
        np.testing.assert_array_equal(dense(found), frame)
        np.testing.assert_array_equal(dense(fe.io.read_text(tmp_path / name, transpose=True)), frame.T)
    with pytest.raises(BadInputError, match="one character"):
        fe.io.read_text(tmp_path / "t.tsv", delimiter="::")


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(BadFileError, match="no such file"):
        fe.io.read_mtx(tmp_path / "none.mtx")
    path = tmp_path / "m.mtx"
    path.write_text("%%MatrixMarket matrix coordinate integer general\n3 3 1\n4 1 1\n")
    with pytest.raises(BadFileError, match=r"m.mtx: line 3: row 4, but the header promises 3 rows"):
        fe.io.read_mtx(path)
    whole = gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n3 3 1\n1 1 1\n" * 99)
    (tmp_path / "cut.mtx.gz").write_bytes(whole[:-20])
    with pytest.raises(BadFileError, match=rf"ends in the middle at byte {len(whole) - 20} of the file"):
        fe.io.read_mtx(tmp_path / "cut.mtx.gz")


def test_info_tells_of_any_kind():
    for path in [TENX / "tenx_v3_filtered.h5", TENX / "tenx_v3_mtx"]:
        found = fe.io.info(path)
        assert found.loc[0, "shape"] == "1107 x 507"
        assert found.loc[0, "note"] == "looks like counts"


def as_tenx(adata: ad.AnnData, folder: Path) -> Path:
    """A study as a 10x folder, without its columns."""
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wb") as stream:
        scipy.io.mmwrite(stream, adata.X.T.tocoo().astype(np.int64), field="integer")
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    (folder / "genes.tsv").write_text("".join(f"{name}\t{name}\n" for name in adata.var_names))
    return folder


def test_the_door_leads_to_the_same_numbers(tmp_path):
    whole = ad.read_h5ad(small_file())
    folder = as_tenx(whole, tmp_path / "tenx")
    formula = "~ condition + (1 | sample)"
    expected = fe.lmm.fit(small_file(), formula).to_df()
    # Several files are one study.
    parts = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    for path, rows in zip(parts, (slice(0, 100), slice(100, None)), strict=True):
        whole[rows].write_h5ad(path)
    found = fe.lmm.fit([str(path) for path in parts], formula).to_df()
    pd.testing.assert_frame_equal(found, expected)
    # The program joins the columns that 10x files lack.
    whole.obs.to_csv(tmp_path / "cells.tsv", sep="\t", index_label="cell")
    out = tmp_path / "fit.tsv"
    done = program("lmm", "fit", folder, "--obs", tmp_path / "cells.tsv", "--formula", formula, "-o", out)
    assert done.returncode == 0, done.stderr
    by_h5ad = tmp_path / "h5ad.tsv"
    assert program("lmm", "fit", small_file(), "--formula", formula, "-o", by_h5ad).returncode == 0
    assert out.read_bytes() == by_h5ad.read_bytes()
    assert "10x folder" in program("info", folder, "--json").stdout
    with pytest.raises(MissingKeyError, match="no column `condition`"):
        fe.lmm.fit(folder, formula)


def program(*words: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; from ferrocyte._cli import main; sys.exit(main())"
    line = [sys.executable, "-c", code, *map(os.fspath, map(str, words))]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def expected_concat(join: str) -> ad.AnnData:
    return ad.read_h5ad(KANG / f"concat_{join}.h5ad")


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("paths", [False, True])
def test_concat_is_the_reference(join, paths):
    files = [KANG / "concat_a.h5ad", KANG / "concat_b.h5ad"]
    studies = files if paths else [ad.read_h5ad(file) for file in files]
    found = fe.io.concat(studies, join=join, key="origin", keys=["A", "B"])
    expected = expected_concat(join)
    assert list(found.obs_names) == list(expected.obs_names)
    assert list(found.var_names) == list(expected.var_names)
    assert found.X.dtype == expected.X.dtype
    assert (found.X != expected.X).nnz == 0
    assert list(found.obs.columns) == list(expected.obs.columns)
    for name in expected.obs:
        here, there = found.obs[name], expected.obs[name]
        assert list(here.isna()) == list(there.isna()), name
        assert list(here.dropna().astype(str)) == list(there.dropna().astype(str)), name
    for name in ["sample", "origin"]:
        assert list(found.obs[name].cat.categories) == list(expected.obs[name].cat.categories)
    if join == "outer":
        assert found.obs["only_a"].dtype == np.float64


def test_the_program_puts_studies_together_as_the_package_does(tmp_path):
    files = [KANG / "concat_a.h5ad", KANG / "concat_b.h5ad"]
    for join in ["inner", "outer"]:
        out = tmp_path / f"{join}.h5ad"
        labels = ["--label", "A", "--label", "B"]
        done = program("concat", *files, "--join", join, "--key", "origin", *labels, "--var", "n_cells=max", "-o", out)
        assert done.returncode == 0, done.stderr
        found, expected = ad.read_h5ad(out), expected_concat(join)
        assert list(found.var_names) == list(expected.var_names)
        assert (found.X != expected.X).nnz == 0
        assert list(found.obs.columns) == list(expected.obs.columns)
        assert list(found.obs["origin"]) == list(expected.obs["origin"])
        assert list(found.var.columns) == ["n_cells"]


def test_columns_of_obs_keep_what_they_are():
    def study(size: int, **columns: object) -> ad.AnnData:
        obs = pd.DataFrame(columns, index=[f"{size}_{i}" for i in range(size)])
        return ad.AnnData(sparse.csr_matrix(np.ones((size, 1), np.float32)), obs=obs)

    def ordered(*labels: str) -> pd.Categorical:
        return pd.Categorical(labels, categories=["x", "y"], ordered=True)

    a = study(2, flag=[True, False], n=[1, 2], kind=ordered("x", "y"), text=["p", "q"], only=[1, 2])
    b = study(1, flag=[True], n=[3], kind=ordered("y"), text=["r"])
    found = fe.io.concat([a, b]).obs
    assert found["flag"].dtype == bool
    assert found["n"].dtype == np.int64
    assert found["kind"].cat.ordered
    assert list(found["text"]) == ["p", "q", "r"]
    assert found["only"].dtype == np.float64
    assert np.isnan(found["only"].iloc[2])
    assert list(found["sample"]) == ["0", "0", "1"]


def test_names_of_cells_must_differ():
    one = ad.read_h5ad(KANG / "concat_a.h5ad")
    with pytest.raises(BadInputError, match="cell `ctrl:TCGCAAGAGCGATT-1` stands there twice, in rows 0 and 150"):
        fe.io.concat([one, one])
    both = fe.io.concat([one, one], index_unique="-", layers=[])
    assert both.obs_names[150] == "ctrl:TCGCAAGAGCGATT-1-1"
    with pytest.raises(BadInputError, match="expected a list"):
        fe.io.concat(one)
    with pytest.raises(BadInputError, match="two studies are called `a`"):
        fe.io.concat([one, one], keys=["a", "a"])
