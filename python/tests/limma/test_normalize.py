"""Normalisation, smooth curves and distances against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def y() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    values = rng.normal(8, 2, size=(200, 1)) + rng.normal(0, 0.5, size=(200, 5)) + np.linspace(0, 1, 5)
    return pd.DataFrame(values, index=[f"g{i}" for i in range(200)], columns=list("abcde"))


def test_quantiles_against_a_sort(y: pd.DataFrame) -> None:
    found = limma.normalize_quantiles(y)
    mean = np.sort(y.to_numpy(), axis=0).mean(axis=1)
    ranks = y.rank(axis=0).to_numpy().astype(int) - 1
    assert np.allclose(found, mean[ranks], atol=1e-12)
    assert found.columns.equals(y.columns)


def test_scale_makes_medians_alike(y: pd.DataFrame) -> None:
    found = limma.normalize_median_values(y)
    assert np.allclose(found.median(), np.exp(np.log(y.median()).mean()))
    assert found.equals(limma.normalize_between_arrays(y, "scale"))
    with pytest.raises(fe.BadInputError, match="median"):
        limma.normalize_between_arrays(y - 100, "scale")


@pytest.mark.parametrize("method", ["fast", "affy", "pairs"])
def test_curves_are_gone(y: pd.DataFrame, method: str) -> None:
    bent = y.copy()
    bent["c"] += np.sin(y["c"] / 2)

    def bend(values: pd.DataFrame) -> float:
        mean = values.mean(axis=1)
        return np.abs(limma.loess_fit(values["c"] - mean, mean, span=0.4).fitted).max()

    assert bend(limma.normalize_cyclic_loess(bent, method=method, span=0.4)) < 0.1 * bend(bent)
    adaptive = limma.normalize_between_arrays(bent, "cyclicloess", cyclic_method=method, adaptive_span=True)
    span = limma.choose_lowess_span(200)
    expected = limma.normalize_between_arrays(bent, "cyclicloess", cyclic_method=method, span=span)
    assert adaptive.equals(expected)


def test_missing_values_stay(y: pd.DataFrame) -> None:
    y.iloc[3, 1] = y.iloc[7, 4] = np.nan
    for method in ("quantile", "scale", "cyclicloess"):
        assert limma.normalize_between_arrays(y, method).isna().equals(y.isna())


def test_an_elist_stays_one(y: pd.DataFrame) -> None:
    values = limma.EList(E=y.to_numpy(), genes=pd.DataFrame(index=y.index), samples=pd.DataFrame(index=y.columns))
    found = limma.normalize_between_arrays(values)
    assert isinstance(found, limma.EList)
    assert np.array_equal(found.E, limma.normalize_quantiles(y.to_numpy()))
    assert np.array_equal(values.E, y)


@pytest.mark.parametrize("selection", ["pairwise", "common"])
def test_distances_against_brute_force(y: pd.DataFrame, selection: str) -> None:
    found = limma.mds_coords(y, top=30, gene_selection=selection)
    a = y.to_numpy()
    top = np.argsort(-a.var(axis=1))[:30]
    for i in range(5):
        for j in range(5):
            squares = (a[:, i] - a[:, j]) ** 2
            expected = squares[top].mean() if selection == "common" else np.sort(squares)[-30:].mean()
            assert found.distances[i, j] ** 2 == pytest.approx(expected, abs=1e-10)
    assert (np.diff(found.eigen_values) <= 0).all()
    assert list(found.samples) == list("abcde")
    with pytest.raises(fe.BadInputError, match="3"):
        limma.mds_coords(y.iloc[:, :2])


def test_curves_find_what_they_should() -> None:
    x = np.linspace(0, 6, 150)
    noise = np.random.default_rng(8).normal(0, 0.05, 150)
    y = np.sin(x) + noise
    y[40] += 30
    assert np.abs(limma.lowess(x, y, f=0.2).fitted - np.sin(x)).max() < 0.1
    weighted = limma.weighted_lowess(x, y, np.ones(150), span=0.2)
    assert np.abs(weighted.fitted - np.sin(x)).max() < 0.1
    assert weighted.weights[40] == 0
    assert np.allclose(weighted.fitted + weighted.residuals, y)
    with pytest.raises(fe.BadInputError, match="point 3"):
        limma.lowess([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(fe.BadInputError, match="weights"):
        limma.weighted_lowess([1, 2, 3], [1, 2, 3], [1, -1, 1])
