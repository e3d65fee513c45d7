"""Figures of results, in one style.

Every function takes a table of tests (of :mod:`ferrocyte.lmm` or :mod:`ferrocyte.limma`), a fit or a study, draws on
matplotlib axes (`ax=`, or those of a new figure), returns them, and never shows or saves: compose them, change them,
then :func:`save`, which embeds fonts. Colours can be told apart with every kind of colour vision; many points are
rasterised, so that a vector file stays small; matplotlib's own settings stay as they are.

===========================  ==============================================================================
:func:`volcano`              size of the effect against evidence, for one group and contrast
:func:`volcano_grid`         the same for every group, on shared axes
:func:`qq`                   p-values against what chance would give
:func:`p_histogram`          distribution of p-values
:func:`heatmap_top`          the first genes of each group, over all groups
:func:`plot_gene`            one gene by condition: samples, donors, cells
:func:`variance_shares`      what accounts for the variance of genes: fixed effects, random terms, residual
:func:`variance_shares_top`  the same for the genes of which one part accounts for most
:func:`qq_normal`            z values against the normal distribution
:func:`random_effects`       how far each donor or sample lies from the others, for one gene
:func:`prior`                the variance between units of each gene, and its distribution over genes
:func:`library_sizes`        the total count of each sample
:func:`densities`            the distribution of log-values in each sample
:func:`mds`                  samples, apart by their leading log fold changes
:func:`voom_trend`           the mean-variance trend behind voom's weights
:func:`sa`                   residual variation of each gene against its mean, with the prior
:func:`md`                   log fold change of each gene against its mean
:func:`heatmap_genes`        the first genes of a table in all samples
:func:`coolmap`              genes and samples in the order of a clustering, with its trees
:func:`splice`               the exons of a gene that differ from its others
:func:`barcode`              where the genes of a set stand among all
:func:`venn`                 genes found by two or three contrasts
:func:`embedding`            cells in two dimensions, coloured by a column of obs or a gene
:func:`embeddings`           the same for several columns and genes
:func:`dotplot`              markers in groups of cells: how strongly, and in how many cells
:func:`matrixplot`           markers in groups of cells: how strongly
:func:`stacked_violin`       markers in groups of cells: their distributions
:func:`tracksplot`           markers cell by cell, as bars
:func:`heatmap_markers`      markers cell by cell, as colours
:func:`proportion`           how samples divide into cell types
:func:`composition`          in which types groups of samples differ
:func:`qc`                   quality of cells
:func:`qc_violin`            one measure of it, by group
:func:`qc_scatter`           two measures of it against each other
:func:`highly_variable_genes`  variation of genes against their means
:func:`elbow`                the variance that principal components account for
:func:`dendrogram`           which groups of cells are alike
:func:`cnmf_k_selection`     programs: stability and error against their number
:func:`cnmf_clustergram`     programs: spectra of all replicates, and how dense they lie
:func:`cnmf_density`         programs: which spectra were left out
:func:`cnmf_distance_comps`  programs: distances between spectra
:func:`cnmf_distance_usages`  programs: distances between cells
:func:`cnmf_distance_modules`  programs: distances between genes
:func:`cnmf_usages`          programs on an embedding
:func:`spatial`              cells of a tissue where they lie, coloured by type, ecotype or gene
:func:`spatials`             the same for several samples, columns and genes
:func:`ecotype_signatures`   ecotypes: weights of the genes that mark them
:func:`ecotype_stability`    ecotypes: how surely genes mark them over the runs of an ensemble
:func:`ecotype_confusion`    ecotypes: what cells of each were taken for
:func:`ecotype_coassociation`  ecotypes: states that rise and fall together over samples
:func:`ecotype_colocalization`  ecotypes: states that are near one another
:func:`ecotype_abundance`    ecotypes: their shares over a tissue
:func:`nbmm_prior`           count models: variances of genes against their counts, with what all genes say
:func:`ctmm_variances`       shared variance of a gene, and that specific to each cell type, with intervals
:func:`ctmm_shares`          cell types: what makes up the variance of overall expression, over genes
:func:`gxemm_heritability`   heritability of each environment, with intervals
:func:`gxemm_shares`         what accounts for the variance of traits: kin, environments, noise
:func:`style`                the style, for figures of one's own
:func:`save`                 a file, fonts embedded
===========================  ==============================================================================
"""

from __future__ import annotations

from ._caterpillar import random_effects
from ._clusters import coolmap
from ._counts import nbmm_prior
from ._dots import dotplot, matrixplot
from ._ecotypes import (
    ecotype_coassociation,
    ecotype_colocalization,
    ecotype_confusion,
    ecotype_signatures,
    ecotype_stability,
)
from ._embedding import embedding, embeddings
from ._gene import plot_gene
from ._heatmap import heatmap_top
from ._heritability import gxemm_heritability, gxemm_shares
from ._moderated import barcode, heatmap_genes, md, sa, venn
from ._prior import prior
from ._programs import (
    cnmf_clustergram,
    cnmf_density,
    cnmf_distance_comps,
    cnmf_distance_modules,
    cnmf_distance_usages,
    cnmf_k_selection,
    cnmf_usages,
)
from ._proportions import composition, proportion
from ._quality import elbow, highly_variable_genes, qc, qc_scatter, qc_violin
from ._quantiles import p_histogram, qq, qq_normal
from ._samples import densities, library_sizes, mds, voom_trend
from ._shares import variance_shares, variance_shares_top
from ._spatial import ecotype_abundance, spatial, spatials
from ._specific import ctmm_shares, ctmm_variances
from ._splice import splice
from ._style import PALETTE, save, style
from ._trees import dendrogram
from ._violins import heatmap_markers, stacked_violin, tracksplot
from ._volcano import volcano, volcano_grid

__all__ = [
    "PALETTE",
    "barcode",
    "cnmf_clustergram",
    "cnmf_density",
    "cnmf_distance_comps",
    "cnmf_distance_modules",
    "cnmf_distance_usages",
    "cnmf_k_selection",
    "cnmf_usages",
    "composition",
    "coolmap",
    "ctmm_shares",
    "ctmm_variances",
    "dendrogram",
    "densities",
    "dotplot",
    "ecotype_abundance",
    "ecotype_coassociation",
    "ecotype_colocalization",
    "ecotype_confusion",
    "ecotype_signatures",
    "ecotype_stability",
    "elbow",
    "embedding",
    "embeddings",
    "gxemm_heritability",
    "gxemm_shares",
    "heatmap_genes",
    "heatmap_markers",
    "heatmap_top",
    "highly_variable_genes",
    "library_sizes",
    "matrixplot",
    "md",
    "mds",
    "nbmm_prior",
    "p_histogram",
    "plot_gene",
    "prior",
    "proportion",
    "qc",
    "qc_scatter",
    "qc_violin",
    "qq",
    "qq_normal",
    "random_effects",
    "sa",
    "save",
    "spatial",
    "spatials",
    "splice",
    "stacked_violin",
    "style",
    "tracksplot",
    "variance_shares",
    "variance_shares_top",
    "venn",
    "volcano",
    "volcano_grid",
    "voom_trend",
]
