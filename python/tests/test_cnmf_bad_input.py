"""Bad and borderline input of consensus factorisations, row by row: a message or a status, and never a NaN.

===============================================  =======================================================================
what is met                                      the test
===============================================  =======================================================================
a cell with no selected counts                   ``test_cells_without_selected_counts_are_all_named_or_left_out``
a gene without variance, or more genes than vary ``test_genes_that_do_not_vary_are_left_out_and_named``
NaN, inf, negative                               ``test_the_first_value_that_is_no_count_is_named``
expression with its cells in another order       ``test_expression_is_matched_by_the_names_of_cells``
expression with another number of cells          ``test_expression_of_other_cells_is_refused_before_any_replicate``
three replicates or fewer, one; k = 1            ``test_few_replicates_and_one_program_say_what_is_not_defined``
a threshold that keeps nothing, or too little    ``test_a_threshold_that_keeps_too_little_is_refused``
a threshold that removes a whole program         ``test_a_threshold_that_removes_a_whole_program_is_told``
a cell that uses no program                      ``test_a_cell_that_uses_no_program_has_no_share_and_is_named``
a component whose spectrum is 0                  ``test_a_component_without_a_spectrum_leaves_the_pool_and_is_counted``
Itakura-Saito with zeros                         ``test_a_loss_that_takes_no_zeros_is_refused_before_any_replicate``
replicates that meet the limit                   ``test_replicates_at_the_limit_are_counted``
genes of one name                                ``test_names_that_several_genes_have_are_refused``
===============================================  =======================================================================

The cases of the reference (``python/tests/golden/test_cnmf.py``) hold most of them to other data.
"""

from __future__ import annotations

import re
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe
from ferrocyte.compat.cnmf import load_df_from_npz, save_df_to_npz

N, G, K = 90, 40, 3
GENES = [f"gene{j}" for j in range(G)]


def study(n: int = N, seed: int = 4) -> ad.AnnData:
    """Cells of three programs, each with genes of its own."""
    draws = np.random.default_rng(seed)
    spectra = np.array([np.where(np.arange(G) % K == t, 6.0, 1.0) for t in range(K)])
    usage = draws.dirichlet(np.full(K, 0.3), n)
    counts = draws.poisson(4.0 * usage @ spectra).astype(np.float64)
    return named(counts)


def named(counts: np.ndarray) -> ad.AnnData:
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(len(counts))])
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=GENES))


def changed(cells: ad.AnnData, rows, columns, value: float) -> ad.AnnData:
    counts = cells.X.toarray()
    counts[np.ix_(rows, columns)] = value
    return named(counts)


def fit(cells, k=K, **more):
    return fe.cnmf.fit(cells, k, **{"n_iter": 6, "seed": 2, "n_genes": 30, **more})


def finite(found: fe.cnmf.Programs) -> None:
    """No value of the programs is missing."""
    for table in (found.usages, found.shares, found.spectra, found.spectra_tpm, found.spectra_score):
        assert np.isfinite(table.to_numpy()).all()
    assert np.isfinite(found.starcat_spectra.to_numpy()).all()
    assert np.isfinite(found.local_density).all()
    assert np.isfinite(found.prediction_error)


def test_cells_without_selected_counts_are_all_named_or_left_out():
    empty = changed(study(), [3, 50, 60, 61, 62, 70], range(G), 0.0)
    with pytest.raises(fe.BadInputError, match="6 cells") as raised:
        fit(empty)
    assert all(f"`cell{i}`" in str(raised.value) for i in (3, 50, 60, 61, 62, 70))
    with pytest.warns(fe.FerrocyteWarning, match="6 cells are left out"):
        run = fit(empty, drop_empty=True)
    assert run.dropped["cells"] == [f"cell{i}" for i in (3, 50, 60, 61, 62, 70)]
    found = run.consensus(K, 2.0)
    assert found.usages.shape == (N - 6, K)
    finite(found)


def test_genes_that_do_not_vary_are_left_out_and_named():
    cells = changed(study(), range(N), [2], 0.0)
    with pytest.warns(fe.FerrocyteWarning, match="`gene2`"):
        run = fit(cells, genes=GENES[:10])
    assert run.dropped["genes"] == ["gene2"]
    finite(run.consensus(K, 2.0))
    with pytest.warns(fe.FerrocyteWarning, match="500 genes were asked for, 39 vary"):
        finite(fit(cells, n_genes=500).consensus(K, 2.0))


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-1.0, "logarithmic")], ids=str)
def test_the_first_value_that_is_no_count_is_named(value, word):
    with pytest.raises(fe.BadInputError) as raised:
        fit(changed(study(), [7, 20], [5], value))
    text = f"{raised.value} {raised.value.hint}"
    assert "`cell7`" in text
    assert "`gene5`" in text
    assert word in text


def test_expression_is_matched_by_the_names_of_cells():
    cells = study()
    expected = fit(cells, tpm=cells).consensus(K, 2.0)
    with pytest.warns(fe.FerrocyteWarning, match="matched by name"):
        found = fit(cells, tpm=cells[::-1].copy()).consensus(K, 2.0)
    pd.testing.assert_frame_equal(found.usages, expected.usages)


