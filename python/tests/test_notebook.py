"""The published notebook: its calls with all their arguments, in order, on two samples of the Kang study."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace

import anndata as ad
import matplotlib.pyplot as plt
import mudata
import numpy as np
import pytest
from common import DATA

import ferrocyte.compat.exprmat as em
from ferrocyte.errors import BadInputError, FerrocyteWarning

KANG = DATA / "kang_ifnb.h5ad"

pytestmark = [
    pytest.mark.skipif(not KANG.exists(), reason=f"no {KANG}"),
    # Figures of a story are many.
    pytest.mark.filterwarnings("ignore:More than 20 figures"),
]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What the notebook does and prints, from the samples to the saved study."""
    home, folder = os.getcwd(), tmp_path_factory.mktemp("notebook")
    try:
        em.setwd(folder)
        yield _told(folder)
    finally:
        os.chdir(home)
        plt.close("all")


def _told(folder) -> SimpleNamespace:
    kang = ad.read_h5ad(KANG)
    for condition in ("ctrl", "stim"):
        part = kang[kang.obs["condition"] == condition].copy()
        part.obs = part.obs[["donor", "cell_type"]]
        part.write_h5ad(folder / f"{condition}.h5ad")
    meta = em.metadata(
        locations=["ctrl.h5ad", "stim.h5ad"],
        modality=["rna", "rna"],
        default_taxa=["hsa", "hsa"],
        batches=["b1", "b2"],
        names=["ctrl", "stim"],
        groups=["ctrl", "stim"],
    )
    meta.save("metadata.tsv")
    told = SimpleNamespace(folder=folder)

    # Before the notebook: from counts to an integrated study.
    expm = em.experiment(em.load_metadata("metadata.tsv"), dump="expm/scrna")
    told.read = str(expm)
    with pytest.warns(FerrocyteWarning, match="no gene is mitochondrial"):
        expm.rna.qc(
            run_on_samples=True,
            mt_seqid="chrM",
            mt_percent=0.15,
            ribo_genes=None,
            ribo_percent=None,
            outlier_mode="mads",
            outlier_n=5,
            doublet_method="scrublet",
            min_cells=3,
            min_genes=200,
            parallel=False,
        )
    told.after_qc = {name: sample.copy() for name, sample in expm.samples["rna"].items()}
    expm.rna.log_normalize(run_on_samples=True)
    expm.rna.hvg(run_on_samples=["ctrl", "stim"], method="vst", n_top_genes=1000)
    expm.rna.scale_pca(run_on_samples="stim", hvg="vst.hvg", n_comps=20, keep_sparse=False, random_state=42)
    expm.rna.merge(run_on_samples=True, join="outer")
    expm.rna.hvg(run_on_samples=False, method="vst", dest="vst", batch_key="batch", n_top_genes=1500)
    expm.rna.scale_pca(
        run_on_samples=False, hvg="vst.hvg", key_added="pca", n_comps=35, svd_solver="arpack", random_state=42
    )
    expm.rna.harmony(run_on_samples=False, batch_key="batch", pca_key="pca", key_added="harmony", lamb=None)
    expm.rna.knn(
        run_on_samples=False,
        use_rep="harmony",
        n_comps=None,
        n_neighbors=100,
        knn=True,
        method="umap",
        transformer=None,
        metric="euclidean",
        metric_kwds={},
        random_state=42,
        key_added="neighbors",
    )
    expm.rna.umap(min_dist=0.35, spread=0.9, random_state=42)
    expm.save(save_samples=True)

    # The notebook itself.
    expm = em.load_experiment("expm/scrna", load_samples=True, load_subset=None)
    told.loaded = str(expm)
    expm.rna.leiden(
        run_on_samples=False,
        resolution=0.8,
        restrict_to=None,
        random_state=42,
        key_added="leiden",
        adjacency=None,
        directed=None,
        use_weights=True,
        n_iterations=2,
        partition_type=None,
        neighbors_key=None,
        obsp=None,
        flavor="igraph",
    )
    told.clusters = expm["rna"].obs["leiden"].copy()
    told.axes = expm.rna.plot_embedding(
        run_on_samples=False,
        basis="umap",
        color="leiden",
        ptsize=4,
        sort=True,
        annotate=True,
        annotate_style="index",
        legend=True,
        contour=True,
        rasterize=True,
        cmap="turbo",
        cmap_lower="#cccccc",
        figsize=(4, 4),
        dpi=100,
    )
    expm.rna.sc3(
        run_on_samples=False,
        basis="harmony",
        key_added="sc3",
        n_clusters=[5, 10, 20, 30],
        d_range=None,
        n_runs=5,
        n_facility=None,
        multiplier_facility=3,
        batch_size=100,
        random_state=42,
    )
    counts = expm["rna"].layers["counts"]
    expm["rna"].layers["norm"] = counts.multiply(1e4 / counts.sum(axis=1)).tocsr().astype(np.float32)
    told.multiple = expm.rna.plot_multiple_embedding(
        run_on_samples=False, features=["leiden", "sc3.10", "CD3D", "n.umi"], basis="umap", ncols=2, figsize=(8, 8)
    )
    told.integrated = str(expm)
    told.largest = [str(one) for one in told.clusters.value_counts().index[:6]]
    expm.build_subset(subset_name="main", slot="rna", keys=["leiden"], values=[told.largest])

    expm = em.load_experiment("expm/scrna", load_samples=False, load_subset="main")
    told.subset = str(expm)
    with pytest.raises(BadInputError, match="graph is that of more cells"):
        expm.rna.umap(run_on_samples=False)
    expm.rna.knn(run_on_samples=False, use_rep="harmony", n_neighbors=100, random_state=42)
    expm.rna.umap(run_on_samples=False, min_dist=0.4, spread=0.9, random_state=42)
    expm.rna.leiden(run_on_samples=False, resolution=0.5, n_iterations=2, random_state=42)
    before = expm["rna"]
    smallest = str(before.obs["leiden"].value_counts().index[-1])
    expm.rna.exclude(run_on_samples=False, annotation="leiden", remove=[int(smallest)])
    told.excluded = (before.n_obs, expm["rna"].n_obs, smallest)
    told.stale = "knn" not in expm["rna"].obsm and bool(expm["rna"].uns["neighbors"]["stale"])
    for verb in (expm.rna.leiden, expm.rna.umap):
        with pytest.raises(BadInputError, match="graph is that of more cells"):
            verb(run_on_samples=False)
    expm.rna.knn(run_on_samples=False, use_rep="harmony", n_neighbors=100, random_state=42)
    expm.rna.umap(run_on_samples=False, min_dist=0.35, spread=0.9, random_state=42)
    types = _main_types(expm["rna"])
    told.mapping = types
    expm.rna.annotate(run_on_samples=False, annotation="cell.type", cluster="leiden", mapping=types)
    expm.rna.markers(
        run_on_samples=False,
        groupby="cell.type",
        mask_var=None,
        groups="all",
        reference="rest",
        n_genes=None,
        rankby_abs=False,
        pts=True,
        key_added="markers",
        method="t-test",
        corr_method="benjamini-hochberg",
        tie_correct=False,
        layer="X",
        gene_symbol="gene",
    )
    told.figures = {
        plot_type: expm.rna.plot_markers(
            run_on_samples=False,
            plot_type=plot_type,
            slot="markers",
            n_genes=3,
            min_logfoldchange=1,
            max_p_adjust=0.05,
            min_pct=0.25,
            max_pct_reference=0.75,
            figsize=(8, 3),
            dpi=100,
        )
        for plot_type in ("dotplot", "matrixplot", "stacked_violin", "tracksplot")
    }
    told.markers = expm.rna.get_markers("B cells", slot="markers", max_q=0.05)["integrated"]
    told.bars = expm.rna.plot_proportion(major="sample", minor="cell.type", plot="bar", normalize="index")
    told.shares = expm.rna.proportion("sample", "cell.type", normalize="index")["integrated"]
    expm.save(save_samples=False)
    told.final = str(expm)
    told.expm = expm
    return told


