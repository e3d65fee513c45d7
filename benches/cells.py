"""Speed of the steps on cells, beside programs that have them, in one run; writes docs/speed_cells.md.

Every program runs each step in a process of its own (`cells_work.py`) on the same cells: more of PBMC3k, drawn as the
page says. Then the whole way as one command. A program that is not installed is named as such.

`--quick` tries everything at 3,000 cells and writes nothing; `--slow` lets programs run that take minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from page import ROOT, last_line, machine, processors, say, seconds, table, times, versions
from scipy import sparse

import ferrocyte as fe

DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
PAGE = ROOT / "docs/speed_cells.md"
SEED = 5
SIZES = {"3k": 3_000, "20k": 20_000, "100k": 100_000}
SAMPLES = {"a": 0.5, "b": 0.3, "c": 0.2}
PEERS = ("scanpy", "brisc", "harmonypy", "illico")
#: Seconds that a program may take for a step, with what comes before it.
MOST = 120
TOO_LONG = f"not done after {MOST} s"


# Cells


def filtered() -> tuple[ad.AnnData, np.ndarray]:
    """The 2,638 cells and 13,714 genes of PBMC3k that are usually kept, and a type of each."""
    adata = fe.io.read_h5ad(DATA / "pbmc3k/pbmc3k_counts.h5ad")
    adata.var["mt"] = adata.var_names.str.startswith("MT-")
    fe.pp.calculate_qc_metrics(adata, qc_vars=["mt"], inplace=True)
    fe.pp.filter_cells(adata, min_genes=200)
    fe.pp.filter_genes(adata, min_cells=3)
    adata = adata[(adata.obs["n_genes_by_counts"] < 2500) & (adata.obs["pct_counts_mt"] < 5)].copy()
    made = adata.copy()
    fe.pp.log_normalize(made, target_sum=1e4)
    fe.pp.highly_variable_genes(made, n_top_genes=2000)
    fe.pp.pca(made, 40)
    fe.pp.neighbors(made)
    fe.tl.leiden(made)
    return adata, made.obs["leiden"].to_numpy(dtype=str)


def simulated(base: ad.AnnData, labels: np.ndarray, n: int) -> ad.AnnData:
    """New cells: each averages two of its type, times a depth and the gene effects of its sample, as Poisson counts."""
    rng = np.random.default_rng([SEED, n])
    types, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    members = [np.flatnonzero(codes == i) for i in range(len(types))]
    of = rng.choice(len(types), n, p=sizes / sizes.sum())
    sample = rng.choice(len(SAMPLES), n, p=list(SAMPLES.values()))
    effects = np.exp(rng.normal(0, 0.2, (len(SAMPLES), base.n_vars)))
    depth = np.exp(rng.normal(0, 0.3, n))
    counts, parts = base.X.tocsr(), []
    for rows in np.array_split(np.arange(n), max(1, n // 4000)):
        pairs = np.array([rng.choice(members[of[i]], 2) for i in rows])
        mean = ((counts[pairs[:, 0]] + counts[pairs[:, 1]]) * 0.5).tocsr()
        lengths = np.diff(mean.indptr)
        mean.data *= np.repeat(depth[rows], lengths) * effects[np.repeat(sample[rows], lengths), mean.indices]
        mean.data = rng.poisson(mean.data).astype(np.float32)
        mean.eliminate_zeros()
        parts.append(mean)
    names = np.array(list(SAMPLES))[sample]
    obs = pd.DataFrame({"label": pd.Categorical(types[of]), "batch": pd.Categorical(names)})
    obs.index = [f"cell{i}" for i in range(n)]
    return ad.AnnData(sparse.vstack(parts, format="csr", dtype=np.float32), obs, base.var[[]].copy())


def write_samples(adata: ad.AnnData, folder: Path) -> None:
    """The samples of the whole way."""
    folder.mkdir()
    rows = ["location\tsample\tbatch"]
    for name in SAMPLES:
        fe.io.write_h5ad(adata[(adata.obs["batch"] == name).to_numpy()].copy(), folder / f"{name}.h5ad")
        rows.append(f"{name}.h5ad\t{name}\t{name}")
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n")


def write_steps(adata: ad.AnnData, folder: Path) -> None:
    """What the steps start from."""
    fe.io.write_h5ad(adata, folder / "counts.h5ad")
    fe.pp.log_normalize(adata)
    fe.pp.highly_variable_genes(adata, n_top_genes=2000)
    fe.pp.pca(adata, 50)
    fe.pp.neighbors(adata, n_pcs=35)
    fe.tl.leiden(adata, n_iterations=2)
    fe.io.write_h5ad(adata, folder / "study.h5ad")


# Work


@dataclass(frozen=True)
class Step:
    """A step, and what else has it."""

    name: str
    words: str
    peers: tuple[str, ...] = ("scanpy",)
    #: Sizes at which a program takes minutes.
    slow: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: What a peer does that is not the same.
    remark: str = ""


BOTH = ("scanpy", "brisc")
STEPS = [
    Step("read", "read .h5ad (gzip)", BOTH),
    Step("qc", "quality of cells and genes", BOTH, remark="brisc measures what its filter needs"),
    Step("normalize", "normalise, then ln(1 + x)", BOTH),
    Step("hvg_seurat", "2,000 variable genes, of logarithms"),
    Step("hvg_seurat_v3", "2,000 variable genes, of counts", BOTH, remark="brisc has a method of its own"),
    Step("pca", "50 components", BOTH),
    Step(
        "harmony",
        "Harmony, 3 batches, 50 components",
        ("harmonypy",),
        remark="both by the published rule, up to 20 rounds of clustering; harmonypy makes 4 unless asked",
    ),
    Step("neighbors_15", "15 neighbours and their graph, 35 components", BOTH, {"scanpy": ("100k",)}),
    Step("neighbors_100", "100 neighbours and their graph", ("scanpy",), {"scanpy": ("20k", "100k")}),
    Step(
        "leiden", "Leiden, 2 iterations", BOTH, {"scanpy": ("100k",)}, "brisc clusters its graph of shared neighbours"
    ),
    Step("umap", "UMAP", BOTH, {"scanpy": ("100k",)}, "brisc without races (hogwild=False), as ours"),
    Step("t_test", "markers by Welch's t, with shares", BOTH, remark="brisc has a simpler statistic"),
    Step("wilcoxon", "markers by rank sums, with ties", ("scanpy", "illico"), {"scanpy": ("20k", "100k")}),
    Step("scrublet", "doublets within each of 3 samples", ("scanpy",), {"scanpy": ("20k", "100k")}),
    Step("sc3", "consensus of 5, 10, 20, 30 clusters", ()),
    Step("write", "write .h5ad (gzip)", ("scanpy",), {"scanpy": ("100k",)}),
]


@dataclass
class Measured:
    """What one program took, or why it was not measured."""

    cpu: float = np.nan
    wall: float = np.nan
    memory: float = np.nan
    versions: str = ""
    note: str = ""


@dataclass
class Line:
    """A step at one size: ours on one thread and on two, and the peers."""

    size: str
    step: Step
    one: Measured
    two: Measured
    peers: dict[str, Measured] = field(default_factory=dict)


def program(name: str, folder: Path, step: str, threads: str, repeats: int) -> list[Measured]:
    """Run a step in a process of its own, with each number of threads."""
    command = [sys.executable, str(ROOT / "benches/cells_work.py"), name, str(folder), step, threads, str(repeats)]
    n = len(threads.split(","))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MOST * n)
    except subprocess.TimeoutExpired:
        return [Measured(note=TOO_LONG)] * n
    if done.returncode:
        return [Measured(note=last_line(done.stderr))] * n
    lines = [line.split() for line in done.stdout.splitlines()]
    versions = next(" ".join(words[1:]) for words in lines if words[0] == "versions")
    return [Measured(*map(float, words[2:]), versions=versions) for words in lines if words[0] == "measured"]


def measure(step: Step, size: str, folder: Path, repeats: int, *, slow: bool, tired: set[str]) -> Line:
    """Ours on one processor and on two, and all programs that have the step, on one.

    `tired` gains the programs that took too long, which are not run again.
    """
    with processors(2):
        line = Line(size, step, *program("ferrocyte", folder, step.name, "1,2", repeats))
    for name in step.peers:
        if size in step.slow.get(name, ()) and not slow:
            line.peers[name] = Measured(note="takes minutes: with `--slow`")
            continue
        if name in tired:
            line.peers[name] = Measured(note="took too long at a step before")
            continue
        with processors(1):
            line.peers[name] = program(name, folder, step.name, "1", repeats)[0]
        if line.peers[name].note == TOO_LONG:
            tired.add(name)
    return line


#: The way of a published notebook.
NOTEBOOK = (
    "--flavor seurat_v3 --n-top-genes 2000 --n-comps 35 --n-neighbors 100 --resolution 0.8 --n-iterations 2 "
    "--min-dist 0.4 --spread 0.9 --seed 42 --min-genes 100 --quiet"
)


@dataclass
class Whole:
    """The whole way at one size."""

    cells: int
    threads: int
    wall: float
    cpu: float
    peak: float
    counts: float


def whole(folder: Path, cells: int, threads: int) -> Whole:
    """One command from the samples to the study, with its tables."""
    out = folder / f"out{threads}"
    # The peak is told by the process itself: what the system tells of a child begins with that of its parent.
    code = (
        "import sys; from pathlib import Path; from ferrocyte import _core\n"
        "code = _core.run_program(['ferrocyte', *sys.argv[2:]])\n"
        "Path(sys.argv[1]).write_text(Path('/proc/self/status').read_text())\n"
        "sys.exit(code)"
    )
    told = folder / f"status{threads}"
    words = ["cells", "run", str(folder / "samples.tsv"), "-o", str(out), *NOTEBOOK.split(), "--threads", str(threads)]
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code, str(told), *words])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        message = f"the command ended with code {child.returncode}"
        raise RuntimeError(message)
    took = time.perf_counter() - began
    study = fe.io.read_h5mu(out / "integrated.h5mu")["rna"]
    stored = study.layers["counts"]
    counts = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
    peak = next(int(line.split()[1]) for line in told.read_text().splitlines() if line.startswith("VmHWM"))
    return Whole(cells, threads, took, usage.ru_utime + usage.ru_stime, peak * 1024, counts)


# The page


def megabytes(value: float) -> str:
    """Bytes as MiB."""
    return "" if np.isnan(value) else f"{value / 2**20:,.0f}"


def the_whole_way(wholes: list[Whole]) -> list[str]:
    """Its section."""
    ways = [
        [
            f"{way.cells:,}",
            str(way.threads),
            seconds(way.wall),
            seconds(way.cpu),
            megabytes(way.peak),
            megabytes(way.counts),
            f"{way.peak / way.counts:.1f}",
        ]
        for way in wholes
    ]
    return [
        "## The whole way",
        "",
        f"`ferrocyte cells run samples.tsv -o study {NOTEBOOK}`: three samples read, judged, doublets scored, put "
        "together, normalised, variable genes, 35 components, Harmony, 100 neighbours, Leiden, UMAP, markers, all "
        "files written. *counts* are the bytes of the counts as compressed rows.",
        "",
        *table(["cells", "threads", "wall", "CPU", "peak MiB", "counts MiB", "peak / counts"], ways),
    ]


def page(sizes: list[str], lines: list[Line], wholes: list[Whole], load: float) -> str:
    """The page, as Markdown."""

    def peer(line: Line, name: str) -> list[str]:
        found = line.peers.get(name, Measured())
        return [seconds(found.cpu), times(found.cpu / line.one.cpu)]

    def took(line: Line) -> list[str]:
        ours = [line.size, line.step.words, seconds(line.one.cpu), seconds(line.two.wall)]
        return ours + [cell for name in PEERS for cell in peer(line, name)]

    def needed(line: Line) -> list[str]:
        peers = [megabytes(line.peers.get(name, Measured()).memory) for name in PEERS]
        return [line.size, line.step.words, megabytes(line.one.memory), *peers]

    heads = [cell for name in PEERS for cell in (name, "ratio")]
    told = {found.versions for line in lines for found in line.peers.values() if found.versions}
    notes = [
        f"- {line.size}: {line.step.words}: {name}: {found.note}."
        for line in lines
        for name, found in {"ferrocyte": line.one, **line.peers}.items()
        if found.note
    ]
    lost = [
        f"- {line.size}: {line.step.words}: {name}, {seconds(found.cpu)} against {seconds(line.one.cpu)}."
        for line in lines
        for name, found in line.peers.items()
        if found.cpu < line.one.cpu
    ]
    return "\n".join(
        [
            "<!-- Made by `make bench`. Do not edit. -->",
            "",
            "# Speed of the steps on cells",
            "",
            f"{date.today().isoformat()}; {machine()}; load {load:.1f} when the run began. {versions()}. "
            f"Beside: {'; '.join(sorted(told)) or 'nothing that is installed'}.",
            "",
            "**Read this first.** One machine, one run. CPU seconds (user and system) of each program confined to one "
            "processor, without imports, loading and compilation, the least of several runs; *2 threads* is wall-clock "
            "time of ours on two processors. Every program starts from the same cells, in a process of its own. "
            "A ratio above 1 is in our favour.",
            "",
            *(f"- {size}" for size in sizes),
            "",
            "Cells are drawn from the 2,638 that are usually kept of PBMC3k: each averages two cells of its cluster, "
            "times a depth exp(N(0, 0.3)) and the gene effects exp(N(0, 0.2)) of one of three samples, and is a draw "
            "of Poisson counts.",
            "",
            *(f"- {step.words}: {step.remark}." for step in STEPS if step.remark),
            "",
            "## Time",
            "",
            *table(["cells", "step", "1 thread", "2 threads", *heads], [took(line) for line in lines]),
            *the_whole_way(wholes),
            "## Memory",
            "",
            "MiB at the peak of the first run, above what the process held when the input was in memory.",
            "",
            *table(["cells", "step", "ours", *PEERS], [needed(line) for line in lines]),
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
    parser.add_argument("--quick", action="store_true", help="3,000 cells only, few repeats; writes nothing")
    parser.add_argument("--slow", action="store_true", help="run programs that take minutes, too")
    parser.add_argument("--only", metavar="STEP", nargs="+", help="some steps: writes nothing; `whole`: that section")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    chosen = [step for step in STEPS if not options.only or step.name in options.only]
    wanted = {"3k": SIZES["3k"]} if options.quick else SIZES
    base, labels = filtered()
    sizes, lines, wholes, tired = [], [], [], set()
    with tempfile.TemporaryDirectory(prefix="ferrocyte-bench-") as root:
        for size, n in wanted.items():
            say(f"{size}: cells")
            cells = simulated(base, labels, n)
            share = 100 * cells.X.nnz / (cells.n_obs * cells.n_vars)
            sizes.append(f"{size}: {cells.n_obs:,} cells × {cells.n_vars:,} genes, {share:.1f} % not zero")
            folder = Path(root) / size
            write_samples(cells, folder)
            write_steps(cells, folder)
            del cells
            repeats = 2 if options.quick or size == "100k" else 5
            for step in chosen:
                say(f"{size}: {step.name}")
                lines.append(measure(step, size, folder, repeats, slow=options.slow or options.quick, tired=tired))
        # The largest on two processors only: it takes minutes.
        ways = {3_000: (1, 2)} if options.quick else {13_000: (1, 2), 100_000: (2,)}
        for n, threads in ways.items() if not options.only or "whole" in options.only else ():
            say(f"the whole way at {n:,} cells")
            folder = next((Path(root) / size for size, there in wanted.items() if there == n), Path(root) / "whole")
            if not folder.exists():
                write_samples(simulated(base, labels, n), folder)
            for n_threads in threads:
                with processors(n_threads):
                    wholes.append(whole(folder, n, n_threads))
    text = page(sizes, lines, wholes, load)
    print(text)
    if not (options.quick or options.only):
        PAGE.write_text(text)
    elif options.only == ["whole"] and not options.quick and PAGE.exists():
        before, rest = PAGE.read_text().split("## The whole way\n")
        PAGE.write_text(before + "\n".join(the_whole_way(wholes)) + "\n" + rest[rest.index("## Memory") :])
    return 0


if __name__ == "__main__":
    sys.exit(main())
