"""Differential splicing: against the tests written out in numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def fit():
    """90 exons of 24 genes; in gene `G05` one exon rises."""
    rng = np.random.default_rng(2)
    gene = np.repeat([f"G{k:02d}" for k in range(24)], [1, 2, 3, 4, 5, 6, 5, 4] * 3)
    y = rng.normal(size=(len(gene), 8))
    rises = np.flatnonzero(gene == "G05")[2]
    y[rises, 4:] += 4
    annotation = pd.DataFrame({"gene": gene, "exon": np.arange(len(gene))[::-1], "chromosome": "1"})
    annotation.index = [f"e{i}" for i in range(len(gene))]
    values = limma.EList(E=y, genes=annotation, samples=pd.DataFrame(index=[f"s{j}" for j in range(8)]))
    return limma.lm_fit(values, np.c_[np.ones(8), np.repeat([0, 1], 4)]), f"e{rises}"


def test_exons_are_compared_with_the_rest_of_their_gene(fit):
    model, rises = fit
    found = limma.diff_splice(model, "gene", "exon")
    assert len(found.genes) == (model.genes.gene.value_counts().loc[lambda n: n > 1]).sum()
    b, u2 = model.coefficients[:, 1], model.stdev_unscaled[:, 1] ** -2
    for k, (gene, rows) in enumerate((g, np.flatnonzero(model.genes.gene == g)) for g in found.gene_genes.gene_id):
        w = u2[rows] / u2[rows].sum()
        c = b[rows] - (w * b[rows]).sum()
        sd = np.sqrt(found.gene_s2_post[k])
        t = c * np.sqrt(u2[rows]) / sd
        df = found.gene_df_total[k]
        exons = found.genes.index.get_indexer(model.genes.index[rows])
        np.testing.assert_allclose(found.coefficients[exons, 1], c / (1 - w), rtol=1e-10)
        np.testing.assert_allclose(found.t[exons, 1], t / np.sqrt(1 - w), rtol=1e-10)
        p = 2 * stats.t.sf(np.abs(t / np.sqrt(1 - w)), df)
        np.testing.assert_allclose(found.p_value[exons, 1], p, rtol=1e-9)
        n = len(rows)
        np.testing.assert_allclose(found.gene_F_p_value[k, 1], stats.f.sf((t**2).sum() / (n - 1), n - 1, df), rtol=1e-9)
        simes = min(1, (np.sort(p) * n / np.arange(1, n + 1)).min())
        np.testing.assert_allclose(found.gene_simes_p_value[k, 1], simes, rtol=1e-9, err_msg=gene)
    first = limma.top_splice(found, "x2", "t", 1)
    assert first.index[0] == rises
    assert first.log_fc.iloc[0] > 2


def test_tables(fit):
    found = limma.diff_splice(fit[0], "gene", "exon")
    genes = limma.top_splice(found, number=np.inf)
    assert list(genes.columns) == ["gene", "chromosome", "gene_id", "n_exons", "F", "p_value", "fdr"]
    assert genes.index[0] == "G05"
    np.testing.assert_allclose(genes.fdr, stats.false_discovery_control(genes.p_value))
    assert list(limma.top_splice(found, test="simes", sort_by="n_exons").n_exons[:3]) == [6, 6, 6]
    assert (limma.top_splice(found, test="t", number=np.inf, fdr=0.05).fdr <= 0.05).all()
    by_change = limma.top_splice(found, test="t", sort_by="logFC").log_fc.abs()
    assert by_change.is_monotonic_decreasing
    # Exons stand in the order of the exon numbers within their gene.
    exons = limma.top_splice(found, test="t", sort_by="none", number=np.inf)
    assert (exons.groupby("gene_id").exon_id.diff().dropna() > 0).all()


def test_rows_without_a_gene_and_fits_without_exons(fit):
    model, _ = fit
    genes = model.genes.gene.to_numpy(dtype=object).copy()
    genes[:3] = None
    with pytest.warns(fe.FerrocyteWarning, match="3 rows without a gene"):
        found = limma.diff_splice(model, genes)
    assert not set(found.genes.index) & {"e0", "e1", "e2"}
    with pytest.raises(fe.errors.BadInputError, match="no gene has more than one exon"):
        limma.diff_splice(model, np.arange(len(genes)))
    with pytest.raises(fe.errors.BadInputError, match="no column `symbol`"):
        limma.diff_splice(model, "symbol")
    with pytest.raises(fe.errors.BadInputError, match="no tests of splicing"):
        limma.top_splice(model)
