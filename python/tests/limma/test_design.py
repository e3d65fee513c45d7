"""Designs and contrasts from text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


def test_intercept_has_two_spellings():
    table = limma.make_contrasts("Intercept - b", "(Intercept)", levels=["(Intercept)", "b"])
    assert table.index.tolist() == ["Intercept", "b"]
    assert table.to_numpy().tolist() == [[1.0, 1.0], [-1.0, 0.0]]


def test_named_contrasts_and_backticks():
    table = limma.make_contrasts(contrasts={"first": "`T-cell` - B"}, levels=["B", "T-cell"])
    assert table["first"].tolist() == [-1.0, 1.0]


def test_unknown_names_come_with_near_ones():
    with pytest.raises(fe.errors.MissingKeyError, match="contol"):
        limma.make_contrasts("contol - treated", levels=["control", "treated"])


def test_model_matrix_keeps_the_index_and_the_categories():
    data = pd.DataFrame({"g": pd.Categorical(["x", "y", "x"], categories=["y", "x"])}, index=["a", "b", "c"])
    table = limma.model_matrix("~ g", data)
    assert table.index.tolist() == ["a", "b", "c"]
    assert table.columns.tolist() == ["(Intercept)", "gx"]


def test_missing_covariates_are_an_error():
    data = pd.DataFrame({"age": [1.0, np.nan, 2.0]}, index=["s1", "s2", "s3"])
    with pytest.raises(fe.errors.BadInputError, match="`age` has no value in sample `s2`"):
        limma.model_matrix("~ age", data)


def test_splines_and_polynomials():
    data = pd.DataFrame({"age": [1.0, 2.0, 4.0, 7.0, 7.5, 9.0]})
    table = limma.model_matrix("~ poly(age, 2) + ns(age, df = 3)", data)
    assert table.columns[1:].tolist() == [
        "poly(age, 2)1",
        "poly(age, 2)2",
        "ns(age, df = 3)1",
        "ns(age, df = 3)2",
        "ns(age, df = 3)3",
    ]
    np.testing.assert_allclose(table.iloc[:, :3].T @ table.iloc[:, :3], np.diag([6, 1, 1]), atol=1e-12)
    assert limma.non_estimable(table.iloc[:, [0, 1, 3, 4, 5]]) == ["ns(age, df = 3)3"]


def test_contrasts_become_coefficients():
    rng = np.random.default_rng(1)
    design = pd.DataFrame(rng.normal(size=(8, 3)), columns=["a", "b", "c"])
    rotated, positions = limma.contrast_as_coef(design, [0, 1, -1])
    y = rng.normal(size=8)
    beta = np.linalg.lstsq(design.to_numpy(), y, rcond=None)[0]
    turned = np.linalg.lstsq(rotated.to_numpy(), y, rcond=None)[0]
    np.testing.assert_allclose(turned[positions[0]], beta[1] - beta[2], rtol=1e-10)


def test_ranks():
    design = np.array([[1, 0, 1], [1, 1, 2], [1, 0, 1], [1, 1, 2]])
    assert not limma.is_fullrank(design)
    assert limma.non_estimable(design) == ["x3"]
    assert limma.is_fullrank(design[:, :2])


def test_natural_splines_are_b_splines_with_straight_ends():
    BSpline = pytest.importorskip("scipy.interpolate").BSpline
    x = np.random.default_rng(0).uniform(0, 10, 30)
    ends = x.min(), x.max()
    knots = np.r_[[ends[0]] * 4, np.quantile(x, [0.25, 0.5, 0.75]), [ends[1]] * 4]
    splines = BSpline.design_matrix(x, knots, 3).toarray()[:, 1:]
    table = limma.model_matrix("~ bs(x, df = 6) + ns(x, 4)", pd.DataFrame({"x": x}))
    np.testing.assert_allclose(table.iloc[:, 1:7], splines, atol=1e-14)
    bent = [[BSpline(knots, np.eye(7)[i], 3).derivative(2)(end) for i in range(1, 7)] for end in ends]
    straight = np.linalg.qr(np.transpose(bent), mode="complete")[0][:, 2:]
    np.testing.assert_allclose(table.iloc[:, 7:], splines @ straight, atol=1e-14)
