"""Models in files of R: written and read by us, and by R itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe

E = fe.ecotype


@pytest.fixture
def models() -> fe.ecotype.Models:
    """Two models of unlike sizes; a name with a blank, one with letters beyond ASCII, genes with `_`."""
    values = np.random.default_rng(1).random((3, 2)) * 10.0 ** np.array([[-300], [0], [300]])
    first = pd.DataFrame(values, index=pd.Index(["a_1__pos", "b__pos", "b__neg"], name="feature"),
                         columns=["SE1", "nonSE"])  # fmt: skip
    second = pd.DataFrame([[1.0, 2.0, 3.0]], index=pd.Index(["x"], name="feature"), columns=["SE1", "SE2", "SE10"])
    return E.Models({"B cell": first, "T-Zellen, naïv": second})


def same(found: E.Models, expected: E.Models) -> None:
    assert list(found) == list(expected)
    for name in expected:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)


def test_models_survive_a_file_of_r_to_the_bit(models, tmp_path):
    models.write(tmp_path / "models.rds")
    same(E.Models.read(tmp_path / "models.rds"), models)


def test_what_is_read_labels_cells(tmp_path):
    cells = E.simulate(2, samples=2, cells=200, genes=40, types=2, ecotypes=2)
    trained = E.train(cells, sample="Sample", normalize="log1p_cp10k", min_cells=10)
    trained.write(tmp_path / "models.rds")
    read = E.Models.read(tmp_path / "models.rds")
    by = [E.recover(cells, one, normalize="log1p_cp10k").table for one in (trained, read)]
    pd.testing.assert_frame_equal(*by)


def test_files_that_hold_no_models_are_refused(models, tmp_path):
    with pytest.raises(fe.BadFileError, match="No such file"):
        E.Models.read(tmp_path / "absent.rds")
    (tmp_path / "text.rds").write_text("feature\tSE1\n")
    with pytest.raises(fe.BadFileError, match="no file that saveRDS writes"):
        E.Models.read(tmp_path / "text.rds")
    models.write(tmp_path / "whole.rds")
    cut = (tmp_path / "whole.rds").read_bytes()[:-40]
    (tmp_path / "cut.rds").write_bytes(cut)
    with pytest.raises(fe.BadFileError, match="no file that saveRDS writes"):
        E.Models.read(tmp_path / "cut.rds")
    import rdata

    rdata.write_rds(tmp_path / "bare.rds", {"B": np.ones((2, 2))})
    with pytest.raises(fe.BadFileError, match="names of rows"):
        E.Models.read(tmp_path / "bare.rds")
    rdata.write_rds(tmp_path / "words.rds", {"B": pd.DataFrame({"SE1": np.array(["a", "b"], dtype=object)})})
    with pytest.raises(fe.BadFileError, match="no numbers"):
        E.Models.read(tmp_path / "words.rds")
    with pytest.raises(fe.BadInputError, match="model of `B` is empty"):
        E.Models({"B": models["B cell"].iloc[:0]}).write(tmp_path / "empty.rds")


def test_without_the_library_the_way_to_it_is_told(models, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (lambda: models.write(tmp_path / "a.rds"), lambda: E.Models.read(tmp_path / "a.rds")):
        with pytest.raises(ImportError, match=r"pip install 'ferrocyte\[rds\]'"):
            call()


R = """
args <- commandArgs(TRUE)
W <- readRDS(args[1])
stopifnot(is.list(W), identical(names(W), c("B cell", "T-Zellen, na\\u00efv")), is.matrix(W[[1]]), is.double(W[[1]]))
stopifnot(identical(dim(W[[1]]), c(3L, 2L)), identical(rownames(W[[1]]), c("a_1__pos", "b__pos", "b__neg")))
stopifnot(identical(colnames(W[[2]]), c("SE1", "SE2", "SE10")), identical(W[[2]]["x", "SE10"], 3))
saveRDS(W, args[2])
saveRDS(c(lapply(W, as.data.frame), list(none = NULL)), args[3], compress = "xz")
saveRDS(W[[1]], args[4], version = 2)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_reads_what_we_write_and_we_what_r_writes(models, tmp_path):
    (tmp_path / "check.R").write_text(R, encoding="utf-8")
    models.write(tmp_path / "ours.rds")
    files = [tmp_path / name for name in ("ours.rds", "matrices.rds", "frames.rds", "one.rds")]
    subprocess.run(["Rscript", str(tmp_path / "check.R"), *map(str, files)], check=True)
    same(E.Models.read(files[1]), models)
    frames = E.Models.read(files[2])
    same(frames, models)
    assert frames.skipped == {"none": "the file has no model of it"}
    same(E.Models.read(files[3]), E.Models({"one": models["B cell"]}))
