"""Consensus factorisations: the folder and its verbs, in memory, on several workers; results that can be kept."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from common import same_bits
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core


def planted(seed: int = 3, n: int = 240, g: int = 90, k: int = 3, depth: float = 150.0):
    """Cells of `k` programs, each with genes of its own; and the planted spectra."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(0.6, 1.0, g) + 0.05
    spectra = np.array([base * np.where(np.arange(g) % k == t, 6.0, 1.0) for t in range(k)])
    spectra /= spectra.sum(axis=1, keepdims=True)
    usage = rng.dirichlet(np.full(k, 0.3), n)
    counts = rng.poisson(depth * rng.lognormal(0.0, 0.3, n)[:, None] * (usage @ spectra)).astype(np.float32)
    obs = pd.DataFrame(
        {"sample": pd.Categorical([f"s{i % 4}" for i in range(n)])}, index=[f"cell{i}" for i in range(n)]
    )
    var = pd.DataFrame(index=[f"gene{j}" for j in range(g)])
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=var), spectra


@pytest.fixture(scope="module")
def cells():
    return planted()[0]


@pytest.fixture(scope="module")
def run(cells):
    return fe.cnmf.fit(cells, [2, 3], n_iter=8, seed=5, n_genes=60)


def prepared(folder: Path, cells, **more) -> fe.cnmf.cNMF:
    run = fe.cnmf.cNMF(folder, "run")
    run.prepare(cells, [3, 2], n_iter=6, seed=9, num_highvar_genes=60, **more)
    return run


def tables(folder: Path) -> dict[str, bytes]:
    """All text tables of a run."""
    return {path.name: path.read_bytes() for path in sorted((folder / "run").glob("*.txt"))}


# What is found


@pytest.mark.parametrize("depth", [60.0, 150.0, 1000.0])
@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_planted_programs_are_found(depth, loss):
    cells, spectra = planted(seed=11, depth=depth)
    found = fe.cnmf.fit(cells, 3, n_iter=8, seed=1, n_genes=80, drop_empty=True, beta_loss=loss).consensus(3, 2.0)
    match = np.corrcoef(np.vstack([found.spectra_tpm.to_numpy(), spectra]))[:3, 3:].max(axis=0)
    assert (match > (0.9 if depth < 100.0 else 0.97)).all(), match
    assert found.status.tolist() == ["ok"] * 3


def test_the_number_of_planted_programs_is_suggested(run):
    assert run.suggested_k == 3
    assert run.selection.loc[3, "silhouette"] > 0.9
    assert run.consensus(3).stability.min() > 0.99


def test_single_precision_and_exact_refits_are_near(cells, run):
    double = run.consensus(3, 2.0)
    single = fe.cnmf.fit(cells, 3, n_iter=8, seed=5, n_genes=60, precision="single").consensus(3, 2.0)
    quick = fe.cnmf.fit(cells, 3, n_iter=8, seed=5, n_genes=60, solver="accelerated").consensus(3, 2.0)
    exact = run.consensus(3, 2.0, refit="exact")
    assert np.corrcoef(double.usages.to_numpy().ravel(), exact.usages.to_numpy().ravel())[0, 1] > 0.9999
    # Another k before it changes the seeds: programs agree, digits need not.
    for other in (single, quick):
        match = np.corrcoef(np.vstack([other.spectra, double.spectra]))[:3, 3:].max(axis=0)
        assert (match > 0.999).all()
    with pytest.raises(fe.UnsupportedError, match="squared norm"):
        fe.cnmf.fit(cells, 3, n_iter=4, seed=5, n_genes=60, solver="accelerated", beta_loss="kullback-leibler")


def test_bits_depend_on_neither_threads_nor_form(cells, run):
    for data in (cells, ad.AnnData(cells.X.toarray(), cells.obs, cells.var), cells.copy()):
        again = fe.cnmf.fit(data, [3, 2], n_iter=8, seed=5, n_genes=60, n_threads=3)
        assert same_bits(again.merged(3), run.merged(3))
        assert same_bits(again.consensus(3, n_threads=1).usages, run.consensus(3, n_threads=2).usages)


