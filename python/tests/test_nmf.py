"""Factorisations: replicas and ranks, ways in, results, bad input."""

from __future__ import annotations

import inspect

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core


def counts(n: int = 120, g: int = 40, programs: int = 3, seed: int = 0) -> np.ndarray:
    """Counts of planted programs."""
    draws = np.random.default_rng(seed)
    spectra = draws.gamma(0.4, size=(programs, g))
    usages = draws.dirichlet(np.full(programs, 0.3), size=n)
    return draws.poisson(8 * usages @ spectra).astype(float)


@pytest.fixture
def adata() -> ad.AnnData:
    found = ad.AnnData(sparse.csr_matrix(counts()))
    found.obs_names = [f"cell{i}" for i in range(found.n_obs)]
    found.var_names = [f"gene{i}" for i in range(found.n_vars)]
    found.var["chosen"] = np.arange(found.n_vars) % 2 == 0
    return found


def test_ranks_and_replicas(adata):
    found = fe.nmf.fit(adata, [4, 2], n_replicas=5, seed=3)
    assert found.ks == [2, 4]
    assert len(found.replicas) == 10
    assert found.replicas["best"].sum() == 2
    usages, spectra = found.usages(4), found.spectra(4)
    assert usages.index.tolist() == adata.obs_names.tolist()
    assert spectra.columns.tolist() == adata.var_names.tolist()
    left = np.sum((adata.X.toarray() - usages.to_numpy() @ spectra.to_numpy()) ** 2) / 2
    best = found.replicas[(found.replicas["k"] == 4) & found.replicas["best"]].iloc[0]
    np.testing.assert_allclose(left, best["objective"], rtol=1e-9)
    np.testing.assert_allclose(best["explained"], 1 - 2 * left / np.sum(adata.X.toarray() ** 2), rtol=1e-9)
    assert found.status.sum() == 10
    assert "k   4: 5 replicas" in repr(found)
    with pytest.raises(fe.MissingKeyError, match="which k"):
        found.usages()


def test_a_rank_has_the_same_bits_beside_others_and_on_any_threads(adata):
    alone = fe.nmf.fit(adata, 2, n_replicas=6, n_threads=1)
    beside = fe.nmf.fit(adata, [2, 5], n_replicas=6, n_threads=2)
    np.testing.assert_array_equal(alone.get(2).w, beside.get(2).w)
    np.testing.assert_array_equal(alone.get(2).h, beside.get(2).h)


def test_ways_in_are_one(adata, tmp_path):
    whole = fe.nmf.fit(adata, 3, mask_var="chosen")
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.layers["dense"] = adata.X.toarray()
    adata.layers["columns"] = adata.X.tocsc()
    chosen = adata.var["chosen"].to_numpy()
    ways = {
        "path": fe.nmf.fit(tmp_path / "a.h5ad", 3, mask_var="chosen"),
        "dense": fe.nmf.fit(adata, 3, layer="dense", mask_var="chosen"),
        "columns": fe.nmf.fit(adata, 3, layer="columns", mask_var="chosen"),
        "view": fe.nmf.fit(adata[:, chosen], 3),
        "matrix": fe.nmf.fit(adata.X[:, chosen], 3),
        "frame": fe.nmf.fit(adata[:, chosen].to_df(), 3),
    }
    for name, found in ways.items():
        np.testing.assert_array_equal(found.get().w, whole.get().w, err_msg=name)
        np.testing.assert_array_equal(found.get().h, whole.get().h, err_msg=name)
    assert ways["frame"].genes == whole.genes == ways["path"].genes
    assert ways["path"].cells == whole.cells


def test_precisions_losses_and_solvers_agree(adata):
    double = fe.nmf.fit(adata, 3, tol=1e-7)
    single = fe.nmf.fit(adata, 3, tol=1e-7, precision="single")
    quick = fe.nmf.fit(adata, 3, tol=1e-7, solver="accelerated")
    loss = double.replicas["objective"][0]
    np.testing.assert_allclose(single.replicas["objective"][0], loss, rtol=1e-4)
    np.testing.assert_allclose(quick.replicas["objective"][0], loss, rtol=1e-2)
    kl = fe.nmf.fit(adata, 3, beta_loss="kullback-leibler")
    assert kl.provenance["options"]["solver"] == "mu"
    assert np.isnan(kl.replicas["explained"][0])


