"""Linear models of all genes and their contrasts, against numpy and against themselves."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def study():
    rng = np.random.default_rng(3)
    names = [f"s{j}" for j in range(9)]
    y = pd.DataFrame(rng.normal(size=(30, 9)), index=[f"g{i}" for i in range(30)], columns=names)
    design = pd.DataFrame({"(Intercept)": 1.0, "b": [0, 1] * 4 + [0], "age": rng.normal(size=9)}, index=names)
    return y, design


def test_plain_fit_is_least_squares(study):
    y, design = study
    fit = limma.lm_fit(y, design)
    beta, rss, _, _ = np.linalg.lstsq(design.to_numpy(), y.to_numpy().T, rcond=None)
    np.testing.assert_allclose(fit.coefficients, beta.T, rtol=1e-11)
    np.testing.assert_allclose(fit.sigma, np.sqrt(rss / 6), rtol=1e-11)
    np.testing.assert_allclose(fit.cov_coefficients, np.linalg.inv(design.T @ design), rtol=1e-11)
    np.testing.assert_allclose(limma.fitted(fit) + limma.residuals(fit, y), y, rtol=1e-12)
    assert list(fit.genes.index) == list(y.index)
    assert list(fit.coef_names) == list(design.columns)


def test_containers_give_the_same_fit(study):
    y, design = study
    frame = limma.lm_fit(y, design)
    elist = limma.EList(
        E=y.to_numpy(), genes=pd.DataFrame(index=y.index), samples=pd.DataFrame(index=y.columns), design=design
    )
    adata = ad.AnnData(y.T, obs=pd.DataFrame(index=y.columns), var=pd.DataFrame(index=y.index))
    for other in (limma.lm_fit(elist), limma.lm_fit(adata, design), limma.lm_fit(y.to_numpy(), design)):
        np.testing.assert_array_equal(other.coefficients, frame.coefficients)
        np.testing.assert_array_equal(other.sigma, frame.sigma)


def test_design_in_another_order_is_refused(study):
    y, design = study
    with pytest.raises(fe.errors.BadInputError, match="another order"):
        limma.lm_fit(y, design.iloc[::-1])


def test_counts_are_refused_and_may_be_allowed():
    counts = np.arange(200).reshape(20, 10)
    with pytest.raises(fe.errors.BadInputError, match="look like counts"):
        limma.lm_fit(counts)
    assert limma.lm_fit(counts, check_counts=False).coefficients.shape == (20, 1)


def test_missing_values_warn_once_with_their_number(study):
    y, design = study
    y.iloc[:2, [1, 3, 5, 7]] = np.nan
    with pytest.warns(fe.errors.FerrocyteWarning, match="partial coefficients for 2 genes"):
        fit = limma.lm_fit(y, design)
    assert np.isnan(fit.coefficients[:2, 1]).all()
    assert np.isfinite(fit.coefficients[2:]).all()


def test_aliased_columns_are_named(study):
    y, design = study
    design["twice"] = 2 * design["b"]
    with pytest.warns(fe.errors.FerrocyteWarning, match="`twice`"):
        fit = limma.lm_fit(y, design)
    assert fit.rank == 3
    assert list(fit.pivot) == [0, 1, 2, 3]
    with pytest.raises(fe.errors.BadInputError, match="`twice`"):
        limma.contrasts_fit(fit, np.array([0, 0, 0, 1.0]))


def test_blocks_need_a_possible_correlation(study):
    y, design = study
    block = list("aaabbbccc")
    for correlation, words in [(None, "without a correlation"), (1.0, "no correlation"), (-0.6, "more than -0.5")]:
        with pytest.raises(fe.errors.BadInputError, match=words):
            limma.lm_fit(y, design, block=block, correlation=correlation)
    found = limma.duplicate_correlation(y, design, block=block)
    fit = limma.lm_fit(y, design, block=block, correlation=found)
    assert fit.correlation == found.cor == found["consensus_correlation"]


def test_contrasts_by_expression_matrix_and_selection(study):
    y, design = study
    fit = limma.lm_fit(y, design)
    text = limma.contrasts_fit(fit, ["b - age", "2*Intercept"])
    matrix = limma.contrasts_fit(fit, limma.make_contrasts("b - age", "2*Intercept", levels=design))
    np.testing.assert_array_equal(text.coefficients, matrix.coefficients)
    np.testing.assert_allclose(text.coefficients[:, 0], fit.coefficients[:, 1] - fit.coefficients[:, 2])
    kept = limma.contrasts_fit(fit, coefficients=["age", "(Intercept)"])
    np.testing.assert_array_equal(kept.coefficients, fit.coefficients[:, [2, 0]])
    np.testing.assert_array_equal(kept.cov_coefficients, fit.cov_coefficients[np.ix_([2, 0], [2, 0])])
    with pytest.raises(fe.errors.BadInputError, match="one of them"):
        limma.contrasts_fit(fit)
    with pytest.warns(fe.errors.FerrocyteWarning, match="not named as"):
        limma.contrasts_fit(fit, pd.DataFrame({"k": [0, 1, 0]}, index=["x", "y", "z"]))


def test_exact_errors_are_those_of_each_gene(study):
    y, design = study
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.2, 3, size=y.shape)
    fit = limma.lm_fit(y, design, weights=weights)
    contrast = np.array([0.0, 1.0, -1.0])
    exact = limma.contrasts_fit(fit, contrast, exact=True)
    x = design.to_numpy()
    expected = [np.sqrt(contrast @ np.linalg.inv(x.T @ (w[:, None] * x)) @ contrast) for w in weights]
    np.testing.assert_allclose(exact.stdev_unscaled[:, 0], expected, rtol=1e-10)
    assert not np.allclose(limma.contrasts_fit(fit, contrast).stdev_unscaled[:, 0], expected, rtol=1e-4)


def test_threads_change_no_bit(study):
    _, design = study
    rng = np.random.default_rng(7)
    y, w = rng.normal(size=(9000, 9)), rng.uniform(0.1, 4, size=(9000, 9))
    one, two = (limma.lm_fit(y, design, weights=w, n_threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    np.testing.assert_array_equal(one.sigma, two.sigma)