def test_files_of_any_kind_are_read(cells, run, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    frame = pd.DataFrame(cells.X.toarray(), index=cells.obs_names, columns=cells.var_names)
    frame.to_csv(tmp_path / "cells.tsv", sep="\t")
    np.savez(tmp_path / "cells.df.npz", data=frame.values, index=frame.index.values, columns=frame.columns.values)
    for data in (tmp_path / "cells.h5ad", tmp_path / "cells.tsv", tmp_path / "cells.df.npz", frame):
        again = fe.cnmf.fit(data, [2, 3], n_iter=8, seed=5, n_genes=60)
        assert same_bits(again.merged(2), run.merged(2))
        assert same_bits(again.consensus(2).spectra_score, run.consensus(2).spectra_score)


def test_expression_takes_the_place_of_counts_per_million(cells, run):
    x = cells.X.toarray().astype(np.float64)
    other = ad.AnnData(x / x.sum(axis=1, keepdims=True) * 1e6, obs=cells.obs, var=cells.var)
    given = fe.cnmf.fit(cells, [2, 3], n_iter=8, seed=5, genes=run.genes, tpm=other[:, ::-1].copy())
    assert same_bits(given.merged(3), run.merged(3)) or np.allclose(given.merged(3), run.merged(3), rtol=1e-9)
    assert np.allclose(given.consensus(3).usages, run.consensus(3).usages, rtol=1e-7)


# What is told


def test_outliers_are_dropped_where_they_end():
    density = np.concatenate([np.linspace(0.01, 0.1, 90), np.linspace(0.5, 0.9, 10)])
    threshold, dropped = fe.cnmf.suggest_density_threshold(density)
    assert dropped == 10
    assert 0.1 < threshold < 0.5


def test_a_threshold_that_loses_a_program_is_told(run):
    with pytest.raises(fe.BadInputError, match="2 programs") as raised:
        run.consensus(2, 1e-12)
    assert "would do" in raised.value.hint
    with pytest.raises(fe.MissingKeyError) as raised:
        run.consensus(7)
    assert "2, 3" in raised.value.hint


def test_results_can_be_kept(cells, run, tmp_path):
    found = run.consensus(3, 0.4)
    found.save(tmp_path / "programs.npz")
    for same in (fe.cnmf.Programs.load(tmp_path / "programs.npz"), pickle.loads(pickle.dumps(found))):
        assert same_bits(same.usages, found.usages)
        assert same_bits(same.spectra_score, found.spectra_score)
        pd.testing.assert_frame_equal(same.to_df(), found.to_df())
        assert repr(same) == repr(found)
        assert same.provenance == found.provenance
    run.save(tmp_path / "run.npz")
    for same in (fe.cnmf.ConsensusNMF.load(tmp_path / "run.npz"), pickle.loads(pickle.dumps(run))):
        assert same.suggested_k == 3
        with pytest.raises(fe.BadInputError, match="not at hand"):
            same.consensus(3)
        assert same_bits(same.consensus(3, 0.4, data=cells).usages, found.usages)
    with pytest.raises(fe.BadFileError):
        fe.cnmf.Programs.load(tmp_path / "run.npz")
    with pytest.raises(fe.BadFileError):
        fe.cnmf.ConsensusNMF.load(tmp_path / "none.npz")
    assert "k = 3" in repr(found)
    assert "16 replicates" in repr(run)


def test_options_are_those_of_the_table():
    arguments = {(verb, name): (default, choices) for verb, name, default, choices in _core.cnmf_arguments()}
    for name, verbs, default, choices, _ in _core.cnmf_options():
        for verb in verbs:
            assert arguments[verb.replace("_", "-"), name] == (default, choices)
    import inspect

    names = {"numgenes": "num_highvar_genes", "max_nmf_iter": "max_NMF_iter"}
    of = {name: default for name, verbs, default, _, _ in _core.cnmf_options() if "prepare" in verbs}
    known = inspect.signature(fe.cnmf.cNMF.prepare).parameters
    for name, default in of.items():
        if name in ("components", "tpm"):
            continue
        found = known[names.get(name, name)].default
        assert found is None if default == "" else str(found).lower() == default or float(found) == float(default), name
    known = inspect.signature(fe.cnmf.cNMF.consensus).parameters
    assert known["density_threshold"].default == 0.5
    assert known["local_neighborhood_size"].default == 0.3


# In a folder


def test_a_folder_has_the_tables_of_the_run(cells, tmp_path):
    folder = prepared(tmp_path, cells)
    folder.factorize()
    folder.combine()
    table = folder.k_selection()
    assert table.index.tolist() == [2, 3]
    assert table["n_replicates"].tolist() == [6, 6]
    found = folder.consensus(3, 0.5, show_clustering=False)
    memory = fe.cnmf.fit(cells, [3, 2], n_iter=6, seed=9, n_genes=60)
    assert same_bits(folder.load_frame("spectra.k_3.merged"), memory.merged(3))
    assert folder.load_frame("spectra.k_3.merged").index.tolist() == memory.merged(3).index.tolist()
    expected = memory.consensus(3)
    assert np.allclose(found.usages, expected.usages, rtol=1e-10)
    assert np.array_equal(found.labels, expected.labels)
    usage, scores, tpm, top = folder.load_results(3, 0.5)
    assert same_bits(usage, found.shares)
    assert same_bits(scores.T, found.spectra_score)
    assert same_bits(tpm.T, found.spectra_tpm)
    assert top.shape == (90, 3)
    assert top[1].tolist() == found.top_genes(90)[1].tolist()
    raw, _, _, _ = folder.load_results(3, 0.5, norm_usage=False)
    assert same_bits(raw, found.usages)
    with pytest.raises(fe.BadFileError, match="no such consensus"):
        folder.load_results(3, 0.1)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "run.overdispersed_genes.txt",
        "run.spectra.k_3.dt_0_5.consensus.txt",
        "run.usages.k_3.dt_0_5.consensus.txt",
        "run.gene_spectra_tpm.k_3.dt_0_5.txt",
        "run.gene_spectra_score.k_3.dt_0_5.txt",
        "run.starcat_spectra.k_3.dt_0_5.txt",
        "run.k_selection_stats.df.npz",
    } <= names
    stats = np.load(tmp_path / "run" / "run.k_selection_stats.df.npz", allow_pickle=False)
    assert stats["columns"].tolist() == ["k", "local_density_threshold", "silhouette", "prediction_error"]
    assert (tmp_path / "run" / "run.overdispersed_genes.txt").read_text().split() == memory.genes


