"""Speed of factorisations, beside programs that make them, in one run; writes docs/speed_nmf.md.

Every program runs in a process of its own (`nmf_work.py`) on the same counts over standard deviations, of the generator
that the page names. What is compared are milliseconds for each iteration of each replica, so that stopping rules do not
matter. A program that is not installed is named as such.

A whole small run of consensus NMF is made beside the package cnmf (`nmf_run.py`), where `make bench` installed it. The
whole job of M is measured on a share of its replicas and scaled.

`--quick` tries everything on a small study and writes nothing; `--slow` lets programs run that take minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from nmf_work import JOB
from page import ROOT, build_rivals, last_line, locked, machine, processors, say, table, times, versions
from scipy import sparse

import ferrocyte as fe
from ferrocyte import _core

PAGE = ROOT / "docs/speed_nmf.md"
N_GENES = 2000


@dataclass
class Size:
    """A study of the generator: cells, planted programs, seed, mean library, and the rank that is fitted."""

    name: str
    cells: int
    programs: int
    seed: int
    library: float
    k: int


SIZES = [
    Size("S", 2_700, 8, 9001, 260, 8),
    Size("M", 13_015, 12, 9002, 330, 10),
    Size("L", 100_000, 16, 9003, 330, 10),
]
QUICK = [Size("T", 600, 5, 9000, 260, 5)]

#: The milliseconds that were aimed at, for each size, loss and precision.
AIMS = {
    ("S", "frobenius", "double"): 0.6,
    ("S", "frobenius", "single"): 0.3,
    ("S", "kullback-leibler", "double"): 0.8,
    ("M", "frobenius", "double"): 4.5,
    ("M", "frobenius", "single"): 2.3,
    ("L", "frobenius", "double"): 32.0,
    ("L", "frobenius", "single"): 15.0,
}


def simulate(size: Size) -> sparse.csr_matrix:
    """Counts of cells with an identity program each and some with an activity program too."""
    made = fe.sim.programs(size.cells, N_GENES, n_programs=size.programs, depth=size.library, seed=size.seed)
    return sparse.csr_matrix(made.X)


def scaled(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Counts over the standard deviations of their genes."""
    x = counts.astype(float)
    n = x.shape[0]
    mean = np.asarray(x.mean(axis=0)).ravel()
    square = np.asarray(x.multiply(x).mean(axis=0)).ravel()
    deviation = np.sqrt((square - mean**2) * n / (n - 1))
    out = sparse.csr_matrix(x @ sparse.diags(1 / deviation))
    out.sort_indices()
    return out


def measure(
    program: str, file: Path, what: tuple[str, str, int], replicas: int, threads: int, span: tuple[int, int]
) -> dict[str, float] | str:
    """Milliseconds for each iteration and replica, or why there are none."""
    loss, precision, k = what
    words = [program, str(file), loss, precision, *map(str, (k, replicas, threads, *span))]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    script = str(Path(__file__).with_name("nmf_work.py"))
    done = subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, check=False, env={**os.environ, **limits}
    )
    if done.returncode:
        return f"failed: {last_line(done.stderr)}"
    found: dict[str, float] = json.loads(last_line(done.stdout))
    return found


#: The interpreter that has the package cnmf: its requirements do not suit ours.
CNMF = ROOT / "target/bench-cnmf/bin/python"

#: Replicas of each k of the job of M that are made, in double and in single precision: a full batch.
SHARE = {"double": 8, "single": 16}

#: Seconds that were aimed at for the job of M: loss, precision.
JOB_AIMS = {("frobenius", "double"): 1800, ("frobenius", "single"): 900, ("accelerated", "single"): 450}


def whole_job(file: Path, lost: list[str]) -> list[list[str]]:
    """Seconds of 100 replicas of each k of M, from a share of them. Adds aims that are not met."""
    rows = []
    for (loss, precision), aim in JOB_AIMS.items():
        say(f"the job of M: {loss}, {precision}")
        replicas = SHARE[precision]
        found = measure("job", file, (loss, precision, 0), replicas, 1, (0, 0))
        if isinstance(found, str):
            rows.append([loss, precision, str(replicas), "", found, f"{aim:,}"])
            continue
        whole = found["cpu"] * 100 / replicas
        if whole > aim:
            lost.append(f"the whole job of M, {loss}, {precision}: {whole:,.0f} s, {aim:,} s were aimed at")
        rows.append(
            [
                loss,
                precision,
                str(replicas),
                f"{found['iterations']:,.0f}",
                f"{found['cpu']:.0f}",
                f"{whole:,.0f}",
                f"{aim:,}",
            ]
        )
    return rows


