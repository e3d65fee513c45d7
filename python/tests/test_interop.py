"""scanpy, squidpy and decoupler work on what ferrocyte writes, and ferrocyte on what they write."""

from __future__ import annotations

import numpy as np
import pytest
from common import DATA

import ferrocyte as fe
from ferrocyte._examples import small_samples

KANG = DATA / "kang_ifnb.h5ad"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not KANG.exists(), reason=f"no {KANG}"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cells():
    """A thousand cells of the Kang study, taken from counts to markers with scanpy's names."""
    adata = fe.io.read_h5ad(KANG)[::4].copy()
    adata.layers["counts"] = adata.X.copy()
    fe.pp.filter_genes(adata, min_cells=3)
    fe.pp.log_normalize(adata, target_sum=1e4)
    fe.pp.highly_variable_genes(adata, n_top_genes=1000, flavor="seurat_v3", layer="counts")
    fe.pp.pca(adata, n_comps=20)
    fe.pp.neighbors(adata, n_neighbors=15)
    fe.tl.umap(adata)
    fe.tl.leiden(adata, resolution=0.8)
    fe.tl.rank_genes_groups(adata, "cell_type", pts=True)
    return adata


def test_scanpy_goes_on_from_our_steps(cells):
    sc = pytest.importorskip("scanpy")
    adata = cells.copy()
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False, key_added="theirs")
    assert fe.tl.adjusted_rand(adata.obs["theirs"], adata.obs["leiden"]) > 0.6
    sc.tl.umap(adata)
    sc.tl.paga(adata, groups="leiden")
    sc.tl.diffmap(adata)
    assert "X_diffmap" in adata.obsm
    ours = fe.get.rank_genes_groups_df(adata, "B cells")
    theirs = sc.get.rank_genes_groups_df(adata, "B cells")
    assert ours["names"].tolist() == theirs["names"].tolist()
    np.testing.assert_array_equal(ours["pvals"], theirs["pvals"])
    sc.tl.filter_rank_genes_groups(adata)
    sc.tl.dendrogram(adata, "cell_type")


def test_scanpy_draws_our_results(cells):
    sc = pytest.importorskip("scanpy")
    adata = cells.copy()
    for draw in (
        lambda: sc.pl.umap(adata, color=["leiden", "ISG15"], show=False),
        lambda: sc.pl.pca_variance_ratio(adata, show=False),
        lambda: sc.pl.highly_variable_genes(adata, show=False),
        lambda: sc.pl.rank_genes_groups_dotplot(adata, n_genes=2, show=False),
        lambda: sc.pl.rank_genes_groups_stacked_violin(adata, n_genes=2, show=False),
    ):
        draw()
    import matplotlib.pyplot as plt

    plt.close("all")


def test_we_go_on_from_the_steps_of_scanpy():
    sc = pytest.importorskip("scanpy")
    adata = fe.io.read_h5ad(KANG)[::4].copy()
    sc.pp.filter_genes(adata, min_cells=3)
    sc.pp.calculate_qc_metrics(adata, inplace=True, percent_top=None)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=1000)
    sc.pp.pca(adata, n_comps=20)
    sc.pp.neighbors(adata, n_neighbors=15)
    sc.tl.rank_genes_groups(adata, "cell_type", method="t-test", pts=True)
    fe.tl.leiden(adata, resolution=0.8)
    fe.tl.umap(adata)
    fe.tl.sc3(adata, [5])
    fe.tl.dendrogram(adata, "cell_type")
    assert adata.obsm["X_umap"].shape == (adata.n_obs, 2)
    assert adata.obs["sc3s_5"].nunique() == 5
    ours = adata.copy()
    fe.tl.rank_genes_groups(ours, "cell_type", method="t-test", pts=True)
    theirs = fe.get.rank_genes_groups_df(adata, "B cells").set_index("names")
    found = fe.get.rank_genes_groups_df(ours, "B cells").set_index("names").loc[theirs.index]
    np.testing.assert_allclose(found["scores"], theirs["scores"], rtol=1e-4, atol=1e-4)
    fe.tl.filter_rank_genes_groups(adata)


def test_scanpy_reads_a_saved_experiment(tmp_path):
    sc = pytest.importorskip("scanpy")
    expm = fe.Experiment(small_samples(), tmp_path / "study")
    expm.rna.log_normalize(run_on_samples=True)
    expm.rna.merge()
    expm.rna.scale_pca(hvg=None, n_comps=10)
    expm.rna.knn(n_neighbors=15)
    expm.rna.umap()
    expm.save()
    sample = sc.read_h5ad(tmp_path / "study" / "rna" / "stim.h5ad")
    assert sample.shape == expm.samples["rna"]["stim"].shape
    adata = expm["rna"]
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    sc.tl.rank_genes_groups(adata, "leiden", use_raw=False)
    sc.pl.embedding(adata, "umap", color="leiden", show=False)
    assert "leiden <cat>" in str(expm)


def test_squidpy_works_on_our_graphs(cells):
    sq = pytest.importorskip("squidpy")
    adata = cells.copy()
    adata.obsm["spatial"] = np.asarray(adata.obsm["X_umap"], dtype=float)
    sq.gr.spatial_neighbors(adata, coord_type="generic", n_neighs=6)
    sq.gr.nhood_enrichment(adata, cluster_key="leiden", n_perms=20, seed=1, show_progress_bar=False)
    assert adata.uns["leiden_nhood_enrichment"]["zscore"].shape == (adata.obs["leiden"].nunique(),) * 2
    sq.gr.interaction_matrix(adata, cluster_key="leiden")
    fe.tl.leiden(adata, obsp="spatial_connectivities", key_added="places", resolution=0.5)
    assert adata.obs["places"].nunique() > 1


def test_decoupler_scores_our_cells(cells):
    dc = pytest.importorskip("decoupler")
    import pandas as pd

    adata = cells.copy()
    net = pd.DataFrame(
        [("interferon", gene, 1.0) for gene in ("ISG15", "IFI6", "IFIT1", "IFIT3", "MX1", "ISG20", "OAS1", "LY6E")]
        + [("b", gene, 1.0) for gene in ("CD79A", "MS4A1", "CD74", "HLA-DRA", "CD79B", "TCL1A")],
        columns=["source", "target", "weight"],
    )
    if hasattr(dc, "mt"):
        dc.mt.ulm(adata, net, tmin=3)
        scores = adata.obsm["score_ulm"]
    else:
        dc.run_ulm(adata, net, min_n=3, use_raw=False)
        scores = adata.obsm["ulm_estimate"]
    mean = scores["interferon"].groupby(adata.obs["condition"], observed=True).mean()
    assert mean["stim"] > mean["ctrl"] + 1
    # And we on what it writes: scores are a table in obsm, which layouts and files take.
    fe.pp.neighbors(adata, n_neighbors=10, use_rep="score_ulm" if hasattr(dc, "mt") else "ulm_estimate", key_added="s")
    assert adata.obsp["s_connectivities"].shape == (adata.n_obs, adata.n_obs)
