"""A million cells, from .h5ad to table, with the program as it is released; writes docs/million.md.

Cohorts of 50,000, 500,000 and 1,000,000 cells are simulated (`ferrocyte simulate cohort`), and each is fitted with two
random terms and tested in every cell type (`ferrocyte lmm fit`), in processes of their own whose peak memory is read
from the system. Nothing is left behind.

`--quick` tries it with few genes and cells and writes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from page import machine, table, versions

import ferrocyte as fe

ROOT = Path(__file__).resolve().parents[1]
FORMULA = "~ log(libsize) + cell_type + cell_type:condition + (1 | donor) + (1 | batch)"
CONTRAST = "condition:case:control@cell_type=all"
PROGRAM = [sys.executable, "-c", "import sys; from ferrocyte._cli import main; sys.exit(main())"]
THREADS = 2


@dataclass
class Ran:
    """What one call of the program took."""

    seconds: float
    peak: float  # bytes
    log: str


@dataclass
class Measured:
    """One study."""

    cells: int
    values: int
    file: int  # bytes
    simulated: Ran
    fitted: Ran


def program(*arguments: str, cwd: Path) -> Ran:
    """Call the program; its time, its peak memory, what it said."""
    log = cwd / "log.txt"
    start = time.perf_counter()
    with log.open("w") as out:
        process = subprocess.Popen([*PROGRAM, *arguments], cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, high_water(process.pid))
            time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(log.read_text())
    return Ran(seconds, peak, log.read_text())


def high_water(pid: int) -> int:
    """The most memory that a process has had so far, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def measure(genes: int, cells: int) -> Measured:
    """Simulate a study, fit it, test it."""
    size = ["--n-genes", str(genes), "--n-cells", str(cells), "--n-donors", "20", "--n-batches", "8"]
    with tempfile.TemporaryDirectory(prefix="ferrocyte-million-") as name:
        folder = Path(name)
        simulated = program("simulate", "cohort", *size, "--n-cell-types", "10", "-o", "study.h5ad", cwd=folder)
        values = int(fe.io.info(folder / "study.h5ad").set_index("element").loc["X", "stored"])
        arguments = ["--formula", FORMULA, "--contrast", CONTRAST, "--threads", str(THREADS), "-o", "table.tsv.gz"]
        fitted = program("lmm", "fit", "study.h5ad", *arguments, cwd=folder)
        return Measured(cells, values, (folder / "study.h5ad").stat().st_size, simulated, fitted)


def page(genes: int, found: list[Measured]) -> str:
    """The page, as Markdown."""
    last = found[-1]
    rows = [
        [
            f"{m.cells:,}",
            f"{m.values / 1e6:,.0f} million",
            f"{m.file / 2**20:,.0f} MiB",
            f"{m.simulated.seconds:.0f} s",
            f"{m.fitted.seconds:.1f} s",
            f"{m.fitted.peak / 2**20:,.0f} MiB",
        ]
        for m in found
    ]
    lines = [
        "<!-- Made by `make bench-million`. Do not edit. -->",
        "",
        "# A million cells",
        "",
        f"{date.today().isoformat()}; {machine()}. {versions()}.",
        "",
        f"{genes:,} genes; 40 donors in two arms, 8 batches, 10 cell types, simulated by `ferrocyte simulate cohort`; "
        f"gzip. From file to table on {THREADS} threads: totals of the cells, sums, fits of every gene with two random "
        "terms, moderated tests of the treatment in each of the ten cell types, table. One run each.",
        "",
        *table(["cells", "stored values", "file", "to simulate", "file to table", "peak memory"], rows),
        f"Peak memory of {last.cells:,} cells over that of {found[0].cells:,}: "
        f"{last.fitted.peak / found[0].fitted.peak:.2f}. "
        "It is that of the sums and fits of all genes, and of buffers that `--max-memory` bounds. With cells grow, "
        "once above 65,536 of them, the sums, by what rounding would take from them, and what the model knows of each "
        "cell: a byte for each of its factors.",
        "",
        f"## The log of {last.cells:,} cells",
        "",
        "```console",
        f"$ ferrocyte lmm fit study.h5ad --formula '{FORMULA}' \\",
        f"    --contrast '{CONTRAST}' --threads {THREADS} -o table.tsv.gz",
        *last.fitted.log.strip().splitlines(),
        "```",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few genes and cells; writes nothing")
    quick = parser.parse_args().quick
    genes, sizes = (500, [5_000, 20_000]) if quick else (20_000, [50_000, 500_000, 1_000_000])
    found = []
    for cells in sizes:
        print(f"{cells:,} cells", file=sys.stderr, flush=True)
        found.append(measure(genes, cells))
    text = page(genes, found)
    print(text)
    if not quick:
        (ROOT / "docs/million.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