def whole_run(size: Size, counts: sparse.csr_matrix, folder: Path, lost: list[str]) -> list[str]:
    """A run of consensus NMF by ferrocyte and by the package cnmf: a table of its steps. Adds where cnmf wins."""
    import anndata as ad

    ks, replicates, genes = ([4, 5], 4, 500) if size.name == "T" else ([7, 8, 9], 10, 1000)
    path = folder / f"run_{size.name}.h5ad"
    study = ad.AnnData(counts.astype(np.float32))
    fe.io.write_h5ad(study, path)
    found: dict[str, dict[str, object]] = {}
    notes = []
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    for program, interpreter in (("ferrocyte", Path(sys.executable)), ("cnmf", CNMF)):
        if not interpreter.exists():
            notes.append(f"The package {program} is not installed here.")
            continue
        say(f"{size.name}: a whole run of {program}")
        words = [str(path), str(folder), str(genes), str(replicates), *map(str, ks)]
        script = str(Path(__file__).with_name("nmf_run.py"))
        command = [str(interpreter), script, program, *words]
        with processors(1):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **limits})
        if done.returncode:
            notes.append(f"The package {program} failed: {last_line(done.stderr)}")
            continue
        found[program] = json.loads(last_line(done.stdout))
    programs = list(found)
    heads = ["step", *(f"{name} {found[name]['version']}" for name in programs)]
    steps = next(iter(found.values()), {"seconds": {}})["seconds"]
    rows = [[step, *(f"{found[name]['seconds'][step]:.2f}" for name in programs)] for step in steps]
    rows.append(["all", *(f"{sum(found[name]['seconds'].values()):.2f}" for name in programs)])
    rows.append(["peak memory, MB", *(f"{found[name]['memory'] / 1e6:,.0f}" for name in programs)])
    if len(found) == 2:
        ours, theirs = (found[name]["seconds"] for name in ("ferrocyte", "cnmf"))
        lost += [
            f"{size.name}: the step `{step}` of a whole run: cnmf, {theirs[step]:.2f} s against {ours[step]:.2f} s"
            for step in steps
            if theirs[step] < ours[step]
        ]
    said = f"k {', '.join(map(str, ks))}, {replicates} replicates of each, {genes:,} genes, seed 14"
    return [
        "## A whole run of consensus NMF",
        "",
        f"{size.name}, {said}; seconds of processor time, one thread, without imports.",
        "The spectra of both are the same (docs/cnmf.md).",
        "",
        *table(heads, rows),
        *notes,
        "",
    ]


def ceiling() -> tuple[float, float]:
    """Bytes and 64-bit operations in a second that one thread of this machine reaches: a copy, a matrix product."""
    source, target = np.ones(1 << 25), np.zeros(1 << 25)
    a, b = np.ones((1024, 1024)), np.ones((1024, 1024))

    def least(work: object, repeats: int = 5) -> float:
        spent = []
        for _ in range(repeats):
            began = time.process_time()
            work()  # type: ignore[operator]
            spent.append(time.process_time() - began)
        return min(spent)

    return 2 * source.nbytes / least(lambda: np.copyto(target, source)), 2 * 1024**3 / least(lambda: a @ b)


#: What the program may hold at its peak on L, in megabytes.
MOST_MEMORY = 400


def command_memory(size: Size, counts: sparse.csr_matrix, folder: Path, lost: list[str]) -> list[list[str]]:
    """Peak memory of the program on a study in a file, for both losses. Adds what is above the bound."""
    import anndata as ad

    path = folder / f"{size.name}.h5ad"
    ad.AnnData(counts.astype(np.float32)).write_h5ad(path)
    watched = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = "import sys; from ferrocyte._cli import main; sys.exit(main())"
    rows = []
    for loss in ("frobenius", "kullback-leibler"):
        few = ["--beta-loss", loss, "--threads", "1"]
        fit = ["nmf", "fit", str(path), "-k", str(size.k), "--n-replicas", "8", "--max-iter", "3", *few]
        run = ["cnmf", "run", "-c", str(path), "-k", str(size.k), "-n", "8", "--seed", "1", "--max-nmf-iter", "3", *few]
        run += ["--numgenes", str(N_GENES), "--local-density-threshold", "2.0", "--drop-empty", "--name", loss]
        # Peers' refits of other losses make hundreds of passes; the exact ones need the same memory.
        run += ["--refit", "peer" if loss == "frobenius" else "exact"]
        verbs = {"nmf fit": [*fit, "-o", str(folder / "out")], "cnmf run": [*run, "--output-dir", str(folder)]}
        for verb, words in verbs.items():
            say(f"{size.name}: memory of `{verb}`, {loss}")
            program = [sys.executable, "-c", watched, sys.executable, "-c", command, *words]
            done = subprocess.run(program, capture_output=True, text=True, check=False)
            if done.returncode:
                rows.append([f"`{verb}`", loss, f"failed: {last_line(done.stderr)}"])
                continue
            most = int(done.stdout) * 1024 / 1e6
            rows.append([f"`{verb}`", loss, f"{most:,.0f}"])
            if size.name == "L" and most > MOST_MEMORY:
                lost.append(f"L: memory of `{verb}`, {loss}: {most:,.0f} MB, {MOST_MEMORY} were aimed at")
    return rows


