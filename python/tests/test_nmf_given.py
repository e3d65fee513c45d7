"""Factorisations from given factors, and with one of them held."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(0).poisson(1.5, size=(80, 30)).astype(float)


@pytest.fixture(scope="module")
def found(counts):
    return fe.nmf.fit(counts, 4, n_replicas=2, seed=1)


def test_a_start_is_the_estimators(counts):
    rng = np.random.default_rng(1)
    W, H = rng.random((80, 3)), rng.random((3, 30))
    model = fe.nmf.NMF(3, init="custom", max_iter=50, tol=0.0)
    expected = model.fit_transform(counts, W=W, H=H)
    for data in (counts, sparse.csr_matrix(counts), ad.AnnData(counts), pd.DataFrame(counts)):
        made = fe.nmf.fit_given(data, W, H, max_iter=50, tol=0.0)
        assert np.array_equal(made.usages(), expected)
        assert np.array_equal(made.spectra(), model.components_)
        assert int(made.replicas["iterations"].iloc[0]) == model.n_iter_


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_a_held_factor_stays_and_the_other_is_the_optimum(counts, found, loss):
    W, H = found.usages().to_numpy(), found.spectra().to_numpy()
    by_cell = fe.nmf.fit_given(counts, H=H, fixed="H", beta_loss=loss)
    by_gene = fe.nmf.fit_given(counts, W=W, fixed="W", beta_loss=loss)
    assert np.array_equal(by_cell.spectra(), H)
    assert np.array_equal(by_gene.usages(), W)
    turned = fe.nmf.fit_given(counts.T, H=W.T, fixed="H", beta_loss=loss)
    assert np.array_equal(by_gene.spectra(), turned.usages().T)

    def objective(w, h):
        fit = w @ h
        if loss == "frobenius":
            return 0.5 * ((counts - fit) ** 2).sum()
        there = counts > 0
        return (counts[there] * np.log(counts[there] / fit[there])).sum() - counts.sum() + fit.sum()

    best = objective(by_cell.usages().to_numpy(), H)
    assert best == pytest.approx(float(by_cell.replicas["objective"].iloc[0]), rel=1e-9)
    rng = np.random.default_rng(2)
    for _ in range(20):
        other = np.maximum(by_cell.usages().to_numpy() + 1e-3 * rng.standard_normal(W.shape), 1e-12)
        assert objective(other, H) > best


def test_penalties_belong_to_their_factor(counts, found):
    W = found.usages().to_numpy()
    plain = fe.nmf.fit_given(counts, W=W, fixed="W").spectra().to_numpy()
    same = fe.nmf.fit_given(counts, W=W, fixed="W", alpha_w=0.5).spectra().to_numpy()
    less = fe.nmf.fit_given(counts, W=W, fixed="W", alpha_h=0.5, l1_ratio=1.0).spectra().to_numpy()
    assert np.array_equal(plain, same)
    assert less.sum() < plain.sum()


def test_what_does_not_fit_is_refused(counts, found, tmp_path):
    W, H = found.usages().to_numpy(), found.spectra().to_numpy()
    for arguments, place in (
        ({"W": W}, "H"),
        ({"H": H}, "W"),
        ({"W": W[:5], "H": H}, "W"),
        ({"W": W, "H": H[:, :3]}, "H"),
        ({"W": W[:, :2], "H": H}, "H"),
        ({"W": -W, "H": H}, "W"),
        ({"W": W, "fixed": "H"}, "H"),
        ({"W": W, "H": H, "fixed": "both"}, "fixed"),
    ):
        with pytest.raises(fe.BadInputError) as raised:
            fe.nmf.fit_given(counts, **arguments)
        assert raised.value.place == place, arguments
    path = tmp_path / "x.h5ad"
    ad.AnnData(counts).write_h5ad(path)
    assert fe.nmf.fit_given(path, H=H, fixed="H").usages().shape == W.shape
    with pytest.raises(fe.UnsupportedError, match="in memory"):
        fe.nmf.fit_given(path, W=W, fixed="W")
