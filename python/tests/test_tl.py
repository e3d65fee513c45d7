"""Tools on an AnnData: in place or on a copy, under which keys, what they refuse, and the same bits on any threads."""

from __future__ import annotations

import re
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA
from scipy import sparse

import ferrocyte as fe


@pytest.fixture
def cells() -> ad.AnnData:
    """Three types of cells, told apart by ten genes each, with coordinates and a graph of neighbours."""
    rng = np.random.default_rng(5)
    kind = np.repeat([0, 1, 2], [90, 60, 50])
    means = np.full((3, 60), 0.6)
    for k in range(3):
        means[k, 10 * k : 10 * k + 10] = 4.0
    counts = rng.poisson(means[kind]).astype(np.float32)
    adata = ad.AnnData(sparse.csr_matrix(np.log1p(counts)))
    adata.obs_names = [f"c{i}" for i in range(200)]
    adata.var_names = [f"g{i}" for i in range(60)]
    adata.obs["kind"] = pd.Categorical(np.array(["a", "b", "c"])[kind])
    adata.obs["sample"] = pd.Categorical([f"s{i % 4}" for i in range(200)])
    dense = adata.X.toarray() - adata.X.toarray().mean(axis=0)
    left, values, _ = np.linalg.svd(dense, full_matrices=False)
    adata.obsm["X_pca"] = (left * values)[:, :10].astype(np.float32)
    adata.obsp["distances"], adata.obsp["connectivities"] = neighbours(adata.obsm["X_pca"], 15)
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 15, "method": "umap", "use_rep": "X_pca"},
    }
    return adata


def neighbours(points: np.ndarray, k: int) -> tuple[Any, Any]:
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    near = np.argsort(apart, axis=1)[:, 1:k]
    rows = np.repeat(np.arange(len(points)), k - 1)
    distances = sparse.csr_matrix((apart[rows, near.ravel()], (rows, near.ravel())), shape=apart.shape)
    weights = distances.copy()
    weights.data = np.exp(-weights.data / 4)
    return distances, (weights + weights.T - weights.multiply(weights.T)).astype(np.float32).tocsr()