def _main_types(adata) -> dict[str, list[int]]:
    """The type that most cells of a cluster have, as a scientist would call it by its markers."""
    names: dict[str, list[int]] = {}
    for cluster in adata.obs["leiden"].cat.categories:
        cells = adata.obs["cell_type"][adata.obs["leiden"] == cluster]
        if len(cells):
            names.setdefault(str(cells.value_counts().index[0]), []).append(int(cluster))
    return names


READ = """\
[!] dataset not integrated.
[*] composed of samples:
  ctrl   rna hsa   batch b1   of size 2145 × 9015
  stim   rna hsa   batch b2   of size 2325 × 9015"""


def test_samples_are_listed_before_they_are_together(story):
    assert story.read == READ


def test_good_cells_and_genes_are_marked(story):
    for sample in story.after_qc.values():
        obs = sample.obs
        assert (obs["n.genes"] >= 200).all()
        assert obs["pct.ribo"].between(0, 1).all()
        assert (obs["qc"] == (obs["filter"] & ~obs["is.doublet"])).all()
        assert 0.5 < obs["qc"].mean() < 1
        assert obs["score.doublet"].notna().equals(obs["filter"])
        assert obs.index[0] == f"{obs['sample'].iloc[0]}:1"
        assert obs["barcode"].str.startswith(f"{obs['sample'].iloc[0]}:").all()
        totals = obs["n.umi"][obs["filter"]]
        middle = obs["n.umi"].median()
        spread = (obs["n.umi"] - middle).abs().median()
        assert totals.max() <= middle + 5 * spread
        counts = sample.X[obs["filter"].to_numpy()]
        assert (sample.var["qc"].to_numpy() == (np.asarray((counts > 0).sum(axis=0)).ravel() >= 3)).all()


