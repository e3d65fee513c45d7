"""The work of `benches/nmf.py`, by ferrocyte, scikit-learn, nmf-rs or bixverse, in a process of its own.

`python nmf_work.py PROGRAM FILE LOSS PRECISION K REPLICAS THREADS SHORT LONG` reads a matrix (.npz of scipy),
factorises it with SHORT and with LONG iterations from the same starts, several times, and prints as JSON: milliseconds
of processor and of wall time for each iteration and replica (the least of all repeats), and the peak memory of the
process in bytes. `python nmf_work.py job FILE LOSS PRECISION 0 REPLICAS 1 0 0` makes so many replicas of each k of the
job of `JOB`, to their ends, and prints the seconds of processor time.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

# Repeats end after this many seconds.
ENOUGH = 4.0

#: The numbers of programs of the whole job.
JOB = (5, 10, 15, 20)


def ours(x: sparse.csr_matrix, loss: str, precision: str, numbers: tuple[int, int, int]) -> Callable[[int], object]:
    """Factorisations of ferrocyte, `accelerated` if the loss is asked for with this word."""
    import ferrocyte as fe

    k, replicas, threads = numbers
    solver = "accelerated" if loss == "accelerated" else "auto"
    loss = "frobenius" if loss == "accelerated" else loss

    def run(iterations: int) -> object:
        return fe.nmf.fit(
            x,
            k,
            n_replicas=replicas,
            beta_loss=loss,
            solver=solver,
            precision=precision,
            tol=0.0,
            max_iter=iterations,
            n_threads=threads,
            max_memory="16GiB",
        )

    return run


def peer(x: sparse.csr_matrix, loss: str, precision: str, numbers: tuple[int, int, int]) -> Callable[[int], object]:
    """Factorisations of scikit-learn, one after the other; its threads are those of the libraries below it."""
    from sklearn.decomposition import NMF
    from threadpoolctl import threadpool_limits

    k, replicas, threads = numbers
    x = x.astype(np.float32 if precision == "single" else np.float64)
    solver = "cd" if loss == "frobenius" else "mu"
    loss = "frobenius" if loss == "frobenius-mu" else loss
    threadpool_limits(threads)

    def run(iterations: int) -> object:
        for seed in range(replicas):
            NMF(k, init="random", random_state=seed, solver=solver, beta_loss=loss, tol=0.0, max_iter=iterations).fit(x)
        return None

    return run


def dense(x: sparse.csr_matrix, loss: str, precision: str, numbers: tuple[int, int, int]) -> Callable[[int], object]:
    """Factorisations of nmf-rs, which takes dense matrices of 64 bits."""
    import nmf_rs

    k, replicas, threads = numbers
    values = x.toarray()
    method = {"frobenius": "hals", "kullback-leibler": "brunet", "frobenius-mu": "lee"}[loss]

    def run(iterations: int) -> object:
        for seed in range(replicas):
            nmf_rs.nmf(values, k, method, seed=seed, max_iter=iterations, num_threads=threads)
        return None

    return run


def bixverse(file: str, k: int, threads: int, span: tuple[int, int]) -> dict[str, float]:
    """Milliseconds of factorisations of bixverse, which a program of its own times: sparse, 32 bits."""
    from page import rival_program

    x = sparse.csc_matrix(sparse.load_npz(file))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shape.txt").write_text(f"{x.shape[0]} {x.shape[1]}")
        x.data.astype("<f4").tofile(folder / "data.f32")
        x.indices.astype("<u4").tofile(folder / "indices.u32")
        x.indptr.astype("<u4").tofile(folder / "indptr.u32")
        words = [str(folder), *map(str, (k, *span, threads))]
        done = subprocess.run([rival_program("rivals-nmf"), *words], capture_output=True, text=True, check=True)
    told = dict(line.split() for line in done.stdout.splitlines())
    return {name: float(told[name]) for name in ("cpu", "wall")}


def job(x: sparse.csr_matrix, loss: str, precision: str, replicas: int) -> dict[str, float]:
    """Seconds of so many replicas of each k, to their ends."""
    import ferrocyte as fe

    solver = "accelerated" if loss == "accelerated" else "cd"
    began = time.process_time()
    found = fe.nmf.fit(
        x, JOB, n_replicas=replicas, seed=14, solver=solver, precision=precision, n_threads=1, max_memory="16GiB"
    )
    spent = time.process_time() - began
    return {"cpu": spent, "iterations": float(found.replicas["iterations"].sum())}


def peak() -> int:
    """Bytes of this process at most; `getrusage` would tell those of its parent where it had more."""
    status = Path("/proc/self/status")
    if status.exists() and (held := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return 1024 * int(held[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measure and print."""
    program, file, loss, precision = sys.argv[1:5]
    k, replicas, threads, short, long = map(int, sys.argv[5:10])
    if program == "bixverse":
        print(json.dumps(bixverse(file, k, threads, (short, long))))
        return
    x = sparse.load_npz(file)
    if program == "job":
        print(json.dumps(job(x, loss, precision, replicas)))
        return
    run = {"ferrocyte": ours, "scikit-learn": peer, "nmf-rs": dense}[program](
        x, loss, precision, (k, replicas, threads)
    )
    warnings.simplefilter("ignore")
    run(1)
    # The least of each kind apart: a disturbance makes either longer, never shorter.
    least = np.full((2, 2), np.inf)
    began = time.perf_counter()
    while time.perf_counter() - began < ENOUGH:
        for row, iterations in enumerate((short, long)):
            cpu, wall = time.process_time(), time.perf_counter()
            run(iterations)
            spent = time.process_time() - cpu, time.perf_counter() - wall
            least[row] = np.minimum(least[row], spent)
    cpu, wall = 1e3 * (least[1] - least[0]) / (long - short) / replicas
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": peak()}))


if __name__ == "__main__":
    main()