def page(sizes: list[Size], *, slow: bool) -> list[str]:
    """The page, line by line."""
    lines, rows, roof, others = [], [], [], []
    lost: list[str] = []
    has_peer = importlib.util.find_spec("sklearn") is not None
    bandwidth, peak = ceiling()
    memory: list[list[str]] = []
    job, whole = [], []
    unbuilt = build_rivals()
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            say(f"{size.name}: drawing")
            counts = simulate(size)
            x = scaled(counts)
            file = Path(folder) / f"{size.name}.npz"
            sparse.save_npz(file, x, compressed=False)
            lines.append(f"* {size.name}: {x.shape[0]:,} cells × {x.shape[1]:,} genes, {x.nnz:,} values, k {size.k}")
            # What ours takes; the first is the squared norm, double.
            plain: list[object] = []
            span = (2, 12) if size.name in "TS" else (1, 4)
            for loss in ("frobenius", "accelerated", "kullback-leibler"):
                peers = {}
                if has_peer and loss != "accelerated" and (loss == "frobenius" or size.name in "TS" or slow):
                    say(f"{size.name}: scikit-learn, {loss}")
                    reach = (2, 22) if loss == "frobenius" and size.name != "L" else (1, 4)
                    peers = {t: measure("scikit-learn", file, (loss, "double", size.k), 1, t, reach) for t in (1, 2)}
                for precision, lanes in (("double", 8), ("single", 16)):
                    say(f"{size.name}: ferrocyte, {loss}, {precision}")
                    what = (loss, precision, size.k)
                    found = {t: measure("ferrocyte", file, what, lanes * t, t, span) for t in (1, 2)}
                    rows.append(told(size, what, found, peers))
                    lost += behind(size, what, found, peers)
                    plain.append(found[1])
                    if loss != "kullback-leibler" and not isinstance(found[1], str):
                        roof.append(under(size, what, x, found[1]["cpu"], (bandwidth, peak), lanes))
            others += other_programs(size, file, unbuilt, plain[0], lost)
            if size.name in "ST":
                whole = whole_run(size, counts, Path(folder), lost)
            if size.name in "MT":
                job = whole_job(file, lost)
            if size.name in "LT":
                memory = command_memory(size, counts, Path(folder), lost)
    heads = [
        "study",
        "loss",
        "precision",
        "1 thread",
        "2 threads (wall)",
        "aim",
        "scikit-learn, 1",
        "2 (wall)",
        "times",
    ]
    return [
        "# Speed of factorisations",
        "",
        f"Written by `make bench` on {date.today():%Y-%m-%d}. {machine()}. {versions()}.",
        f"Instructions: {_core.nmf_instructions()}.",
        "",
        "Studies of `simulate` in `benches/nmf.py`; counts over the standard deviations of their genes:",
        "",
        *lines,
        "",
        "Milliseconds for each iteration of each replica: processor time with one thread, wall time with two.",
        "ferrocyte iterates 8 replicas (double) or 16 (single) together on each thread; scikit-learn one. An",
        "accelerated iteration makes four sweeps.",
        "",
        *table(heads, rows),
        "The iterations of the package cnmf are scikit-learn's. Other programs, and other methods:",
        "",
        *table(["study", "program", "method", "1 thread", "2 threads (wall)"], others),
        f"bixverse-methods {locked('bixverse-methods')} is the crate behind bixverse-rs. It looks at its objective",
        "at the end alone here; its factors are floored at 1e-10.",
        "",
        "## Memory of the program",
        "",
        "Megabytes at the peak of `ferrocyte` on L in a file: eight replicas of three iterations, one thread.",
        "",
        *table(["command", "loss", "MB"], memory),
        "## The whole job of M",
        "",
        f"100 replicas of each k of {', '.join(map(str, JOB))}, one thread, all iterations. Measured on the first",
        "replicas of each k that fill the lanes once, and scaled; lanes that fall empty at the end weigh more in a",
        "share.",
        "",
        *table(["loss", "precision", "replicas of each k", "iterations", "seconds", "scaled to 100", "aim"], job),
        *whole,
        "## Against what the machine can do",
        "",
        f"One thread copies {bandwidth / 1e9:.1f} GB/s (read and written) and reaches {peak / 1e9:.0f} GFLOP/s in a",
        "64-bit matrix product. An iteration makes 4 nnz k operations for the two products and 3 (n + g) k² for sweeps",
        "and Gram matrices; the matrix, once for all lanes, is read from memory.",
        "",
        *table(["study", "loss", "precision", "GFLOP/s", "share of the peak", "GB/s of the matrix"], roof),
        "## Where we lose",
        "",
        *([f"- {one}." for one in lost] or ["In none of the comparisons above, and to none of the aims."]),
        "",
    ]


