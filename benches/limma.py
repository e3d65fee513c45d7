"""Speed of limma's verbs, beside programs that have them, in one run; writes docs/speed_limma.md.

Every program runs each piece of work in a process of its own (`limma_work.py`, `limma_peer.R`, `rivals/`), on the same
numbers from the same files, and gives back what it found, so that the times are of the same work. A program that is not
installed is named as such.

`--quick` tries everything on small studies and writes nothing; `--slow` lets programs run that take minutes.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from page import (
    ROOT,
    build_rivals,
    last_line,
    locked,
    machine,
    processors,
    rival_program,
    say,
    seconds,
    table,
    times,
    versions,
)

import ferrocyte as fe

DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
PAGE = ROOT / "docs/speed_limma.md"
SEED = 5
PEERS = {"limma": "limma (R)", "pylimma": "pylimma", "edge-rs": "edge-rs"}
N_SETS = 50


# Studies


@dataclass
class Study:
    """Counts of samples, with all that any verb asks for."""

    name: str
    counts: np.ndarray
    design: np.ndarray
    groups: np.ndarray

    def describe(self) -> str:
        """The size in words."""
        genes, samples = self.counts.shape
        return f"{self.name}: {genes:,} genes × {samples:,} samples, {self.design.shape[1]} coefficients"

    def write(self, folder: Path) -> Path:
        """The study as files that every program reads."""
        out = folder / self.name
        out.mkdir()
        genes, samples = self.counts.shape
        (out / "shape.txt").write_text(f"{genes} {samples} {self.design.shape[1]}\n")
        arrays = {
            "counts": self.counts,
            "design": self.design,
            "groups": self.groups,
            "blocks": np.arange(samples) // 2,
        }
        for name, values in arrays.items():
            np.ascontiguousarray(values, dtype="<f8").tofile(out / f"{name}.f64")
        rng = np.random.default_rng(SEED)
        sizes = np.minimum(rng.integers(10, 200, N_SETS), genes // 2)
        sets = [" ".join(map(str, np.sort(rng.choice(genes, size, replace=False)))) for size in sizes]
        (out / "sets.txt").write_text("\n".join(sets) + "\n")
        return out


def mammary() -> Study:
    """GSE60450, genes that `filter_by_expr` keeps, basal against luminal cells."""
    with gzip.open(DATA / "gse60450/counts.tsv.gz") as file:
        counts = pd.read_csv(file, sep="\t", index_col=0)
    samples = pd.read_csv(DATA / "gse60450/samples.tsv", sep="\t", index_col=0)
    groups = pd.factorize(samples["immunophenotype"])[0]
    keep = fe.limma.filter_by_expr(counts, group=groups)
    return Study("S", counts.to_numpy(float)[np.asarray(keep)], np.eye(groups.max() + 1)[groups], groups)


def simulated(name: str, genes: int, samples: int, coefficients: int, per_block: int = 1) -> Study:
    """Negative binomial counts: half of the coefficients are means of groups, the others numbers without effect.

    Means are those of a usual study (lognormal), overdispersion falls with them; blocks share some variation.
    """
    rng = np.random.default_rng([SEED, genes, samples])
    groups = np.arange(samples) % max(2, coefficients // 2)
    design = np.eye(groups.max() + 1)[groups]
    design = np.hstack([design, rng.normal(size=(samples, coefficients - design.shape[1]))])
    mean = rng.lognormal(4.0, 1.8, genes)
    dispersion = 0.05 + 2 / (mean + 5)
    depth = rng.uniform(0.6, 1.6, samples)
    counts = np.empty((genes, samples))
    for rows in np.array_split(np.arange(genes), max(1, genes * samples // 4_000_000)):
        shared = rng.gamma(10, 1 / 10, (len(rows), -(-samples // per_block))).repeat(per_block, axis=1)[:, :samples]
        shape = 1 / dispersion[rows, None]
        rates = rng.gamma(shape, mean[rows, None] / shape, (len(rows), samples)) * depth
        counts[rows] = rng.poisson(rates * shared if per_block > 1 else rates)
    return Study(name, counts[counts.sum(axis=1) >= 15], design, groups)


STUDIES: dict[str, Callable[[], Study]] = {
    "S": mammary,
    "M": lambda: simulated("M", 20_000, 200, 4),
    "L": lambda: simulated("L", 20_000, 2_000, 20),
    "D": lambda: simulated("D", 14_000, 24, 4, per_block=2),
}
SMALL: dict[str, Callable[[], Study]] = {
    "S": lambda: simulated("S", 600, 12, 4),
    "M": lambda: simulated("M", 400, 40, 4),
    "L": lambda: simulated("L", 300, 100, 20),
    "D": lambda: simulated("D", 200, 24, 4, per_block=2),
}


# Work


@dataclass(frozen=True)
class Work:
    """A verb on a study, and which programs have it."""

    study: str
    verb: str
    words: str
    peers: tuple[str, ...] = ("limma", "pylimma", "edge-rs")
    # Programs that take minutes.
    slow: tuple[str, ...] = ()
    # What is compared, or why nothing is.
    compared: str = "t"


ALL = "voom, lm_fit, contrasts_fit, e_bayes, top_table"
FUSED = "voom_lm_fit (nothing kept), contrasts_fit, e_bayes, top_table"
WORK = [
    Work("S", "pipeline", ALL),
    Work("M", "pipeline", ALL),
    Work("L", "pipeline", ALL, slow=("pylimma",)),
    Work("S", "fused", FUSED, ("limma", "edge-rs")),
    Work("M", "fused", FUSED, ("limma", "edge-rs")),
    Work("L", "fused", FUSED, ("limma", "edge-rs")),
    Work("S", "de", "de: filter, TMM, voom_lm_fit, contrast, table", ("limma", "edge-rs"), compared="genes tested"),
    Work("S", "quality", "voom_with_quality_weights, then as above"),
    Work("S", "trend", "e_bayes(trend=True)"),
    Work("S", "robust", "e_bayes(robust=True)"),
    Work("D", "dupcor", "duplicate_correlation, 12 blocks of 2", compared="correlation"),
    Work("D", "dupcor_weighted", "the same, with weights of voom", compared="correlation"),
    Work("S", "tmm", "calc_norm_factors, TMM", ("limma", "edge-rs"), compared="factors"),
    Work("M", "tmm", "calc_norm_factors, TMM", ("limma", "edge-rs"), compared="factors"),
    Work("L", "tmm", "calc_norm_factors, TMM", ("limma", "edge-rs"), compared="factors"),
    Work("S", "camera", f"camera, {N_SETS} sets", ("limma", "pylimma"), compared="p"),
    Work("S", "fry", f"fry, {N_SETS} sets", ("limma", "pylimma"), compared="p"),
    Work("S", "mroast", f"mroast, {N_SETS} sets, 1,999 rotations", ("limma", "pylimma"), compared=""),
]


@dataclass
class Measured:
    """What one program took, or why it was not measured."""

    cpu: float = np.nan
    wall: float = np.nan
    memory: float = np.nan
    versions: str = ""
    note: str = ""
    found: np.ndarray | None = None


@dataclass
class Line:
    """One piece of work: ours with one thread and with all, and the peers."""

    work: Work
    one: Measured
    all: Measured
    peers: dict[str, Measured] = field(default_factory=dict)


def program(name: str, folder: Path, verb: str, repeats: int, missing: str = "") -> Measured:
    """Run a piece of work in a process of its own; `missing` says why crates are not measured."""
    if name == "edge-rs":
        if missing:
            return Measured(note=missing)
        command = [rival_program("rivals-limma"), str(folder), verb, str(repeats)]
    elif name == "limma":
        if shutil.which("Rscript") is None:
            return Measured(note="there is no Rscript")
        command = ["Rscript", "--vanilla", str(ROOT / "benches/limma_peer.R"), str(folder), verb, str(repeats)]
    else:
        command = [sys.executable, str(ROOT / "benches/limma_work.py"), name, str(folder), verb, str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode:
        return Measured(note=last_line(done.stderr))
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    return Measured(
        cpu=float(told["cpu"]),
        wall=float(told["wall"]),
        memory=float(told["memory"]) or np.nan,
        versions=told.get("versions", f"{name} {locked(name)}").strip(),
        found=np.fromfile(folder / f"{name}-{verb}.f64"),
    )


def measure(work: Work, folder: Path, repeats: int, *, slow: bool, missing: str) -> Line:
    """Ours and all programs that have the verb, one processor each; ours with all processors too."""
    with processors(1):
        line = Line(work, program("ferrocyte", folder, work.verb, repeats), Measured())
    line.all = program("ferrocyte", folder, work.verb, repeats)
    for name in work.peers:
        if name in work.slow and not slow:
            line.peers[name] = Measured(note="takes minutes: with `--slow`")
            continue
        with processors(1):
            line.peers[name] = program(name, folder, work.verb, repeats, missing)
    return line


# The page


def difference(ours: Measured, theirs: Measured) -> str:
    """The largest difference of what two programs found, relative where numbers are above one."""
    if ours.found is None or theirs.found is None:
        return ""
    if ours.found.shape != theirs.found.shape:
        return f"{theirs.found.size} numbers, not {ours.found.size}"
    missing = np.isnan(ours.found) != np.isnan(theirs.found)
    apart = np.abs(ours.found - theirs.found) / np.maximum(1, np.abs(theirs.found))
    largest = float(np.nanmax(apart)) if apart.size else 0.0
    return ("0" if largest == 0 else f"{largest:.0e}") + (f", {missing.sum()} missing" if missing.any() else "")


def megabytes(value: float) -> str:
    """Bytes as MiB."""
    return "" if np.isnan(value) else f"{value / 2**20:,.0f}"


def peer_cells(line: Line, show: Callable[[Measured], list[str]], empty: int) -> list[str]:
    """The cells of all peers; empty where a peer does not have the verb."""
    return [cell for name in PEERS for cell in (show(line.peers[name]) if name in line.peers else [""] * empty)]


def page(sizes: list[str], lines: list[Line], load: float) -> str:
    """The page, as Markdown."""

    def took(line: Line) -> list[str]:
        ours = [seconds(line.one.cpu), seconds(line.all.wall)]
        return [
            f"{line.work.study}: {line.work.words}",
            *ours,
            *peer_cells(line, lambda peer: [seconds(peer.cpu), times(peer.cpu / line.one.cpu)], 2),
        ]

    def needed(line: Line) -> list[str]:
        return [
            f"{line.work.study}: {line.work.words}",
            megabytes(line.one.memory),
            *peer_cells(line, lambda peer: [megabytes(peer.memory)], 1),
        ]

    def agreed(line: Line) -> list[str]:
        return [
            f"{line.work.study}: {line.work.words}",
            line.work.compared,
            *peer_cells(line, lambda peer: [difference(line.one, peer)], 1),
        ]

    heads = [cell for title in PEERS.values() for cell in (title, "ratio")]
    told = {peer.versions for line in lines for peer in line.peers.values() if peer.versions}
    notes = [
        f"- {line.work.study}: {line.work.words}: {name}: {found.note}."
        for line in lines
        for name, found in {"ferrocyte": line.one, **line.peers}.items()
        if found.note
    ]
    lost = [
        f"- {line.work.study}: {line.work.words}: {PEERS[name]}, {seconds(peer.cpu)} against {seconds(line.one.cpu)}."
        for line in lines
        for name, peer in line.peers.items()
        if peer.cpu < line.one.cpu
    ]
    return "\n".join(
        [
            "<!-- Made by `make bench`. Do not edit. -->",
            "",
            "# Speed of limma's verbs",
            "",
            f"{date.today().isoformat()}; {machine()}; load {load:.1f} when the run began. {versions()}. "
            f"Beside: {'; '.join(sorted(told)) or 'nothing that is installed'}.",
            "",
            "**Read this first.** One machine, one run. CPU seconds (user and system) of each program confined to one "
            "processor, without imports and reading, the least of several runs; *all threads* is wall-clock time of "
            "ours on all processors. Every program starts from the same numbers with names of genes, in a process of "
            "its own. Spans of the trend are 0.5, as in older limma, so that all do the same work. "
            "edge-rs is a crate (MIT) that a program of this repository calls through its public functions.",
            "",
            *(f"- {size}" for size in sizes),
            "",
            "S is `data/gse60450`, filtered; the others are simulated negative binomial counts.",
            "",
            "## Time",
            "",
            *table(["work", "1 thread", "all threads", *heads], [took(line) for line in lines]),
            "## Memory",
            "",
            "MiB at the peak of the first run, above what the process held when the input was in memory.",
            "",
            *table(["work", "ours", *PEERS.values()], [needed(line) for line in lines]),
            "## Do they find the same?",
            "",
            "The largest difference from ours over all genes, samples or sets, relative where numbers exceed 1. limma "
            "3.66 changed rules against the version that may be installed: where the rules differ, so do the numbers "
            "([parity](parity.md) has the comparison with 3.66). Random rotations are not compared.",
            "",
            *table(["work", "what", *PEERS.values()], [agreed(line) for line in lines if line.work.compared]),
            "## Not measured",
            "",
            *(notes or ["Nothing."]),
            "",
            "## Where we lose",
            "",
            *(lost or ["In none of the comparisons above."]),
            "",
        ]
    )


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small studies, few repeats; writes nothing")
    parser.add_argument("--slow", action="store_true", help="run programs that take minutes, too")
    parser.add_argument("--only", metavar="WORK", nargs="+", help="some verbs or studies only; writes nothing")
    options = parser.parse_args()
    load, repeats = os.getloadavg()[0], 2 if options.quick else 9
    chosen = [work for work in WORK if not options.only or {work.verb, work.study} & set(options.only)]
    # Minutes the first time, which `--quick` does not have.
    missing = build_rivals() if not options.quick else "crates are not built with `--quick`"
    sizes, lines = [], []
    with tempfile.TemporaryDirectory(prefix="ferrocyte-bench-") as base:
        folders: dict[str, Path] = {}
        for work in chosen:
            if work.study not in folders:
                study = (SMALL if options.quick else STUDIES)[work.study]()
                sizes.append(study.describe())
                folders[work.study] = study.write(Path(base))
            say(f"{work.study}: {work.verb}")
            slow = options.slow or options.quick
            lines.append(measure(work, folders[work.study], repeats, slow=slow, missing=missing))
    text = page(sizes, lines, load)
    print(text)
    if not (options.quick or options.only):
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
