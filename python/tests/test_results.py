"""One contract over results: tables, keeping, determinism, words."""

from __future__ import annotations

import json
import pickle

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import FORMULA, same_bits

import ferrocyte as fe
from ferrocyte._examples import small_study

VOCABULARY = [
    "group",
    "gene",
    "contrast",
    "estimate",
    "se",
    "t",
    "df",
    "p_value",
    "adj_p_value",
    "log10_p_value",
    "status",
    "reason",
    "n_cells",
]
TABLES = ["coef", "se", "t", "p", "df_satterthwaite", "theta", "se_theta", "dlogL"]


@pytest.fixture(params=["fit", "grouped"])
def result(request):
    return request.getfixturevalue(request.param)


def assert_equal_fits(a, b):
    for name in TABLES:
        left, right = getattr(a, name), getattr(b, name)
        assert same_bits(left, right), name
        assert left.index.equals(right.index), name
    assert (a.status == b.status).all()
    assert same_bits(a.to_df()["p_value"], b.to_df()["p_value"])
    assert a.provenance == b.provenance


def test_tables(result):
    n_groups, n_genes, p = len(result.groups), len(result.genes), len(result.coefficients)
    for name in TABLES:
        table = getattr(result, name)
        assert len(table) == n_groups * n_genes
        assert list(table.columns) == (result.coefficients if len(table.columns) == p else ["var1", "var0"])
        assert table.index.names == (["group", "gene"] if n_groups > 1 else ["gene"])
    for name in ("log_likelihood", "n_iter", "status", "reason"):
        assert len(getattr(result, name)) == n_groups * n_genes
    assert np.abs(result.dlogL[result.status == "ok"]).max().max() < 1e-5
    np.testing.assert_allclose(result.t, result.coef / result.se, rtol=1e-14)


def test_tidy_table(result):
    table = result.to_df()
    assert list(table.columns) == VOCABULARY
    assert len(table) == len(result.coef) * len(result.coefficients)
    assert table.attrs["units"]["estimate"] == "difference of ln(1 + count)"
    assert all(table.attrs["meanings"].values())
    assert isinstance(table["contrast"].dtype, pd.CategoricalDtype)
    for _, part in table.groupby(["group", "contrast"], observed=True):
        p = part["p_value"].to_numpy()
        assert (np.diff(p[np.isfinite(p)]) >= 0).all()
        assert np.isfinite(p).argmin() >= np.isfinite(p).sum() or np.isfinite(p).all()


def test_contrasts(result):
    by_levels = result.contrast("condition", "stim", "ctrl")
    by_name = result.test("conditionstim")
    assert list(by_levels.columns) == VOCABULARY
    assert same_bits(by_levels["estimate"], by_name["estimate"])
    assert set(by_levels["gene"][:3]) == {"gene1", "gene2", "gene3"}
    assert same_bits(result.contrast("condition", "ctrl", "stim")["estimate"], -by_levels["estimate"])
    named = result.test({"half": "conditionstim/2", "twice": "2*conditionstim"})
    assert list(named["contrast"].cat.categories) == ["half", "twice"]
    less, greater = (
        result.test("conditionstim", alternative=a).set_index(["group", "gene"]) for a in ("less", "greater")
    )
    np.testing.assert_allclose(less["p_value"] + greater["p_value"].reindex(less.index), 1.0, atol=1e-9)


def test_reference_distributions(fit):
    moderated, satterthwaite, residual = (
        fit.test("conditionstim", df=df) for df in ("moderated", "satterthwaite", "residual")
    )
    assert same_bits(fit.test("conditionstim")["p_value"], moderated["p_value"])
    assert set(residual["df"]) == {240.0 - 8}
    assert satterthwaite["df"].max() < 240
    by_gene = satterthwaite.set_index("gene")
    known = fit.status[fit.status == "ok"].index
    np.testing.assert_allclose(by_gene.loc[known, "df"], fit.df_satterthwaite.loc[known, "conditionstim"], rtol=1e-12)
    plain = fe.lmm.fit(small_study(), FORMULA, moderate=False)
    assert same_bits(plain.test("conditionstim")["p_value"], satterthwaite["p_value"])


def test_adjusted_per_group_or_over_all(grouped):
    from scipy.stats import false_discovery_control

    each = grouped.contrast("condition", "stim", "ctrl")
    for _, part in each.groupby("group", observed=True):
        p = part["p_value"].dropna()
        np.testing.assert_allclose(part["adj_p_value"].dropna(), false_discovery_control(p), rtol=1e-10)
    over_all = grouped.contrast("condition", "stim", "ctrl", adjust="all")
    p = over_all["p_value"].dropna()
    np.testing.assert_allclose(over_all["adj_p_value"].dropna(), false_discovery_control(p), rtol=1e-10)


def test_groups_are_separate_models(grouped):
    adata = small_study()
    alone = fe.lmm.fit(adata[adata.obs["cell_type"] == "B"], FORMULA)
    assert same_bits(alone.coef, grouped.coef.loc["B"])
    assert same_bits(alone.theta, grouped.theta.loc["B"])
    assert grouped.groups.loc["B", "cells"] == (adata.obs["cell_type"] == "B").sum()
    assert grouped.groups.loc["B", "units"] == "12 sample"


