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
    with pytest.raises(fe.errors.BadInputError, match="age"):
        limma.model_matrix("~ age", pd.DataFrame({"age": [1.0, np.nan, 2.0]}))


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
