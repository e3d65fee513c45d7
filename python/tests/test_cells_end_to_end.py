"""From 10x files to known types of cells: the bars that clusters must reach, by the package and by the command.

Two sets whose types are known: PBMC3k, labelled by its markers, and ten populations sorted by antibodies (Zheng et al.
2017), whose labels owe nothing to expression. Clusters are compared with them by the adjusted Rand index, the mean of
ten seeds.
"""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import DATA
from scipy.io import mmwrite

import ferrocyte as fe
from ferrocyte import _core

#: Cells of 200 to 2,500 genes and less than 5 % of mitochondria, genes in 3 cells; 10,000 counts; 2,000 variable genes
#: of counts, standardised and clipped at 10; 40 of 50 components; 14 neighbours and the cell; resolution 1.
PBMC = {"n_pcs": 40, "n_neighbors": 15, "resolution": 1.0}
PBMC_BAR = 0.75
#: All cells; otherwise the same; 19 neighbours, resolution 0.8.
ZHENG = {"n_pcs": 40, "n_neighbors": 20, "resolution": 0.8}
ZHENG_BAR = 0.66
SEEDS = 10
SORTED = DATA / "zheng_facs" / "zheng_facs_counts.h5ad"


def embed(adata: ad.AnnData, n_neighbors: int, n_pcs: int) -> None:
    """Counts to a graph of neighbours."""
    adata.layers["counts"] = adata.X.copy()
    fe.pp.log_normalize(adata, target_sum=1e4)
    fe.pp.highly_variable_genes(adata, flavor="seurat_v3", n_top_genes=2000, layer="counts")
    fe.pp.pca(adata, 50, scale=True, max_value=10)
    fe.pp.neighbors(adata, n_neighbors, n_pcs)


def agreement(adata: ad.AnnData, truth: np.ndarray, resolution: float) -> tuple[float, set[int]]:
    """The mean adjusted Rand index of ten seeds over the cells that have a type, and the numbers of clusters."""
    known = truth != "unassigned"
    found, sizes = [], set()
    for seed in range(SEEDS):
        fe.tl.leiden(adata, resolution, random_state=seed)
        labels = adata.obs["leiden"]
        found.append(fe.tl.adjusted_rand(labels[known], truth[known]))
        sizes.add(len(labels.cat.categories))
    return float(np.mean(found)), sizes


def types_of_pbmc(barcodes: pd.Index) -> np.ndarray:
    folder = next(f for f in (DATA / "pbmc3k", DATA / "pbmc3k_labels") if (f / "labels.tsv.gz").exists())
    labels = pd.read_csv(folder / "labels.tsv.gz", sep="\t", index_col=0)["cell_type"]
    return labels.reindex([barcode.split("-")[0] for barcode in barcodes]).to_numpy(dtype=object)


@pytest.fixture(scope="module")
def tenx(tmp_path_factory):
    """PBMC3k as the folder that Cell Ranger 1 left: genes × cells."""
    folder = tmp_path_factory.mktemp("tenx") / "hg19"
    folder.mkdir()
    adata = fe.io.read_h5ad(DATA / "pbmc3k" / "pbmc3k_counts.h5ad")
    mmwrite(folder / "matrix.mtx", adata.X.T.tocoo().astype(np.int64))
    ids = adata.var["gene_ids"]
    (folder / "genes.tsv").write_text("".join(f"{i}\t{name}\n" for i, name in zip(ids, adata.var_names, strict=True)))
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    return folder


def test_nine_types_of_blood_cells_are_found_again(tenx):
    adata = fe.io.read_10x(tenx)
    assert adata.shape == (2700, 32738)
    adata.var["mt"] = adata.var_names.str.startswith("MT-")
    fe.pp.calculate_qc_metrics(adata, qc_vars=["mt"], inplace=True)
    fe.pp.filter_cells(adata, min_genes=200)
    fe.pp.filter_genes(adata, min_cells=3)
    good = (adata.obs["n_genes_by_counts"] < 2500) & (adata.obs["pct_counts_mt"] < 5)
    adata = adata[good].copy()
    assert adata.shape == (2638, 13714)
    embed(adata, PBMC["n_neighbors"], PBMC["n_pcs"])
    truth = types_of_pbmc(adata.obs_names)
    mean, sizes = agreement(adata, truth, PBMC["resolution"])
    assert mean >= PBMC_BAR
    assert 9 in sizes
    # Every type is where a cluster is: most cells of a type lie in the cluster that has most of them.
    table = pd.crosstab(truth, adata.obs["leiden"]).drop(index="unassigned", errors="ignore")
    assert len(table) == 9
    assert (table.max(axis=1) / table.sum(axis=1)).min() > 0.5


def test_the_command_finds_them_too(tenx, tmp_path):
    """One command from the folder to clusters whose markers are those of the types."""
    (tmp_path / "samples.tsv").write_text(f"location\tsample\n{tenx}\tpbmc\n")
    bounds = "--min-genes 200 --max-genes 2500 --max-mito 5 --outliers none --doublets false"
    shape = (
        "--target-sum 10000 --flavor seurat_v3 --n-top-genes 2000 --scale true --max-value 10 --n-comps 50 --n-pcs 40"
    )
    options = f"{bounds} {shape} --quiet".split()
    words = ["ferrocyte", "cells", "run", str(tmp_path / "samples.tsv"), "-o", str(tmp_path / "study"), *options]
    assert _core.run_program(words) == 0
    study = fe.io.read_h5mu(tmp_path / "study" / "integrated.h5mu")["rna"]
    assert 2600 <= study.n_obs <= 2700
    truth = types_of_pbmc(pd.Index(study.obs["ubc"]))
    known = truth != "unassigned"
    assert fe.tl.adjusted_rand(study.obs["leiden"][known], truth[known]) >= PBMC_BAR - 0.05
    table = pd.read_csv(tmp_path / "study" / "markers.tsv", sep="\t", dtype={"group": str})
    first = table.groupby("group").head(40).groupby("group")["names"].agg(set)
    for gene in ("MS4A1", "GNLY", "LYZ", "CD8A", "PPBP", "FCGR3A"):
        assert any(gene in names for names in first), gene


@pytest.mark.skipif(not SORTED.exists(), reason="the whole of zheng_facs is not among the data")
def test_sorted_populations_are_found_again():
    adata = fe.io.read_h5ad(SORTED)
    fe.pp.filter_genes(adata, min_cells=3)
    embed(adata, ZHENG["n_neighbors"], ZHENG["n_pcs"])
    mean, _ = agreement(adata, adata.obs["celltype"].to_numpy(dtype=object), ZHENG["resolution"])
    assert mean >= ZHENG_BAR
