"""Every form in which users of the published vignette have their cells, and what is stored of results."""

from __future__ import annotations

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.compat import ecotyper

E = fe.ecotype


@pytest.fixture(scope="module")
def study() -> ad.AnnData:
    """Counts of two samples with planted ecotypes."""
    return E.simulate(4, samples=2, cells=220, genes=50, types=2, ecotypes=2)


WORDS = {"sample": "Sample", "normalize": "log1p_cp10k", "min_cells": 10}


@pytest.fixture(scope="module")
def models(study) -> E.Models:
    return E.train(study, **WORDS)


def same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert list(found) == list(expected)
    for name in expected:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)


def genes_by_cells(study: ad.AnnData) -> pd.DataFrame:
    return pd.DataFrame(study.X.toarray().T.astype(int), index=study.var_names, columns=study.obs_names)


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz", ".csv", ".txt.gz"])
def test_a_table_of_genes_by_cells_is_read_with_its_columns_from_another(study, models, tmp_path, ending):
    separator = "," if ".csv" in ending else "\t"
    values, meta = tmp_path / f"counts{ending}", tmp_path / f"meta{ending}"
    genes_by_cells(study).to_csv(values, sep=separator, index_label="gene")
    # Rows of cells in another order, names in the first column.
    study.obs.iloc[::-1].to_csv(meta, sep=separator, index_label="cell")
    same(E.train(values, meta, **WORDS), models)
    same(E.train(values, study.obs, **WORDS), models)
    study.obs.rename_axis("CID").reset_index()[["CellType", "CID", "SE", "Sample"]].to_csv(meta, sep=separator)
    same(E.train(str(values), str(meta), **WORDS), models)
    turned = tmp_path / f"cells_by_genes{ending}"
    genes_by_cells(study).T.to_csv(turned, sep=separator)
    same(E.train(turned, meta, orientation="cells_x_genes", **WORDS), models)


def test_names_of_cells_that_are_numbers_stay_as_they_are(study, models, tmp_path):
    names = [f"{i:05d}" for i in range(study.n_obs)]
    numbered = study[:, :].copy()
    numbered.obs_names = names
    genes_by_cells(numbered).to_csv(tmp_path / "counts.tsv", sep="\t")
    numbered.obs.to_csv(tmp_path / "meta.tsv", sep="\t")
    same(E.train(tmp_path / "counts.tsv", tmp_path / "meta.tsv", **WORDS), models)


def test_matrices_of_matrixmarket_are_read_alone_or_with_names(study, models, tmp_path):
    io.mmwrite(tmp_path / "matrix.mtx", sparse.coo_matrix(study.X.T.astype(int)))
    numbered = study.obs.set_axis([str(i) for i in range(study.n_obs)], axis=0)
    found = E.train(tmp_path / "matrix.mtx", numbered, **WORDS)
    numbers = {name: str(i) for i, name in enumerate(study.var_names)}
    for name, table in models.items():
        renamed = [f"{numbers[gene]}__{sign}" for gene, _, sign in (one.partition("__") for one in table.index)]
        assert list(found[name].index) == renamed
        np.testing.assert_array_equal(found[name].to_numpy(), table.to_numpy())
    folder = tmp_path / "10x"
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wb") as file:
        io.mmwrite(file, sparse.coo_matrix(study.X.T.astype(int)))
    for name, rows in (
        ("features", [f"id{i}\t{gene}\tGene Expression" for i, gene in enumerate(study.var_names)]),
        ("barcodes", study.obs_names),
    ):
        (folder / f"{name}.tsv.gz").write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))
    same(E.train(folder, study.obs.iloc[::-1], **WORDS), models)


def test_files_layers_and_backed_studies_are_the_same(study, models, tmp_path):
    study.write_h5ad(tmp_path / "study.h5ad")
    same(E.train(tmp_path / "study.h5ad", **WORDS), models)
    same(E.train(ad.read_h5ad(tmp_path / "study.h5ad", backed="r"), **WORDS), models)
    layered = study.copy()
    layered.layers["counts"], layered.X = layered.X, layered.X * 0
    layered.obs = layered.obs.rename(columns={"CellType": "type", "SE": "label", "Sample": "slide"})
    words = {**WORDS, "sample": "slide", "cell_type": "type", "label": "label"}
    same(E.train(layered, layer="counts", **words), models)
    layered.write_h5ad(tmp_path / "layered.h5ad")
    same(E.train(tmp_path / "layered.h5ad", layer="counts", **words), models)


