"""Steps on cells write into the AnnData as scanpy does, whatever holds the matrix, and refuse what they cannot use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import same_bits
from scipy import sparse

import ferrocyte as fe
from ferrocyte._examples import small_study

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cells() -> ad.AnnData:
    return small_study(n_genes=60)


@pytest.fixture
def logs() -> ad.AnnData:
    adata = small_study(n_genes=60)
    fe.pp.log_normalize(adata)
    return adata


@pytest.fixture
def embedded(logs: ad.AnnData) -> ad.AnnData:
    fe.pp.pca(logs, n_comps=8)
    return logs


def as_kind(adata: ad.AnnData, kind: str) -> ad.AnnData:
    """The same study with its matrix held in another way."""
    made = adata.copy()
    if kind == "csc":
        made.X = sparse.csc_matrix(adata.X)
    elif kind == "dense":
        made.X = adata.X.toarray()
    elif kind == "fortran":
        made.X = np.asfortranarray(adata.X.toarray())
    elif kind == "int":
        made.X = adata.X.astype(np.int64)
    elif kind == "f64":
        made.X = adata.X.astype(np.float64)
    elif kind == "view":
        # A parent with more cells and genes.
        more = ad.concat([adata, adata], index_unique="-")
        made = more[: adata.n_obs]
    return made


def dense(matrix: Any) -> Any:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


KINDS = ["csr", "csc", "dense", "fortran", "int", "f64", "view"]


# ---- quality and filters


def test_measures_are_returned_or_written_with_the_types_of_scanpy(cells: ad.AnnData) -> None:
    cells.var["mt"] = np.arange(60) < 6
    obs, var = fe.pp.calculate_qc_metrics(cells, qc_vars="mt", percent_top=[20])
    assert list(cells.obs.columns) == list(small_study().obs.columns)
    x = cells.X.toarray()
    np.testing.assert_array_equal(obs["n_genes_by_counts"], (x > 0).sum(axis=1))
    np.testing.assert_allclose(obs["pct_counts_mt"], 100 * x[:, :6].sum(axis=1) / x.sum(axis=1), rtol=1e-6)
    top = 100 * np.sort(x, axis=1)[:, -20:].sum(axis=1) / x.sum(axis=1)
    np.testing.assert_allclose(obs["pct_counts_in_top_20_genes"], top, rtol=1e-6)
    np.testing.assert_allclose(var["pct_dropout_by_counts"], 100 * (x == 0).mean(axis=0), rtol=1e-9, atol=1e-9)
    assert {name: str(dtype) for name, dtype in obs.dtypes.items()} == {
        "n_genes_by_counts": "int32",
        "log1p_n_genes_by_counts": "float64",
        "total_counts": "float32",
        "log1p_total_counts": "float32",
        "pct_counts_in_top_20_genes": "float64",
        "total_counts_mt": "float32",
        "log1p_total_counts_mt": "float32",
        "pct_counts_mt": "float32",
    }
    assert fe.pp.calculate_qc_metrics(cells, qc_vars=["mt"], percent_top=[20], inplace=True) is None
    pd.testing.assert_frame_equal(cells.obs[obs.columns], obs)
    pd.testing.assert_frame_equal(cells.var[var.columns], var)


def test_words_of_columns_can_be_chosen(cells: ad.AnnData) -> None:
    cells.var["genes"] = np.arange(60) < 6
    obs, var = fe.pp.calculate_qc_metrics(
        cells, expr_type="umis", var_type="peaks", qc_vars=["genes"], percent_top=None, log1p=False
    )
    assert list(obs.columns) == ["n_peaks_by_umis", "total_umis", "total_umis_genes", "pct_umis_genes"]
    assert list(var.columns) == ["n_cells_by_umis", "mean_umis", "pct_dropout_by_umis", "total_umis"]


def test_shares_of_cells_without_counts_are_0_and_warned_of(cells: ad.AnnData) -> None:
    cells.X = sparse.csr_matrix(cells.X.toarray() * (np.arange(240) != 3)[:, None])
    cells.var["none"] = False
    with pytest.warns(fe.FerrocyteWarning) as told:
        obs, _ = fe.pp.calculate_qc_metrics(cells, qc_vars=["none"], percent_top=None)
    assert obs["pct_counts_none"].iloc[3] == 0
    said = " ".join(str(warning.message) for warning in told)
    assert "no gene is flagged as `none`" in said
    assert "1 of 240 cells have no counts" in said


def test_raw_and_layers_are_measured(cells: ad.AnnData) -> None:
    cells.layers["twice"] = 2 * cells.X
    cells.raw = cells
    total = fe.pp.calculate_qc_metrics(cells, percent_top=None)[0]["total_counts"]
    twice = fe.pp.calculate_qc_metrics(cells, percent_top=None, layer="twice")[0]["total_counts"]
    np.testing.assert_array_equal(twice, 2 * total)
    fewer = cells[:, :20].copy()
    raw, var = fe.pp.calculate_qc_metrics(fewer, percent_top=None, use_raw=True)
    np.testing.assert_array_equal(raw["total_counts"], total)
    assert len(var) == 60


def test_filters_cut_in_place_copy_or_tell(cells: ad.AnnData) -> None:
    kept, number = fe.pp.filter_cells(cells, min_genes=45, inplace=False)
    np.testing.assert_array_equal(number, (cells.X.toarray() > 0).sum(axis=1))
    assert cells.n_obs == 240
    assert "n_genes" not in cells.obs
    copy = fe.pp.filter_cells(cells, min_genes=45, copy=True)
    assert (cells.n_obs, copy.n_obs) == (240, kept.sum())
    fe.pp.filter_cells(cells, min_genes=45)
    assert cells.obs_names.equals(copy.obs_names)
    fe.pp.filter_genes(cells, min_counts=100)
    assert cells.var["n_counts"].min() >= 100
    assert (cells.obs["n_genes"].dtype, cells.var["n_counts"].dtype) == (np.int64, np.float32)


def test_exactly_one_bound(cells: ad.AnnData) -> None:
    for words in ({}, {"min_genes": 1, "max_genes": 5}):
        with pytest.raises(fe.BadInputError, match="exactly one is expected"):
            fe.pp.filter_cells(cells, **words)
    with pytest.raises(fe.BadInputError, match="n_cells: a whole number"):
        fe.pp.filter_genes(cells, min_cells=2.5)


# ---- normalisation


@pytest.mark.filterwarnings("ignore:.*seem to be logarithms")
@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_normalised_where_it_stands(cells: ad.AnnData, kind: str) -> None:
    expected = cells.X.toarray().astype(np.float64)
    total = expected.sum(axis=1, keepdims=True)
    expected = np.log1p(expected * (np.median(total) / total))
    apart, fused = as_kind(cells, kind), as_kind(cells, kind)
    if kind == "view":
        with pytest.warns(fe.FerrocyteWarning, match="is a view"):
            fe.pp.normalize_total(apart)
        with pytest.warns(fe.FerrocyteWarning, match="is a view"):
            fe.pp.log_normalize(fused)
    else:
        fe.pp.normalize_total(apart)
        fe.pp.log_normalize(fused)
    assert not fused.is_view
    fe.pp.log1p(apart)
    for found in (apart, fused):
        assert found.X.dtype == (np.float64 if kind == "f64" else np.float32)
        assert type(found.X) is type(as_kind(cells, kind).copy().X)
        np.testing.assert_allclose(dense(found.X), expected, rtol=1e-14 if kind == "f64" else 3e-7)
        assert found.uns["log1p"] == {"base": None}
    if kind not in ("f64", "view"):
        np.testing.assert_array_equal(dense(fused.X), expected.astype(np.float32))


def test_no_second_matrix_is_made(cells: ad.AnnData) -> None:
    before = cells.X.data
    fe.pp.log_normalize(cells)
    assert cells.X.data is before or np.shares_memory(cells.X.data, before)


def test_a_layer_in_the_same_memory_is_left_as_it_is(cells: ad.AnnData) -> None:
    counts = cells.X.toarray()
    cells.layers["counts"] = cells.X
    fe.pp.log_normalize(cells)
    np.testing.assert_array_equal(cells.layers["counts"].toarray(), counts)
    assert abs(cells.X.toarray() - counts).max() > 0


def test_values_stored_twice_are_added_before_their_logarithm() -> None:
    matrix = sparse.csr_matrix((np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    adata = ad.AnnData(matrix)
    fe.pp.log1p(adata)
    np.testing.assert_allclose(adata.X.toarray(), np.log1p([[3.0, 0.0], [0.0, 4.0]]))


def test_factors_are_kept_or_returned_as_scanpy_has_them(cells: ad.AnnData) -> None:
    total = np.asarray(cells.X.sum(axis=1)).ravel()
    told = fe.pp.normalize_total(cells, target_sum=100, inplace=False)
    np.testing.assert_allclose(told["norm_factor"], total / 100, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(told["X"].sum(axis=1)).ravel(), 100, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(cells.X.sum(axis=1)).ravel(), total)
    copy = fe.pp.normalize_total(cells, target_sum=100, key_added="factor", copy=True)
    np.testing.assert_array_equal(copy.obs["factor"], told["norm_factor"])
    assert "factor" not in cells.obs


def test_layers_and_bases(cells: ad.AnnData) -> None:
    cells.layers["logs"] = cells.X.copy()
    fe.pp.log1p(cells, layer="logs", base=2)
    assert cells.uns["log1p"] == {"base": 2}
    np.testing.assert_allclose(cells.layers["logs"].toarray(), np.log2(1 + cells.X.toarray()), rtol=3e-7)
    with pytest.raises(fe.BadInputError, match="a base above 1"):
        fe.pp.log1p(small_study(), base=1.0)


def test_logarithms_of_logarithms_are_warned_of(logs: ad.AnnData) -> None:
    with pytest.warns(fe.FerrocyteWarning, match="logarithms already"):
        fe.pp.log1p(logs)


# ---- variable genes, scale, components


def test_variable_genes_are_written_returned_or_cut_to(logs: ad.AnnData) -> None:
    table = fe.pp.highly_variable_genes(logs, n_top_genes=10, inplace=False)
    assert "highly_variable" not in logs.var
    assert table["highly_variable"].sum() == 10
    fe.pp.highly_variable_genes(logs, n_top_genes=10)
    pd.testing.assert_frame_equal(logs.var[table.columns], table)
    assert logs.uns["hvg"] == {"flavor": "seurat"}
    fe.pp.highly_variable_genes(logs, n_top_genes=10, subset=True)
    assert logs.var_names.equals(table.index[table["highly_variable"]])


def test_batches_and_dialects_name_their_columns(cells: ad.AnnData) -> None:
    words = {"flavor": "seurat_v3", "n_top_genes": 10, "batch_key": "condition"}
    scanpy = fe.pp.highly_variable_genes(cells, inplace=False, **words)
    assert list(scanpy.columns) == [
        "highly_variable",
        "highly_variable_rank",
        "means",
        "variances",
        "variances_norm",
        "highly_variable_nbatches",
    ]
    assert scanpy["highly_variable_rank"].dtype == np.float32
    cells.layers["counts"] = cells.X.copy()
    fe.pp.log_normalize(cells)
    exprmat = fe.pp.highly_variable_genes(cells, inplace=False, style="exprmat", **words)
    assert list(exprmat.columns)[:3] == ["vst.hvg", "vst.hvg.rank", "vst.means"]
    np.testing.assert_array_equal(exprmat["vst.vars.norm"], scanpy["variances_norm"])


def test_logarithms_are_no_counts(logs: ad.AnnData) -> None:
    with pytest.warns(fe.FerrocyteWarning, match="not whole|no counts"):
        fe.pp.highly_variable_genes(logs, flavor="seurat_v3", n_top_genes=10)
    fe.pp.highly_variable_genes(logs, flavor="seurat_v3", n_top_genes=10, check_values=False)


@pytest.mark.parametrize("kind", ["csr", "csc", "dense", "fortran", "f64"])
def test_scale(logs: ad.AnnData, kind: str) -> None:
    adata = as_kind(logs, kind)
    x = logs.X.toarray().astype(np.float64)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    copy = fe.pp.scale(adata, max_value=2, copy=True)
    np.testing.assert_allclose(copy.X, np.clip(z, -2, 2), atol=2e-6)
    assert copy.X.dtype == adata.X.dtype
    fe.pp.scale(adata, zero_center=False, max_value=2)
    assert sparse.issparse(adata.X) == (kind in ("csr", "csc", "f64"))
    np.testing.assert_allclose(dense(adata.X), np.minimum(x / x.std(axis=0, ddof=1), 2), atol=2e-6)
    np.testing.assert_allclose(adata.var["mean"], x.mean(axis=0), rtol=1e-6)


def test_genes_that_do_not_vary_are_named(logs: ad.AnnData) -> None:
    adata = as_kind(logs, "dense")
    adata.X[:, 4] = 1.5
    with pytest.warns(fe.FerrocyteWarning, match="gene5"):
        fe.pp.scale(adata)
    assert (adata.X[:, 4] == 0).all()
    assert adata.var["std"].iloc[4] == 1


@pytest.mark.parametrize("kind", ["csr", "csc", "dense", "f64"])
def test_components_against_numpy(logs: ad.AnnData, kind: str) -> None:
    adata = as_kind(logs, kind)
    adata.var["highly_variable"] = np.arange(60) % 2 == 0
    fe.pp.pca(adata, n_comps=5)
    x = logs.X.toarray()[:, ::2].astype(np.float64)
    _, singular, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    info = adata.uns["pca"]
    np.testing.assert_allclose(info["variance"], singular[:5] ** 2 / 239, rtol=1e-5)
    np.testing.assert_allclose(info["variance_ratio"], (singular**2 / (singular**2).sum())[:5], rtol=1e-5)
    scores, loadings = adata.obsm["X_pca"], adata.varm["PCs"]
    assert (scores.dtype, loadings.shape) == (np.float32, (60, 5))
    assert info["variance"].dtype == (np.float64 if kind == "f64" else np.float32)
    assert (loadings[1::2] == 0).all()
    np.testing.assert_allclose(scores, (x - x.mean(axis=0)) @ loadings[::2], atol=1e-5)
    assert info["params"] == {"zero_center": True, "use_highly_variable": True, "mask_var": "highly_variable"}
    fe.pp.pca(adata, n_comps=3, mask_var=None, key_added="all")
    assert adata.uns["all"]["params"]["mask_var"] is None
    assert (adata.obsm["all"].shape, adata.varm["all"].shape) == ((240, 3), (60, 3))


def test_components_in_the_other_dialect(logs: ad.AnnData) -> None:
    fe.pp.pca(logs, n_comps=4, style="exprmat")
    assert logs.obsm["pca"].dtype == np.float64
    assert set(logs.uns["pca"]) == {"params", "variance", "pct.variance", "singular"}
    fe.pp.neighbors(logs, n_neighbors=6, key_added="k2", style="exprmat")
    assert {"connectivities.k2", "distances.k2"} <= set(logs.obsp)
    assert (logs.obsm["knn.k2"][:, 0] == np.arange(240)).all()


def test_scaled_components_are_those_of_scaled_genes(logs: ad.AnnData) -> None:
    scaled = fe.pp.scale(logs, max_value=2, copy=True)
    fe.pp.pca(scaled, n_comps=4)
    fe.pp.pca(logs, n_comps=4, scale=True, max_value=2)
    np.testing.assert_allclose(logs.obsm["X_pca"], scaled.obsm["X_pca"], atol=1e-4)


# ---- doublets, batches, neighbours


@pytest.fixture
def two_kinds() -> ad.AnnData:
    """Two kinds of cells with genes of their own."""
    rng = np.random.default_rng(5)
    mean = np.where(np.arange(200) % 2 == (np.arange(300) % 3 > 0)[:, None], 3.0, 0.3)
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(mean * rng.uniform(0.5, 1.5, (300, 1))).astype(np.float32)))
    adata.obs["sample"] = pd.Categorical(np.where(np.arange(300) < 150, "a", "b"))
    return adata


def test_scrublet_keeps_what_scanpy_keeps(two_kinds: ad.AnnData) -> None:
    fe.pp.scrublet(two_kinds, n_prin_comps=5, threshold=0.2)
    record = two_kinds.uns["scrublet"]
    assert set(record) == {"doublet_scores_sim", "doublet_parents", "parameters", "threshold"}
    assert (record["doublet_parents"].shape, len(record["doublet_scores_sim"])) == ((600, 2), 600)
    called = two_kinds.obs["doublet_score"] > 0.2
    assert (two_kinds.obs["predicted_doublet"] == called).all()
    again = fe.pp.scrublet(
        two_kinds, n_prin_comps=5, threshold=0.2, parents=record["doublet_parents"], random_state=7, copy=True
    )
    assert same_bits(again.obs["doublet_score"], two_kinds.obs["doublet_score"])


def test_samples_are_scored_by_themselves(two_kinds: ad.AnnData) -> None:
    fe.pp.scrublet(two_kinds, batch_key="sample", n_prin_comps=5, threshold=0.2)
    assert two_kinds.uns["scrublet"]["batched_by"] == "sample"
    assert set(two_kinds.uns["scrublet"]["batches"]) == {"a", "b"}
    alone = two_kinds[two_kinds.obs["sample"] == "b"].copy()
    fe.pp.scrublet(alone, n_prin_comps=5, threshold=0.2)
    assert same_bits(alone.obs["doublet_score"], two_kinds.obs["doublet_score"][150:])


def test_harmony_says_what_it_did(embedded: ad.AnnData) -> None:
    fe.pp.harmony_integrate(embedded, "condition", nclust=5)
    assert embedded.obsm["X_pca_harmony"].dtype == np.float64
    told = embedded.uns["harmony"]
    assert (told["params"]["lambda"], told["params"]["n_clusters"]) == (1.0, 5)
    assert len(told["objective"]) == len(told["rounds"]) + 1
    fe.pp.harmony_integrate(embedded, ["condition", "cell_type"], lamb="auto", adjusted_basis="both")
    assert embedded.uns["harmony"]["params"]["lambda"] == "auto"
    assert embedded.obsm["both"].shape == (240, 8)


def test_harmony_of_one_batch_returns_its_input(embedded: ad.AnnData) -> None:
    embedded.obs["one"] = "a"
    with pytest.warns(fe.FerrocyteWarning, match="all cells are of one batch"):
        fe.pp.harmony_integrate(embedded, "one")
    np.testing.assert_array_equal(embedded.obsm["X_pca_harmony"], embedded.obsm["X_pca"])


def test_neighbours_have_the_keys_of_scanpy(embedded: ad.AnnData) -> None:
    fe.pp.neighbors(embedded, n_neighbors=10)
    distances, weights = embedded.obsp["distances"], embedded.obsp["connectivities"]
    assert (distances.dtype, weights.dtype) == (np.float64, np.float32)
    assert (np.diff(distances.indptr) == 9).all()
    assert distances.has_sorted_indices
    assert abs(weights - weights.T).max() == 0
    assert embedded.uns["neighbors"] == {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 10, "method": "umap", "random_state": 0, "metric": "euclidean"},
    }
    fe.pp.neighbors(embedded, n_neighbors=5, n_pcs=4, use_rep="X_pca", method="gauss", key_added="other")
    assert embedded.uns["other"]["connectivities_key"] == "other_connectivities"
    assert embedded.obsp["other_connectivities"].dtype == np.float64
    assert embedded.uns["other"]["params"] == {
        "n_neighbors": 5,
        "method": "gauss",
        "random_state": 0,
        "metric": "euclidean",
        "use_rep": "X_pca",
        "n_pcs": 4,
    }
    x = embedded.obsm["X_pca"][:, :4].astype(np.float64)
    far = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))
    nearest = np.sort(far, axis=1)[:, 1:5]
    found = embedded.obsp["other_distances"].data.reshape(240, 4)
    np.testing.assert_allclose(np.sort(found, axis=1), nearest, rtol=1e-6)


def test_graphs_that_lose_cells_say_so(embedded: ad.AnnData) -> None:
    fe.pp.neighbors(embedded, n_neighbors=10, use_rep="X_pca", style="exprmat")
    fe.pp.filter_cells(embedded, min_genes=1)
    assert "stale" not in embedded.uns["neighbors"]
    fe.pp.filter_cells(embedded, min_genes=45)
    assert embedded.uns["neighbors"]["stale"]
    assert not {"knn", "knn.d"} & set(embedded.obsm)
    fe.pp.neighbors(embedded, n_neighbors=10, use_rep="X_pca")
    assert "stale" not in embedded.uns["neighbors"]


def test_neighbours_find_coordinates_or_make_them(logs: ad.AnnData) -> None:
    with pytest.warns(fe.FerrocyteWarning, match="there are no components yet"):
        fe.pp.neighbors(logs)
    assert "X_pca" in logs.obsm
    few = logs[:, :20].copy()
    fe.pp.neighbors(few, key_added="genes")
    assert few.obsp["genes_distances"].shape == (240, 240)


# ---- bits


def everything(adata: ad.AnnData, n_threads: int, max_memory: str | None) -> list[Any]:
    words = {"n_threads": n_threads, "max_memory": max_memory}
    obs, var = fe.pp.calculate_qc_metrics(adata, percent_top=[10], **words)
    fe.pp.scrublet(adata, n_prin_comps=4, threshold=0.3, **words)
    fe.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=20, **words)
    v3 = adata.var["variances_norm"].to_numpy()
    fe.pp.log_normalize(adata, **words)
    fe.pp.highly_variable_genes(adata, n_top_genes=20, batch_key="condition", **words)
    fe.pp.pca(adata, n_comps=6, scale=True, **words)
    fe.pp.harmony_integrate(adata, "condition", **words)
    fe.pp.neighbors(adata, n_neighbors=8, use_rep="X_pca_harmony", **words)
    scaled = fe.pp.scale(adata, copy=True, **words)
    return [
        obs.to_numpy(dtype=float),
        var.to_numpy(dtype=float),
        adata.obs["doublet_score"],
        v3,
        adata.X.data,
        adata.var["dispersions_norm"],
        adata.obsm["X_pca"],
        adata.obsm["X_pca_harmony"],
        adata.obsp["connectivities"].data,
        scaled.X,
    ]


def test_threads_and_memory_change_no_bit(cells: ad.AnnData) -> None:
    first = everything(cells.copy(), 1, None)
    for n_threads, max_memory in ((2, None), (2, "8MiB")):
        for a, b in zip(first, everything(cells.copy(), n_threads, max_memory), strict=True):
            assert same_bits(a, b)


def test_backed_and_memory_give_the_same_bits(cells: ad.AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for step in (
        lambda adata: fe.pp.calculate_qc_metrics(adata, percent_top=[10])[0].to_numpy(dtype=float),
        lambda adata: fe.pp.filter_cells(adata, min_genes=40, inplace=False)[1],
        lambda adata: fe.pp.highly_variable_genes(adata, flavor="seurat_v3", inplace=False)["variances_norm"],
    ):
        assert same_bits(step(backed), step(cells))
    fe.pp.pca(backed, n_comps=3)
    fe.pp.pca(cells, n_comps=3)
    assert same_bits(backed.obsm["X_pca"], cells.obsm["X_pca"])
    for change in (fe.pp.log1p, fe.pp.normalize_total, fe.pp.scale):
        with pytest.raises(fe.UnsupportedError, match="backed by a file"):
            change(backed)


def test_everything_that_is_written_survives_a_file(cells: ad.AnnData, tmp_path: Path) -> None:
    everything(cells, 1, None)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    for again in (ad.read_h5ad(tmp_path / "cells.h5ad"), fe.io.read_h5ad(tmp_path / "cells.h5ad")):
        assert set(again.uns) == {"scrublet", "hvg", "log1p", "pca", "harmony", "neighbors"}
        np.testing.assert_array_equal(again.uns["harmony"]["objective"], cells.uns["harmony"]["objective"])
        assert again.uns["neighbors"]["params"]["use_rep"] == "X_pca_harmony"
