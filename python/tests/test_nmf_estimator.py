"""The face of scikit-learn: its checks, and the same numbers from the same start."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import decomposition
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_nmf import counts

from ferrocyte.nmf import NMF

with warnings.catch_warnings():
    # Nothing is inherited from scikit-learn, which wonders at that.
    warnings.simplefilter("ignore")
    CHECKS = parametrize_with_checks([NMF(2, max_iter=500, random_state=0)])


@pytest.mark.filterwarnings("ignore")
@CHECKS
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"alpha_W": 0.002, "alpha_H": 0.001, "l1_ratio": 0.5},
        {"solver": "mu"},
        {"solver": "mu", "beta_loss": "kullback-leibler"},
        {"solver": "mu", "beta_loss": 1.5, "alpha_W": 0.001},
    ],
)
def test_the_same_start_gives_the_same_iterates(form, parameters):
    if form is sparse.csc_matrix and parameters.get("solver") == "mu":
        pytest.skip("scikit-learn is wrong for compressed columns with this solver")
    x = form(counts())
    x = x[np.asarray(x.sum(1)).ravel() > 0]
    ours = NMF(4, init="random", random_state=5, tol=1e-4, max_iter=300, **parameters)
    peer = decomposition.NMF(4, init="random", random_state=5, tol=1e-4, max_iter=300, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w, expected = ours.fit_transform(x), peer.fit_transform(x)
        assert ours.n_iter_ == peer.n_iter_
        np.testing.assert_allclose(w, expected, atol=1e-9 * expected.max())
        np.testing.assert_allclose(ours.components_, peer.components_, atol=1e-9 * peer.components_.max())
        np.testing.assert_allclose(ours.reconstruction_err_, peer.reconstruction_err_, rtol=1e-9)
        again = peer.transform(x)
        np.testing.assert_allclose(ours.transform(x), again, atol=1e-9 * again.max())
    np.testing.assert_allclose(ours.inverse_transform(w), w @ ours.components_)


def test_given_factors_are_the_start():
    x = counts()
    draws = np.random.default_rng(1)
    w, h = draws.random((len(x), 3)), draws.random((3, x.shape[1]))
    ours = NMF(3, init="custom").fit_transform(x, W=w.copy(), H=h.copy())
    peer = decomposition.NMF(3, init="custom").fit_transform(x, W=w.copy(), H=h.copy())
    np.testing.assert_allclose(ours, peer, atol=1e-9 * peer.max())
    with pytest.raises(ValueError, match="needs W and H"):
        NMF(3, init="custom").fit(x)


def test_exact_usages_are_no_worse_than_the_peer_s():
    x = counts()
    for parameters in ({}, {"solver": "mu", "beta_loss": "kullback-leibler"}):
        model = NMF(3, init="random", random_state=1, max_iter=500, **parameters).fit(x)
        peer = model.transform(x)
        exact = model.set_params(refit="exact").transform(x)

        def loss(w, h=model.components_, kl=bool(parameters)):
            fit = w @ h
            if not kl:
                return np.sum((x - fit) ** 2)
            seen = x > 0
            return fit.sum() - np.sum(x[seen] * np.log(fit[seen]))

        assert loss(exact) <= loss(peer) + 1e-9 * abs(loss(peer))


def test_single_precision_stays_single():
    x = counts().astype(np.float32)
    model = NMF(3, init="random", random_state=0)
    w = model.fit_transform(x)
    assert w.dtype == model.components_.dtype == model.transform(x).dtype == np.float32


def test_parameters_pipelines_copies_and_pickles():
    model = NMF(3, init="random", random_state=0, tol=1e-3)
    assert repr(model) == "NMF(n_components=3, init='random', tol=0.001, random_state=0)"
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(ValueError, match="no parameter"):
        model.set_params(k=3)
    with pytest.raises(NotImplementedError, match="shuffle"):
        NMF(3, shuffle=True).fit(counts())
    x = counts()
    w = make_pipeline(model).fit_transform(x)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(x), model.transform(x))
    assert list(model.get_feature_names_out()) == ["nmf0", "nmf1", "nmf2"]
    assert w.shape == (len(x), 3)
