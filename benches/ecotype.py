"""Speed of ecotypes, beside pyspatialecotyper, in one run; writes docs/speed_ecotype.md.

Models and ensembles are made by the program from a file, as users do; recovery and fusion by functions on what is in
memory, in processes of their own (`ecotype_work.py`). A program that is not installed, fails, or needs longer than its
limit is named as such. Seconds of the R package are quoted, and marked as quoted.

`--quick` tries everything on a small study and writes nothing; `--large` also fuses the networks of 18,564
neighbourhoods, which takes minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad
import numpy as np
from page import ROOT, last_line, machine, say, seconds, table, times, versions
from scipy import sparse
from scipy.spatial import cKDTree

import ferrocyte as fe

PAGE = ROOT / "docs/speed_ecotype.md"
PEER = "pyspatialecotyper"


#: Numbers of a task, or why there are none.
Found: TypeAlias = "dict[str, float] | str"


@dataclass
class Size:
    """What is measured: cells of training (in four samples), of recovery, those the peer labels, and fusions."""

    cells: int
    genes: int
    types: int
    depth: float
    others: int
    few: int
    fusions: tuple[int, ...]
    repeats: int
    limit: int


FULL = Size(36_000, 500, 9, 700.0, 50_000, 2_000, (500, 1000, 2000, 4000), 3, 120)
QUICK = Size(1_200, 80, 2, 250.0, 600, 300, (60, 120), 1, 120)
LARGE = 18_564
N_VIEWS = 10

#: Seconds of processor time that SpatialEcoTyper 1.0.4 (R 4.2, NMF 0.25) took on a machine of this size for the same
#: work, and what its authors publish for fusion. They were not measured in this run.
QUOTED = {
    "one W list": "219 s processor, 1.6 GB",
    "ensemble of 50": "3 h processor (50 × 219 s)",
    "recovery": "852 s processor",
    "fusion": "436 min, 169 GB (18,564 neighbourhoods × 10 types, its authors)",
}


def simulate(folder: Path, seed: int, cells: int, size: Size) -> int:
    """A study of four samples in a file; how many values it holds."""
    study = fe.ecotype.simulate(
        seed, samples=4, cells=cells // 4, genes=size.genes, types=size.types, ecotypes=9 if size.types == 9 else 2,
        depth=size.depth,
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    study.write_h5ad(folder / "study.h5ad")
    return int(study.X.nnz)


def part(folder: Path, whole: Path, chosen: Callable[[ad.AnnData], Any]) -> int:
    """Some cells of a study, with its models; how many there are."""
    folder.mkdir(exist_ok=True)
    study = ad.read_h5ad(whole / "study.h5ad")
    cells = study[chosen(study)].copy()
    cells.write_h5ad(folder / "study.h5ad")
    (folder / "models").symlink_to(whole / "models")
    return int(cells.n_obs)


def networks(folder: Path, n: int) -> None:
    """Networks of `n` neighbourhoods for each of ten cell types, which share a structure: 1 / (2 + distance)."""
    draws = np.random.default_rng(n)
    shared = draws.normal(size=(n, 20))
    k = min(50, n - 1)
    folder.mkdir(exist_ok=True)
    for i in range(N_VIEWS):
        places = shared + draws.normal(size=(n, 20))
        distances, nearest = cKDTree(places).query(places, k)
        entries = (1.0 / (2.0 + distances.ravel()), (nearest.ravel(), np.repeat(np.arange(n), k)))
        sparse.save_npz(folder / f"view_{i}.npz", sparse.csc_matrix(entries, shape=(n, n)))


def command(verb: str, study: Path, out: Path, threads: int, repeats: int, *more: str) -> Found:
    """The program on a file: least seconds of wall and processor time, and its peak memory."""
    watched = (
        "import json, resource, subprocess, sys, time; began = time.perf_counter(); "
        "subprocess.run(sys.argv[1:], check=True, capture_output=True); wall = time.perf_counter() - began; "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(json.dumps({'wall': wall, 'cpu': used.ru_utime + used.ru_stime, 'memory': 1024 * used.ru_maxrss}))"
    )
    program = "import sys; from ferrocyte._cli import main; sys.exit(main())"
    words = ["ecotype", verb, str(study), "--sample", "Sample", "--normalize", "log1p_cp10k", "--threads", str(threads)]
    best: dict[str, float] = {}
    for i in range(repeats):
        target = str(out / f"{verb}_{threads}_{i}")
        line = [sys.executable, "-c", watched, sys.executable, "-c", program, *words, *more, "-o", target]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"failed: {last_line(done.stderr)}"
        found = json.loads(last_line(done.stdout))
        best = {key: min(value, best.get(key, np.inf)) for key, value in found.items()}
    return best


def work(program: str, task: str, folder: Path, repeats: int, limit: int, mode: str = "exact") -> Found:
    """A task in a process of its own, or why there are no numbers."""
    if program == PEER and importlib.util.find_spec(PEER) is None:
        return "not installed"
    script = str(Path(__file__).with_name("ecotype_work.py"))
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    line = [sys.executable, script, program, task, str(folder), str(repeats), mode]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, check=False, env={**os.environ, **one}, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"more than {limit} s"
    if done.returncode:
        return f"failed: {last_line(done.stderr)}"
    found: dict[str, float] = json.loads(last_line(done.stdout))
    return found


def told(found: Found, key: str) -> str:
    """A number as it is shown, or why there is none."""
    if isinstance(found, str):
        return found
    return f"{found[key] / 2**20:,.0f} MiB" if key == "memory" else seconds(found[key])


def ratio(ours: Found, theirs: Found) -> str:
    """How many times the processor time of ours."""
    return "" if isinstance(ours, str) or isinstance(theirs, str) else times(theirs["cpu"] / ours["cpu"])


def commands(folder: Path, size: Size) -> list[list[str]]:
    """Rows of the program from a file."""
    rows = []
    for what, verb, more in (
        ("one W list", "train", ()),
        ("ensemble of 50", "ensemble", ("--n-runs", "50")),
    ):
        for threads in (1, 2):
            say(f"{what}, {threads} threads")
            found = command(verb, folder / "study.h5ad", folder, threads, size.repeats, *more)
            aim = "1.5 s, 300 MB" if verb == "ensemble" else ""
            numbers = [told(found, key) if isinstance(found, dict) else "" for key in ("cpu", "memory")]
            rows.append([what, str(threads), told(found, "wall"), *numbers, aim, QUOTED[what] if threads == 1 else ""])
    return rows


def beside(folder: Path, whole: Path, size: Size) -> list[list[str]]:
    """Rows of models and recovery, both programs, one thread."""
    say("models")
    rows = [
        [f"one W list, {size.cells:,} cells", "exact", *both(work("ferrocyte", "train", whole, size.repeats, 300), "")]
    ]
    # The peer needs minutes for all types, and for all cells.
    n = part(folder / "two", whole, lambda study: study.obs["CellType"].isin(["type1", "type2"]).to_numpy())
    say("models of two types, both programs")
    ours = work("ferrocyte", "train", folder / "two", size.repeats, 300, "compat")
    theirs = work(PEER, "train", folder / "two", 1, size.limit)
    rows.append([f"models of two types, {n:,} cells", "compat", *both(ours, theirs)])
    part(folder / "few", folder / "others", lambda _: slice(size.few))
    for name, cells in (("few", size.few), ("others", size.others)):
        for mode in ("exact", "compat"):
            say(f"recovery of {cells:,} cells, {mode}")
            repeats = 1 if (name, mode) == ("others", "compat") else size.repeats
            ours = work("ferrocyte", "recover", folder / name, repeats, 300, mode)
            compared = (name, mode) == ("few", "compat")
            theirs = work(PEER, "recover", folder / name, 1, size.limit) if compared else ""
            rows.append([f"recovery, {cells:,} cells", mode, *both(ours, theirs)])
    return rows


def both(ours: Found, theirs: Found) -> list[str]:
    """Processor time and memory of both, and their ratio."""
    mine = [told(ours, "cpu"), told(ours, "memory") if isinstance(ours, dict) else ""]
    others = [told(theirs, "cpu"), told(theirs, "memory") if isinstance(theirs, dict) else "", ratio(ours, theirs)]
    return [*mine, *others]


def fusions(folder: Path, size: Size, *, large: bool) -> list[list[str]]:
    """Rows of fusion, ten networks each, one thread."""
    rows = []
    for n in (*size.fusions, *((LARGE,) if large else ())):
        say(f"fusion of {n:,} neighbourhoods")
        place = folder / f"networks_{n}"
        networks(place, n)
        ours = work("ferrocyte", "fuse", place, size.repeats if n <= 1000 else 1, 3600 if n == LARGE else 300)
        theirs: Found = "not tried"
        if n <= 1000:
            theirs = work(PEER, "fuse", place, 1, size.limit)
        same = ""
        if isinstance(ours, dict) and isinstance(theirs, dict):
            same = f"{abs(ours['shown'] / theirs['shown'] - 1):.0e}"
        rows.append([f"{n:,}", *both(ours, theirs), same])
    return rows


def page(size: Size, *, large: bool) -> list[str]:
    """The page, line by line."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        say("drawing studies")
        stored = simulate(folder / "whole", 1, size.cells, size)
        simulate(folder / "others", 1, size.others, size)
        made = command("train", folder / "whole/study.h5ad", folder, 1, 1)
        if isinstance(made, str):
            raise SystemExit(made)
        (folder / "train_1_0").rename(folder / "others/models")
        from_file = commands(folder / "whole", size)
        both_rows = beside(folder, folder / "whole", size)
        fused = fusions(folder, size, large=large)
    peer_version = version(PEER) if importlib.util.find_spec(PEER) else "not installed"
    return [
        "# Speed of ecotypes",
        "",
        f"Written by `make bench` on {date.today():%Y-%m-%d}. {machine()}. {versions()}. {PEER} {peer_version}.",
        "",
        "Studies of `fe.ecotype.simulate`.",
        "",
        "## From the file, by the program",
        "",
        f"`ferrocyte ecotype train` and `ensemble` on {size.cells:,} cells × {size.genes} genes ({stored:,} values) in",
        f"an .h5ad file, {size.types} cell types, four samples, normalised on the way; the start of Python is within",
        f"the times. The least of {size.repeats}. What R took is **quoted**, not measured here: SpatialEcoTyper 1.0.4",
        "on a machine of this size.",
        "",
        *table(["", "threads", "wall", "processor", "memory", "aim", "R (quoted)"], from_file),
        f"## Beside {PEER}",
        "",
        "One thread, processor time, values in memory. Its values are dense and normalised before the clock starts,",
        "ours sparse counts; its recovery, like our compat mode, makes the updates of the R package, while exact mode",
        f"finds the optimum. R took {QUOTED['recovery']} for the 50,000 cells (**quoted**).",
        "",
        *table(["", "mode", "ferrocyte", "memory", PEER, "memory", "times"], both_rows),
        "## Fusion of networks",
        "",
        f"`fe.ecotype.fuse` on {N_VIEWS} networks of so many neighbourhoods, 50 neighbours, 10 rounds, one thread. The",
        "last column compares the sums of both results. Memory counts the networks that are given, as tables.",
        f"Published for R (**quoted**): {QUOTED['fusion']}.",
        "",
        *table(["neighbourhoods", "ferrocyte", "memory", PEER, "memory", "times", "difference"], fused),
    ]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small study, nothing is written")
    parser.add_argument("--large", action="store_true", help="also the networks of 18,564 neighbourhoods")
    arguments = parser.parse_args()
    lines = page(QUICK if arguments.quick else FULL, large=arguments.large)
    text = "\n".join(lines).rstrip() + "\n"
    if arguments.quick:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