def test_pickle(result):
    again = pickle.loads(pickle.dumps(result))
    assert_equal_fits(again, result)
    assert repr(again) == repr(result)


def test_save_and_load(result, tmp_path):
    path = tmp_path / "fit.npz"
    result.save(path)
    assert_equal_fits(fe.lmm.load(path), result)
    first = path.read_bytes()
    result.save(path)
    assert path.read_bytes() == first


def test_sums_are_kept_too(adata, tmp_path):
    sums = fe.lmm.sums(adata, FORMULA, groups="cell_type")
    sums.save(tmp_path / "sums.npz")
    for again in (fe.lmm.Sums.load(tmp_path / "sums.npz"), pickle.loads(pickle.dumps(sums))):
        assert repr(again) == repr(sums)
        for group in sums.groups:
            assert same_bits(again.arrays(group)["XY"], sums.arrays(group)["XY"])
        assert_equal_fits(fe.lmm.fit(again), fe.lmm.fit(sums))
    assert sums.groups == ["B", "T"]
    # numpy opens the file.
    with np.load(tmp_path / "sums.npz") as arrays:
        assert same_bits(arrays["XX_0"], sums.arrays("B")["XX"])


def test_store_in_anndata(result, adata, tmp_path):
    result.store(adata, "model")
    adata.write_h5ad(tmp_path / "stored.h5ad")
    stored = ad.read_h5ad(tmp_path / "stored.h5ad").uns["model"]
    assert set(stored) == {"tests", "components", "groups", "provenance"}
    assert list(stored["tests"].columns) == VOCABULARY
    assert same_bits(stored["tests"]["p_value"], result.to_df()["p_value"])
    assert same_bits(stored["components"]["var1"], result.theta["var1"])
    assert json.loads(stored["provenance"]) == result.provenance
    one = result.contrast("condition", "stim", "ctrl")
    result.store(adata, "one", one)
    assert same_bits(adata.uns["one"]["tests"]["p_value"], one["p_value"])
    assert one.attrs["units"]


def test_repr_is_short(result):
    lines = repr(result).splitlines()
    assert len(lines) <= 4 + 2 * len(result.groups)
    assert max(map(len, lines)) <= 160
    assert result.formula in lines[0]


def test_provenance(result):
    provenance = result.provenance
    assert provenance["method"] == "lmm.fit"
    assert provenance["version"] == fe.__version__
    assert provenance["options"]["formula"] == result.formula
    assert provenance["inputs"][0]["name"] == "X of AnnData"
    json.dumps(provenance)


def test_statuses_are_known_words(result):
    from ferrocyte import _core

    words = {word: sentence for word, _, sentence in _core.lmm_statuses()}
    assert set(result.status) <= set(words)
    assert (result.reason == result.status.map(words)).all()


def test_random_effects(fit, grouped):
    effects = fit.random_effects()
    assert effects.shape == (40, 12)
    assert effects.columns[0].startswith("sample")
    assert grouped.random_effects("T").shape == (40, 12)
    held = effects[fit.status == "no_stationary"]
    assert held.empty or (held == 0).all().all()
    with pytest.raises(fe.BadInputError, match="2 groups"):
        grouped.random_effects()
    with pytest.raises(fe.MissingKeyError, match="no group `C`"):
        grouped.random_effects("C")


def test_moderation_table(fit):
    table = fit.moderation("conditionstim")
    tests = fit.test("conditionstim").set_index("gene").loc[table.index]
    assert same_bits(table["p_value"], tests["p_value"])
    assert same_bits(table["estimate"], tests["estimate"])
    assert (table["residual_prior"] > 0).all()
    assert fe.lmm.fit(small_study(), FORMULA, moderate=False).moderation("conditionstim") is None


# Determinism


@pytest.mark.parametrize("groups", [None, "cell_type"])
def test_threads_and_memory_change_no_bit(adata, groups):
    base = fe.lmm.fit(adata, FORMULA, groups=groups, n_threads=1)
    for options in ({"n_threads": 2}, {"n_threads": 3, "max_memory": "1MiB"}, {"max_memory": 300_000}):
        assert_equal_fits(fe.lmm.fit(adata, FORMULA, groups=groups, **options), base)


def test_permuting_genes_permutes_rows(adata, fit):
    order = np.random.default_rng(3).permutation(adata.n_vars)
    mixed = fe.lmm.fit(adata[:, order], FORMULA)
    for name in ("coef", "theta"):
        np.testing.assert_allclose(getattr(mixed, name).loc[fit.genes], getattr(fit, name), rtol=1e-10, atol=1e-13)
    ours, theirs = (f.test("conditionstim").set_index("gene")["p_value"] for f in (mixed, fit))
    np.testing.assert_allclose(ours.loc[fit.genes], theirs.loc[fit.genes], rtol=1e-6)


