"""Batches, hidden variables, replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import limma


@pytest.fixture
def y():
    values = np.random.default_rng(8).normal(size=(40, 12))
    return pd.DataFrame(values, index=[f"g{i}" for i in range(40)], columns=[f"s{j}" for j in range(12)])


def test_batches_have_equal_means_afterwards(y):
    batch = list("xyz") * 4
    out = limma.remove_batch_effect(y, batch)
    means = out.T.groupby(np.asarray(batch)).mean()
    np.testing.assert_allclose(means.loc["x"], means.loc["y"])
    np.testing.assert_allclose(out.mean(axis=1), y.mean(axis=1))
    assert list(out.index) == list(y.index)
    assert isinstance(limma.remove_batch_effect(y.to_numpy(), batch), np.ndarray)


def test_confounded_batches_are_named(y):
    design = pd.DataFrame({"a": 1.0, "b": [0] * 6 + [1] * 6}, index=y.columns)
    with pytest.warns(fe.errors.FerrocyteWarning, match="not removed.*`batch one`"):
        out = limma.remove_batch_effect(y, ["one"] * 6 + ["two"] * 6, design=design)
    np.testing.assert_array_equal(out, y)


def test_hidden_variable_is_found(y):
    hidden = np.random.default_rng(2).normal(size=12)
    sv = limma.wsva(y + 5 * np.outer(np.linspace(-1, 1, 40), hidden))
    assert abs(np.corrcoef(sv[:, 0], hidden)[0, 1]) > 0.99
    np.testing.assert_allclose((sv**2).mean(axis=0), 1)


def test_averages_keep_order_and_kind(y):
    ids = ["b", "a"] * 20
    rows = limma.ave_reps(y, ids)
    assert rows.index.tolist() == ["b", "a"]
    np.testing.assert_allclose(rows.loc["a"], y.iloc[1::2].mean())
    kinds = ["u", "v", "w"] * 4
    columns = limma.aver_arrays(y, kinds)
    np.testing.assert_allclose(columns["v"], y.iloc[:, 1::3].mean(axis=1))
    dups = limma.ave_dups(y, ndups=2, spacing=20)
    np.testing.assert_allclose(dups.loc["g3"], (y.loc["g3"] + y.loc["g23"]) / 2)
    elist = limma.EList(
        E=y.to_numpy(),
        weights=np.ones(y.shape),
        genes=pd.DataFrame(index=y.index),
        samples=pd.DataFrame(index=y.columns),
    )
    assert limma.ave_reps(elist, ids).shape == (2, 12)
    assert limma.aver_arrays(elist, kinds).weights[0].tolist() == [4, 4, 4]
