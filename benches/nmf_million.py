"""Memory of factorisations of a million cells from a file; writes docs/million_nmf.md.

A study of `fe.sim.programs`, a million cells × 2,000 genes of which 5 % of the counts are not 0, is written once; then
`ferrocyte nmf fit` and `ferrocyte cnmf run` factorise it with k = 20, each in a process of its own whose peak memory is
told. Few iterations are made: they need the memory that many need. `--cells` takes fewer cells and writes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from page import ROOT, last_line, machine, say, table, versions

import ferrocyte as fe

PAGE = ROOT / "docs/million_nmf.md"
CELLS, GENES, K, DENSITY = 1_000_000, 2000, 20, 0.05

#: The memory that may be used.
MOST = 8e9

#: Runs a command; prints seconds of wall and processor time, and the peak memory in bytes.
WATCHED = (
    "import resource, subprocess, sys, time; began = time.perf_counter(); "
    "done = subprocess.run(sys.argv[1:], capture_output=True, text=True); "
    "sys.stderr.write(done.stderr); spent = time.perf_counter() - began; "
    "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(spent, used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss); sys.exit(done.returncode)"
)
PROGRAM = "import sys; from ferrocyte._cli import main; sys.exit(main())"


def commands(study: Path, folder: Path, threads: int) -> dict[str, list[str]]:
    """What is measured, by what it is called."""
    means = ["--threads", str(threads)]
    fit = ["nmf", "fit", str(study), "-k", str(K), "--n-replicas", "8", "--max-iter", "5", *means]
    run = ["cnmf", "run", "-c", str(study), "-k", str(K), "-n", "8", "--seed", "1", "--max-nmf-iter", "5", *means]
    run += ["--numgenes", str(GENES), "--local-density-threshold", "2.0", "--drop-empty", "--output-dir", str(folder)]
    return {
        "nmf fit, double": [*fit, "-o", str(folder / "double")],
        "nmf fit, single": [*fit, "--precision", "single", "-o", str(folder / "single")],
        "cnmf run, squared norm": [*run, "--name", "frobenius"],
        "cnmf run, Kullback-Leibler": [*run, "--name", "kl", "--beta-loss", "kullback-leibler", "--refit", "exact"],
    }


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=CELLS, help="another number of cells: nothing is written")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="what to run: the beginning of its name")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = folder / "study.h5ad"
        say(f"drawing {arguments.cells:,} cells")
        # In a process of its own, so that what it holds is given back.
        draw = (
            "import sys, ferrocyte as fe; "
            f"cells = fe.sim.programs({arguments.cells}, {GENES}, n_programs={K}, density={DENSITY}, seed=9004); "
            "fe.io.write_h5ad(cells, sys.argv[1]); print(*cells.shape, cells.X.nnz)"
        )
        drawn = subprocess.run([sys.executable, "-c", draw, str(study)], capture_output=True, text=True, check=True)
        n, g, nnz = map(int, last_line(drawn.stdout).split())
        for what, words in commands(study, folder, arguments.threads).items():
            if arguments.only and not what.startswith(arguments.only):
                continue
            say(what)
            command = [sys.executable, "-c", WATCHED, sys.executable, "-c", PROGRAM, *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                rows.append([what, f"failed: {last_line(done.stderr)}", "", ""])
                continue
            wall, cpu, memory = map(float, last_line(done.stdout).split())
            rows.append([what, f"{memory / 1e9:.2f} GB", f"{wall:.0f} s", f"{cpu:.0f} s"])
    lines = [
        "# A million cells: programs",
        "",
        f"Written by `make bench-million` on {date.today():%Y-%m-%d}. {machine()}. {versions()}.",
        "",
        f"`fe.sim.programs`: {n:,} cells × {g:,} genes, {nnz:,} counts that are not 0",
        f"({100 * nnz / n / g:.1f} %), in a file; k = {K}, eight replicas of five iterations,",
        f"{arguments.threads} threads. The matrix is read block by block; at most {MOST / 1e9:.0f} GB were to be used.",
        "",
        *table(["what", "peak memory of the process", "wall", "processor"], rows),
    ]
    text = "\n".join(lines).rstrip() + "\n"
    if arguments.cells != CELLS or arguments.only:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    say(f"{time.perf_counter() - began:.0f} s, ferrocyte {fe.__version__}")
