"""Bad input of the family `cells`, a test for each kind: what is refused, what is warned of, and in which words."""

from __future__ import annotations

import gzip
import warnings
from typing import TYPE_CHECKING

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte._examples import small_samples, small_study

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cells() -> ad.AnnData:
    return small_study(n_genes=60)


@pytest.fixture
def logged(cells: ad.AnnData) -> ad.AnnData:
    fe.pp.log_normalize(cells)
    return cells


def with_value(adata: ad.AnnData, value: float) -> ad.AnnData:
    """The study with one value in the place of a count of cell5 and gene3."""
    dense = adata.X.toarray()
    dense[4, 2] = value
    adata.X = type(adata.X)(dense)
    return adata


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_missing_or_infinite(cells: ad.AnnData, value: float) -> None:
    spoilt = with_value(cells, value)
    for step in (fe.pp.normalize_total, fe.pp.log1p, fe.pp.pca, fe.pp.highly_variable_genes):
        with pytest.raises(fe.BadInputError, match=r"1 values are .*cell `cell5`, gene `gene3`"):
            step(spoilt)


def test_counts_that_are_negative(cells: ad.AnnData) -> None:
    spoilt = with_value(cells, -2.0)
    for step in (fe.pp.normalize_total, fe.pp.log1p, fe.pp.log_normalize):
        with pytest.raises(fe.BadInputError, match=r"negative, the first \(-2\) in cell `cell5`, gene `gene3`"):
            step(spoilt)


def test_cells_without_counts(cells: ad.AnnData) -> None:
    cells.X = cells.X.multiply(np.arange(cells.n_obs)[:, None] >= 3).tocsr().astype(np.float32)
    with pytest.warns(fe.FerrocyteWarning, match="3 of 240 cells have no counts to scale"):
        fe.pp.normalize_total(cells)
    assert cells.X[:3].sum() == 0
    assert np.isfinite(cells.X.data).all()


def test_genes_that_are_constant(logged: ad.AnnData) -> None:
    dense = logged.X.toarray()
    dense[:, 7] = 1.0
    logged.X = dense
    with pytest.warns(fe.FerrocyteWarning, match="gene8"):
        fe.pp.scale(logged)
    assert not np.asarray(logged.X)[:, 7].any()


def test_values_that_are_not_whole_for_seurat_v3(logged: ad.AnnData) -> None:
    with pytest.warns(fe.FerrocyteWarning, match="values that are not whole: give the layer that holds counts"):
        fe.pp.highly_variable_genes(logged, flavor="seurat_v3", n_top_genes=10)


def test_names_that_cells_share(cells: ad.AnnData) -> None:
    cells.obs_names = ["same", "same", *cells.obs_names[2:]]
    with pytest.raises(fe.BadInputError, match="1 cells have the name of another, the first is `same`"):
        fe.pp.normalize_total(cells)


def test_names_that_genes_share_where_one_is_looked_up(logged: ad.AnnData) -> None:
    logged.var_names = ["same", "same", *logged.var_names[2:]]
    fe.pp.pca(logged, n_comps=3)
    with pytest.raises(fe.BadInputError, match="same"):
        fe.tl.score_genes(logged, ["same", "gene5"])


def test_columns_that_are_not_there(logged: ad.AnnData) -> None:
    for step in (
        lambda: fe.tl.rank_genes_groups(logged, "cell_typ"),
        lambda: fe.pp.highly_variable_genes(logged, batch_key="cell_typ"),
    ):
        with pytest.raises(fe.MissingKeyError, match="no column `cell_typ`") as told:
            step()
        assert "cell_type" in str(told.value)