def test_expression_of_other_cells_is_refused_before_any_replicate(tmp_path):
    cells = study()
    strangers = cells.copy()
    strangers.obs_names = [f"other{i}" for i in range(N)]
    for tpm, word in ((cells[:80].copy(), "80"), (strangers, "`cell0`")):
        run = fe.cnmf.cNMF(tmp_path, "run")
        with pytest.raises(fe.BadInputError, match=word):
            run.prepare(cells, [K], n_iter=4, seed=1, num_highvar_genes=30, tpm_fn=tpm)
        assert not list(tmp_path.rglob("*nmf_params*"))


@pytest.mark.parametrize(("k", "n_iter"), [(K, 3), (K, 1), (1, 6), (1, 1)], ids=str)
def test_few_replicates_and_one_program_say_what_is_not_defined(k, n_iter):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.FerrocyteWarning)
        run = fit(study(), k, n_iter=n_iter)
        found = run.consensus(k, 0.5)
    finite(found)
    row = run.selection.iloc[0]
    assert np.isfinite(row["prediction_error"])
    if k == 1 or n_iter == 1:
        assert np.isnan(found.silhouette)
        assert row["reason"]
    if n_iter <= 3:
        assert found.kept.all()


def test_a_threshold_that_keeps_too_little_is_refused():
    run = fit(study())
    with pytest.raises(fe.BadInputError, match=r"smallest.*median.*largest") as raised:
        run.consensus(K, 1e-12)
    suggested = float(re.search(r"([0-9.]+) would do", raised.value.hint)[1])
    finite(run.consensus(K, suggested))


def test_a_threshold_that_removes_a_whole_program_is_told():
    cells = study()
    run = fit(cells, 4, n_iter=12)
    density = run.consensus(4, 2.0).local_density
    pool = run.consensus(4, 2.0)
    worst = [density[pool.labels == t + 1].min() for t in range(4)]
    with pytest.warns(fe.FerrocyteWarning, match="removes all spectra of 1 of 4 clusters"):
        found = run.consensus(4, max(worst))
    finite(found)


def test_a_cell_that_uses_no_program_has_no_share_and_is_named():
    counts = study().X.toarray()
    counts[:, G - 1] = 0.0
    counts[9] = 0.0
    counts[9, G - 1] = 1.0
    cells = named(counts)
    with pytest.warns(fe.FerrocyteWarning, match="1 cells use no program"):
        found = fit(cells, genes=GENES, seed=0, n_iter=8).consensus(K, 2.0)
    finite(found)
    assert found.idle_cells == ["cell9"]
    assert (found.shares.loc["cell9"] == 0.0).all()


def test_a_component_without_a_spectrum_leaves_the_pool_and_is_counted(tmp_path):
    run = fe.cnmf.cNMF(tmp_path, "run")
    run.prepare(study(), [K], n_iter=6, seed=1, num_highvar_genes=30)
    run.factorize()
    # As a component that died would have left it.
    path = tmp_path / "run" / "cnmf_tmp" / "run.spectra.k_3.iter_4.df.npz"
    spectra = load_df_from_npz(str(path))
    spectra.iloc[1] = 0.0
    save_df_to_npz(spectra, str(path))
    run.combine()
    with pytest.warns(fe.FerrocyteWarning, match="1 spectra of the pool are all 0 and are left out"):
        found = run.consensus(K, 2.0, show_clustering=False)
    finite(found)
    assert found.kept.size == 3 * 6 - 1
    assert np.isfinite(run.k_selection()["silhouette"]).all()


def test_a_loss_that_takes_no_zeros_is_refused_before_any_replicate(tmp_path):
    run = fe.cnmf.cNMF(tmp_path, "run")
    with pytest.raises(fe.BadInputError, match="are 0"):
        run.prepare(study(), [K], n_iter=4, seed=1, num_highvar_genes=30, beta_loss="itakura-saito")
    assert not list(tmp_path.rglob("*nmf_params*"))


def test_replicates_at_the_limit_are_counted():
    run = fit(study(), max_nmf_iter=5)
    assert run.selection["n_at_limit"].tolist() == [6]
    assert (run.replicates["status"] == "max_iter").all()
    finite(run.consensus(K, 2.0))


def test_names_that_several_genes_have_are_refused():
    cells = study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells.var_names = ["gene1", *cells.var_names[1:]]
    with pytest.raises(fe.BadInputError, match="`gene1`"):
        fit(cells)


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
@pytest.mark.parametrize("style", ["cnmf", "exprmat"])
@pytest.mark.parametrize("refit", ["peer", "exact"])
def test_nothing_that_is_found_is_missing(loss, style, refit):
    # Cells without counts, genes without any, equal cells, a cell of one gene: all at once.
    counts = study().X.toarray()
    counts[4] = 0.0
    counts[:, 3] = 0.0
    counts[10:14] = counts[10]
    counts[20] = 0.0
    counts[20, 6] = 9.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.FerrocyteWarning)
        run = fit(named(counts), 5, drop_empty=True, beta_loss=loss, style=style, n_genes=G)
        found = run.consensus(5, 2.0, refit=refit)
        projected = fe.cnmf.project(named(counts), found.starcat_spectra, refit=refit)
    finite(found)
    assert np.isfinite(projected.usages.to_numpy()).all()
    assert np.isfinite(run.selection["prediction_error"]).all()