def test_shares_of_workers_make_the_whole(cells, tmp_path):
    whole, parts = prepared(tmp_path / "a", cells), prepared(tmp_path / "b", cells)
    whole.factorize()
    for worker in (2, 0):
        parts.factorize(worker, 3)
    with pytest.raises(fe.MissingKeyError, match="2 of 6 replicates are not made yet: `k2 iter1`, `k2 iter4`"):
        parts.combine()
    parts.factorize(1, 3)
    for one in (whole, parts):
        one.combine()
        one.consensus(2, show_clustering=False)
    assert tables(tmp_path / "a") == tables(tmp_path / "b")
    with pytest.raises(fe.BadInputError, match="numbered from 0 to 2"):
        parts.factorize(3, 3)


def test_gaps_and_strangers_are_refused_by_name(cells, tmp_path):
    folder = prepared(tmp_path, cells)
    folder.factorize()
    between = tmp_path / "run" / "cnmf_tmp"
    lost = between / "run.spectra.k_2.iter_4.df.npz"
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(fe.MissingKeyError, match="`k2 iter4`"):
        folder.combine()
    with pytest.warns(fe.FerrocyteWarning, match="k2 iter4"):
        folder.combine(2, skip_missing_files=True)
    assert len(folder.load_frame("spectra.k_2.merged")) == 10
    lost.write_bytes(kept)
    shutil.copy(lost, between / "run.spectra.k_2.iter_77.df.npz")
    with pytest.raises(fe.BadInputError, match=r"k_2\.iter_77"):
        folder.combine()


