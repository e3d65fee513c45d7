"""Tables of genes, calls, and the small items around many tests."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma

DESIGN = pd.DataFrame({"(Intercept)": 1.0, "b": [0.0] * 3 + [1.0] * 3 + [0.0] * 3, "c": [0.0] * 6 + [1.0] * 3})


def values(n_genes=120, seed=2):
    rng = np.random.default_rng(seed)
    sd = np.sqrt(0.2 * 6 / rng.chisquare(6, n_genes))
    y = 6 + rng.normal(size=(n_genes, 9)) * sd[:, None] + rng.normal(size=(n_genes, 1))
    y[::6, 3:6] += 2.0
    y[::8, 6:] -= 2.0
    return pd.DataFrame(y, index=[f"g{i:03d}" for i in range(n_genes)])


@pytest.fixture
def fit():
    return limma.e_bayes(limma.lm_fit(values(), DESIGN))


def test_columns_and_order(fit):
    table = limma.top_table(fit, "b", math.inf)
    assert list(table) == ["log_fc", "ave_expr", "t", "p_value", "adj_p_value", "b"]
    assert len(table) == 120
    assert table["b"].is_monotonic_decreasing
    row = table.loc["g006"]
    assert row["log_fc"] == fit.coefficients[6, 1]
    assert row["p_value"] == fit.p_value[6, 1]
    np.testing.assert_allclose(table["adj_p_value"], limma.p_adjust(table["p_value"]), rtol=1e-14)
    for word, key in [("p", table.p_value), ("t", -table.t.abs()), ("logFC", -table.log_fc.abs())]:
        assert list(limma.top_table(fit, 1, math.inf, sort_by=word).index) == list(key.sort_values(kind="stable").index)
    assert list(limma.top_table(fit, 1, math.inf, sort_by="none").index) == list(fit.genes.index)
    few = limma.top_table(fit, 1, 7, sort_by="p", resort_by="logFC")
    assert set(few.index) == set(limma.top_table(fit, 1, 7, sort_by="p").index)
    assert few["log_fc"].is_monotonic_decreasing


def test_several_coefficients_make_a_joint_table(fit):
    table = limma.top_table(fit, number=math.inf)
    assert list(table) == ["b", "c", "ave_expr", "F", "p_value", "adj_p_value"]
    assert table["p_value"].is_monotonic_increasing
    # The same as F of the two coefficients alone.
    alone = limma.classify_tests_f(fit[:, ["b", "c"]], fstat_only=True)
    np.testing.assert_allclose(table["F"], alone.loc[table.index], rtol=1e-11)
    assert alone.attrs["df1"] == 2
    p = limma.top_table_f(fit[:, ["b", "c"]], number=math.inf).loc[table.index, "p_value"]
    np.testing.assert_allclose(table["p_value"], p, rtol=1e-11)
    large = limma.top_table(fit, ["b", "c"], math.inf, lfc=1.0)
    assert (large[["b", "c"]].abs() > 1).any(axis=1).all()
    assert 0 < len(large) < 120


def test_filters_intervals_and_logarithms(fit):
    table = limma.top_table(fit, 1, math.inf, p_value=0.05, fc=2.0, confint=True, log10_p_value=True)
    assert (table["adj_p_value"] <= 0.05).all()
    assert (table["log_fc"].abs() >= 1).all()
    assert len(table) > 3
    assert (table["ci_l"] * table["ci_r"] > 0).all()
    np.testing.assert_allclose(10 ** table["log10_p_value"], table["p_value"], rtol=1e-11)
    wide = limma.top_table(fit, 1, confint=0.99)
    narrow = limma.top_table(fit, 1, confint=0.5)
    assert (wide["ci_r"] > narrow["ci_r"]).all()


def test_names_of_genes(fit):
    twice = fit.copy()
    twice.genes = pd.DataFrame(index=["a", *fit.genes.index[1:-1], "a"])
    table = limma.top_table(twice, 1, math.inf, sort_by="none")
    assert list(table["ID"][:2]) == ["a", "g001"]
    assert list(table.index) == list(range(120))
    annotated = limma.top_table(fit, 1, 5, genelist=pd.DataFrame({"symbol": np.arange(120)}))
    assert next(iter(annotated)) == "symbol"
    assert (annotated.index == [f"g{i:03d}" for i in annotated["symbol"]]).all()
    listed = limma.top_table(fit, 1, 5, genelist=[f"s{i}" for i in range(120)])
    assert next(iter(listed)) == "ID"


def test_a_threshold_gives_tables_of_one_coefficient():
    fit = limma.treat(limma.lm_fit(values(), DESIGN), lfc=0.5)
    table = limma.top_treat(fit, "b", math.inf)
    assert list(table) == ["log_fc", "ave_expr", "t", "p_value", "adj_p_value"]
    assert table["p_value"].is_monotonic_increasing
    assert limma.top_table(fit).equals(limma.top_treat(fit, "c"))
    with pytest.raises(fe.BadInputError, match="one coefficient"):
        limma.top_treat(fit, ["b", "c"])
    with pytest.raises(fe.BadInputError, match="one coefficient"):
        limma.top_table(fit, ["b", "c"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": 0}, "number"),
        ({"number": 2.5}, "number"),
        ({"sort_by": "best"}, "sort_by"),
        ({"adjust_method": "bh"}, "adjust_method"),
        ({"confint": 2.0}, "confint"),
        ({"genelist": ["a"]}, "genelist"),
        ({"fc": 0.5}, "fc"),
    ],
)
def test_options_out_of_range_are_named(fit, options, message):
    with pytest.raises(fe.BadInputError, match=message):
        limma.top_table(fit, 1, **options)
    with pytest.raises(fe.BadInputError, match="e_bayes"):
        limma.top_table(limma.lm_fit(values(), DESIGN), 1)


@pytest.mark.parametrize("method", ["separate", "global", "hierarchical", "nestedF"])
def test_calls(fit, method):
    fit = fit[:, ["b", "c"]]
    calls = limma.decide_tests(fit, method=method)
    assert list(calls) == ["b", "c"]
    assert list(calls.index) == list(fit.genes.index)
    called = calls.to_numpy() != 0
    assert (calls.to_numpy()[called] == np.sign(fit.coefficients[called])).all()
    counts = limma.count_calls(calls)
    assert list(counts.index) == ["down", "not_significant", "up"]
    assert (counts.sum() == 120).all()
    assert counts.loc["up", "b"] > 10
    assert counts.loc["down", "c"] > 8
    if method == "separate":
        expected = limma.p_adjust(fit.p_value[:, 0]) < 0.05
        assert (called[:, 0] == expected).all()
    if method == "global":
        assert (called == (limma.p_adjust(fit.p_value) < 0.05)).all()


def test_calls_from_p_values(fit):
    p = pd.DataFrame(fit.p_value, index=fit.genes.index, columns=fit.coef_names)
    calls = limma.decide_tests(p, coefficients=fit.coefficients, lfc=0.3)
    pd.testing.assert_frame_equal(calls, limma.decide_tests(fit, lfc=0.3), check_names=False)
    with pytest.raises(fe.BadInputError, match="nestedF"):
        limma.decide_tests(p, method="nestedF")
    with pytest.raises(fe.UnsupportedError, match="hommel"):
        limma.decide_tests(fit, method="hierarchical", adjust_method="hommel")


def test_nested_tests_of_one_gene():
    t = np.array([[8.0, 7.9, 0.1], [8.0, 0.2, 0.1], [1.0, 1.0, 1.0]])
    calls = limma.classify_tests_f(t, p_value=0.05)
    assert calls.to_numpy().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_z_scores_and_true_nulls():
    t = np.array([[-3.0, 0.5], [60.0, 0.0]])
    exact = limma.zscore_t(t, 7)
    assert exact.shape == (2, 2)
    assert np.isfinite(exact).all()
    for method in ("bailey", "hill", "wallace"):
        np.testing.assert_allclose(limma.zscore_t(t[0], 30, approx=True, method=method), [-2.775, 0.4955], rtol=1e-2)
    with pytest.raises(fe.BadInputError, match="method"):
        limma.zscore_t(t, 7, approx=True, method="best")
    rng = np.random.default_rng(1)
    p = np.r_[rng.uniform(size=4000), rng.beta(0.2, 8, size=1000)]
    for method in ("lfdr", "mean", "hist", "convest"):
        assert 0.75 < limma.prop_true_null(p, method) < 0.95
    assert limma.convest(p) == limma.prop_true_null(p, "convest")


def test_shrunk_and_associated_effects(fit):
    shrunk = limma.pred_fcm(fit, "b")
    ratio = shrunk / fit.coefficients[:, 1]
    assert ((ratio > 0) & (ratio < 1)).all()
    assert limma.fit_gamma_intercept([1.0, 3.0], 0.5) == 1.5
    found = limma.genas(fit, ["b", "c"])
    assert found["technical_correlation"] == pytest.approx(0.5)
    covariance = found["covariance_matrix"]
    assert found["biological_correlation"] == pytest.approx(
        covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    )
    with pytest.raises(fe.BadInputError, match="two coefficients"):
        limma.genas(fit, ["b"])


#: subset, coefficients, trend and robust, then genes, correlation and deviance of limma 3.54.
GENAS = [
    ("all", (1, 2), False, 600, 0.76778, 144.80985),
    ("Fpval", (1, 2), False, 115, 0.78339, 91.327848),
    ("p.union", (1, 2), False, 124, 0.80646, 106.71267),
    ("p.int", (1, 2), False, 53, 0.94754, 101.65923),
    ("logFC", (1, 2), False, 88, 0.85353, 93.838927),
    ("predFC", (1, 2), False, 85, 0.84986, 93.178182),
    ("all", (2, 3), False, 600, 0.062685, 0.78276561),
    ("Fpval", (2, 3), False, 160, 0.095115, 1.1874613),
    ("p.union", (2, 3), False, 143, 0.14972, 2.7245772),
    ("p.int", (2, 3), False, 6, 0.84518, 5.1641486),
    ("logFC", (2, 3), False, 113, 0.11756, 1.315275),
    ("predFC", (2, 3), False, 116, 0.12398, 1.547113),
    ("all", (1, 2), True, 600, 0.76826, 143.31943),
    ("Fpval", (1, 2), True, 115, 0.78203, 90.828955),
    ("p.union", (1, 2), True, 122, 0.80543, 104.73208),
    ("p.int", (1, 2), True, 55, 0.94015, 99.896366),
    ("logFC", (1, 2), True, 88, 0.85991, 96.876653),
    ("predFC", (1, 2), True, 85, 0.85084, 93.422452),
    ("all", (2, 3), True, 600, 0.064147, 0.80923104),
    ("Fpval", (2, 3), True, 160, 0.093097, 1.1253615),
    ("p.union", (2, 3), True, 143, 0.14566, 2.5652003),
    ("p.int", (2, 3), True, 6, 0.78578, 4.359095),
    ("logFC", (2, 3), True, 113, 0.10944, 1.1443383),
    ("predFC", (2, 3), True, 116, 0.12544, 1.5866588),
]


@pytest.fixture(scope="module")
def effects():
    """Values of four groups of three, effects of two of which are correlated."""
    rng = np.random.default_rng(7)
    size = np.sqrt(4 * 0.3 / rng.chisquare(4, 600))
    effects = np.zeros((600, 4))
    shared = rng.normal(0, 1.5, 150)
    effects[:150, 1] = shared
    effects[:150, 2] = 0.7 * shared + rng.normal(0, 0.8, 150)
    effects[400:480, 3] = rng.normal(0, 2, 80)
    groups = np.repeat(np.arange(4), 3)
    values = 6 + rng.normal(size=(600, 12)) * size[:, None] + effects[:, groups]
    design = np.eye(4)[groups]
    design[:, 0] = 1
    return limma.lm_fit(values, design)


@pytest.mark.parametrize(("subset", "coef", "how", "n", "correlation", "deviance"), GENAS)
def test_association_of_subsets_is_limmas(effects, subset, coef, how, n, correlation, deviance):
    found = limma.genas(limma.e_bayes(effects, trend=how, robust=how), coef, subset)
    assert found["n"] == n
    # limma's search ends earlier, where the likelihood is flat to five digits.
    assert found["deviance"] == pytest.approx(deviance, rel=1e-4)
    assert found["biological_correlation"] == pytest.approx(correlation, abs=2e-3)


def test_subsets_that_cannot_be(effects):
    fit = limma.e_bayes(effects)
    with pytest.raises(fe.BadInputError, match="there is no choice `pint`"):
        limma.genas(fit, (1, 2), "pint")
    with pytest.raises(fe.BadInputError, match="expected at least 3"):
        limma.genas(fit[:2], (1, 2))
