"""Joint tests, variance components, shares, comparisons, random effects: against lme4 and lmerTest, and their words."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from common import FORMULA, golden, same_bits
from scipy import stats

import ferrocyte as fe
from ferrocyte._examples import small_study

CROSSED = "~ log(libsize) + condition * cell_type + (1 | sample:cell_type)"
REFERENCE = "~ log(libsize) + cls * trt + (1 | sam)"
TABLE = ["F", "df1", "df2", "p_value", "adj_p_value", "log10_p_value", "status", "reason", "n_cells"]


@pytest.fixture(scope="session")
def crossed():
    return fe.lmm.fit(small_study(), CROSSED)


# Against lme4 and lmerTest


def reference_fit(model: str, **options):
    import anndata as ad

    adata = ad.read_h5ad(golden("flashmm") / "data" / "counts.h5ad")
    random = " + (1 | location)" if model == "two" else ""
    return fe.lmm.fit(adata, REFERENCE + random, moderate=False, **options)


def reference(name: str, model: str, singular: int) -> pd.DataFrame:
    table = pd.read_csv(golden("inference") / f"{name}.tsv", sep="\t")
    return table[(table.model == model) & (table.singular == singular)].reset_index(drop=True)


@pytest.mark.filterwarnings("ignore:.*cells count as replicates")
@pytest.mark.parametrize(("model", "singular"), [("one", 0), ("two", 0), ("two", 1)])
def test_joint_tests_are_those_of_lmer_test(model, singular):
    theirs = reference("joint", model, singular)
    assert len(theirs) >= 24
    both = ["trt", "cls:trt"]
    fit = reference_fit(model, negative="zero")
    ours = fit.test_joint({"cls": "cls", "cls:trt": "cls:trt", "trt": "trt", "trt and cls:trt": both})
    ours = ours.set_index(["gene", "contrast"]).loc[list(zip(theirs.gene, theirs.hypothesis, strict=True))]
    np.testing.assert_allclose(ours.F, theirs.F, rtol=1e-6)
    np.testing.assert_array_equal(ours.df1, theirs.df1)
    np.testing.assert_allclose(ours.p_value, stats.f.sf(ours.F, ours.df1, ours.df2), rtol=1e-10)
    if not singular:
        np.testing.assert_allclose(ours.df2, theirs.df2, rtol=2e-4)
        np.testing.assert_allclose(ours.p_value, theirs.p, rtol=1e-5)


@pytest.mark.parametrize("model", ["one", "two"])
def test_likelihood_ratios_of_components_are_those_of_lme4(model):
    theirs = pd.concat([reference("components", model, singular) for singular in (0, 1)], ignore_index=True)
    ours = reference_fit(model, negative="zero").test_components()
    ours = ours.set_index(["gene", "component"]).loc[list(zip(theirs.gene, theirs.component, strict=True))]
    np.testing.assert_allclose(ours.lr, theirs.lr, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-4, atol=1e-6)
    expected = np.where(ours.lr > 0, 0.5 * stats.chi2.sf(ours.lr, 1), 1.0)
    np.testing.assert_allclose(ours.p_lr, expected, rtol=1e-10)


@pytest.mark.parametrize("model", ["one", "two"])
def test_comparisons_are_those_of_lme4(model):
    import anndata as ad

    theirs = pd.concat([reference("compare", model, singular) for singular in (0, 1)], ignore_index=True)
    adata = ad.read_h5ad(golden("flashmm") / "data" / "counts.h5ad")
    random = "(1 | sam) + (1 | location)" if model == "two" else "(1 | sam)"
    small, large = (
        fe.lmm.fit(adata, f"~ log(libsize) + {fixed} + {random}", method="ML", negative="zero", moderate=False)
        for fixed in ("cls + trt", "cls * trt")
    )
    ours = small.compare(large).set_index("gene").loc[theirs.gene]
    for name in ("ll_1", "ll_2", "aic_1", "aic_2", "bic_1", "bic_2"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-8)
    np.testing.assert_allclose(ours.lr, theirs.lr, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.df, theirs.df)
    np.testing.assert_allclose(ours.p_value, theirs.p, rtol=1e-5)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_components_are_tested_as_by_flashmm(method):
    """z and likelihood ratio of the slope's variance; FLASH-MM refers the ratio to chi-squared without a side."""
    folder = golden("flashmm") / "cases" / f"two_slope_{method.lower()}"
    theirs = pd.read_csv(folder / "varcomp_test.tsv", sep="\t", index_col=0)
    arrays = {
        n: pd.read_csv(folder / f"{n}.tsv", sep="\t", index_col=0) for n in ("XX", "XY", "ZX", "ZY", "ZZ", "Ynorm")
    }
    sums = fe.lmm.sums_from_arrays(
        **{name: table.to_numpy() for name, table in arrays.items() if name != "Ynorm"},
        Ynorm=arrays["Ynorm"].to_numpy().ravel(),
        n=1000,
        d=[25, 25],
        genes=list(arrays["XY"].index),
        coefficients=list(arrays["XX"].index),
    )
    ours = fe.lmm.fit(sums, method=method).test_components()
    second = ours[ours.component == ours.component.cat.categories[1]].set_index("gene").loc[theirs.index]
    np.testing.assert_allclose(second.z, theirs["z"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second.p_z, theirs["p_z"], rtol=1e-5)
    np.testing.assert_allclose(second.lr, theirs["LRT"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stats.chi2.sf(second.lr, 1), theirs["p_LRT"], rtol=1e-4)
    half = 0.5 * stats.chi2.sf(second.lr, 1)
    np.testing.assert_allclose(second.p_lr, np.where(second.variance >= 0, half, 1 - half), rtol=1e-8)


# Words


def test_a_hypothesis_may_be_spelled_in_many_ways(crossed):
    names = crossed.coefficients
    weights = np.zeros((2, len(names)))
    weights[0, names.index("conditionstim")] = weights[1, names.index("conditionstim:cell_typeT")] = 1
    spelled = [
        ["conditionstim", "conditionstim:cell_typeT"],
        ["condition", "cell_type:condition"],
        weights,
        pd.DataFrame(weights, columns=names),
        {"h": ["conditionstim", "conditionstim + conditionstim:cell_typeT"]},
    ]
    tables = [crossed.test_joint(hypothesis) for hypothesis in spelled]
    for table in tables:
        assert list(table.columns) == ["group", "gene", "contrast", *TABLE]
        assert (table.df1 == 2).all()
        np.testing.assert_allclose(table.log10_p_value, tables[0].log10_p_value, rtol=1e-9)
    single = crossed.test("conditionstim:cell_typeT").set_index("gene")
    joint = crossed.test_joint("condition:cell_type").set_index("gene").loc[single.index]
    np.testing.assert_allclose(joint.F, single.t**2, rtol=1e-10)
    np.testing.assert_allclose(joint.p_value, single.p_value, rtol=1e-10)


def test_every_term_at_once(crossed):
    table = crossed.anova(df="satterthwaite")
    assert list(table.contrast.cat.categories) == ["log(libsize)", "condition", "cell_type", "condition:cell_type"]
    assert len(table) == 4 * len(crossed.genes)
    one = crossed.test_joint("cell_type", df="satterthwaite")
    assert same_bits(table[table.contrast == "cell_type"].p_value, one.p_value)


def test_unknown_hypotheses_are_told_what_there_is(crossed):
    with pytest.raises(fe.MissingKeyError, match="there is no fixed term `cell_typ`"):
        crossed.test_joint("cell_typ")
    with pytest.raises(fe.BadInputError, match="3 weights a row for 5 coefficients"):
        crossed.test_joint(np.ones((1, 3)))
    with pytest.raises(fe.BadInputError, match="all weights are zero"):
        crossed.test_joint(np.zeros((1, 5)))
    with pytest.raises(fe.BadInputError, match="there is no hypothesis"):
        crossed.test_joint({})


def test_pairs_and_levels_in_a_word(crossed):
    every = crossed.contrast("condition", "stim", "ctrl", at={"cell_type": "all"})
    one = crossed.contrast("condition", "stim", "ctrl", at={"cell_type": "T"})
    assert len(every) == 2 * len(one)
    assert same_bits(every[every.contrast == one.contrast[0]].p_value, one.p_value)
    listed = crossed.contrast("condition", "stim", "ctrl", at={"cell_type": ["B", "T"]})
    pd.testing.assert_frame_equal(every, listed)
    pairs = crossed.pairwise("cell_type", at={"condition": "all"}, alternative="greater", adjust="all")
    assert list(pairs.contrast.cat.categories) == [
        "cell_type: T - B at condition = ctrl",
        "cell_type: T - B at condition = stim",
    ]
    less = crossed.pairwise("cell_type", at={"condition": "all"}, alternative="less")
    both = pairs.merge(less, on=["gene", "contrast"])
    np.testing.assert_allclose(both.p_value_x + both.p_value_y, 1.0)
    donors = fe.lmm.fit(small_study(), FORMULA).pairwise("donor")
    assert donors.contrast.nunique() == 15


def test_components_and_shares_by_group(grouped):
    components = grouped.test_components(adjust="all")
    assert components.attrs["units"]["variance"] == "(ln(1 + count))²"
    assert list(components.component.cat.categories) == ["sample"]
    assert len(components) == len(grouped.coef)
    positive = components[components.variance > 0]
    assert (positive.p_lr <= 0.5).all()
    assert (components[components.variance < 0].p_lr >= 0.5).all()
    shares = grouped.variance_shares()
    known = shares[shares.residual.notna()]
    assert len(shares) == len(grouped.coef)
    np.testing.assert_allclose(known[["fixed", "sample", "residual"]].sum(axis=1), 1.0)
    np.testing.assert_allclose(known.r2_conditional, 1 - known.residual)


def test_random_effects_of_a_gene(adata):
    fit = fe.lmm.fit(adata, "~ log(libsize) + (1 | donor) + (0 + age | donor)")
    table = fit.ranef("gene2")
    assert list(table.term.unique()) == ["donor", "donor:age"]
    assert list(table.level[:6]) == list(table.level[6:]) == [f"d{i}" for i in range(1, 7)]
    assert same_bits(table.estimate, fit.random_effects().loc["gene2"])
    assert same_bits(table.se, fit.random_effects_se().loc["gene2"])
    with pytest.raises(fe.MissingKeyError, match="no gene `nothing`"):
        fit.ranef("nothing")


def test_errors_of_random_effects_shrink_with_their_variance(fit):
    errors, theta = fit.random_effects_se(), fit.theta["var1"]
    assert errors[theta < 0].isna().all(axis=None)
    ratio = errors[theta > 0].pow(2).div(theta[theta > 0], axis=0)
    assert ((ratio > 0) & (ratio <= 1 + 1e-12)).all(axis=None)


def test_comparisons(adata):
    fits = {
        name: fe.lmm.fit(adata, f"~ log(libsize) {fixed} + (1 | sample)", method=method)
        for name, fixed, method in [
            ("small", "", "ML"),
            ("large", "+ condition", "ML"),
            ("reml", "+ condition", "REML"),
        ]
    }
    table = fits["small"].compare(fits["large"])
    assert list(table.gene[:2]) == ["gene1", "gene2"]
    with pytest.raises(fe.BadInputError, match="`method` differs"):
        fits["large"].compare(fits["reml"])
    with pytest.raises(fe.BadInputError, match="REML likelihoods") as raised:
        fe.lmm.fit(adata, "~ log(libsize) + (1 | sample)").compare(fits["reml"])
    assert 'method="ML"' in str(raised.value)
    with pytest.raises(fe.BadInputError, match="gene 0 differs"):
        fits["small"].compare(fe.lmm.fit(adata[:, ::-1], "~ condition + (1 | sample)", method="ML"))
    with pytest.raises(fe.BadInputError, match="expected a fit, found str"):
        fits["small"].compare("fit.npz")


# Figures


def test_figures_of_shares(grouped, fit):
    ax = fe.pl.variance_shares(grouped, group="T")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["fixed", "sample", "residual"]
    assert ax.get_title(loc="left") == "T"
    top = fe.pl.variance_shares_top(fit.variance_shares(), "sample", n=6)
    shares = fit.variance_shares().sort_values("sample", ascending=False, kind="stable")
    assert [tick.get_text() for tick in top.get_yticklabels()] == list(shares.gene[:6])
    np.testing.assert_allclose([bar.get_width() for bar in top.patches[:6]], 100 * shares["sample"][:6])
    with pytest.raises(fe.BadInputError, match="there are 2 groups"):
        fe.pl.variance_shares(grouped)
    with pytest.raises(fe.MissingKeyError, match="no part `donor`"):
        fe.pl.variance_shares_top(fit, "donor")
    plt.close("all")