def test_a_run_that_was_killed_goes_on_to_the_same_bits(cells, tmp_path):
    whole, broken = prepared(tmp_path / "a", cells), prepared(tmp_path / "b", cells)
    whole.factorize()
    # What a killed process leaves: some replicates, and none in the making.
    broken.factorize(0, 2)
    there = sorted((tmp_path / "b" / "run" / "cnmf_tmp").glob("run.spectra.k_*"))
    times = {path: path.stat().st_mtime_ns for path in there}
    broken.prepare(cells, [3, 2], n_iter=6, seed=9, num_highvar_genes=60, resume=True)
    broken.factorize(skip_completed_runs=True)
    assert {path: path.stat().st_mtime_ns for path in there} == times
    for one in (whole, broken):
        one.combine()
        one.consensus(3, show_clustering=False)
    assert tables(tmp_path / "a") == tables(tmp_path / "b")
    # Another preparation removes what no longer belongs.
    broken.prepare(cells, [3], n_iter=6, seed=10, num_highvar_genes=60, resume=True)
    assert not list((tmp_path / "b" / "run" / "cnmf_tmp").glob("run.spectra.k_*"))


def test_checkpoints_in_memory(cells, run, tmp_path):
    first = fe.cnmf.fit(cells, [2, 3], n_iter=8, seed=5, n_genes=60, checkpoint=tmp_path / "kept")
    stored = sorted((tmp_path / "kept").iterdir())
    assert len(stored) == 16
    for path in stored[::3]:
        path.unlink()
    again = fe.cnmf.fit(cells, [2, 3], n_iter=8, seed=5, n_genes=60, checkpoint=tmp_path / "kept")
    for k in (2, 3):
        assert same_bits(again.merged(k), run.merged(k))
        assert same_bits(first.merged(k), run.merged(k))
    pd.testing.assert_frame_equal(again.replicates, run.replicates)
    with pytest.raises(fe.BadInputError, match="another run"):
        fe.cnmf.fit(cells, [2, 3], n_iter=8, seed=6, n_genes=60, checkpoint=tmp_path / "kept")


def test_names_that_were_pickled_are_read(cells, tmp_path):
    """The peer stores names of genes and rows as pickled objects."""
    folder = prepared(tmp_path, cells)
    folder.factorize()
    for path in (tmp_path / "run" / "cnmf_tmp").glob("*.df.npz"):
        with np.load(path, allow_pickle=True) as arrays:
            frame = pd.DataFrame(**{name: arrays[name] for name in arrays.files})
        if "nmf_params" in path.name:
            frame = frame.astype({"completed": bool})
        index = frame.index.values
        np.savez_compressed(
            path,
            data=frame.values,
            index=index if index.dtype.kind == "i" else index.astype(object),
            columns=frame.columns.values.astype(object),
        )
    folder.combine()
    memory = fe.cnmf.fit(cells, [3, 2], n_iter=6, seed=9, n_genes=60)
    assert np.allclose(folder.consensus(3, show_clustering=False).usages, memory.consensus(3).usages, rtol=1e-10)


PEER = """
import sys, warnings
warnings.simplefilter("ignore")
from cnmf import cNMF
place, counts = sys.argv[1:]
theirs = cNMF(output_dir=place, name="theirs")
theirs.prepare(counts_fn=counts, components=[3, 2], n_iter=6, seed=9, num_highvar_genes=60)
theirs.factorize(worker_i=0, total_workers=1)
theirs.combine()
theirs.consensus(k=3, density_threshold=0.5, show_clustering=False)
ours = cNMF(output_dir=place, name="run")
for name, table in zip(("usage", "scores", "tpm"), ours.load_results(K=3, density_threshold=0.5)):
    table.to_csv(f"{place}/read_{name}.tsv", sep="\\t")
ours.combine(components=[2])
ours.consensus(k=2, density_threshold=2.0, show_clustering=False)
"""


