"""Cells.

Peripheral blood of eight people, each without and with interferon (Kang 2018; `data/kang_ifnb.h5ad`, cells and types
as published, with their layout).
"""

import anndata as ad
from book import figure, section, source

import ferrocyte as fe


@source
def adata():
    """Counts, measured, normalised, with components, markers of types and a tree of them."""
    adata = ad.read_h5ad("data/kang_ifnb.h5ad")
    fe.pp.calculate_qc_metrics(adata, percent_top=None, log1p=False, inplace=True)
    fe.pp.normalize_total(adata, target_sum=1e4)
    fe.pp.log1p(adata)
    fe.pp.highly_variable_genes(adata, n_top_genes=2000)
    fe.pp.pca(adata, n_comps=30)
    fe.tl.rank_genes_groups(adata, "cell_type", method="wilcoxon", pts=True)
    fe.tl.dendrogram(adata, "cell_type", n_pcs=30)
    return adata


@figure(adata)
def embedding(adata):
    """Cells in two dimensions, coloured by a column of obs; names stand on the cells or in a legend."""
    stimulated = adata[adata.obs["condition"] == "stim"]
    return fe.pl.embedding(stimulated, "tsne", color="cell_type", labels="data")


@figure(adata)
def embeddings(adata):
    """The same for several columns and genes; cells with more are drawn last."""
    return fe.pl.embeddings(adata, ["condition", "ISG15", "LYZ", "GNLY"], basis="tsne", ncols=2)


@figure(adata)
def qc(adata):
    """Quality of cells: counts, genes, and one against the other."""
    return fe.pl.qc(adata, groupby="condition")


@figure(adata)
def qc_violin(adata):
    """One measure of quality by group, with the limits that cells must keep."""
    return fe.pl.qc_violin(adata, "n_genes_by_counts", groupby="donor", limits=(200, 1500))


@figure(adata)
def qc_scatter(adata):
    """Two measures against each other."""
    return fe.pl.qc_scatter(adata, "total_counts", "n_genes_by_counts", color="condition")


@figure(adata)
def highly_variable_genes(adata):
    """Variation of genes against their means; those that are used further are coloured."""
    return fe.pl.highly_variable_genes(adata)


@figure(adata)
def elbow(adata):
    """The variance that principal components account for."""
    return fe.pl.elbow(adata)


@figure(adata)
def dotplot(adata):
    """Markers: how strongly (colour) and in how many cells (size)."""
    return fe.pl.dotplot(adata, groupby="cell_type", n_genes=3, standard_scale="var", dendrogram=True)


@figure(adata)
def matrixplot(adata):
    """Markers: means in groups of cells."""
    return fe.pl.matrixplot(adata, ["CD3D", "CD8A", "GNLY", "MS4A1", "CD14", "FCGR3A", "PPBP"], "cell_type")


@figure(adata)
def stacked_violin(adata):
    """Markers: their distributions in groups of cells."""
    return fe.pl.stacked_violin(adata, ["CD3D", "CD8A", "GNLY", "MS4A1", "CD14", "FCGR3A", "PPBP"], "cell_type")


@figure(adata)
def tracksplot(adata):
    """Markers cell by cell, as bars."""
    return fe.pl.tracksplot(adata, groupby="cell_type", n_genes=2)


@figure(adata)
def heatmap_markers(adata):
    """Markers cell by cell, as colours."""
    return fe.pl.heatmap_markers(adata, groupby="cell_type", n_genes=3)


@figure(adata)
def dendrogram(adata):
    """Which groups of cells are alike, by the correlation of their means."""
    return fe.pl.dendrogram(adata, "cell_type")


@figure(adata)
def proportion(adata):
    """How samples divide into cell types."""
    return fe.pl.proportion(adata, "sample", "cell_type")


@figure(adata)
def composition(adata):
    """In which types groups of samples differ: transformed shares of samples, tested."""
    table = fe.tl.composition(adata, "condition", sample="sample", cell_type="cell_type")
    return fe.pl.composition(table)


CELLS = section(globals())
