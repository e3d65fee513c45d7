"""Speed of reading, streaming, writing and converting files, beside anndata and h5py; writes docs/speed_io.md.

A study of 20,000 cells and 5,000 genes is simulated and stored without compression, with gzip (level 1) and with lzf,
and as a 10x file; each program does each piece of work in a process of its own (`io_work.py`). `--large` adds a million
cells, which are streamed. `--quick` tries everything on a small study and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from page import ROOT, last_line, machine, processors, say, seconds, table, times, versions

import ferrocyte as fe

PAGE = ROOT / "docs/speed_io.md"
PROGRAMS = ("ferrocyte", "anndata", "h5py", "snapatac2")
# What does not go together with the packages of the other programs lives in an environment of its own.
INTERPRETERS = {"snapatac2": ROOT / "target/bench-snapatac2/bin/python"}
# What is asked of those that do not do all of it.
ASKED = {"h5py": {"read"}, "snapatac2": {"read", "stream"}}
STORAGES = ("none", "gzip", "lzf")
WORK = {
    "read": "read all",
    "stream": "sums of genes, by blocks of rows",
    "write": "write",
    "tenx": "10x .h5 to .h5ad",
    "again": "store again with gzip",
}


@dataclass
class Measured:
    """What a program took for a piece of work."""

    cpu: float = np.nan
    wall: float = np.nan
    memory: float = np.nan
    found: float = np.nan
    note: str = ""
    versions: str = ""


@dataclass
class Said:
    """What the page says beside its tables."""

    notes: list[str]
    lost: list[str]
    beside: set[str]
    #: Streaming against reading all of it.
    against: str


def measure(program: str, work: str, folder: Path, storage: str, repeats: int, threads: int | None) -> Measured:
    """Run a piece of work in a process of its own, confined to some processors."""
    interpreter = INTERPRETERS.get(program, Path(sys.executable))
    if not interpreter.exists():
        return Measured(note="not installed")
    command = [str(interpreter), str(ROOT / "benches/io_work.py"), program, work, str(folder), storage, str(repeats)]
    with processors(threads or os.cpu_count() or 1):
        # Frames of Rust would stand behind the message of what fails.
        quiet = {**os.environ, "RUST_BACKTRACE": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode != 0:
        return Measured(note=last_line(done.stderr))
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    numbers = {name: float(told[name]) for name in ("cpu", "wall", "memory", "found")}
    return Measured(**numbers, versions=told["versions"])


def simulate(folder: Path, cells: int, genes: int) -> str:
    """Make the study in every storage and as a 10x file; its size in words."""
    import h5py

    adata = fe.sim.cohort(n_cells=cells, n_genes=genes, seed=7)
    sizes = []
    for storage in STORAGES:
        path = folder / f"{storage}.h5ad"
        compression = None if storage == "none" else storage
        fe.io.write_h5ad(adata, path, compression=compression, compression_level=1 if storage == "gzip" else None)
        sizes.append(f"{storage} {path.stat().st_size / 2**20:,.0f} MiB")
    with h5py.File(folder / "tenx.h5", "w") as file:
        group = file.create_group("matrix")
        packed = {"compression": "gzip", "compression_opts": 1}
        group.create_dataset("data", data=adata.X.data.astype(np.int32), **packed)
        group.create_dataset("indices", data=adata.X.indices.astype(np.int64), **packed)
        group.create_dataset("indptr", data=adata.X.indptr.astype(np.int64), **packed)
        group.create_dataset("shape", data=np.array([genes, cells], dtype=np.int32))
        group.create_dataset("barcodes", data=np.array(adata.obs_names, dtype="S"))
        features = group.create_group("features")
        for name in ("id", "name"):
            features.create_dataset(name, data=np.array(adata.var_names, dtype="S"))
        features.create_dataset("feature_type", data=np.array(["Gene Expression"] * genes, dtype="S"))
        features.create_dataset("genome", data=np.array(["simulated"] * genes, dtype="S"))
    share = adata.X.nnz / cells / genes
    return f"{cells:,} cells × {genes:,} genes, {adata.X.nnz:,} values ({share:.1%}), float32; {', '.join(sizes)}"


def large(folder: Path, cells: int, genes: int) -> list[str]:
    """A million cells, simulated into a file and streamed; a row of the page."""
    path = folder / "gzip.h5ad"
    program = [sys.executable, "-c", "import sys; from ferrocyte._cli import main; sys.exit(main())"]
    size = ["--cells", str(cells), "--genes", str(genes), "--seed", "7"]
    subprocess.run([*program, "simulate", "cohort", *size, "-o", str(path), "--quiet"], check=True)
    found = measure("ferrocyte", "stream", folder, "gzip", 1, None)
    again = measure("ferrocyte", "again", folder, "gzip", 1, None)
    return [
        f"{cells:,} × {genes:,}",
        f"{path.stat().st_size / 2**20:,.0f}",
        seconds(found.wall),
        megabytes(found.memory),
        seconds(again.wall),
        megabytes(again.memory),
    ]


def megabytes(value: float) -> str:
    """Bytes as MiB."""
    return "" if np.isnan(value) else f"{value / 2**20:,.0f}"


def page(study: str, rows: list[list[str]], said: Said, big: list[str]) -> str:
    """The page, as Markdown."""
    heads = ["work", "storage", "1 thread", "all threads", "MiB"]
    for name in PROGRAMS[1:]:
        heads += [name, "ratio", "MiB"]
    million = ["cells × genes", "file, MiB", "sums of genes", "MiB held", "store again", "MiB held"]
    return "\n".join(
        [
            "<!-- Made by `make bench`. Do not edit. -->",
            "",
            "# Speed of files",
            "",
            f"{date.today().isoformat()}; {machine()}; load {os.getloadavg()[0]:.1f}. {versions()}. "
            f"Beside: {'; '.join(sorted(said.beside)) or 'nothing that is installed'}.",
            "",
            "**Read this first.** One machine, one run, files in the cache of the system. CPU seconds (user and "
            "system) of each program confined to one processor, without imports, the least of several runs; *all "
            "threads* is wall-clock time of ours on all processors; *MiB* is the peak above what the process held "
            "before, without imports. h5py reads the three arrays of X and nothing "
            "else; SnapATAC2 (its files are those of the crate anndata-rs) is asked to read and to stream. Readers "
            "must find the same sum.",
            "",
            f"The study: {study}.",
            "",
            *table(heads, rows),
            said.against,
            "",
            *(["## A million cells", "", *table(million, [big])] if big else []),
            "## Not measured",
            "",
            *(said.notes or ["Nothing."]),
            "",
            "## Where we lose",
            "",
            *(said.lost or ["In none of the comparisons above."]),
            "",
        ]
    )


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small study, few repeats; writes nothing")
    parser.add_argument("--large", action="store_true", help="a million cells, too")
    options = parser.parse_args()
    repeats = 2 if options.quick else 9
    rows, notes, lost, beside = [], [], [], set()
    with tempfile.TemporaryDirectory(prefix="ferrocyte-bench-") as base:
        folder = Path(base)
        study = simulate(folder, *((2000, 500) if options.quick else (20_000, 5_000)))
        for work, words in WORK.items():
            for storage in STORAGES:
                say(f"{words}: {storage}")
                ours = measure("ferrocyte", work, folder, storage, repeats, 1)
                every = measure("ferrocyte", work, folder, storage, repeats, None)
                cells = [words, storage, seconds(ours.cpu), seconds(every.wall), megabytes(ours.memory)]
                found = {"ferrocyte": ours}
                for name in PROGRAMS[1:]:
                    if work not in ASKED.get(name, WORK):
                        cells += ["", "", ""]
                        continue
                    peer = found[name] = measure(name, work, folder, storage, repeats, 1)
                    cells += [seconds(peer.cpu), times(peer.cpu / ours.cpu), megabytes(peer.memory)]
                    if peer.cpu < ours.cpu:
                        lost.append(f"- {words}, {storage}: {name}, {seconds(peer.cpu)} against {seconds(ours.cpu)}.")
                    if not np.isnan(peer.found) and not np.isclose(peer.found, ours.found, rtol=1e-9):
                        notes.append(f"- {words}, {storage}: {name} finds {peer.found}, ours is {ours.found}.")
                rows.append(cells)
                beside |= {peer.versions for name, peer in found.items() if peer.versions and name != "ferrocyte"}
                notes += [f"- {words}, {storage}: {name}: {it.note}." for name, it in found.items() if it.note]
        streamed = measure("ferrocyte", "stream", folder, "gzip", repeats, None)
        whole = measure("anndata", "read", folder, "gzip", repeats, None)
        against = (
            f"Sums of genes of the gzip file, streamed on all processors, against anndata's reading of all of it into "
            f"memory: {seconds(streamed.wall)} and {seconds(whole.wall)} by the clock, a ratio of "
            f"{times(whole.wall / streamed.wall)}, with {megabytes(streamed.memory)} and {megabytes(whole.memory)} MiB."
        )
        big = []
        if options.large:
            say("a million cells")
            sub = folder / "large"
            sub.mkdir()
            big = large(sub, *((5000, 500) if options.quick else (1_000_000, 2_000)))
    text = page(study, rows, Said(notes, lost, beside, against), big)
    print(text)
    if not options.quick:
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
