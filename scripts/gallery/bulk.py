"""Samples.

Luminal and basal cells of mammary glands of virgin, pregnant and lactating mice (GSE60450; `data/gse60450`), by the
workflow of limma. Exons are simulated.
"""

import numpy as np
import pandas as pd
from book import figure, section, source

import ferrocyte as fe
from ferrocyte import limma


@source
def samples():
    """What the samples are."""
    return pd.read_csv("data/gse60450/samples.tsv", sep="\t", index_col=0)


@source
def counts():
    """Genes with ten counts or more in six samples or more."""
    counts = pd.read_csv("data/gse60450/counts.tsv.gz", sep="\t", index_col=0)
    counts.index = counts.index.astype(str)
    return counts[(counts >= 10).sum(axis=1) >= 6]


@source
def design():
    """A mean for each group."""
    design = limma.model_matrix("~ 0 + group", samples())
    design.columns = [name.removeprefix("group") for name in design.columns]
    return design


@source
def v():
    """Log-values with the precision of each; milk is most of what lactating cells make, so sizes are normalised."""
    sizes = limma.library_sizes(counts()) * limma.calc_norm_factors(counts())
    return limma.voom(counts(), design(), lib_size=sizes)


@source
def moderated():
    """Tests of two contrasts, variances moderated over genes."""
    asked = limma.make_contrasts(
        "luminal.pregnant - luminal.virgin", "luminal.lactate - luminal.virgin", levels=design()
    )
    asked.columns = ["pregnant", "lactating"]
    return limma.e_bayes(limma.contrasts_fit(limma.lm_fit(v(), design()), asked))


@source
def top():
    """All genes by the evidence for a difference between lactating and virgin mice."""
    return limma.top_table(moderated(), coef="lactating", number=np.inf)


@figure(counts, samples)
def library_sizes(counts, samples):
    """The total count of each sample."""
    return fe.pl.library_sizes(counts, group=samples["immunophenotype"])


@figure(v, samples)
def densities(v, samples):
    """The distribution of log-values in each sample."""
    return fe.pl.densities(v, group=samples["immunophenotype"])


@figure(v, samples)
def mds(v, samples):
    """Samples, apart by their leading log fold changes."""
    return fe.pl.mds(v, group=samples["group"])


@figure(v)
def voom_trend(v):
    """The trend of variances over means behind the weights of voom."""
    return fe.pl.voom_trend(v)


@figure(moderated)
def sa(moderated):
    """Residual variation of each gene against its mean, with the prior."""
    return fe.pl.sa(moderated)


@figure(moderated)
def md(moderated):
    """Log fold change of each gene against its mean; genes that differ are coloured."""
    return fe.pl.md(moderated, coef="lactating", label=5)


@figure(v, top, samples)
def heatmap_genes(v, top, samples):
    """The first genes of a table in all samples."""
    return fe.pl.heatmap_genes(v, top, n=30, group=samples["group"])


@figure(v, top, samples)
def coolmap(v, top, samples):
    """Genes and samples in the order of a clustering, with its trees."""
    first = pd.DataFrame(v.E, index=counts().index, columns=counts().columns).loc[top.index[:40]]
    return fe.pl.coolmap(first, group=samples["group"])


@figure(moderated)
def venn(moderated):
    """Genes found by two or three contrasts."""
    return fe.pl.venn(limma.decide_tests(moderated))


@figure(moderated, top)
def barcode(moderated, top):
    """Where genes of a set stand among all: the first of lactating mice, among those of pregnant ones."""
    pregnant = limma.top_table(moderated, coef="pregnant", number=np.inf, sort_by="none")
    return fe.pl.barcode(pregnant["t"], top.index[top["log_fc"] > 0][:50])


@source
def exons():
    """Five exons of each of 100 genes in six samples; in the second group exon 3 of `gene1` is skipped."""
    rng = np.random.default_rng(1)
    means = rng.gamma(4.0, 25.0, 500)[:, None] * np.ones(6)
    means[2, 3:] *= 0.15
    genes = [f"gene{1 + row // 5}" for row in range(500)]
    values = np.log2(rng.poisson(means) + 0.5)
    design = limma.model_matrix("~ group", pd.DataFrame({"group": list("aaabbb")}))
    return limma.diff_splice(limma.lm_fit(values, design), genes, np.arange(500) % 5 + 1)


@figure(exons)
def splice(exons):
    """The exons of a gene, and which of them differ from its others."""
    return fe.pl.splice(exons, coef="groupb", gene="gene1")


BULK = section(globals())
