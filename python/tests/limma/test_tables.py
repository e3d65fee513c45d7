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
