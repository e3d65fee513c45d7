"""A call of each figure of cells and programs on a small study: what the tests of figures share."""

from __future__ import annotations

import functools
import warnings

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import ferrocyte as fe
from ferrocyte._examples import small_study


@functools.cache
def _prepared():
    cells = small_study(n_genes=120)
    fe.pp.calculate_qc_metrics(cells, percent_top=None, inplace=True)
    fe.pp.highly_variable_genes(cells, flavor="seurat_v3", n_top_genes=30)
    cells.X = cells.X.log1p()
    fe.pp.pca(cells, n_comps=8)
    cells.obsm["X_umap"] = np.random.default_rng(5).normal(size=(cells.n_obs, 2)).astype(np.float32)
    fe.tl.rank_genes_groups(cells, "condition", pts=True)
    rng = np.random.default_rng(6)
    cells.obsm["cnmf.3"] = pd.DataFrame(rng.gamma(0.5, size=(cells.n_obs, 3)), index=cells.obs_names)
    cells.varm["cnmf.3"] = rng.gamma(0.3, size=(cells.n_vars, 3))
    spectra = np.repeat(np.eye(3), 6, axis=0) + 0.05 * rng.random((18, 3))
    spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
    cells.uns["cnmf.dist.3"] = np.sqrt(np.maximum(2.0 - 2.0 * spectra @ spectra.T, 0.0))
    cells.uns["cnmf.density.3"] = pd.DataFrame({"local.density": [*rng.random(18) * 0.1, 0.7, 0.8]})
    cells.uns["cnmf.args"] = {"density_threshold": 0.5}
    cells.uns["cnmf.stats"] = pd.DataFrame(
        {"ncomps": [2, 3, 4], "threshold": 0.5, "silhoutte": [0.99, 0.97, 0.6], "error": [9.0, 7.0, 6.5]}
    )
    return cells


def cells():
    """A fresh copy of the study with everything that is drawn; ``condition`` has markers."""
    return _prepared().copy()


LOOSE = {"min_logfoldchange": 0.1, "max_p_adjust": None, "min_pct": None, "max_pct_reference": None}


def _composition():
    counts = {"B": [20, 25, 22, 60, 70, 55], "T": [80, 75, 70, 40, 45, 50], "NK": [9, 8, 12, 9, 11, 10]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fe.tl.composition(pd.DataFrame(counts), ["ctrl"] * 3 + ["stim"] * 3)


#: Figures of one axes.
DRAW = {
    "embedding": lambda **kw: fe.pl.embedding(cells(), "umap", color="cell_type", contours=True, **kw),
    "dotplot": lambda **kw: fe.pl.dotplot(cells(), **LOOSE, **kw),
    "matrixplot": lambda **kw: fe.pl.matrixplot(cells(), ["gene1", "gene2"], "donor", dendrogram=True, **kw),
    "stacked_violin": lambda **kw: fe.pl.stacked_violin(cells(), **LOOSE, **kw),
    "tracksplot": lambda **kw: fe.pl.tracksplot(cells(), **LOOSE, **kw),
    "heatmap_markers": lambda **kw: fe.pl.heatmap_markers(cells(), **LOOSE, **kw),
    "proportion": lambda **kw: fe.pl.proportion(cells(), "donor", "cell_type", **kw),
    "composition": lambda **kw: fe.pl.composition(_composition(), **kw),
    "qc_violin": lambda **kw: fe.pl.qc_violin(cells(), "total_counts", groupby="donor", limits=(10, None), **kw),
    "qc_scatter": lambda **kw: fe.pl.qc_scatter(cells(), "total_counts", "n_genes_by_counts", color="age", **kw),
    "highly_variable_genes": lambda **kw: fe.pl.highly_variable_genes(cells(), label=3, **kw),
    "elbow": lambda **kw: fe.pl.elbow(cells(), **kw),
    "dendrogram": lambda **kw: fe.pl.dendrogram(cells(), "donor", **kw),
    "cnmf_k_selection": lambda **kw: fe.pl.cnmf_k_selection(cells(), **kw),
    "cnmf_clustergram": lambda **kw: fe.pl.cnmf_clustergram(cells(), 3, labels=np.repeat([1, 2, 3], 6), **kw),
    "cnmf_density": lambda **kw: fe.pl.cnmf_density(cells(), 3, **kw),
    "cnmf_distance_comps": lambda **kw: fe.pl.cnmf_distance_comps(cells(), 3, **kw),
    "cnmf_distance_usages": lambda **kw: fe.pl.cnmf_distance_usages(cells(), 3, annotations="cell_type", **kw),
    "cnmf_distance_modules": lambda **kw: fe.pl.cnmf_distance_modules(cells(), 3, **kw),
}

#: Figures of several axes.
DRAW_MANY = {
    "embeddings": lambda **kw: fe.pl.embeddings(cells(), ["cell_type", "gene1", "age"], ncols=2, **kw),
    "qc": lambda **kw: fe.pl.qc(cells(), groupby="condition", **kw),
    "cnmf_usages": lambda **kw: fe.pl.cnmf_usages(cells(), 3, **kw),
}

_MARKERS = ("dotplot", "matrixplot", "stacked_violin", "tracksplot", "heatmap_markers")
_OF_K = ("clustergram", "density", "distance_comps", "distance_usages", "distance_modules", "usages")

#: What may be given without its name, where that is not the first argument alone.
POSITIONAL = {
    "embedding": ["adata", "basis"],
    "embeddings": ["adata", "features"],
    **{name: ["adata", "var_names", "groupby"] for name in _MARKERS},
    "proportion": ["data", "major", "minor"],
    "qc": ["adata", "keys"],
    "qc_violin": ["adata", "key"],
    "qc_scatter": ["adata", "x", "y"],
    "dendrogram": ["adata", "groupby"],
    **{f"cnmf_{name}": ["data", "k"] for name in _OF_K},
}


def words(ax):
    return [text.get_text() for text in ax.texts]


def legend_words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def study_of(labels, values=None, n_genes=3):
    """As many cells as labels, with an embedding, a column `label` and a column `value`."""
    n = len(labels)
    rng = np.random.default_rng(1)
    obs = pd.DataFrame({"label": pd.Categorical(labels)}, index=[f"c{i}" for i in range(n)])
    if values is not None:
        obs["value"] = values
    made = ad.AnnData(
        sparse.csr_matrix(rng.poisson(1.0, (n, n_genes)).astype(np.float32)),
        obs=obs,
        var=pd.DataFrame(index=[f"g{j}" for j in range(n_genes)]),
    )
    made.obsm["X_umap"] = rng.normal(size=(n, 2))
    return made