def other_programs(size: Size, file: Path, unbuilt: str, ours: object, lost: list[str]) -> list[list[str]]:
    """Milliseconds of programs and methods that are not ours: dense ones on a small study only. Adds where they win."""
    asked = [("bixverse", "frobenius", "HALS, sparse, single")]
    if size.name in "ST":
        asked += [("scikit-learn", "frobenius-mu", "multiplicative updates, sparse")]
        asked += [("nmf-rs", "frobenius", "hals, dense"), ("nmf-rs", "frobenius-mu", "lee, dense")]
        asked += [("nmf-rs", "kullback-leibler", "brunet, dense")]
    rows = []
    for program, loss, words in asked:
        if program == "bixverse" and unbuilt:
            rows.append([size.name, program, words, unbuilt, ""])
            continue
        if program == "nmf-rs" and importlib.util.find_spec("nmf_rs") is None:
            rows.append([size.name, program, words, "not measured: it is not installed", ""])
            continue
        say(f"{size.name}: {program}, {words}")
        cells = []
        for threads, which in ((1, "cpu"), (2, "wall")):
            found = measure(program, file, (loss, "double", size.k), 1, threads, (2, 6))
            cells.append(found if isinstance(found, str) else f"{found[which]:.3g}")
            if which == "cpu" and isinstance(found, dict) and isinstance(ours, dict) and found["cpu"] < ours["cpu"]:
                lost.append(f"{size.name}: {program}, {words}: {found['cpu']:.3g} against {ours['cpu']:.3g} ms")
        rows.append([size.name, program, words, *cells])
    return rows


def behind(size: Size, what: tuple[str, str, int], found: dict[int, object], peers: dict[int, object]) -> list[str]:
    """Where scikit-learn is faster, or more than was aimed at is needed."""
    loss, precision, _ = what
    ours, theirs, aim = found[1], peers.get(1), AIMS.get((size.name, loss, precision))
    lines = []
    if isinstance(ours, dict) and isinstance(theirs, dict) and theirs["cpu"] < ours["cpu"]:
        lines.append(
            f"{size.name}, {loss}, {precision}: scikit-learn, {theirs['cpu']:.3g} against {ours['cpu']:.3g} ms"
        )
    if isinstance(ours, dict) and aim is not None and ours["cpu"] > aim:
        lines.append(f"{size.name}, {loss}, {precision}: {ours['cpu']:.3g} ms, {aim:g} were aimed at")
    return lines


def told(size: Size, what: tuple[str, str, int], found: dict[int, object], peers: dict[int, object]) -> list[str]:
    """A line of the table of times."""

    def shown(one: object, which: str) -> str:
        return one if isinstance(one, str) else f"{one[which]:.3g}" if isinstance(one, dict) else ""

    loss, precision, _ = what
    ours, theirs = found[1], peers.get(1)
    ratio = times(theirs["cpu"] / ours["cpu"]) if isinstance(ours, dict) and isinstance(theirs, dict) else ""
    aim = AIMS.get((size.name, loss, precision))
    return [
        size.name,
        loss,
        precision,
        shown(ours, "cpu"),
        shown(found[2], "wall"),
        "" if aim is None else f"{aim:g}",
        shown(theirs, "cpu"),
        shown(peers.get(2), "wall"),
        ratio,
    ]


def under(
    size: Size,
    what: tuple[str, str, int],
    x: sparse.csr_matrix,
    milliseconds: float,
    ceilings: tuple[float, float],
    lanes: int,
) -> list[str]:
    """A line of the roofline."""
    loss, precision, k = what
    sweeps = 4 if loss == "accelerated" else 1
    operations = 4 * x.nnz * k + (2 * sweeps + 1) * sum(x.shape) * k**2
    rate = operations / milliseconds * 1e3
    peak = ceilings[1] * (2 if precision == "single" else 1)
    # Source and count of one byte each, along rows and along columns.
    read = 4 * x.nnz / (milliseconds * 1e-3 * lanes)
    return [size.name, loss, precision, f"{rate / 1e9:.0f}", f"{100 * rate / peak:.0f} %", f"{read / 1e9:.2f}"]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small study, nothing is written")
    parser.add_argument("--slow", action="store_true", help="let programs run that take minutes")
    parser.add_argument("--only", nargs="*", help="names of studies")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else SIZES
    lines = page([s for s in sizes if not arguments.only or s.name in arguments.only], slow=arguments.slow)
    text = "\n".join(lines).rstrip() + "\n"
    if arguments.quick or arguments.only:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