def test_only_what_is_good_is_merged(story):
    n_cells = sum(int(sample.obs["qc"].sum()) for sample in story.after_qc.values())
    genes = set().union(*(sample.var_names[sample.var["qc"]] for sample in story.after_qc.values()))
    assert f"integrated dataset of size {n_cells} × {len(genes)}" in story.loaded


#: What the study prints, sizes apart: when it is loaded, with clusters, and at the end of the story.
LOADED = """\
annotated data of size N × P
integrated dataset of size N × P
contains modalities: rna

 modality [rna]
    obs : sample <cat> <c/sample> batch <cat> <c/batch> group <cat> <c> modality <cat> <c/modality>
          taxa <cat> <c/taxa> barcode <o> <o> ubc <o> <o> donor <cat> <c> cell_type <cat> <c>
          n.umi <f64> <i> n.genes <i64> <i> n.mito <f64> <f> n.ribo <f64> <f> pct.mito <f64> <f>
          pct.ribo <f64> <f> filter <bool> <bool> score.doublet <f64> <f> score.doublet.se <f64> <f>
          is.doublet <bool> <bool> qc <bool> <bool/qc>
    var : id <o> <o> gene <o> <o/gene> vst.hvg <bool> <bool/hvg> vst.hvg.rank <f32> <f>
          vst.means <f64> <f> vst.vars <f64> <f> vst.vars.norm <f64> <f> vst.hvg.nbatches <i64> <i>
 layers : counts <csr:f32> <i/counts>
   obsm : harmony <arr:f64(35)> <f> knn <arr:i64(100)> <i/knni> knn.d <arr:f64(100)> <f/knnd>
          pca <arr:f64(35)> <f/embedding/pca> umap <arr:f32(2)> <f/embedding>
   varm : pca <arr:f64(35)> <f/weights>
   obsp : connectivities <csr:f32> <f/connectivity> distances <csr:f64> <f/distance>
    uns : commands <system> harmony neighbors <knn> pca <dict> slots <system> umap

[*] composed of samples:
  ctrl   rna hsa   batch b1   of size N × P
  stim   rna hsa   batch b2   of size N × P"""

INTEGRATED = """\
annotated data of size N × P
integrated dataset of size N × P
contains modalities: rna

 modality [rna]
    obs : sample <cat> <c/sample> batch <cat> <c/batch> group <cat> <c> modality <cat> <c/modality>
          taxa <cat> <c/taxa> barcode <o> <o> ubc <o> <o> donor <cat> <c> cell_type <cat> <c>
          n.umi <f64> <i> n.genes <i64> <i> n.mito <f64> <f> n.ribo <f64> <f> pct.mito <f64> <f>
          pct.ribo <f64> <f> filter <bool> <bool> score.doublet <f64> <f> score.doublet.se <f64> <f>
          is.doublet <bool> <bool> qc <bool> <bool/qc> leiden <cat> <c> sc3.5 <cat> <c>
          sc3.10 <cat> <c> sc3.20 <cat> <c> sc3.30 <cat> <c>
    var : id <o> <o> gene <o> <o/gene> vst.hvg <bool> <bool/hvg> vst.hvg.rank <f32> <f>
          vst.means <f64> <f> vst.vars <f64> <f> vst.vars.norm <f64> <f> vst.hvg.nbatches <i64> <i>
 layers : counts <csr:f32> <i/counts> norm <csr:f32>
   obsm : harmony <arr:f64(35)> <f> knn <arr:i64(100)> <i/knni> knn.d <arr:f64(100)> <f/knnd>
          pca <arr:f64(35)> <f/embedding/pca> umap <arr:f32(2)> <f/embedding>
   varm : pca <arr:f64(35)> <f/weights>
   obsp : connectivities <csr:f32> <f/connectivity> distances <csr:f64> <f/distance>
    uns : commands <system> harmony neighbors <knn> pca <dict> slots <system> umap leiden
          leiden.colors sc3 sc3.10.colors

[*] composed of samples:
  ctrl   rna hsa   batch b1   of size N × P
  stim   rna hsa   batch b2   of size N × P"""