def refused(kind: type[Exception], match: str, call: Any, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(kind, match=re.escape(match)):
        call(*args, **kwargs)


# ---- layouts


def test_umap_is_written_where_scanpy_writes_it(cells: ad.AnnData) -> None:
    assert fe.tl.umap(cells, maxiter=30) is None
    assert cells.obsm["X_umap"].shape == (200, 2)
    assert cells.obsm["X_umap"].dtype == np.float32
    assert list(cells.uns["umap"]) == ["params"]
    assert list(cells.uns["umap"]["params"]) == ["a", "b"]
    fe.tl.umap(cells, maxiter=30, n_components=3, random_state=4, key_added="deep")
    assert cells.obsm["deep"].shape == (200, 3)
    assert cells.uns["deep"]["params"]["random_state"] == 4
    copied = fe.tl.umap(cells, maxiter=30, style="exprmat", copy=True)
    assert "umap" in copied.obsm
    assert "umap" not in cells.obsm
    np.testing.assert_array_equal(copied.obsm["umap"], cells.obsm["X_umap"])


def test_umap_takes_starts_and_curves(cells: ad.AnnData) -> None:
    layouts = []
    for start in ("spectral", "random", "two", cells.obsm["X_pca"][:, :2]):
        cells.obsm["two"] = cells.obsm["X_pca"][:, :2]
        fe.tl.umap(cells, maxiter=30, init_pos=start)
        layouts.append(cells.obsm["X_umap"])
    np.testing.assert_array_equal(layouts[2], layouts[3])
    assert not np.array_equal(layouts[0], layouts[1])
    fe.tl.umap(cells, maxiter=30, a=1.2, b=0.8)
    assert cells.uns["umap"]["params"] == {"a": 1.2, "b": 0.8}
    fe.tl.umap(cells)
    assert fe.tl.trustworthiness(cells) > 0.8
    assert fe.tl.silhouette(cells, "kind", use_rep="X_umap") > 0.5


def test_umap_refuses(cells: ad.AnnData) -> None:
    refused(fe.MissingKeyError, "there is no start `paga`", fe.tl.umap, cells, init_pos="paga")
    refused(fe.UnsupportedError, "'rapids' is not supported", fe.tl.umap, cells, method="rapids")
    refused(fe.BadInputError, "a start of 200 x 2 numbers", fe.tl.umap, cells, init_pos=np.zeros((3, 2)))
    refused(fe.BadInputError, "above 0, found -1 and 1", fe.tl.umap, cells, a=-1, b=1)
    refused(fe.BadInputError, "min_dist <= spread", fe.tl.umap, cells, min_dist=3)
    refused(fe.BadInputError, "expected a whole number from 0 up, found None", fe.tl.umap, cells, random_state=None)
    refused(fe.MissingKeyError, "there is no graph of neighbours `other`", fe.tl.umap, cells, neighbors_key="other")
    cells.obsm["bad"] = np.full((200, 2), np.nan)
    refused(fe.BadInputError, "400 of 200 x 2 values are missing or infinite", fe.tl.umap, cells, init_pos="bad")


# ---- clusters


@pytest.mark.parametrize("name", ["leiden", "louvain"])
def test_clusters_are_those_of_the_types(cells: ad.AnnData, name: str) -> None:
    find = getattr(fe.tl, name)
    assert find(cells, 0.5) is None
    found = cells.obs[name]
    assert isinstance(found.dtype, pd.CategoricalDtype)
    assert found.cat.categories.tolist() == ["0", "1", "2"]
    assert found.value_counts().tolist() == [90, 60, 50]
    assert fe.tl.adjusted_rand(found, cells.obs["kind"]) == 1.0
    assert cells.uns[name]["params"]["resolution"] == 0.5
    weighted = name == "leiden"
    expected = fe.tl.modularity(cells, name, resolution=0.5, use_weights=weighted)
    assert cells.uns[name]["modularity"] == pytest.approx(expected, abs=1e-12)
    copied = find(cells, 0.5, key_added="mine", copy=True)
    assert "mine" in copied.obs
    assert "mine" not in cells.obs
    pd.testing.assert_series_equal(copied.obs["mine"], found, check_names=False)


def test_part_of_the_cells_is_divided(cells: ad.AnnData) -> None:
    fe.tl.leiden(cells, 1.0, restrict_to=("kind", ["a", "c"]))
    found = cells.obs["leiden_R"]
    assert "leiden" not in cells.obs
    assert (found[cells.obs["kind"] == "b"] == "b").all()
    inside = found[cells.obs["kind"] != "b"]
    assert inside.str.match("a-c,[0-9]+$").all()
    assert inside.nunique() >= 2
    fe.tl.leiden(cells, 1.0, restrict_to=("kind", ["a"]), key_added="mine")
    assert "mine" in cells.obs
    refused(fe.MissingKeyError, "`kind` has no category `x`", fe.tl.leiden, cells, restrict_to=("kind", ["x"]))


def test_the_graph_comes_from_anywhere(cells: ad.AnnData) -> None:
    fe.tl.leiden(cells)
    expected = cells.obs["leiden"].copy()
    matrix = cells.obsp["connectivities"]
    zeros = matrix.copy()
    zeros = (zeros + sparse.csr_matrix(([1.0, 1.0], ([0, 199], [199, 0])), shape=zeros.shape)).tocsr()
    zeros[0, 199] = zeros[199, 0] = 0.0
    assert zeros.nnz == matrix.nnz + 2
    cells.obsp["mine"] = matrix.tocsc()
    cells.uns["other"] = {"connectivities_key": "mine", "params": {}}
    for words in (
        {"adjacency": zeros},
        {"adjacency": matrix.toarray()},
        {"obsp": "mine"},
        {"neighbors_key": "other"},
        {"flavor": "leidenalg", "directed": False},
        {"objective_function": "modularity", "beta": 0.01},
    ):
        fe.tl.leiden(cells, key_added="again", **words)
        pd.testing.assert_series_equal(cells.obs["again"], expected, check_names=False)
    # Edges that only one end knows count for both.
    upper = sparse.triu(matrix).tocsr()
    fe.tl.leiden(cells, key_added="again", adjacency=upper)
    pd.testing.assert_series_equal(cells.obs["again"], expected, check_names=False)
    fe.tl.leiden(cells, key_added="again", use_weights=False)
    assert cells.obs["again"].nunique() >= 3
    with pytest.warns(fe.FerrocyteWarning, match="200 cells are joined to themselves"):
        fe.tl.leiden(cells, key_added="again", adjacency=matrix + sparse.eye(200))
    pd.testing.assert_series_equal(cells.obs["again"], expected, check_names=False)


def test_graphs_that_cannot_be_divided_are_refused(cells: ad.AnnData) -> None:
    find = fe.tl.leiden
    refused(fe.BadInputError, "expected 200 x 200", find, cells, adjacency=np.eye(3))
    refused(fe.BadInputError, "weights are missing or infinite", find, cells, adjacency=np.full((200, 200), np.nan))
    refused(fe.BadInputError, "weights are positive", find, cells, adjacency=np.eye(200) - 1.0)
    refused(fe.MissingKeyError, "there is no matrix `conectivities`", find, cells, obsp="conectivities")
    refused(fe.BadInputError, "name one of them", find, cells, obsp="connectivities", neighbors_key="neighbors")
    refused(fe.UnsupportedError, "True is not supported", find, cells, directed=True)
    refused(fe.UnsupportedError, "is not supported", find, cells, partition_type=object)
    refused(fe.UnsupportedError, "initial_membership", find, cells, initial_membership=[0])
    refused(fe.BadInputError, "resolution", find, cells, -1.0)
    del cells.uns["neighbors"], cells.obsp["connectivities"]
    refused(fe.MissingKeyError, "call fe.pp.neighbors first", find, cells)


@pytest.mark.parametrize("name", ["leiden", "louvain", "umap"])
def test_the_graph_of_more_cells_is_refused(cells: ad.AnnData, name: str) -> None:
    call = getattr(fe.tl, name)
    part = cells[::2].copy()
    refused(fe.BadInputError, "the graph is that of more cells", call, part)
    assert call(part, allow_stale=True) is None
    cells.uns["neighbors"]["stale"] = True
    refused(fe.BadInputError, "allow_stale=True", call, cells)


def test_sc3(cells: ad.AnnData) -> None:
    assert fe.tl.sc3(cells, [2, 3, 12]) is None
    assert fe.tl.adjusted_rand(cells.obs["sc3s_3"], cells.obs["kind"]) > 0.95
    assert cells.obs["sc3s_12"].cat.categories.tolist() == [str(i) for i in range(12)]
    trials = cells.uns["sc3s_trials"]
    assert list(trials["agreement"]) == ["2", "3", "12"]
    assert 1.0 >= trials["agreement"]["3"] > trials["agreement"]["12"]
    copied = fe.tl.sc3(cells, 3, copy=True, style="exprmat")
    pd.testing.assert_series_equal(copied.obs["sc3.3"], cells.obs["sc3s_3"], check_names=False)
    assert "sc3.3" not in cells.obs
    refused(fe.BadInputError, "201 clusters of 200 cells", fe.tl.sc3, cells, 201)
    refused(fe.BadInputError, "11 columns of a basis of 10", fe.tl.sc3, cells, 3, d_range=[11])
    refused(fe.BadInputError, "there is no dialect `seurat`", fe.tl.sc3, cells, 3, style="seurat")
    refused(fe.MissingKeyError, "there is no `harmony`", fe.tl.sc3, cells, 3, basis="harmony")
    refused(fe.UnsupportedError, "cells are clustered in full", fe.tl.sc3, cells, 3, batch_size=50)


# ---- markers


def test_markers_stand_as_scanpy_writes_them(cells: ad.AnnData) -> None:
    assert fe.tl.rank_genes_groups(cells, "kind", pts=True) is None
    found = cells.uns["rank_genes_groups"]
    assert found["params"] == {
        "groupby": "kind",
        "reference": "rest",
        "method": "t-test",
        "use_raw": False,
        "layer": None,
        "corr_method": "benjamini-hochberg",
    }
    for name, dtype in (
        ("names", "O"),
        ("scores", "f4"),
        ("logfoldchanges", "f4"),
        ("pvals", "f8"),
        ("pvals_adj", "f8"),
    ):
        assert isinstance(found[name], np.recarray)
        assert found[name].dtype.names == ("a", "b", "c")
        assert {found[name].dtype[group] for group in "abc"} == {np.dtype(dtype)}
        assert found[name].shape == (60,)
    for name in ("pts", "pts_rest"):
        assert found[name].index.tolist() == cells.var_names.tolist()
        assert found[name].columns.tolist() == ["a", "b", "c"]
    own = cells[cells.obs["kind"] == "a"]
    np.testing.assert_allclose(found["pts"]["a"], (own.X > 0).mean(axis=0).A1)
    assert set(found["names"]["b"][:10]) == {f"g{i}" for i in range(10, 20)}
    scores = found["scores"]["a"]
    assert (np.diff(scores) <= 0).all()


def test_groups_and_references(cells: ad.AnnData) -> None:
    fe.tl.rank_genes_groups(cells, "kind", groups=["c", "a"], n_genes=7, key_added="mine")
    assert cells.uns["mine"]["names"].dtype.names == ("c", "a")
    assert len(cells.uns["mine"]["names"]) == 7
    assert "rank_genes_groups" not in cells.uns
    fe.tl.rank_genes_groups(cells, "kind", reference="b", pts=True, method="wilcoxon")
    found = cells.uns["rank_genes_groups"]
    assert found["names"].dtype.names == ("a", "c")
    assert found["pts"].columns.tolist() == ["a", "b", "c"]
    assert "pts_rest" not in found
    table = fe.get.rank_genes_groups_df(cells, "a")
    at = table["names"].tolist()
    np.testing.assert_array_equal(table["pct_nz_reference"], found["pts"]["b"].loc[at])
    fe.tl.rank_genes_groups(cells, "kind", rankby_abs=True)
    sizes = np.abs(cells.uns["rank_genes_groups"]["scores"]["a"])
    assert (np.diff(sizes) <= 0).all()
    assert (cells.uns["rank_genes_groups"]["scores"]["a"] < 0).any()


def test_the_matrix_of_markers(cells: ad.AnnData) -> None:
    fe.tl.rank_genes_groups(cells, "kind")
    expected = fe.get.rank_genes_groups_df(cells, None)
    cells.layers["logs"] = cells.X.toarray()
    cells.raw = cells
    cells.X = cells.X * 0 + 1e-3 * sparse.random(200, 60, 0.5, random_state=1).tocsr()
    for words in ({}, {"use_raw": True}, {"layer": "logs"}):
        fe.tl.rank_genes_groups(cells, "kind", **words)
        pd.testing.assert_frame_equal(fe.get.rank_genes_groups_df(cells, None), expected)
        assert cells.uns["rank_genes_groups"]["params"]["use_raw"] == (words != {"layer": "logs"})
    mask = np.arange(60) < 12
    cells.var["some"] = mask
    fe.tl.rank_genes_groups(cells, "kind", mask_var="some", layer="logs")
    some = fe.get.rank_genes_groups_df(cells, "a")
    fe.tl.rank_genes_groups(cells, "kind", mask_var=mask, layer="logs")
    pd.testing.assert_frame_equal(fe.get.rank_genes_groups_df(cells, "a"), some)
    view = cells[:, mask]
    copied = fe.tl.rank_genes_groups(view, "kind", layer="logs", copy=True)
    pd.testing.assert_frame_equal(fe.get.rank_genes_groups_df(copied, "a"), some)
    assert sorted(some["names"]) == sorted(cells.var_names[mask])
    refused(fe.BadInputError, "name one of them", fe.tl.rank_genes_groups, cells, "kind", layer="logs", use_raw=True)


def test_the_base_of_the_logarithm_counts(cells: ad.AnnData) -> None:
    fe.tl.rank_genes_groups(cells, "kind")
    assert "log2fc_mean" not in cells.uns["rank_genes_groups"]
    expected = fe.get.rank_genes_groups_df(cells, None)["logfoldchanges"]
    counts = np.expm1(cells.X.toarray().astype(float))
    cells.X = cells.X / np.log(2)
    cells.uns["log1p"] = {"base": 2}
    fe.tl.rank_genes_groups(cells, "kind")
    np.testing.assert_allclose(fe.get.rank_genes_groups_df(cells, None)["logfoldchanges"], expected, rtol=1e-4)
    fe.tl.rank_genes_groups(cells, "kind", fold_change_of_means=True)
    table = fe.get.rank_genes_groups_df(cells, "a").set_index("names").loc[cells.var_names]
    inside = (cells.obs["kind"] == "a").to_numpy()
    ratio = (counts[inside].mean(axis=0) + 1e-9) / (counts[~inside].mean(axis=0) + 1e-9)
    np.testing.assert_allclose(table["log2fc_mean"], np.log2(ratio), rtol=1e-4, atol=1e-5)


def test_p_values_go_on_where_they_are_too_small_to_be_numbers() -> None:
    rng = np.random.default_rng(0)
    high = np.repeat([0.0, 9.0, 12.0], [2000, 1000, 1000])[:, None]
    values = np.hstack([high, 0.5 * high]) + rng.normal(0.0, 0.1, (4000, 2))
    adata = ad.AnnData(values)
    adata.obs["g"] = pd.Categorical(np.where(high[:, 0] > 0, "high", "low"))
    fe.tl.rank_genes_groups(adata, "g")
    table = fe.get.rank_genes_groups_df(adata, "high")
    assert (table["pvals"] == 0).all()
    assert (table["log10_p"] > 308).all()
    assert (table["log10_q"] <= table["log10_p"]).all()


def test_markers_in_the_other_dialect(cells: ad.AnnData) -> None:
    fe.tl.rank_genes_groups(cells, "kind")
    fe.tl.rank_genes_groups(cells, "kind", style="exprmat")
    table = cells.uns["markers"]["differential"]["b"]
    assert table.columns.tolist() == ["names", "scores", "lfc", "p", "q", "pct", "pct.reference", "log10.p", "log10.q"]
    assert table["names"].tolist() == cells.uns["rank_genes_groups"]["names"]["b"].tolist()
    assert cells.uns["markers"]["names"].dtype.names == ("a", "b", "c")
    expected = fe.get.rank_genes_groups_df(cells, None)
    found = fe.get.rank_genes_groups_df(cells, None, key="markers")
    pd.testing.assert_frame_equal(found[expected.columns], expected)
    assert {"pct_nz_group", "pct_nz_reference"} <= set(found)


def test_markers_are_filtered(cells: ad.AnnData) -> None:
    fe.tl.rank_genes_groups(cells, "kind")
    fe.tl.filter_rank_genes_groups(cells, min_in_group_fraction=0.7, max_out_group_fraction=0.6, min_fold_change=1.5)
    result, kept = cells.uns["rank_genes_groups"], cells.uns["rank_genes_groups_filtered"]
    values = cells.X.toarray()
    for group in "abc":
        inside = (cells.obs["kind"] == group).to_numpy()
        names = result["names"][group]
        at = cells.var_names.get_indexer(names)
        passes = ((values[inside] > 0).mean(axis=0)[at] > 0.7) & ((values[~inside] > 0).mean(axis=0)[at] < 0.6)
        passes &= result["logfoldchanges"][group] > 1.5
        assert passes.any()
        assert [name == name for name in kept["names"][group]] == passes.tolist()
        table = fe.get.rank_genes_groups_df(cells, group, key="rank_genes_groups_filtered")
        assert table["names"].tolist() == names[passes].tolist()
    # Fold changes are those against all other cells, whatever the reference was.
    fe.tl.rank_genes_groups(cells, "kind", reference="c", key_added="against_c")
    words = {"min_in_group_fraction": 0.7, "max_out_group_fraction": 0.6, "min_fold_change": 1.5}
    fe.tl.filter_rank_genes_groups(cells, key="against_c", key_added="kept", **words)
    for group in "ab":
        mine = {name for name in cells.uns["kept"]["names"][group] if name == name}
        assert mine == {name for name in kept["names"][group] if name == name}


def test_tables_of_markers(cells: ad.AnnData) -> None:
    cells.var["symbol"] = [f"S{i}" for i in range(60)]
    fe.tl.rank_genes_groups(cells, "kind", pts=True)
    table = fe.get.rank_genes_groups_df(cells, "a", gene_symbols="symbol", pval_cutoff=0.01, log2fc_min=0.5)
    assert table.columns.tolist() == [
        "names",
        "scores",
        "logfoldchanges",
        "pvals",
        "pvals_adj",
        "log10_p",
        "log10_q",
        "symbol",
        "pct_nz_group",
        "pct_nz_reference",
    ]
    assert [name.replace("g", "S") for name in table["names"]] == table["symbol"].tolist()
    assert ((table["pvals_adj"] < 0.01) & (table["logfoldchanges"] > 0.5)).all()
    np.testing.assert_allclose(table["log10_p"], -np.log10(table["pvals"]), rtol=1e-10)
    every = fe.get.rank_genes_groups_df(cells, None)
    assert every["group"].unique().tolist() == ["a", "b", "c"]
    assert len(every) == 180
    some = fe.get.rank_genes_groups_df(cells, ["c", "a"], log2fc_max=0)
    assert some["group"].unique().tolist() == ["c", "a"]
    refused(fe.MissingKeyError, "there is no group `d`", fe.get.rank_genes_groups_df, cells, "d")
    refused(fe.MissingKeyError, "there are no markers `x`", fe.get.rank_genes_groups_df, cells, "a", key="x")


#: Coefficients of scikit-learn 1.9.1 (scipy 1.17.1) for the conditions of the small study with 12 genes, and for its
#: first donor of six, at the usual bounds and as near the optimum as either comes: both end where the value no longer
#: falls by more than 64 times the rounding of 1.
_CONDITION = {
    1e-4: [3.425036069, 1.6970708176, -1.3592486265, -0.6925139084, -0.2330427803, -0.3352294754],
    1e-10: [3.424555076, 1.6977546805, -1.3585843399, -0.6930438242, -0.23194604, -0.3342830463],
}
_DONOR = {
    1e-4: [0.1440744393, -0.2484891501, -0.7275826866, -0.0279532417, -0.4676744922, -0.061394512],
    1e-10: [0.1446676381, -0.2485132532, -0.7272249849, -0.0272543076, -0.4683130942, -0.0611520029],
}


@pytest.mark.parametrize(("tol", "steps", "apart"), [(1e-4, 100, 1e-5), (1e-10, 10_000, 1e-6)])
def test_coefficients_are_those_of_scikit_learn(tol: float, steps: int, apart: float) -> None:
    from ferrocyte._examples import small_study

    study = small_study(n_genes=12)
    study.X = study.X.astype(np.float64).log1p()
    for column, group, expected in (("condition", "stim", _CONDITION), ("donor", "d1", _DONOR)):
        fe.tl.rank_genes_groups(study, column, method="logreg", tol=tol, max_iter=steps)
        result = study.uns["rank_genes_groups"]
        found = dict(zip(result["names"][group], result["scores"][group], strict=True))
        assert np.abs([found[f"gene{i + 1}"] for i in range(6)] - np.array(expected[tol])).max() < apart + 3e-7
        assert "pvals" not in result
        assert (np.diff(result["scores"][group]) <= 0).all()


def test_a_regression_that_stops_early_says_so_and_has_tables_without_p() -> None:
    from ferrocyte._examples import small_study

    study = small_study(n_genes=12)
    study.X = study.X.log1p()
    with pytest.warns(fe.FerrocyteWarning, match="stopped after 2 steps"):
        fe.tl.rank_genes_groups(study, "donor", method="logreg", max_iter=2, pts=True)
    table = fe.get.rank_genes_groups_df(study, "d1")
    assert list(table)[:3] == ["names", "scores", "logfoldchanges"]
    assert "pvals" not in table
    refused(fe.MissingKeyError, "no p-values", fe.get.rank_genes_groups_df, study, "d1", pval_cutoff=0.1)
    with pytest.warns(fe.FerrocyteWarning, match="have no `adj_p_value`"):
        chosen = fe.get.top_markers(study, min_logfoldchange=None, min_pct=None, max_pct_reference=None)
    assert len(chosen) == 30


def test_markers_refuse(cells: ad.AnnData) -> None:
    find = fe.tl.rank_genes_groups
    refused(fe.MissingKeyError, "there is no column `knd`", find, cells, "knd")
    refused(fe.MissingKeyError, "`kind`", find, cells, "knd")
    refused(fe.MissingKeyError, "there is no group `d`", find, cells, "kind", groups=["d"])
    refused(fe.MissingKeyError, "there is no group `d`", find, cells, "kind", reference="d")
    refused(fe.BadInputError, "expected `all` or a list of groups", find, cells, "kind", groups="a")
    refused(fe.BadInputError, "no group to compare with `a`", find, cells, "kind", groups=["a"], reference="a")
    refused(fe.BadInputError, "there is no choice `ttest`", find, cells, "kind", method="ttest")
    refused(fe.BadInputError, "there is no choice `holm`", find, cells, "kind", corr_method="holm")
    refused(fe.UnsupportedError, "max_iter", find, cells, "kind", max_iter=5)
    refused(fe.UnsupportedError, "penalty", find, cells, "kind", method="logreg", penalty="l1")
    refused(fe.BadInputError, "expected a number above 0", find, cells, "kind", method="logreg", C=0)
    refused(fe.BadInputError, "expected a whole number", find, cells, "kind", method="logreg", max_iter=2.5)
    refused(fe.BadInputError, "expected 60 truth values", find, cells, "kind", mask_var=np.ones(3, dtype=bool))
    cells.obs["one"] = "same"
    refused(fe.BadInputError, "1 group of cells has nothing to be compared with", find, cells, "one")
    cells.obs["number"] = np.arange(200) / 7
    refused(fe.BadInputError, "the column holds numbers", find, cells, "number")
    cells.X[3, 5] = np.nan
    refused(fe.BadInputError, "cell `c3`", find, cells, "kind")
    refused(fe.BadInputError, "gene `g5`", find, cells, "kind")


def test_texts_become_categories_in_natural_order(cells: ad.AnnData) -> None:
    cells.obs["text"] = [str(9 + i % 3) for i in range(200)]
    fe.tl.rank_genes_groups(cells, "text")
    assert cells.obs["text"].cat.categories.tolist() == ["9", "10", "11"]
    assert cells.uns["rank_genes_groups"]["names"].dtype.names == ("9", "10", "11")
    assert cells.obs["text"].tolist() == [str(9 + i % 3) for i in range(200)]


def test_whole_numbers_are_warned_of(cells: ad.AnnData) -> None:
    cells.X = cells.X.expm1()
    cells.X.data = np.rint(cells.X.data)
    with pytest.warns(fe.FerrocyteWarning, match="whole numbers only"):
        fe.tl.rank_genes_groups(cells, "kind")


# ---- groups, scores


def test_dendrogram(cells: ad.AnnData) -> None:
    assert fe.tl.dendrogram(cells, "kind") is None
    found = cells.uns["dendrogram_kind"]
    assert set(found) == {
        "linkage",
        "groupby",
        "use_rep",
        "cor_method",
        "linkage_method",
        "categories_ordered",
        "categories_idx_ordered",
        "dendrogram_info",
        "correlation_matrix",
    }
    assert sorted(found["categories_ordered"]) == ["a", "b", "c"]
    means = np.array([cells.obsm["X_pca"][cells.obs["kind"] == k].mean(axis=0, dtype=float) for k in "abc"])
    np.testing.assert_allclose(found["correlation_matrix"], np.corrcoef(means), atol=1e-12)
    made = fe.tl.dendrogram(cells, ["kind", "sample"], var_names=["g1", "g15", "g40"], inplace=False)
    assert len(made["categories_ordered"]) == 12
    assert "dendrogram_kind_sample" not in cells.uns
    refused(fe.BadInputError, "there is no choice `far`", fe.tl.dendrogram, cells, "kind", linkage_method="far")
    cells.obs["one"] = "same"
    refused(fe.BadInputError, "1 group", fe.tl.dendrogram, cells, "one")


def test_scores(cells: ad.AnnData) -> None:
    genes = [f"g{i}" for i in range(6)]
    assert fe.tl.score_genes(cells, genes, n_bins=3, ctrl_size=8) is None
    assert cells.obs["score"].dtype == np.float64
    assert cells.obs.groupby("kind", observed=True)["score"].mean().idxmax() == "a"
    with pytest.warns(fe.FerrocyteWarning, match="`nothing`"):
        copied = fe.tl.score_genes(cells, [*genes, "nothing"], n_bins=3, ctrl_size=8, score_name="again", copy=True)
    np.testing.assert_array_equal(copied.obs["again"], cells.obs["score"])
    assert "again" not in cells.obs
    # With the pool and all of it as controls the score is a difference of means.
    pool = [f"g{i}" for i in range(30, 60)]
    fe.tl.score_genes(cells, genes, gene_pool=pool, n_bins=1, ctrl_size=100)
    dense = cells.X.toarray().astype(float)
    np.testing.assert_allclose(cells.obs["score"], dense[:, :6].mean(axis=1) - dense[:, 30:].mean(axis=1), atol=1e-12)
    refused(fe.MissingKeyError, "none of 1 genes exists", fe.tl.score_genes, cells, ["G1"])
    refused(fe.UnsupportedError, "False is not supported", fe.tl.score_genes, cells, genes, ctrl_as_ref=False)
    cells.var_names = ["g0", "g0", *cells.var_names[2:]]
    refused(fe.BadInputError, "several genes are called `g0`", fe.tl.score_genes, cells, genes)


def test_phases_of_the_cell_cycle(cells: ad.AnnData) -> None:
    words = {"s_genes": [f"g{i}" for i in range(5)], "g2m_genes": [f"g{i}" for i in range(10, 16)]}
    assert fe.tl.score_genes_cell_cycle(cells, **words, n_bins=4) is None
    s, g2m = cells.obs["S_score"], cells.obs["G2M_score"]
    expected = np.where((s < 0) & (g2m < 0), "G1", np.where(g2m > s, "G2M", "S"))
    assert cells.obs["phase"].tolist() == expected.tolist()
    assert cells.obs["phase"][cells.obs["kind"] == "a"].mode()[0] == "S"
    fe.tl.score_genes(cells, words["s_genes"], ctrl_size=5, n_bins=4)
    np.testing.assert_array_equal(cells.obs["score"], s)


def test_aggregate(cells: ad.AnnData) -> None:
    made = fe.get.aggregate(cells, ["kind", "sample"], ["sum", "mean", "var", "count_nonzero"])
    assert made.obs_names.tolist() == [f"{k}_s{i}" for k in "abc" for i in range(4)]
    assert made.obs["n_obs_aggregated"].sum() == 200
    frame = pd.DataFrame(cells.X.toarray().astype(float), columns=cells.var_names)
    grouped = frame.groupby([cells.obs["kind"].to_numpy(), cells.obs["sample"].to_numpy()])
    for name, expected in (("sum", grouped.sum()), ("mean", grouped.mean()), ("var", grouped.var())):
        np.testing.assert_allclose(made.layers[name], expected, atol=1e-12)
    some = fe.get.aggregate(cells, "kind", "sum", mask=(cells.obs["kind"] != "b").to_numpy())
    assert some.obs_names.tolist() == ["a", "c"]
    assert list(some.layers) == ["sum"]
    refused(fe.UnsupportedError, "`median` is not supported", fe.get.aggregate, cells, "kind", "median")
    refused(fe.MissingKeyError, "there is no column `knd`", fe.get.aggregate, cells, "knd", "sum")


# ---- composition


def test_proportions(cells: ad.AnnData) -> None:
    table = fe.tl.proportion(cells, "sample", "kind")
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    counts = fe.tl.proportion(cells, "sample", "kind", "none")
    expected = pd.crosstab(cells.obs["sample"], cells.obs["kind"])
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtypes.unique().tolist() == [np.dtype("int64")]
    assert counts.attrs["n_cells"] == expected.sum(axis=1).to_dict()
    np.testing.assert_allclose(fe.tl.proportion(cells, "sample", "kind", normalize="columns").sum(axis=0), 1.0)
    np.testing.assert_allclose(fe.tl.proportion(cells, "sample", "kind", "all").to_numpy().sum(), 1.0)
    cells.obs["kind"] = cells.obs["kind"].cat.add_categories("d")
    assert "d" not in fe.tl.proportion(cells, "sample", "kind")
    assert (fe.tl.proportion(cells, "sample", "kind", show_unused=True)["d"] == 0).all()
    refused(fe.BadInputError, "there is no choice `rows`", fe.tl.proportion, cells, "sample", "kind", "rows")


def published() -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.read_csv(DATA / "composition" / "heart_development.tsv", sep="\t", index_col="sample")
    return table.drop(columns=["group", "sex"]), table[["group", "sex"]]


@pytest.mark.parametrize("transform", ["logit", "asin"])
@pytest.mark.parametrize("covariates", [None, "sex", "~ sex"])
def test_composition_is_a_moderated_test_of_transformed_shares(transform: str, covariates: str | None) -> None:
    counts, samples = published()
    two = samples["group"].isin(samples["group"].unique()[:2])
    counts, samples = counts[two], samples[two]
    found = fe.tl.composition(counts, "group", samples=samples, covariates=covariates, transform=transform)
    share = (counts + 0.5).div((counts + 0.5).sum(axis=1), axis=0)
    plain = counts.div(counts.sum(axis=1), axis=0)
    values = np.log(share / (1 - share)) if transform == "logit" else np.arcsin(np.sqrt(plain))
    design = fe.limma.model_matrix("~ 0 + group" + ("" if covariates is None else " + sex"), samples)
    fit = fe.limma.lm_fit(values.T, design)
    groups = list(design.columns[:2])
    contrasts = fe.limma.make_contrasts(f"{groups[0]} - {groups[1]}", levels=design)
    fit = fe.limma.e_bayes(fe.limma.contrasts_fit(fit, contrasts), robust=True)
    np.testing.assert_allclose(found["t"], np.ravel(fit.t), rtol=1e-9)
    np.testing.assert_allclose(found["p"], np.ravel(fit.p_value), rtol=1e-9)
    names = [column for column in found if column.startswith("mean_")]
    for column in names:
        group = column.removeprefix("mean_")
        np.testing.assert_allclose(found[column], plain[samples["group"] == group].mean(axis=0))
    np.testing.assert_allclose(found["ratio"], found[names[0]] / found[names[1]])


def test_composition_of_cells(cells: ad.AnnData) -> None:
    cells.obs["group"] = np.where(cells.obs["sample"].isin(["s0", "s1"]), "x", "y")
    found = fe.tl.composition(cells, "group", sample="sample", cell_type="kind")
    counts = fe.tl.proportion(cells, "sample", "kind", "none")
    again = fe.tl.composition(counts, ["x", "x", "y", "y"])
    pd.testing.assert_frame_equal(found, again)
    assert found["type"].tolist() == ["a", "b", "c"]
    with pytest.warns(fe.FerrocyteWarning, match="no sample has cells of type `d`"):
        fewer = fe.tl.composition(counts.assign(d=0), ["x", "x", "y", "y"])
    assert fewer["type"].tolist() == ["a", "b", "c"]
    assert fewer.attrs["left_out"] == ["d"]


def test_composition_refuses(cells: ad.AnnData) -> None:
    counts = fe.tl.proportion(cells, "sample", "kind", "none")
    shares = fe.tl.proportion(cells, "sample", "kind")
    test = fe.tl.composition
    refused(fe.BadInputError, "group `x` has one sample", test, counts, ["x", "y", "y", "y"])
    refused(fe.BadInputError, "the logit of shares needs", test, shares, ["x", "x", "y", "y"])
    assert len(test(shares, ["x", "x", "y", "y"], pseudo_total=50.0)) == 3
    refused(fe.BadInputError, "samples, types and groups are needed", test, cells, "kind")
    refused(fe.MissingKeyError, "no column `grp`", test, cells, "grp", sample="sample", cell_type="kind")
    cells.obs["group"] = ["x", "y"] * 100
    cells.obs.loc["c0", "group"] = "y"
    refused(
        fe.BadInputError,
        "sample `s0` has cells with different `group`",
        test,
        cells,
        "group",
        sample="sample",
        cell_type="kind",
    )


# ---- all of them


def test_names_of_cells_must_differ(cells: ad.AnnData) -> None:
    cells.obs_names = ["c0", "c0", *cells.obs_names[2:]]
    for call in (fe.tl.leiden, fe.tl.umap):
        refused(fe.BadInputError, "1 cells have the name of another, the first is `c0`", call, cells)
    refused(fe.BadInputError, "obs_names_make_unique", fe.tl.rank_genes_groups, cells, "kind")
    refused(fe.BadInputError, "expected an AnnData, found dict", fe.tl.leiden, {})


def test_any_number_of_threads_gives_the_same_bits(cells: ad.AnnData) -> None:
    def everything(n_threads: int, max_memory: str) -> list[Any]:
        work = {"n_threads": n_threads, "max_memory": max_memory, "progress": False}
        adata = cells.copy()
        fe.tl.umap(adata, maxiter=50, **work)
        fe.tl.leiden(adata, 1.0, **work)
        fe.tl.louvain(adata, 1.0, **work)
        fe.tl.sc3(adata, [3, 5], **work)
        fe.tl.score_genes(adata, ["g1", "g2"], n_bins=3, **work)
        out = [adata.obsm["X_umap"], adata.obs.to_numpy().tolist()]
        for method in ("t-test", "wilcoxon"):
            fe.tl.rank_genes_groups(adata, "kind", method=method, **work)
            out.append(fe.get.rank_genes_groups_df(adata, None).drop(columns=["group", "names"]).to_numpy(dtype=float))
        out.append(fe.get.aggregate(adata, "kind", ["mean", "var"], **work).layers["var"])
        out.append([fe.tl.trustworthiness(adata, **work), fe.tl.silhouette(adata, "kind", **work)])
        return out

    one, two = everything(1, "1GiB"), everything(2, "2MiB")
    for a, b in zip(one, two, strict=True):
        if isinstance(a, list):
            assert a == b
        else:
            assert a.tobytes() == b.tobytes()


def test_the_marks_of_a_graph_are_read_in_either_dialect(cells: ad.AnnData) -> None:
    fe.tl.leiden(cells)
    expected = cells.obs["leiden"].copy()
    distances = cells.obsp["distances"]
    cells.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "n_neighbors": 15,
        "use_rep": "X_pca",
    }
    fe.tl.leiden(cells)
    pd.testing.assert_series_equal(cells.obs["leiden"], expected)
    cells.uns["neighbors.mine"] = cells.uns["neighbors"]
    fe.tl.leiden(cells, neighbors_key="mine")
    pd.testing.assert_series_equal(cells.obs["leiden"], expected)
    part = cells[:100].copy()
    assert part.obsp["distances"].nnz < 100 * 14 < distances.nnz
    refused(fe.BadInputError, "the graph is that of more cells", fe.tl.leiden, part)
    cells.obsm["pca"] = cells.obsm.pop("X_pca")
    fe.tl.sc3(cells, 3)
    assert cells.uns["sc3s_trials"]["params"]["basis"] == "pca"
