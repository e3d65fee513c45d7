"""Figures that are looked at before clusters: quality of cells, variable genes, components."""

import numpy as np
import pytest
from cell_figures import cells, legend_words, study_of, ticks, words
from matplotlib import pyplot as plt

import ferrocyte as fe


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def test_quality_is_drawn_in_either_dialect():
    made = cells()
    assert [ax.get_ylabel() for ax in fe.pl.qc(made).axes] == ["genes per cell", "counts per cell", "genes"]
    renamed = {"n_genes_by_counts": "n.genes", "total_counts": "n.umi"}
    made.obs = made.obs.rename(columns=renamed).assign(**{"pct.mito": 0.03})
    labels = [ax.get_ylabel() for ax in fe.pl.qc(made).axes]
    assert labels[:4] == ["genes per cell", "counts per cell", "mitochondrial counts (share)", "genes"]
    with pytest.raises(fe.MissingKeyError, match="there are no measures"):
        fe.pl.qc(study_of(list("ab")))
    with pytest.raises(fe.BadInputError, match="expected numbers"):
        fe.pl.qc(made, ["cell_type"])
    with pytest.raises(fe.MissingKeyError, match=r"there is no measure `n\.cells`"):
        fe.pl.qc(made, limits={"n.cells": (1, 2)})


def test_bounds_are_lines_and_what_lies_beyond_is_told():
    made = study_of(["a"] * 10, np.arange(10.0))
    ax = fe.pl.qc_violin(made, "value", limits=(2.0, 8.5))
    dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [2.0, 8.5]
    assert words(ax) == ["30.0 % beyond"]


def test_variable_genes_are_told_apart_in_either_dialect():
    made = cells()
    ax = fe.pl.highly_variable_genes(made, label=0)
    assert legend_words(ax) == ["others (90)", "highly variable (30)"]
    assert [len(part.get_offsets()) for part in ax.collections] == [90, 30]
    fe.pp.highly_variable_genes(made, flavor="seurat", n_top_genes=20, style="exprmat")
    made.var = made.var.filter(like="vst")
    assert fe.pl.highly_variable_genes(made).get_ylabel() == "normalised dispersion"
    assert "gene" in words(fe.pl.highly_variable_genes(made, label=1))[0]
    with pytest.raises(fe.MissingKeyError, match="there are no highly variable genes"):
        fe.pl.highly_variable_genes(study_of(list("ab")))


def test_the_elbow_shows_the_shares_of_components_in_either_dialect():
    made = cells()
    shares = 100.0 * made.uns["pca"]["variance_ratio"]
    assert fe.pl.elbow(made).lines[0].get_ydata() == pytest.approx(shares)
    fe.pp.pca(made, n_comps=8, style="exprmat")
    assert fe.pl.elbow(made, n_comps=3).lines[0].get_ydata() == pytest.approx(shares[:3], rel=1e-5)
    assert fe.pl.elbow([0.5, 0.25]).lines[0].get_xdata().tolist() == [1, 2]
    with pytest.raises(fe.MissingKeyError, match="no principal components `pcs`"):
        fe.pl.elbow(made, key="pcs")


def test_the_tree_of_groups_is_the_one_in_uns():
    made = cells()
    fe.tl.dendrogram(made, "donor", key_added="mine", linkage_method="average")
    ax = fe.pl.dendrogram(made, "donor", key="mine")
    assert ticks(ax.yaxis) == made.uns["mine"]["categories_ordered"]
    assert len(ax.collections[0].get_segments()) == 5
    assert "dendrogram_donor" not in made.uns
    with pytest.raises(fe.MissingKeyError, match="there is no clustering `other`"):
        fe.pl.dendrogram(made, "donor", key="other")


def test_measures_are_coloured_by_categories_cell_by_cell():
    made = cells()
    fe.pp.calculate_qc_metrics(made, percent_top=None, inplace=True)
    ax = fe.pl.qc_scatter(made, "total_counts", "n_genes_by_counts", color="cell_type")
    levels = [str(level) for level in made.obs["cell_type"].cat.categories]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == levels
    (points,) = ax.collections
    assert len(points.get_offsets()) == made.n_obs
    assert len(np.unique(points.get_facecolors(), axis=0)) == len(levels)
    with pytest.raises(fe.BadInputError, match="expected numbers"):
        fe.pl.qc_scatter(made, "cell_type", "n_genes_by_counts")
