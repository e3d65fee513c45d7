"""Programs and outliers that were planted: the simulator, what is found again, and where outliers end."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core
from ferrocyte.compat.cnmf import load_df_from_npz, save_df_to_npz


@pytest.fixture(scope="module")
def cells():
    return fe.sim.programs(900, 500, n_programs=6, depth=600.0, seed=3)


def matched(found: np.ndarray, planted: np.ndarray) -> np.ndarray:
    """The correlation of each planted row with the one of the found that is nearest, no two with the same."""
    from scipy.optimize import linear_sum_assignment

    apart = np.corrcoef(np.vstack([found, planted]))[: len(found), len(found) :]
    rows, columns = linear_sum_assignment(-apart)
    return apart[rows, columns][np.argsort(columns)]


def test_the_benchmark_study_has_its_known_size():
    made = fe.sim.programs(2700, 2000, n_programs=8, depth=260, seed=9001)
    assert made.shape == (2700, 1938)
    assert 545_000 <= made.X.nnz <= 555_000
    assert made.obsm["usage"].shape == (2700, 8)
    assert list(made.uns["truth"]["kind"]) == ["identity"] * 6 + ["activity"] * 2


def test_a_seed_makes_the_same_counts_and_usages_are_what_is_told(cells):
    again = fe.sim.programs(900, 500, n_programs=6, depth=600.0, seed=3)
    assert (again.X != cells.X).nnz == 0
    other = fe.sim.programs(900, 500, n_programs=6, depth=600.0, seed=4)
    assert other.shape != cells.shape or (other.X != cells.X).nnz > 0
    usage = cells.obsm["usage"]
    assert np.allclose(usage.sum(axis=1), 1.0)
    active = cells.obs["activity"].notna().to_numpy()
    assert 0.3 < active.mean() < 0.5
    assert np.allclose(usage[:, 4:].sum(axis=1), cells.obs["share"])
    assert (cells.obs["share"].to_numpy()[~active] == 0.0).all()


def by_numpy(n: int, g: int, p: int, depth: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, usages and spectra of the published generator, drawn by numpy."""
    draws = np.random.RandomState(seed)
    n_identities = p - max(1, round(p / 4))
    base = draws.gamma(0.35, size=g) + 1e-3
    base /= base.sum()
    spectra = []
    for _ in range(p):
        marks = draws.rand(g) < 0.08
        fold = np.ones(g)
        fold[marks] = np.exp(1.4 + 0.5 * draws.standard_normal(marks.sum()))
        spectra.append(base * fold / (base * fold).sum())
    weights = 1 / np.sqrt(np.arange(1, n_identities + 1))
    identity = draws.choice(n_identities, n, p=weights / weights.sum())
    has = draws.rand(n) < 0.4
    activity = n_identities + draws.randint(0, p - n_identities, n)
    share = 0.1 + 0.6 * draws.rand(n)
    usage = np.zeros((n, p))
    usage[np.arange(n), identity] = np.where(has, 1 - share, 1.0)
    usage[np.flatnonzero(has), activity[has]] = share[has]
    library = np.exp(np.log(depth) - 0.45**2 / 2 + 0.45 * draws.standard_normal(n))
    counts = draws.poisson(library[:, None] * (base / 2 + usage @ np.array(spectra) / 2))
    return counts, usage, np.array(spectra).T


@pytest.mark.parametrize(
    ("sizes", "depth", "seed"),
    [((300, 200, 6), 600.0, 3), ((250, 90, 8), 40.0, 11), ((40, 60, 3), 5000.0, 0), ((60, 50, 15), 300.0, 2**32 - 1)],
    ids=str,
)
def test_a_seed_gives_what_numpy_draws(sizes, depth, seed):
    n, g, p = sizes
    counts, usage, spectra = by_numpy(n, g, p, depth, seed)
    made = fe.sim.programs(n, g, n_programs=p, depth=depth, seed=seed)
    cells, genes = counts.any(axis=1), counts.any(axis=0)
    assert list(made.obs_names) == [f"C{i + 1}" for i in np.flatnonzero(cells)]
    assert list(made.var_names) == [f"G{j + 1}" for j in np.flatnonzero(genes)]
    np.testing.assert_array_equal(made.X.toarray(), counts[np.ix_(cells, genes)])
    np.testing.assert_array_equal(made.obsm["usage"], usage[cells])
    np.testing.assert_allclose(made.varm["spectra"], spectra[genes], rtol=1e-12)


