"""Voom and its kin: one call against two, blocks, weights of samples, trends, and what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    level = np.exp(rng.uniform(0, 7, size=(400, 1)))
    values = rng.poisson(level * rng.gamma(5, 0.2, size=(400, 8)))
    return pd.DataFrame(values, index=[f"g{i}" for i in range(400)], columns=[f"s{j}" for j in range(8)])


@pytest.fixture
def design(counts: pd.DataFrame) -> pd.DataFrame:
    group = np.repeat([0.0, 1.0], 4)
    return pd.DataFrame({"(Intercept)": 1.0, "treated": group}, index=counts.columns)


def test_values_know_what_they_are(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    v = limma.voom(counts, design)
    assert v["E"] is v.E
    assert v.to_df().index.equals(counts.index)
    expected = np.log2((counts + 0.5) / (counts.sum() + 1) * 1e6)
    assert np.allclose(v.E, expected, atol=1e-12)
    assert np.array_equal(v.lib_size, counts.sum())
    assert set(v.voom_xy) == set(v.voom_line) == {"x", "y"}
    assert "voom_xy" not in limma.voom(counts, design, save_plot=False)
    part = v[["g5", "g9"], ["s1", "s2"]]
    assert part.weights.shape == (2, 2)
    assert np.array_equal(pickle.loads(pickle.dumps(v)).weights, v.weights)


def test_weights_follow_the_curve(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    v = limma.voom(counts, design)
    coefficients = np.linalg.lstsq(design.to_numpy(), v.E.T, rcond=None)[0]
    fitted = (design.to_numpy() @ coefficients).T + np.log2(v.lib_size + 1) - np.log2(1e6)
    curve = limma.approx_rule2(v.voom_line["x"], v.voom_line["y"], fitted).reshape(fitted.shape)
    assert np.allclose(v.weights, curve**-4.0, rtol=1e-9)


def test_samples_in_another_order_are_refused(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    for verb in (limma.voom, limma.voom_lm_fit, limma.voom_with_quality_weights):
        with pytest.raises(fe.BadInputError, match="another order"):
            verb(counts, design.iloc[::-1])
    with pytest.raises(fe.BadInputError, match="at least 2"):
        limma.voom(counts.iloc[:1], design)


def test_groups_of_a_list_are_its_design(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    held = limma.DGEList(counts, group=["a"] * 4 + ["b"] * 4)
    assert np.array_equal(limma.voom(held).weights, limma.voom(counts, design).weights)
    held.samples["norm_factors"] = np.linspace(0.8, 1.2, 8)
    assert np.array_equal(limma.voom(held).lib_size, held.effective_lib_size)


def test_without_replication_weights_are_one(counts: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match="no replication"):
        v = limma.voom(counts, np.eye(8))
    assert (v.weights == 1).all()


def test_offsets_that_are_constant_change_nothing(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    plain = limma.voom(counts, design)
    constant = limma.voom(counts, design, offset=np.full(counts.shape, 3.0))
    assert np.allclose(constant.weights, plain.weights, rtol=1e-10)
    offset = np.random.default_rng(1).normal(size=counts.shape)
    centred = offset - offset.mean(axis=1, keepdims=True)
    a, b = limma.voom(counts, design, offset=offset), limma.voom(counts, design, offset_prior=centred)
    assert np.allclose(a.E, b.E, atol=1e-12)


def test_one_call_is_two(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    # No gene lacks all counts of a group here, so that no zero is exact.
    some = counts[(counts > 0).all(axis=1)]
    two = limma.lm_fit(limma.voom(some, design))
    one = limma.voom_lm_fit(some, design)
    for field in ("coefficients", "stdev_unscaled", "sigma", "df_residual", "Amean", "cov_coefficients"):
        assert np.allclose(one[field], two[field], rtol=1e-10)
    lean = limma.voom_lm_fit(some, design, keep_values=False, keep_covariances=False)
    assert "weights" not in lean
    assert np.array_equal(lean.sigma, one.sigma)


def test_two_rounds_in_one_call(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    block = list("aabbccdd")
    v = limma.voom(counts, design)
    first = limma.duplicate_correlation(v, design, block=block).consensus_correlation
    v = limma.voom(counts, design, block=block, correlation=first)
    second = limma.duplicate_correlation(v, design, block=block).consensus_correlation
    found = limma.voom_duplicate_correlation(counts, design, block=block)
    assert found.correlation == second
    assert np.array_equal(found.weights, v.weights)


def test_weights_of_samples_find_a_bad_one(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    noise = np.random.default_rng(3).gamma(0.7, 1 / 0.7, size=400)
    counts["s6"] = np.round(counts["s6"] * noise).astype(int)
    v = limma.voom_with_quality_weights(counts, design)
    assert v.sample_weights.argmin() == 6
    fit = limma.voom_lm_fit(counts, design, sample_weights=True)
    assert fit.sample_weights.argmin() == 6
    grouped = limma.voom_lm_fit(counts, design, var_group=[0, 0, 0, 0, 1, 1, 1, 1])
    assert np.unique(grouped.sample_weights.round(12)).size == 2
    assert np.log(grouped.sample_weights).sum() == pytest.approx(0, abs=1e-9)


def test_prior_weights_multiply(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    prior = np.linspace(0.5, 2, 8)
    fit = limma.voom_lm_fit(counts, design, prior_weights=prior)
    again = limma.lm_fit(fit.E, design, weights=fit.weights)
    assert np.allclose(again.coefficients, fit.coefficients, rtol=1e-10)


def test_values_that_are_no_counts(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    y = np.log2(counts + 1.0)
    v = limma.vooma(y, design)
    assert v.weights.shape == y.shape
    fit = limma.vooma_lm_fit(y, design)
    two = limma.lm_fit(v)
    assert np.allclose(fit.coefficients, two.coefficients, rtol=1e-10)
    groups = limma.vooma_by_group(y, ["a"] * 4 + ["b"] * 4)
    own = limma.vooma(y.iloc[:, :4], np.ones((4, 1)))
    assert np.allclose(groups.weights[:, :4], own.weights, rtol=1e-12)
    assert groups.groups == ["a", "b"]
    peptides = np.random.default_rng(5).integers(1, 20, size=400)
    assert not np.allclose(limma.vooma(y, design, predictor=peptides).weights, v.weights)
    with pytest.raises(fe.BadInputError, match="predictor"):
        limma.vooma(y, design, predictor=np.ones(3))
    with pytest.raises(fe.BadInputError, match="correlation"):
        limma.vooma(y, design, block=list("aabbccdd"))


def test_normalisation_inside(counts: pd.DataFrame, design: pd.DataFrame) -> None:
    v = limma.voom(counts, design, normalize_method="quantile")
    assert np.allclose(v.E, limma.normalize_quantiles(limma.voom(counts, design).E), atol=1e-12)


@pytest.mark.parametrize("words", [{}, {"block": list("aabbccdd"), "sample_weights": True}])
def test_threads_do_not_matter(counts: pd.DataFrame, design: pd.DataFrame, words: dict) -> None:
    one = limma.voom_lm_fit(counts, design, n_threads=1, **words)
    two = limma.voom_lm_fit(counts, design, n_threads=2, **words)
    assert np.array_equal(one.sigma, two.sigma)
    assert np.array_equal(one.weights, two.weights)