def test_permuting_cells_changes_nothing(adata, fit):
    order = np.random.default_rng(3).permutation(adata.n_obs)
    mixed = fe.lmm.fit(adata[order], FORMULA)
    np.testing.assert_allclose(mixed.coef, fit.coef, rtol=1e-9, atol=1e-12)


def test_a_path_and_an_anndata_are_one_study(adata, fit, tmp_path):
    adata.write_h5ad(tmp_path / "study.h5ad")
    on_disk = fe.lmm.fit(tmp_path / "study.h5ad", FORMULA)
    for name in TABLES:
        assert same_bits(getattr(on_disk, name), getattr(fit, name)), name


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e6])
def test_covariates_in_raw_units(adata, scale):
    """A library size times anything is the same test; one native program loses the sample variance there."""
    adata.obs["total"] = np.asarray(adata.X.sum(axis=1)).ravel()
    adata.obs["scaled"] = scale * adata.obs["total"]
    plain = fe.lmm.fit(adata, "~ total + condition + (1 | sample)", moderate=False)
    raw = fe.lmm.fit(adata, "~ scaled + condition + (1 | sample)", moderate=False)
    for name in ("t", "p"):
        left, right = getattr(raw, name)["conditionstim"], getattr(plain, name)["conditionstim"]
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(raw.theta, plain.theta, rtol=1e-8, atol=1e-11)


def test_a_shifted_response_is_the_same_test(adata):
    plain = fe.lmm.fit(adata, "~ condition + (1 | sample)", transform="none", moderate=False)
    adata.X = adata.X.toarray().astype(float) + 1e4
    shifted = fe.lmm.fit(adata, "~ condition + (1 | sample)", transform="none", moderate=False)
    np.testing.assert_allclose(shifted.theta, plain.theta, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(shifted.t["conditionstim"], plain.t["conditionstim"], rtol=1e-7, atol=1e-9)


# What each transform is


def test_transforms(adata):
    formula = "~ condition + (1 | sample)"
    ln = fe.lmm.fit(adata, formula)
    log2 = fe.lmm.fit(adata, formula, transform="log2p1")
    np.testing.assert_allclose(log2.coef, ln.coef / np.log(2), rtol=1e-9, atol=1e-12)
    assert log2.unit == "log2(1 + count)"
    totals = np.asarray(adata.X.sum(axis=1))
    scaled = fe.lmm.fit(adata, formula, transform="lognorm", target_sum=50)
    by_hand = adata.copy()
    by_hand.X = np.log1p(adata.X.toarray() * (50 / totals))
    same = fe.lmm.fit(by_hand, formula, transform="none")
    np.testing.assert_allclose(scaled.coef, same.coef, rtol=1e-6, atol=1e-7)


def test_negative_zero_is_constrained(adata):
    free, held = (fe.lmm.fit(adata, FORMULA, negative=word) for word in ("allow", "zero"))
    assert (held.theta["var1"] >= 0).all()
    below = free.theta["var1"] < 0
    assert below.any()
    assert (held.theta.loc[below, "var1"] == 0).all()
    assert set(held.status[below]) == {"boundary"}
    np.testing.assert_allclose(held.coef[~below], free.coef[~below], rtol=1e-9)


def test_duplicate_gene_names_are_kept_in_order(adata):
    adata.var_names = ["twin" if i in (4, 9) else name for i, name in enumerate(adata.var_names)]
    fit = fe.lmm.fit(adata, FORMULA)
    assert list(fit.genes).count("twin") == 2
    assert fit.coef.loc["twin"].shape == (2, 8)


def test_paired_design_equals_the_paired_t_test():
    """Balanced, donor and sample terms: the contrast within donors is the paired t-test on means of samples."""
    from scipy import stats

    adata = small_study(n_genes=25, n_donors=8, cells_per_sample=30, seed=11)
    adata.X = np.random.default_rng(2).normal(size=adata.shape)
    samples = adata.obs["sample"].cat.codes.to_numpy()
    adata.X = adata.X + np.random.default_rng(3).normal(size=(16, 25))[samples]
    fit = fe.lmm.fit(adata, "~ condition + (1 | donor) + (1 | sample)", transform="none")
    table = fit.contrast("condition", "stim", "ctrl", df="satterthwaite").set_index("gene").loc[fit.genes]
    means = pd.DataFrame(adata.X).groupby([adata.obs["donor"].to_numpy(), adata.obs["condition"].to_numpy()]).mean()
    stim, ctrl = means.xs("stim", level=1), means.xs("ctrl", level=1)
    paired = stats.ttest_rel(stim, ctrl)
    inside = table["status"].isin(["ok", "negative"]).to_numpy()
    assert inside.sum() > 15
    np.testing.assert_allclose(table["t"][inside], paired.statistic[inside], rtol=1e-8)
    np.testing.assert_allclose(table["df"][inside], 7.0, rtol=1e-6)
    np.testing.assert_allclose(table["p_value"][inside], paired.pvalue[inside], rtol=1e-6)
