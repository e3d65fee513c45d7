"""Moderated statistics against their definitions, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma

DESIGN = pd.DataFrame({"(Intercept)": 1.0, "group": [0.0] * 4 + [1.0] * 4})


def values(n_genes=300, seed=1):
    rng = np.random.default_rng(seed)
    sd = np.sqrt(0.2 * 6 / rng.chisquare(6, n_genes))
    y = 6 + rng.normal(size=(n_genes, 8)) * sd[:, None] + rng.normal(size=(n_genes, 1))
    y[::10, 4:] += 2.0
    return pd.DataFrame(y, index=[f"g{i:03d}" for i in range(n_genes)])


@pytest.fixture
def fit():
    return limma.lm_fit(values(), DESIGN)


def test_posterior_variances_and_t(fit):
    found = limma.e_bayes(fit)
    assert "t" not in fit
    assert fit is not found
    d, d0, s0 = fit.df_residual, found.df_prior, found.s2_prior
    np.testing.assert_allclose(found.s2_post, (d * fit.sigma**2 + d0 * s0) / (d + d0), rtol=1e-13)
    t = fit.coefficients / fit.stdev_unscaled / np.sqrt(found.s2_post)[:, None]
    np.testing.assert_allclose(found.t, t, rtol=1e-13)
    correlation = fit.cov_coefficients / np.sqrt(np.outer(*[np.diag(fit.cov_coefficients)] * 2))
    f = np.einsum("gi,ij,gj->g", t, np.linalg.inv(correlation), t) / 2
    np.testing.assert_allclose(found.F, f, rtol=1e-11)
    lods = np.log(0.01 / 0.99) - np.log1p(found.var_prior / fit.stdev_unscaled**2) / 2
    shrunk = t**2 / (1 + found.var_prior / fit.stdev_unscaled**2)
    df = found.df_total[:, None]
    lods += (1 + df) / 2 * np.log((t**2 + df) / (shrunk + df))
    np.testing.assert_allclose(found.lods, lods, rtol=1e-10)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("legacy", [None, True, False])
@pytest.mark.parametrize("trend", [False, True])
def test_genes_in_another_order_have_the_same_results(fit, trend, robust, legacy):
    order = np.random.default_rng(0).permutation(len(fit.sigma))
    one = limma.e_bayes(fit, trend=trend, robust=robust, legacy=legacy)
    other = limma.e_bayes(fit[order], trend=trend, robust=robust, legacy=legacy)
    for name in ("t", "p_value", "lods", "s2_post", "df_total", "F"):
        np.testing.assert_allclose(other[name], one[name][order], rtol=1e-8, err_msg=name)


def test_units_do_not_matter(fit):
    scaled = limma.lm_fit(values() * 3, DESIGN)
    for options in ({}, {"robust": True}, {"trend": True, "legacy": False}):
        one, other = limma.e_bayes(fit, **options), limma.e_bayes(scaled, **options)
        np.testing.assert_allclose(other.t, one.t, rtol=1e-6)
        np.testing.assert_allclose(other.s2_prior, np.multiply(one.s2_prior, 9), rtol=1e-6)


def test_a_trend_may_be_given(fit):
    one, other = limma.e_bayes(fit, trend=True), limma.e_bayes(fit, trend=fit.Amean)
    np.testing.assert_array_equal(one.t, other.t)
    assert np.shape(one.s2_prior) == (300,)
    with pytest.raises(fe.BadInputError, match=r"2 values, expected 300, one per gene"):
        limma.e_bayes(fit, trend=[1.0, 2.0])


def test_a_gene_without_values_does_no_harm():
    y = values()
    y.iloc[3] = np.nan
    y.iloc[4, :2] = np.nan
    with pytest.warns(fe.FerrocyteWarning, match="1 genes have no value"):
        fit = limma.lm_fit(y, DESIGN)
    for options in ({}, {"trend": True}, {"robust": True}, {"trend": True, "legacy": True, "robust": True}):
        found = limma.e_bayes(fit, **options)
        assert np.isnan(found.t[3]).all()
        assert np.isnan(found.p_value[3]).all()
        assert np.isfinite(np.delete(found.t, 3, axis=0)).all()


def test_no_replication_is_an_error():
    fit = limma.lm_fit(values().iloc[:, [0, 4]], DESIGN.iloc[[0, 4]].reset_index(drop=True))
    with pytest.raises(fe.BadInputError, match="no replication"):
        limma.e_bayes(fit)


def test_constant_genes_are_warned_about():
    y = values()
    y.iloc[3] = 5.0
    fit = limma.lm_fit(y, DESIGN)
    with pytest.warns(fe.errors.FerrocyteWarning, match="exactly zero"):
        limma.e_bayes(fit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proportion": 0.0}, "proportion"),
        ({"stdev_coef_lim": (4.0, 0.1)}, "stdev_coef_lim"),
        ({"span": 2.0}, "span"),
        ({"robust": True, "winsor_tail_p": (0.5, 0.5)}, "winsor_tail_p"),
    ],
)
def test_options_out_of_range_are_named(fit, options, message):
    with pytest.raises(fe.BadInputError, match=message):
        limma.e_bayes(fit, **options)


def test_treat_is_stricter_and_upshot_lies_between(fit):
    plain, strict = limma.e_bayes(fit), limma.treat(fit, lfc=0.5)
    mild = limma.treat(fit, lfc=0.5, upshot=True)
    assert (plain.p_value <= mild.p_value).all()
    assert (mild.p_value <= strict.p_value).all()
    np.testing.assert_allclose(limma.treat(fit, fc=1.0).p_value, plain.p_value, rtol=1e-12)
    np.testing.assert_array_equal(limma.treat(fit, fc=2.0).t, limma.treat(fit, lfc=-1.0).t)
    assert "lods" not in strict
    assert strict.treat_lfc == 0.5
    with pytest.raises(fe.BadInputError, match="at least 1"):
        limma.treat(fit, fc=0.5)


def test_squeezed_variances_are_those_of_e_bayes(fit):
    for options in ({}, {"robust": True}, {"legacy": False}):
        found, squeezed = limma.e_bayes(fit, **options), limma.squeeze_var(fit.sigma**2, 6, **options)
        np.testing.assert_array_equal(squeezed["var_post"], found.s2_post)
        np.testing.assert_array_equal(squeezed["df_prior"], found.df_prior)


def test_estimators_find_the_prior():
    rng = np.random.default_rng(4)
    x = 0.4 * rng.f(5, 9, 20_000)
    fits = [
        limma.fit_f_dist(x, 5),
        limma.fit_f_dist_robustly(x, 5),
        limma.fit_f_dist_unequal_df1(x, 5),
        limma.fit_f_dist_unequal_df1(x, 5, robust=True),
    ]
    for found in fits:
        assert found["df2"] == pytest.approx(9, rel=0.1)
        assert found["scale"] == pytest.approx(0.4, rel=0.03)


def test_functions_of_gamma():
    x = np.array([1e-7, 0.3, 2.0, 40.0, 1e8])
    back = limma.trigamma_inverse(x)
    assert back[0] == 1e7
    assert back[-1] == 1e-4
    assert np.isnan(limma.trigamma_inverse([-1.0])).all()
    np.testing.assert_allclose(limma.logmdigamma([1.0, 1e10]), [0.577_215_664_901_532_9, 5e-11], rtol=1e-9)