FINAL = """\
annotated data of size N × P
subset main of size N × P
contains modalities: rna

 modality [rna]
    obs : sample <cat> <c/sample> batch <cat> <c/batch> group <cat> <c> modality <cat> <c/modality>
          taxa <cat> <c/taxa> barcode <o> <o> ubc <o> <o> donor <cat> <c> cell_type <cat> <c>
          n.umi <f64> <i> n.genes <i64> <i> n.mito <f64> <f> n.ribo <f64> <f> pct.mito <f64> <f>
          pct.ribo <f64> <f> filter <bool> <bool> score.doublet <f64> <f> score.doublet.se <f64> <f>
          is.doublet <bool> <bool> qc <bool> <bool/qc> leiden <cat> <c> sc3.5 <cat> <c>
          sc3.10 <cat> <c> sc3.20 <cat> <c> sc3.30 <cat> <c> cell.type <cat> <c>
    var : id <o> <o> gene <o> <o/gene> vst.hvg <bool> <bool/hvg> vst.hvg.rank <f32> <f>
          vst.means <f64> <f> vst.vars <f64> <f> vst.vars.norm <f64> <f> vst.hvg.nbatches <i64> <i>
 layers : counts <csr:f32> <i/counts> norm <csr:f32> <f>
   obsm : harmony <arr:f64(35)> <f> pca <arr:f64(35)> <f/embedding/pca>
          umap <arr:f32(2)> <f/embedding> knn <arr:i64(100)> <i/knni> knn.d <arr:f64(100)> <f/knnd>
   varm : pca <arr:f64(35)> <f/weights>
   obsp : connectivities <csr:f32> <f/connectivity> distances <csr:f64> <f/distance>
    uns : commands <system> harmony leiden neighbors <knn> pca <dict> sc3 sc3.10.colors
          slots <system> umap markers <markers> cell.type.colors

[*] samples not loaded from disk."""


def test_the_summary_tells_what_there_is(story):
    def sizes(text):
        return re.sub(r"\d+ × \d+", "N × P", text)

    assert sizes(story.loaded) == LOADED
    assert sizes(story.integrated) == INTEGRATED
    assert sizes(story.final) == FINAL
    assert all(len(line) <= 100 for line in story.final.splitlines())


def test_a_loaded_subset_says_so(story):
    n = int(story.clusters.isin(story.largest).sum())
    assert f"\nsubset main of size {n} × " in story.subset
    assert story.subset.endswith("[*] samples not loaded from disk.")


def test_cells_are_taken_away_and_graphs_become_stale(story):
    before, after, smallest = story.excluded
    assert 0 < after < before
    assert story.stale
    assert smallest not in set(story.expm["rna"].obs["leiden"].astype(str))


def test_clusters_have_names(story):
    obs = story.expm["rna"].obs
    assert list(obs["cell.type"].cat.categories) == sorted(story.mapping)
    # The named clusters are the types that the authors found.
    assert (obs["cell.type"].astype(str) == obs["cell_type"].astype(str)).mean() > 0.85


def test_markers_are_those_of_the_textbook(story):
    assert {"CD79A", "MS4A1", "CD74"} <= set(story.markers["names"])
    table = story.markers
    assert (table["pct"] >= 0.25).all()
    assert (table["pct.reference"] <= 0.75).all()
    assert (table["q"] <= 0.05).all()
    assert table["lfc"].between(1, 100).all()
    assert table["scores"].is_monotonic_decreasing
    assert list(table["gene"]) == list(table["names"])


def test_shares_sum_to_one(story):
    assert list(story.shares.index) == ["ctrl", "stim"]
    np.testing.assert_allclose(story.shares.sum(axis=1), 1)