@pytest.mark.parametrize("options", [[], ["--density", "0.2"], ["--values", "int32", "--depth", "900"]], ids=str)
def test_the_program_writes_what_the_package_gives(tmp_path, options):
    path = str(tmp_path / "cells.h5ad")
    words = ["simulate", "programs", "--cells", "200", "--genes", "80", "--programs", "5", "--seed", "4", *options]
    assert _core.run_program(["ferrocyte", *words, "-o", path, "-q"]) == 0
    how = {options[i][2:]: float(options[i + 1]) for i in range(0, len(options), 2) if options[i] != "--values"}
    made = fe.sim.programs(200, 80, n_programs=5, seed=4, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ad.read_h5ad(path)
    assert found.X.dtype == ("int32" if "int32" in options else "float32")
    assert (found.X.astype(np.float32) != made.X).nnz == 0
    pd.testing.assert_frame_equal(found.obs, made.obs)
    assert list(found.var_names) == list(made.var_names)
    np.testing.assert_array_equal(found.obsm["usage"], made.obsm["usage"])
    np.testing.assert_array_equal(found.varm["spectra"], made.varm["spectra"])
    for column in ("program", "kind"):
        assert list(found.uns["truth"][column]) == list(made.uns["truth"][column])
    assert list(pd.read_csv(f"{path}.truth.tsv", sep="\t")["program"]) == [f"P{t}" for t in range(1, 6)]


def test_a_density_is_met_and_numbers_out_of_range_are_refused():
    made = fe.sim.programs(2000, 400, n_programs=5, density=0.1, seed=1)
    assert 0.07 < made.X.nnz / 2000 / 400 < 0.13
    for wrong in ({"n_programs": 1}, {"depth": 0.0}, {"density": 1.5}, {"n_cells": 2.5}, {"seed": -1}):
        with pytest.raises(fe.BadInputError) as raised:
            fe.sim.programs(**wrong)
        assert raised.value.place == next(iter(wrong))


@pytest.mark.parametrize("depth", [300.0, 600.0, 3000.0])
def test_planted_usages_are_found_at_any_noise(depth):
    cells = fe.sim.programs(900, 500, n_programs=6, depth=depth, seed=3)
    run = fe.cnmf.fit(cells, 6, n_iter=10, seed=1, n_genes=400, drop_empty=True)
    found = run.consensus(6, 2.0)
    planted = cells.obsm["usage"][cells.obs_names.get_indexer(found.shares.index)]
    match = matched(found.shares.to_numpy().T, planted.T)
    middle, least = {300.0: (0.75, 0.0), 600.0: (0.85, 0.6), 3000.0: (0.95, 0.85)}[depth]
    assert np.median(match) > middle, match
    assert match.min() > least, match


def test_outliers_that_were_planted_are_where_the_suggested_threshold_ends(cells, tmp_path):
    run = fe.cnmf.cNMF(tmp_path, "run")
    run.prepare(cells, 4, n_iter=20, seed=2, num_highvar_genes=300)
    run.factorize()
    rng = np.random.default_rng(0)
    planted = []
    for replicate, component in ((1, 0), (5, 2), (11, 3), (17, 1)):
        path = tmp_path / f"run/cnmf_tmp/run.spectra.k_4.iter_{replicate}.df.npz"
        spectra = load_df_from_npz(path)
        spectra.iloc[component] = rng.permutation(spectra.iloc[component].to_numpy())
        save_df_to_npz(spectra, path)
        planted.append(f"iter{replicate}_topic{component + 1}")
    run.combine()
    table = run.k_selection_plot(close_fig=True)
    threshold = float(table["suggested_density_threshold"].iloc[0])
    assert 0.1 < threshold < 1.4
    found = run.consensus(4, threshold, show_clustering=False)
    density = load_df_from_npz(tmp_path / "run/cnmf_tmp/run.local_density_cache.k_4.merged.df.npz")["local_density"]
    assert set(density.index[density >= threshold]) >= set(planted)
    # Nothing that most replicates found is lost with them.
    assert (density >= threshold).sum() <= 3 * len(planted)
    assert found is None or found.kept.sum() == (density < threshold).sum()


# Batches


def batches(seed: int = 5):
    """Cells of three programs in two batches; genes of the second are shifted, each by its own factor."""
    rng = np.random.default_rng(seed)
    cells = fe.sim.programs(600, 300, n_programs=4, depth=900.0, seed=8)
    second = rng.random(cells.n_obs) < 0.5
    factor = np.exp(rng.normal(0.0, 0.35, cells.n_vars))
    mean = cells.X.toarray() * np.where(second[:, None], factor, 1.0)
    cells.X = sparse.csr_matrix(rng.poisson(mean).astype(np.float32))
    cells.obs["batch"] = pd.Categorical(np.where(second, "b", "a"))
    return cells


def explained_by(batch: np.ndarray, values: np.ndarray) -> float:
    """The share of the variance of genes between two batches, on average."""
    total = values.var(axis=0)
    groups = [values[batch == one] for one in np.unique(batch)]
    within = sum(len(part) * part.var(axis=0) for part in groups) / len(values)
    return float(np.mean(1.0 - within[total > 0] / total[total > 0]))


def test_batches_are_taken_out_of_genes_and_programs():
    cells = batches()
    batch = cells.obs["batch"].to_numpy()
    corrected = fe.cnmf.harmony_corrected(cells, "batch", n_genes=200, n_comps=10)
    assert corrected.counts.shape == (cells.n_obs, len(corrected.genes))
    assert corrected.tpm.shape == cells.shape
    values = np.asarray(corrected.counts.X)
    assert np.isfinite(values).all()
    assert values.min() >= 0.0
    plain = cells[:, corrected.genes].X.toarray()
    assert explained_by(batch, values) < 0.3 * explained_by(batch, plain)
    options = {"genes": corrected.genes, "n_iter": 6, "seed": 1, "drop_empty": True}
    found = fe.cnmf.fit(corrected.counts, 4, tpm=corrected.tpm, **options).consensus(4, 2.0)
    # Expression is of all genes, and so are the spectra.
    assert found.spectra_tpm.shape == (4, cells.n_vars)
    assert list(found.spectra.columns) == corrected.genes
    # As they come, one of the programs is the batch, and a planted one is lost.
    plain = fe.cnmf.fit(cells, 4, **options).consensus(4, 2.0)
    planted = cells.obsm["usage"].T
    assert explained_by(batch, plain.shares.to_numpy()) > 0.2
    assert matched(plain.shares.to_numpy().T, planted).min() < 0.3
    assert explained_by(batch, found.shares.to_numpy()) < 0.05
    assert matched(found.shares.to_numpy().T, planted).min() > 0.6


def test_batches_that_are_not_there_are_refused():
    cells = batches()
    with pytest.raises(fe.MissingKeyError):
        fe.cnmf.harmony_corrected(cells, "donor")
    cells.X = cells.X - 1.0 * (cells.X > 2)
    cells.X.data[0] = -1.0
    with pytest.raises(fe.BadInputError, match="negative"):
        fe.cnmf.harmony_corrected(cells, "batch")


def test_what_batches_explain_is_that_of_a_weighted_ridge():
    from ferrocyte.cnmf._corrected import _subtract

    rng = np.random.default_rng(1)
    values, weights = rng.random((50, 4)) + 3.0, rng.dirichlet([1.0, 1.0, 1.0], 50)
    batches = np.eye(2)[rng.integers(0, 2, 50)]
    expected = values.copy()
    design = np.hstack([np.ones((50, 1)), batches])
    for c in range(3):
        diagonal = np.diag(weights[:, c])
        fit = np.linalg.inv(design.T @ diagonal @ design + np.diag([0.0, 2.0, 2.0])) @ design.T @ diagonal @ values
        fit[0] = 0.0
        expected -= diagonal @ design @ fit
    found = values.copy()
    _subtract(found, weights, batches, 2.0)
    assert np.allclose(found, np.maximum(expected, 0.0), rtol=1e-12)
