"""Mixed models.

Which genes respond to interferon in each cell type (`data/kang_ifnb.h5ad`), which vary between people in some cell
types only (`data/onek1k_40donors.h5ad`), and heritability by environment (simulated traits of 1,000 people).
"""

import anndata as ad
import numpy as np
from book import figure, section, source

import ferrocyte as fe


@source
def cells():
    """Blood of eight people, each without and with interferon."""
    return ad.read_h5ad("data/kang_ifnb.h5ad")


@source
def fit():
    """A linear mixed model of every gene in every cell type: people as fixed effects, samples as random ones."""
    model = "~ log(libsize) + condition + donor + (1 | sample)"
    return fe.lmm.fit(cells(), model, groups="cell_type", min_cells=10)


@source
def table():
    """The tests of its condition."""
    return fit().contrast("condition", "stim", "ctrl")


@figure(table)
def volcano(table):
    """Size of the effect against the evidence for it."""
    return fe.pl.volcano(table, group="CD14+ Monocytes")


@figure(table)
def volcano_grid(table):
    """The same for every group, on shared axes."""
    return fe.pl.volcano_grid(table)


@figure(table)
def qq(table):
    """p-values against what chance would give; lambda is the inflation of the median."""
    return fe.pl.qq(table)


@figure(table)
def p_histogram(table):
    """The distribution of p-values."""
    return fe.pl.p_histogram(table, group="CD14+ Monocytes")


@figure(table)
def heatmap_top(table):
    """The first genes of each group, over all groups; stars are below the rate of false discoveries."""
    return fe.pl.heatmap_top(table)


@figure(table)
def qq_normal(table):
    """Z values against the normal distribution."""
    return fe.pl.qq_normal(table.loc[table["group"] == "B cells", "t"])


@figure(fit)
def plot_gene(fit):
    """One gene by condition: cells, means of samples, lines between the samples of a person."""
    return fit.plot_gene("ISG15", group="CD14+ Monocytes")


@figure(fit)
def prior(fit):
    """The variance between samples of each gene, and the distribution over genes that moderates it."""
    return fe.pl.prior(fit, group="CD14+ Monocytes")


@source
def people():
    """Monocytes without interferon, people at random."""
    of = cells().obs
    monocytes = cells()[(of["condition"] == "ctrl") & (of["cell_type"] == "CD14+ Monocytes")]
    return fe.lmm.fit(monocytes.copy(), "~ log(libsize) + (1 | donor)")


@figure(people)
def random_effects(people):
    """How far each person lies from the others, for one gene."""
    return fe.pl.random_effects(people, "HLA-DQA1")


@figure(people)
def variance_shares(people):
    """What accounts for the variance of genes."""
    return fe.pl.variance_shares(people)


@figure(people)
def variance_shares_top(people):
    """The genes of which one part accounts for most."""
    return fe.pl.variance_shares_top(people, "donor")


@source
def counted():
    """The same question to counts of monocytes."""
    monocytes = cells()[cells().obs["cell_type"] == "CD14+ Monocytes"].copy()
    return fe.nbmm.fit(monocytes, "~ condition + donor + (1 | sample)")


@figure(counted)
def nbmm_prior(counted):
    """A variance of each gene of a count model against its counts: alone, of all genes, and moderated."""
    return fe.pl.nbmm_prior(counted, parameter="tau")


@source
def specific():
    """Variances between people, shared by cell types and specific to each."""
    adata = ad.read_h5ad("data/onek1k_40donors.h5ad")
    pseudobulk = fe.ctmm.prepare(adata, "donor", "cell_type", min_cells_pair=5, standardize=False)
    seen = np.nanmean(pseudobulk.ctp, axis=1).min(axis=1) > 0.1
    return fe.ctmm.fit(pseudobulk.subset(genes=np.array(pseudobulk.genes)[seen]), model="free", method="reml")


@figure(specific)
def ctmm_variances(specific):
    """The variances of a gene between people, with intervals: what cell types share, and what is specific to each."""
    return fe.pl.ctmm_variances(specific, "ENSG00000142089", title="IFITM3")


@figure(specific)
def ctmm_shares(specific):
    """What makes up the variance of overall expression, over genes."""
    return fe.pl.ctmm_shares(specific)


@source
def traits():
    """A trait whose heritability differs between two environments."""
    made = fe.sim.gxemm(1000, 400, seed=1)
    return fe.gxemm.fit(made["y"], made["X"], made["K"], made["Z"], gtype="free", etype="free")


@figure(traits)
def gxemm_heritability(traits):
    """Heritability of each environment, with intervals."""
    return fe.pl.gxemm_heritability(traits)


@figure(traits)
def gxemm_shares(traits):
    """What accounts for the variance of a trait: kin, environments, noise."""
    return fe.pl.gxemm_shares(traits)


MODELS = section(globals())