def test_figures_are_drawn(story):
    assert story.axes["integrated"].figure.get_size_inches().tolist() == [4, 4]
    assert len(story.multiple["integrated"].axes) >= 4
    assert set(story.figures) == {"dotplot", "matrixplot", "stacked_violin", "tracksplot"}
    for drawn in story.figures.values():
        assert drawn["integrated"].figure.get_size_inches().tolist() == [8, 3]
    assert story.bars["integrated"].has_data()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_saved_files_are_those_of_mudata(story):
    root = story.folder / "expm" / "scrna"
    whole, part = (mudata.read_h5mu(root / name) for name in ("integrated.h5mu", "subsets/main.h5mu"))
    now = story.expm["rna"]
    assert part["rna"].shape == now.shape
    assert list(part.mod) == ["rna"]
    assert whole["rna"].n_obs > part["rna"].n_obs
    found = part["rna"]
    assert found.obs["cell.type"].astype(str).tolist() == now.obs["cell.type"].astype(str).tolist()
    np.testing.assert_array_equal(found.obsm["umap"], now.obsm["umap"])
    assert (found.layers["counts"] != now.layers["counts"]).nnz == 0
    assert list(found.uns["slots"]["obsm"]["umap"]["class"]) == ["float", "embedding"]
    verbs = [re.search(r'"verb": "(\w+)"', text)[1] for text in found.uns["commands"].values()]
    assert {"merge", "build_subset", "exclude", "annotate", "markers"} <= set(verbs)
    sample = ad.read_h5ad(root / "rna" / "stim.h5ad")
    assert {"counts", "norm", "lognorm"} <= set(sample.layers)
    assert "pca" in sample.obsm
    assert (root / "metadata.tsv").read_text().startswith("location\tsample\tbatch\tgroup\tmodality\ttaxa\n")
    assert (root / "spec.json").exists()


def test_programs_have_their_place(story):
    expm = em.load_experiment(story.folder / "expm" / "scrna", load_samples=False)
    counts = expm["rna"].layers["counts"]
    expm["rna"].layers["norm"] = counts.multiply(1e4 / counts.sum(axis=1)).tocsr().astype(np.float32)
    expm.rna.consensus_nmf(
        run_on_samples=False,
        counts="counts",
        tpm="norm",
        ks=[5, 6],
        hvg="vst.hvg",
        min_counts=3,
        alpha_usage=0,
        alpha_spectra=0,
        init="random",
        max_nmf_iter=200,
        n_permutation=6,
        seed=42,
        beta_loss="frobenius",
        density_threshold=0.5,
        local_neighborhood_size=0.3,
        refit=True,
        normalize_tpm_spectra=False,
        key_added="cnmf",
        ncpus=1,
    )
    expm.rna.consensus_nmf_extract_k(5, run_on_samples=False, nmf_slot="cnmf")
    adata, text = expm["rna"], str(expm)
    assert adata.obsm["cnmf.5"].shape == (adata.n_obs, 5)
    for shown in ("cnmf.5 <df> <f/embedding/usage>", "cnmf <cnmf>", "cnmf.stats <cnmf-stats>", "<f/usage-coef>"):
        assert shown in text
    for drawn in (
        expm.rna.plot_cnmf_silhoutte(),
        expm.rna.plot_cnmf_density(5),
        expm.rna.plot_cnmf_distance_comps(5),
        expm.rna.plot_cnmf_distance_usages(5, metrics="cosine", downsample=0.1, method="single", annotations=None),
        expm.rna.plot_cnmf_distance_modules(5, metrics="cosine", downsample=0.2, method="complete"),
    ):
        assert drawn["integrated"].has_data()


def test_earlier_names_of_verbs_are_known(story):
    expm = em.load_experiment(story.folder / "expm" / "scrna", load_samples=False, load_subset="main")
    expm.run_rna_leiden(resolution=0.2, key_added="coarse", n_iterations=2)
    assert expm["rna"].obs["coarse"].nunique() < expm["rna"].obs["cell_type"].nunique()
    assert expm.plot_rna_embedding(color="coarse")["integrated"].has_data()
    expm.exclude(annotation="coarse", remove=["0"])
    assert "0" not in set(expm["rna"].obs["coarse"])
    with pytest.raises(AttributeError, match="run_rna_nothing"):
        expm.run_rna_nothing()
