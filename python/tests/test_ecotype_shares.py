"""Ensembles in shares: array jobs of the program, dask, the same bits as one process, and what a merge refuses."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pandas as pd
import pytest

import ferrocyte as fe
from ferrocyte import _core

E = fe.ecotype
HOW = {"sample": "Sample", "n_runs": 5, "downsample": 150}
WORDS = ["--sample", "Sample", "--n-runs", "5", "--downsample", "150"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    cells = E.simulate(3, samples=2, cells=400, genes=60, types=2, ecotypes=3)
    path = tmp_path_factory.mktemp("ecotype") / "study.h5ad"
    cells.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def whole(study):
    return E.train_ensemble(str(study), keep_runs=True, **HOW)


def ferrocyte(*words: object) -> int:
    return _core.run_program(["ferrocyte", *map(str, words), "-q"])


def same(found: fe.ecotype.Ensemble, expected: fe.ecotype.Ensemble) -> None:
    assert found.n_models == expected.n_models
    for name, table in expected.models.items():
        pd.testing.assert_frame_equal(found.models[name], table, check_exact=True)
        pd.testing.assert_frame_equal(found.frequency[name], expected.frequency[name], check_exact=True)
        pd.testing.assert_frame_equal(found.sd[name], expected.sd[name], check_exact=True)


@pytest.mark.parametrize("of", [1, 2, 5, 7])
def test_any_number_of_shares_has_the_bits_of_one_process(study, whole, of):
    shares = [E.train_runs(str(study), run=i, of=of, n_threads=1 + i % 2, **HOW) for i in range(of, 0, -1)]
    assert sorted(number for share in shares for number in share.numbers) == list(range(5))
    found = E.merge_runs([pickle.loads(pickle.dumps(share)) for share in shares], keep_runs=True)
    same(found, whole)
    assert len(found.runs) == 5
    for made, expected in zip(found.runs, whole.runs, strict=True):
        assert all(made[name].equals(table) for name, table in expected.items())


def test_array_jobs_write_shares_that_program_and_package_merge(study, whole, tmp_path):
    files = [tmp_path / f"share{i}.npz" for i in (1, 2, 3)]
    for i, file in enumerate(files):
        assert ferrocyte("ecotype", "ensemble", study, *WORDS, "--run", i + 1, "--of", 3, "-o", file) == 0
    same(E.merge_runs(files), whole)
    assert E.Runs.load(files[1]) == E.train_runs(str(study), run=2, of=3, **HOW)
    # One process and three end with the same bytes.
    assert ferrocyte("ecotype", "aggregate", *files[::-1], "-o", tmp_path / "merged") == 0
    assert ferrocyte("ecotype", "ensemble", study, *WORDS, "-o", tmp_path / "one") == 0
    tables = sorted(path.name for path in (tmp_path / "one").iterdir() if path.suffix in (".tsv", ".json"))
    tables = [name for name in tables if not name.endswith(".run.json")]
    assert "models.json" in tables
    for name in tables:
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def test_gaps_repeats_and_strangers_are_refused_by_name(study, tmp_path, capfd):
    def share(i: int, **more) -> fe.ecotype.Runs:
        return E.train_runs(str(study), run=i, of=3, **{**HOW, **more})

    first, second, third = (share(i) for i in (1, 2, 3))
    with pytest.raises(fe.MissingKeyError, match="2 of 5 runs are in no share: `2`, `5`"):
        E.merge_runs([first, third])
    with pytest.raises(fe.BadInputError, match="run 2 is in `share 2` too"):
        E.merge_runs([first, second, second, third])
    with pytest.raises(fe.BadInputError, match="nfeature differs: `20`, but `300` in `share 1`"):
        E.merge_runs([first, share(2, nfeature=20), third])
    with pytest.raises(fe.BadInputError, match="seeds differ"):
        E.merge_runs([first, share(2, seed=1)])
    other = E.simulate(4, samples=2, cells=400, genes=60, types=2, ecotypes=3)
    with pytest.raises(fe.BadInputError, match="fingerprint of values"):
        E.merge_runs([first, E.train_runs(other, run=2, of=3, **HOW)])
    with pytest.raises(fe.BadInputError, match="numbered from 1 to 3, found 4"):
        share(4)
    with pytest.raises(fe.BadInputError, match="there is no option `nfeatures`"):
        share(1, nfeatures=3)
    first.save(tmp_path / "a.npz")
    third.save(tmp_path / "c.npz")
    assert ferrocyte("ecotype", "aggregate", tmp_path / "a.npz", tmp_path / "c.npz", "-o", tmp_path / "x") != 0
    assert "2 of 5 runs are in no share: `2`, `5`" in capfd.readouterr().err
    assert not (tmp_path / "x").exists()
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(fe.FerrocyteError, match=r"broken\.npz|zip"):
        E.merge_runs([tmp_path / "broken.npz"])
    assert ferrocyte("ecotype", "ensemble", study, "--run", 1, "-o", tmp_path / "y.npz") != 0


@pytest.mark.slow
def test_a_dask_cluster_of_two(study, whole):
    distributed = pytest.importorskip("dask.distributed")
    os.environ.setdefault("DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING", "false")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(E.train_ensemble_dask(study, client=client, **HOW), whole)
        with pytest.raises(fe.BadInputError, match="there is no option `runs`"):
            E.train_ensemble_dask(study, client=client, runs=3)
        with pytest.raises(fe.MissingKeyError, match="nowhere"):
            E.train_ensemble_dask(study, client=client, cell_type="nowhere")
    with pytest.raises(fe.BadInputError, match=r"expected a dask\.distributed\.Client"):
        E.train_ensemble_dask(study, client=None)


def test_clients_and_paths_are_asked_for(study):
    class Client:
        asynchronous = False

        def submit(self, work, *arguments, pure):
            class Done:
                def result(self):
                    return work(*arguments)

            return Done()

        def cancel(self, futures):
            pass

        def nthreads(self):
            return {"a": 2, "b": 1}

    found = E.train_ensemble_dask(study, client=Client(), **HOW)
    assert set(found.n_models.values()) == {5}
    assert all(np.isfinite(table.to_numpy()).all() for table in found.models.values())
    with pytest.raises(fe.BadInputError, match="expected the path of a file"):
        E.train_ensemble_dask(E.simulate(3, cells=50), client=Client())