@pytest.mark.skipif("FERROCYTE_CNMF_PYTHON" not in os.environ, reason="no Python with the package cnmf is named")
def test_the_package_cnmf_reads_our_folder_and_we_its(cells, tmp_path):
    cells = cells.copy()
    cells.X = cells.X.astype(np.float64)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    ours = prepared(tmp_path, cells)
    ours.factorize()
    ours.combine()
    found = ours.consensus(3, show_clustering=False)
    two = ours.consensus(2, 2.0, show_clustering=False)
    (tmp_path / "run" / "run.usages.k_2.dt_2_0.consensus.txt").unlink()
    command = [os.environ["FERROCYTE_CNMF_PYTHON"], "-c", PEER, str(tmp_path), str(tmp_path / "cells.h5ad")]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})

    def close(a, b) -> bool:
        return np.allclose(a, b, rtol=1e-9, atol=1e-12)

    for name, table in (("usage", found.shares), ("scores", found.spectra_score.T), ("tpm", found.spectra_tpm.T)):
        assert close(pd.read_csv(tmp_path / f"read_{name}.tsv", sep="\t", index_col=0), table)
    # It went on where we stopped, and we go on in its folder.
    assert close(ours.load_results(2, 2.0)[0], two.shares)
    theirs = fe.cnmf.cNMF(tmp_path, "theirs")
    usage, scores, tpm, _ = theirs.load_results(3, 0.5)
    assert close(usage, found.shares)
    assert close(scores, found.spectra_score.T)
    assert close(tpm, found.spectra_tpm.T)
    theirs.combine()
    assert close(theirs.consensus(2, 2.0, show_clustering=False).shares, two.shares)
    theirs.factorize(skip_completed_runs=True)