def test_several_files_are_normalised_each_by_itself_and_share_genes(study, tmp_path):
    first, second = (study[study.obs["Sample"] == name].copy() for name in ("S1", "S2"))
    second = second[:, [*range(5, 50), 2]].copy()
    paths = [tmp_path / "first.tsv.gz", tmp_path / "second.h5ad"]
    genes_by_cells(first).to_csv(paths[0], sep="\t")
    second.write_h5ad(paths[1])
    # By hand: the depth of a cell is that of all genes of its file.
    logs = []
    for part in (first, second):
        x = part.X.toarray().astype(float)
        logs.append(pd.DataFrame(np.log1p(x / x.sum(axis=1, keepdims=True) * 10_000).T, part.var_names, part.obs_names))
    shared = [gene for gene in first.var_names if gene in set(second.var_names)]
    expected = E.train(pd.concat([one.loc[shared] for one in logs], axis=1), study.obs, sample="Sample", min_cells=10)
    for data in (paths, [first, second], [genes_by_cells(first), second]):
        found = E.train(data, study.obs, **WORDS)
        assert list(found) == list(expected)
        for name in expected:
            pd.testing.assert_frame_equal(found[name], expected[name], rtol=1e-12)
    # Without a table of columns each study has its own.
    same(E.train([first, second], **WORDS), E.train([first, second], study.obs, **WORDS))
    tables = [part.obs.rename_axis("CID").reset_index() for part in (second, first)]
    same(E.train([first, second], tables, **WORDS), E.train([first, second], **WORDS))
    in_r = ecotyper.NMFGenerateWList([one.loc[shared] for one in logs], study.obs, Sample="Sample", min_cells=10)
    assert set(in_r) == {"type1", "type2"}


def test_several_files_that_do_not_fit_are_refused(study, tmp_path):
    with pytest.raises(fe.BadInputError, match="440 cells stand in more than one study: `"):
        E.train([study, study], **WORDS)
    other = study.copy()
    other.obs_names = [f"other_{name}" for name in other.obs_names]
    other.var_names = [f"other_{name}" for name in other.var_names]
    with pytest.raises(fe.BadInputError, match="2 studies have no gene in common"):
        E.train([study, other], **WORDS)
    with pytest.raises(fe.BadInputError, match="no study in the list"):
        E.train([], **WORDS)
    with pytest.raises(fe.BadFileError, match="no table of cells"):
        E.train(study, tmp_path / "absent.tsv", **WORDS)
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(fe.BadFileError, match="no table of cells"):
        E.train(study, tmp_path / "empty.tsv", **WORDS)
    with pytest.raises(fe.BadInputError, match="440 cells have no row"):
        E.train(study, other.obs, **WORDS)


def test_recovery_and_statistics_take_files_too(study, models, tmp_path):
    genes_by_cells(study).to_csv(tmp_path / "counts.tsv.gz", sep="\t")
    study.obs.to_csv(tmp_path / "meta.tsv", sep="\t")
    expected = E.recover(study, models, normalize="log1p_cp10k")
    found = E.recover(tmp_path / "counts.tsv.gz", models, tmp_path / "meta.tsv", normalize="log1p_cp10k")
    pd.testing.assert_frame_equal(found.table, expected.table)
    metacells = E.spatial_metacells(tmp_path / "counts.tsv.gz", tmp_path / "meta.tsv", k=5)
    pd.testing.assert_frame_equal(metacells, E.spatial_metacells(study, k=5))


def test_what_is_stored_survives_a_file_and_can_be_drawn(study, models, tmp_path):
    found = E.recover(study, models, normalize="log1p_cp10k", min_score=0.5)
    kept = study[::-1].copy()
    found.store(kept)
    kept.write_h5ad(tmp_path / "kept.h5ad")
    for read in (ad.read_h5ad(tmp_path / "kept.h5ad"), fe.io.read_h5ad(tmp_path / "kept.h5ad")):
        table = found.table.set_index("CID").loc[list(read.obs_names)]
        for column, of in (("SE", "SE"), ("SE_score", "PredScore"), ("SE_margin", "margin"), ("SE_reason", "reason")):
            assert list(read.obs[column]) == list(table[of]), column
        np.testing.assert_array_equal(read.obsm["SE_scores"], found.scores.loc[list(read.obs_names)])
        assert list(read.uns["ecotype"]["classes"]) == list(found.scores.columns)
        params = read.uns["ecotype"]["params"]
        assert params["min_score"] == 0.5
        assert params["mode"] == "exact"
        assert fe.pl.spatial(read, "SE").get_legend() is not None
    found.store(kept, key="again")
    assert list(kept.obs["again"]) == list(kept.obs["SE"])
    renamed = study[:2].copy()
    renamed.obs_names = ["new_1", "new_2"]
    with pytest.raises(fe.BadInputError, match="2 cells were not labelled: `new_1`"):
        found.store(renamed)


@pytest.mark.parametrize("mode", ["exact", "compat"])
def test_cells_that_memory_does_not_hold_have_the_same_scores(tmp_path, mode):
    cells = E.simulate(5, samples=2, cells=500, genes=80, types=3, ecotypes=3)
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    words = {"normalize": "log1p_cp10k", "progress": False}
    models = E.train(cells, sample="Sample", **words)
    how = {"mode": mode, "cells_per_run": 100, **words}
    expected = E.recover(cells, models, **how)
    for more in ({"max_memory": "64KiB"}, {"max_memory": "64KiB", "n_threads": 1}):
        for data in (str(path), ad.read_h5ad(path, backed="r"), cells):
            found = E.recover(data, models, **how, **more)
            pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
            pd.testing.assert_frame_equal(found.scores, expected.scores, check_exact=True)
    models.write(tmp_path / "models")
    tables = []
    for name, memory in (("a", "2G"), ("b", "64K")):
        out = tmp_path / f"{name}.tsv"
        line = ["ecotype", "recover", path, "--models", tmp_path / "models", "--normalize", "log1p_cp10k"]
        line += ["--mode", mode, "--max-memory", memory, "-o", out, "-q"]
        assert _core.run_program(["ferrocyte", *map(str, line)]) == 0
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]
