"""A study on several workers: by the planner's shards, a dask cluster, the Slurm scripts of the docs. The same bits.

The Slurm test runs the scripts as they stand through a Slurm of its own on the loopback device. It needs root and
Debian's Slurm, ``apt-get install slurm-wlm`` (which brings munge), and is skipped elsewhere; the same scripts run
without Slurm in :func:`test_the_scripts_of_the_docs_run`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common import ROOT

import ferrocyte as fe

FORMULA = "~ log(libsize) + condition + (1 | sample)"
SCRIPTS = ROOT / "docs" / "slurm"
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """140,000 cells of 6 genes: three blocks between cuts."""
    import anndata
    from scipy import sparse

    n, rng = 140_000, np.random.default_rng(5)
    sample = rng.integers(0, 12, n)
    counts = rng.poisson(0.3 + 0.1 * (sample % 2)[:, None], (n, 6)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "libsize": rng.uniform(500, 5000, n),
            "condition": pd.Categorical(np.where(sample % 2 == 0, "ctrl", "stim")),
            "sample": pd.Categorical([f"s{i:02}" for i in sample]),
        },
        index=[f"c{i}" for i in range(n)],
    )
    path = tmp_path_factory.mktemp("cluster") / "study.h5ad"
    var = pd.DataFrame(index=[f"g{i}" for i in range(6)])
    anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=var).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """The bytes of the sums of the whole study in one call."""
    return saved(fe.lmm.sums(study, FORMULA), tmp_path_factory.mktemp("whole"))


def saved(sums, folder):
    sums.save(folder / "sums.npz")
    return (folder / "sums.npz").read_bytes()


def test_a_plan_gives_the_bits_of_the_whole(study, whole, tmp_path):
    assert fe.lmm.plan(study, 2) == fe.lmm.plan(140_000, 2) == [(0, 65_536), (65_536, 140_000)]
    for n_shards in (1, 2, 3):
        shards = [fe.lmm.sums(study, FORMULA, rows=rows) for rows in fe.lmm.plan(study, n_shards)]
        last, *others = reversed(shards)
        assert saved(last.merge(*others), tmp_path) == whole
    partly = shards[1].merge(shards[0])
    assert partly.missing_rows == ["rows 131072:140000 of X of study.h5ad"]
    assert saved(shards[2].merge(partly), tmp_path) == whole
    with pytest.raises(fe.BadInputError, match="3 blocks of 65536, and cannot be 4 shards"):
        fe.lmm.plan(study, 4)
    with pytest.raises(fe.BadInputError, match=r"rows 65536:131072 of .* are in no part"):
        shards[2].merge(shards[0])
    with pytest.raises(fe.BadInputError, match="overlap"):
        shards[0].merge(partly)


@pytest.mark.parametrize("data", [-1, None, 3.5])
def test_a_plan_is_of_a_study(data):
    with pytest.raises(fe.BadInputError, match="expected"):
        fe.lmm.plan(data, 1)
    with pytest.raises(fe.BadInputError, match="whole number"):
        fe.lmm.plan(100, 1.5)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_dask_cluster_gives_the_bits_of_the_whole(study, whole, client, tmp_path):
    assert saved(fe.lmm.sums_dask(study, FORMULA, client=client), tmp_path) == whole
    assert saved(fe.lmm.sums_dask(study, FORMULA, client=client, n_shards=3), tmp_path) == whole


def test_faults_of_workers_come_back_as_ours(study, client):
    with pytest.raises(fe.MissingKeyError, match="no column `batch`") as caught:
        fe.lmm.sums_dask(study, "~ batch + (1 | sample)", client=client)
    assert caught.value.hint
    with pytest.raises(fe.BadInputError, match="there is no option `layers`"):
        fe.lmm.sums_dask(study, FORMULA, client=client, layers="counts")
    with pytest.raises(fe.BadInputError, match="expected the path"):
        fe.lmm.sums_dask(object(), FORMULA, client=client)


def test_a_client_is_one(study):
    with pytest.raises(fe.BadInputError, match=r"expected a dask\.distributed\.Client") as caught:
        fe.lmm.sums_dask(study, FORMULA, client="tcp://node:8786")
    assert "ferrocyte[dask]" in caught.value.hint


@pytest.fixture
def environment(study, tmp_path):
    """What the scripts are told, with the program on the path."""
    program = tmp_path / "bin" / "ferrocyte"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom ferrocyte._cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "STUDY": str(study),
        "FORMULA": FORMULA,
        "CONTRAST": "condition:stim:ctrl",
    }


def run(command, environment, folder):
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_scripts_of_the_docs_run(whole, environment, tmp_path):
    for task in ("2", "1", "3"):
        of_task = {**environment, "SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "3"}
        run([SCRIPTS / "sums.sh"], of_task, tmp_path)
    run([SCRIPTS / "fit.sh"], environment, tmp_path)
    assert (tmp_path / "sums.npz").read_bytes() == whole
    table = pd.read_csv(tmp_path / "table.tsv", sep="\t")
    assert sorted(table["gene"]) == [f"g{i}" for i in range(6)]
    assert (tmp_path / "fit.npz").exists()


@pytest.fixture
def slurm(tmp_path):
    """A Slurm of one node on this machine; gives its configuration file."""
    absent = [name for name in DAEMONS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed (Debian: apt-get install slurm-wlm)")
    if os.geteuid() != 0:
        pytest.skip("slurmd needs root")
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    ports = free_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        f"""ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs={min(2, os.cpu_count() or 1)} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""
    )
    (folder / "cgroup.conf").write_text("IgnoreSystemd=yes\n")
    munged = [
        *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.sock"),
        *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munged.seed", f"--log-file={folder}/munged.log"),
    ]
    daemons = []
    try:
        for command in (munged, ["slurmctld", "-D", "-f", configuration], ["slurmd", "-D", "-f", configuration]):
            path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "SLURM_CONF": str(configuration)}
            with (folder / f"{command[0]}.out").open("wb") as log:
                daemons.append(subprocess.Popen(command, env=path, stdout=log, stderr=log))
            time.sleep(1)
        yield configuration
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=20)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_the_scripts_of_the_docs_run_through_slurm(slurm, whole, environment, tmp_path):
    environment = {**environment, "SLURM_CONF": str(slurm)}
    last = run([SCRIPTS / "submit.sh", "3"], environment, tmp_path).strip()
    assert last.isdigit()
    end = time.monotonic() + 100
    while run(["squeue", "--noheader"], environment, tmp_path).strip() and time.monotonic() < end:
        time.sleep(0.5)
    logs = "\n".join(f"{log.name}: {log.read_text()}" for log in Path(tmp_path).glob("slurm-*.out"))
    assert (tmp_path / "table.tsv").exists(), logs
    assert (tmp_path / "sums.npz").read_bytes() == whole