def test_groups_that_are_no_categories(logged: ad.AnnData, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ferrocyte")
    logged.obs["number"] = np.where(logged.obs["cell_type"] == "B", 10, 2)
    logged.obs["text"] = logged.obs["cell_type"].astype(object)
    for name, levels in (("number", ("2", "10")), ("text", ("B", "T"))):
        fe.tl.rank_genes_groups(logged, name)
        assert logged.uns["rank_genes_groups"]["names"].dtype.names == levels
        assert f"obs column `{name}` became categorical" in caplog.text
    logged.obs["share"] = np.linspace(0, 1, logged.n_obs)
    with pytest.raises(fe.BadInputError, match="the column holds numbers"):
        fe.tl.rank_genes_groups(logged, "share")


def test_groups_of_one_cell(logged: ad.AnnData) -> None:
    logged.obs["group"] = ["lonely", *["a", "b"] * 119, "b"]
    with pytest.raises(fe.BadInputError, match="a single cell cannot be tested: `lonely`") as told:
        fe.tl.rank_genes_groups(logged, "group")
    assert "leave these groups out" in str(told.value)


def test_groups_with_cells_of_no_label(logged: ad.AnnData) -> None:
    logged.obs["group"] = pd.Categorical([None, None, *["a", "b"] * 119])
    with pytest.warns(fe.FerrocyteWarning, match="2 cells have no group: they count among the rest"):
        fe.tl.rank_genes_groups(logged, "group")


def test_more_neighbours_than_cells(logged: ad.AnnData) -> None:
    fe.pp.pca(logged, n_comps=5)
    with pytest.warns(fe.FerrocyteWarning, match="500 neighbours were asked for among 240 points: 121 are taken"):
        fe.pp.neighbors(logged, n_neighbors=500)


def test_a_graph_of_more_cells(tmp_path: Path) -> None:
    expm = fe.Experiment(small_samples(), tmp_path / "study")
    expm.rna.merge()
    expm.rna.log_normalize()
    expm.rna.scale_pca(hvg=None, n_comps=5)
    expm.rna.knn(n_neighbors=10)
    expm.rna.leiden(resolution=1.5)
    expm.rna.exclude(annotation="leiden", remove=["0"])
    with pytest.raises(fe.BadInputError, match="graph is that of more cells"):
        expm.rna.leiden()


def test_coordinates_of_other_cells(logged: ad.AnnData) -> None:
    fe.pp.pca(logged, n_comps=5)
    names = logged.obs_names
    logged.obsm["table"] = pd.DataFrame(logged.obsm["X_pca"], index=names)
    logged.obsm["table"].index = [names[1], names[0], *names[2:]]
    with pytest.raises(ValueError, match="does not match"):
        fe.pp.neighbors(logged, use_rep="table")


def test_files_that_are_cut_off(cells: ad.AnnData, tmp_path: Path) -> None:
    whole = tmp_path / "whole.h5ad"
    cells.write_h5ad(whole)
    cut = tmp_path / "cut.h5ad"
    cut.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(fe.errors.FerrocyteError, match=r"cut\.h5ad"):
        fe.io.read_h5ad(cut)
    text = tmp_path / "cut.csv.gz"
    packed = gzip.compress(("cell,g1,g2\n" + "".join(f"c{i},{i},{i % 7}\n" for i in range(9000))).encode())
    text.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(fe.errors.FerrocyteError, match=r"cut\.csv\.gz"):
        fe.io.read(text)


def test_elements_of_a_newer_encoding(cells: ad.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "newer.h5ad"
    cells.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["encoding-version"] = "9.9.9"
    with pytest.warns(fe.FerrocyteWarning, match=r"X \(csr_matrix 9\.9\.9\) is left out: this encoding is not known"):
        assert fe.io.read_h5ad(path).X is None


def test_one_batch(logged: ad.AnnData) -> None:
    fe.pp.pca(logged, n_comps=5)
    logged.obs["batch"] = "same"
    with pytest.warns(fe.FerrocyteWarning, match="all cells are of one batch"):
        fe.pp.harmony_integrate(logged, "batch")
    np.testing.assert_array_equal(logged.obsm["X_pca_harmony"], logged.obsm["X_pca"])


def test_good_input_is_taken_without_a_word(cells: ad.AnnData) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fe.pp.calculate_qc_metrics(cells, percent_top=None, inplace=True)
        fe.pp.log_normalize(cells)
        fe.pp.pca(cells, n_comps=5)
        fe.pp.harmony_integrate(cells, "condition")
        fe.pp.neighbors(cells, n_neighbors=10)
        fe.tl.rank_genes_groups(cells, "cell_type")