def test_the_command_has_the_same_bytes(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    folder = prepared(tmp_path / "a", tmp_path / "cells.h5ad")
    folder.factorize()
    folder.combine()
    for k in (2, 3):
        folder.consensus(k, show_clustering=False)
    place = ["--output-dir", str(tmp_path / "b"), "--name", "run"]
    made = ["-n", "6", "--seed", "9", "--numgenes", "60"]

    def program(*arguments: str) -> int:
        return _core.run_program(["ferrocyte", "-q", "cnmf", *arguments])

    assert program("run", *place, "-c", str(tmp_path / "cells.h5ad"), "-k", "3", "2", *made) == 0
    assert tables(tmp_path / "a") == tables(tmp_path / "b")
    # Step by step, on two workers.
    place[1] = str(tmp_path / "c")
    assert program("prepare", *place, "-c", str(tmp_path / "cells.h5ad"), "-k", "3", "2", *made, "--densify") == 0
    assert program("factorize", *place, "--total-workers", "2", "--worker-index", "1") == 0
    assert program("combine", *place) == 1
    assert program("factorize", *place, "--skip-completed-runs") == 0
    assert program("combine", *place) == 0
    assert program("k-selection", *place) == 0
    assert program("consensus", *place, "-k", "3", "--local-density-threshold", "0.5") == 0
    assert program("consensus", *place, "-k", "2", "--show-clustering") == 0
    assert tables(tmp_path / "a") == tables(tmp_path / "c")
    reference = tmp_path / "a" / "run" / "run.starcat_spectra.k_3.dt_0_5.txt"
    out = tmp_path / "usages.tsv"
    asked = ["project", "-c", str(tmp_path / "cells.h5ad"), "--reference", str(reference), "-o", str(out)]
    assert program(*asked, "--refit", "exact") == 0
    found = pd.read_csv(out, sep="\t", index_col=0)
    assert np.allclose(found, fe.cnmf.project(cells, reference, refit="exact").shares, rtol=1e-12)
    assert program("consensus", *place, "-k", "9") == 1
    assert program("prepare", *place, "-c", str(tmp_path / "cells.h5ad")) == 2


@pytest.mark.slow
def test_a_dask_cluster_of_two(cells, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    whole, shared = prepared(tmp_path / "a", cells), prepared(tmp_path / "b", cells)
    whole.factorize()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        fe.cnmf.factorize_dask(shared, client=client)
        with pytest.raises(fe.BadInputError, match="no option"):
            fe.cnmf.factorize_dask(shared, client=client, rows=3)
        with pytest.raises(fe.MissingKeyError, match="nothing is prepared"):
            fe.cnmf.factorize_dask(fe.cnmf.cNMF(tmp_path, "none"), client=client)
    for one in (whole, shared):
        one.combine()
        one.consensus(3, show_clustering=False)
    assert tables(tmp_path / "a") == tables(tmp_path / "b")


# In an AnnData


def test_programs_lie_in_an_anndata(cells, tmp_path):
    cells = cells.copy()
    x = cells.X.toarray()
    x[7, :] = 0.0
    x[7, 0] = 1.0
    cells.layers["counts"] = sparse.csr_matrix(x)
    cells.layers["norm"] = sparse.csr_matrix(x / x.sum(axis=1, keepdims=True) * 1e4)
    cells.var["vst.hvg"] = np.arange(cells.n_vars) % 3 != 2
    with pytest.warns(fe.FerrocyteWarning, match="too few counts"):
        run = fe.cnmf.consensus_nmf(cells, [2, 3], n_permutation=6)
    assert run.dropped["cells"] == ["cell7"]
    assert sorted(cells.uns["cnmf"]) == ["2", "3"]
    assert cells.uns["cnmf"]["3"].shape == (18, 60)
    wide = fe.cnmf.consensus_nmf_extract_k(cells, 3, density_threshold=2.0)
    assert wide.kept.all()
    usages = cells.obsm["cnmf.3"]
    assert usages.columns.tolist() == ["C1", "C2", "C3"]
    assert not usages.loc["cell7"].any()
    assert np.isfinite(usages.to_numpy()).all()
    assert cells.uns["cnmf.dist.3"].shape == (18, 18)
    # The caller's threshold is obeyed, not that of the run.
    most = float(wide.local_density.max())
    some = fe.cnmf.consensus_nmf_extract_k(cells, 3, density_threshold=most)
    assert cells.uns["cnmf.threshold.3"] == most
    assert some.kept.sum() == 17
    assert same_bits(some.usages, run.consensus(3, most).usages)
    with pytest.warns(fe.FerrocyteWarning, match="fewer dense groups than programs"):
        run.consensus(3, float(wide.local_density.median()))
    # And all of it goes through a file.
    cells.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    same = fe.cnmf.consensus_nmf_extract_k(again, 3, density_threshold=2.0)
    assert same_bits(same.usages, wide.usages)
    with pytest.raises(fe.MissingKeyError, match="no run"):
        fe.cnmf.consensus_nmf_extract_k(again, 3, "other")
    with pytest.raises(fe.MissingKeyError, match="layer"):
        fe.cnmf.consensus_nmf(again, [3], tpm="none")


def test_new_cells_on_known_programs(cells, run):
    programs = run.consensus(3)
    found = fe.cnmf.project(cells[:100].copy(), programs, refit="exact")
    expected = programs.shares.iloc[:100]
    assert np.corrcoef(found.shares.to_numpy().ravel(), expected.to_numpy().ravel())[0, 1] > 0.95
    assert found.status.eq("ok").all()
    some = cells[:, : cells.n_vars - 10].copy()
    with pytest.warns(fe.FerrocyteWarning, match="not among those of the cells"):
        fewer = fe.cnmf.project(some, programs)
    assert fewer.missing_genes
    with pytest.raises(fe.BadInputError, match="at least 6 are needed"):
        fe.cnmf.project(cells[:, :5].copy(), programs)
    target = cells[:100].copy()
    found.store(target)
    assert target.obsm["cnmf_projection"].shape == (100, 3)