def test_results_are_stored_saved_and_read(adata, tmp_path):
    found = fe.nmf.fit(adata, [2, 3], n_replicas=3, keep="all", mask_var="chosen")
    assert len(found.factors) == 6
    found.store(adata)
    np.testing.assert_array_equal(adata.obsm["nmf_k3"].to_numpy(), found.get(3).w)
    assert (adata.varm["nmf_k3"].to_numpy()[1::2] == 0).all()
    adata.write_h5ad(tmp_path / "stored.h5ad")
    found.save(tmp_path / "found.npz")
    again = fe.nmf.load(tmp_path / "found.npz")
    assert repr(again) == repr(found)
    assert again.provenance == found.provenance
    np.testing.assert_array_equal(again.get(2, 1).h, found.get(2, 1).h)
    assert again.replicas.equals(found.replicas.astype(again.replicas.dtypes.to_dict()))
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(fe.BadFileError, match="no saved result"):
        fe.nmf.load(tmp_path / "other.npz")


@pytest.mark.parametrize(("value", "hint"), [(np.nan, "repair"), (np.inf, "repair"), (-1.0, "centred")])
def test_bad_values_are_named_by_cell_and_gene(adata, value, hint):
    adata.X = adata.X.toarray()
    adata.X[7, 5] = value
    with pytest.raises(fe.BadInputError, match=hint) as caught:
        fe.nmf.fit(adata, 3)
    assert "`cell7`" in str(caught.value)
    assert "`gene5`" in str(caught.value)


def test_what_cannot_be_is_refused(adata):
    for arguments, told in [
        ({"k": 41}, "between 1 and 40"),
        ({"k": 0}, "found 0"),
        ({"k": []}, "at least one k"),
        ({"k": 2.5}, "whole number"),
        ({"k": 2, "n_replicas": 0}, "n_replicas"),
        ({"k": 2, "beta_loss": "itakura-saito"}, "beta <= 0"),
        ({"k": 2, "beta_loss": "absolute"}, "no loss"),
        ({"k": 2, "tol": float("nan")}, "tolerance"),
        ({"k": 2, "init": "zeros"}, "no choice"),
    ]:
        with pytest.raises(fe.BadInputError, match=told):
            fe.nmf.fit(adata, **arguments)
    with pytest.raises(fe.UnsupportedError, match="solver mu"):
        fe.nmf.fit(adata, 2, beta_loss="kullback-leibler", solver="cd")
    with pytest.raises(fe.BadInputError, match="neither layers"):
        fe.nmf.fit(adata.X, 2, layer="counts")


def test_the_iterations_that_ran_out_are_told(adata):
    found = fe.nmf.fit(adata, 3, max_iter=2)
    assert found.replicas["status"].tolist() == ["max_iter"]
    assert "used up" in found.replicas["reason"][0]
    assert "at the limit" in repr(found)


def test_options_are_those_of_the_crate_and_of_the_program():
    signature = inspect.signature(fe.nmf.fit).parameters
    word = {"None": "", str(inspect.Parameter.empty): "-"}
    known = _core.nmf_options()
    for name, _, default, choices, _ in known:
        parameter = signature[name]
        if isinstance(parameter.default, float):
            assert parameter.default == float(default), name
        else:
            assert word.get(str(parameter.default), str(parameter.default)) == default, name
        if choices:
            assert parameter.annotation == f"Literal[{', '.join(repr(c) for c in choices)}]".replace('"', "'"), name
    assert set(signature) - {"data", "n_threads", "max_memory", "progress"} == {name for name, *_ in known}
    arguments = {name: (default, choices) for _, name, default, choices in _core.nmf_arguments() if name != "output"}
    assert arguments == {name: (default, choices) for name, _, default, choices, _ in known}


@pytest.mark.parametrize(
    ("name", "choice"), [(name, choice) for name, _, _, choices, _ in _core.nmf_options() for choice in choices]
)
def test_every_choice_is_taken(adata, name, choice):
    found = fe.nmf.fit(adata, 3, max_iter=20, **{name: choice})
    assert np.isfinite(found.get().h).all()
