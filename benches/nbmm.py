"""Speed of count models, one thread; writes docs/speed_nbmm.md.

Processor time of sums, maximum-likelihood fits and complete moderated runs on simulated counts, the sums beside those
of the linear mixed models; peak memory of the fit; a million cells streamed from a file. `--only` chooses blocks (their
lines are printed, nothing is written), `--quick` measures little and writes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from million import program
from page import ROOT, machine, say, table, times, versions
from page import seconds as words

import ferrocyte as fe

PAGE = ROOT / "docs/speed_nbmm.md"
MODEL = "~ condition + (1 | donor)"
GAUSSIAN = f"~ log(libsize) + {MODEL[2:]}"
SEED = 13

#: Donors and cells of each; 20,000 genes.
SIZES = ((16, 80), (100, 60))

#: Quoted milliseconds per gene of one maximum-likelihood fit with 16 donors in 32 groups, by number of cells: measured
#: once with R and its packages on the machine of the reference cases.
QUOTED = {1_550: (10.0, 17.0), 15_500: (27.0, 103.0), 155_000: (285.0, float("nan"))}


def simulate(n_genes: int, n_donors: int, n_cells: int) -> ad.AnnData:
    """Negative-binomial counts of donors in two arms, `n_cells` each, with means and variances like real ones."""
    rng = np.random.default_rng(SEED)
    donor = np.repeat(np.arange(n_donors), n_cells)
    depth = np.exp(0.4 * rng.standard_normal(len(donor)))
    mean = np.exp(rng.normal(-2.0, 1.8, n_genes))
    tau = np.exp(rng.normal(-0.7, 0.5, n_genes))
    spread = np.sqrt(0.05 * np.exp(0.8 * rng.standard_normal(n_genes)))
    parts = []
    for i in range(n_donors):
        rate = np.outer(depth[donor == i], mean * np.exp(spread * rng.standard_normal(n_genes)))
        parts.append(sp.csr_matrix(rng.poisson(rate * rng.gamma(1.0 / tau, tau, rate.shape)).astype(np.float32)))
    obs = pd.DataFrame({"donor": [f"d{i:03d}" for i in donor], "depth": depth})
    obs["condition"] = np.where(donor % 2 == 0, "ctrl", "stim")
    obs["libsize"] = np.concatenate([np.asarray(part.sum(axis=1)).ravel() for part in parts]) + 1.0
    obs.index = [f"cell{i}" for i in range(len(obs))]
    var = pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])
    return ad.AnnData(sp.csr_matrix(sp.vstack(parts)), obs=obs, var=var)


def spent(job: Callable[[], object], repeats: int) -> float:
    """The least processor seconds of several runs."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        found.append(time.process_time() - start)
    return min(found)


def fits(n_genes: int, repeats: int) -> list[list[str]]:
    """Fits from sums, by size: maximum likelihood, REML, the moderated run with its tests; and peak memory."""
    rows = []
    for n_donors, n_cells in SIZES:
        study = simulate(n_genes, n_donors, n_cells)
        sums = fe.nbmm.sums(study, MODEL, offset="depth", n_threads=1, progress=False)
        few = fe.nbmm.sums(study[:, : max(n_genes // 20, 50)], MODEL, offset="depth", n_threads=1, progress=False)

        def fit(sums: fe.nbmm.Sums = sums, **how: object) -> fe.nbmm.Fit:
            return fe.nbmm.fit(sums, n_threads=1, progress=False, **how)

        def whole(fit: Callable[..., fe.nbmm.Fit] = fit) -> pd.DataFrame:
            return fit().contrast("condition", "stim", "ctrl")

        n_few = len(few.genes)
        measured = {
            "maximum likelihood": (spent(lambda fit=fit: fit(moderate=False), repeats), n_genes),
            "moderated, with the test of a contrast": (spent(whole, repeats), n_genes),
            "REML": (spent(lambda few=few, fit=fit: fit(few, moderate=False, method="REML"), 1), n_few),
        }
        for name, (seconds, genes) in measured.items():
            rows.append(
                [str(n_donors), f"{len(study):,}", name, f"{genes:,}", words(seconds), words(seconds / genes), ""]
            )
        with tempfile.TemporaryDirectory(prefix="ferrocyte-nbmm-") as folder:
            sums.save(Path(folder) / "sums.npz")
            ran = program("nbmm", "fit", "sums.npz", "-o", "tests.tsv", "--threads", "1", cwd=Path(folder))
        peak = f"{ran.peak / 2**20:,.0f} MiB"
        rows.append([str(n_donors), f"{len(study):,}", "the program, sums to table", f"{n_genes:,}", "", "", peak])
        for row in rows[-4:]:
            say(" | ".join(row))
    return rows


def sums(n_genes: int, repeats: int) -> list[list[str]]:
    """The pass over the cells, beside that of the linear mixed models."""
    rows = []
    for n_donors, n_cells in SIZES:
        study = simulate(n_genes, n_donors, n_cells)
        ours = spent(lambda s=study: fe.nbmm.sums(s, MODEL, offset="depth", n_threads=1, progress=False), repeats)
        theirs = spent(lambda s=study: fe.lmm.sums(s, GAUSSIAN, n_threads=1, progress=False), repeats)
        values = f"{study.X.nnz / 1e6:.1f} million"
        rows.append([str(n_donors), f"{len(study):,}", values, words(ours), words(theirs), times(ours / theirs)])
        say(" | ".join(rows[-1]))
    return rows


def million(n_genes: int, n_cells: int) -> list[list[str]]:
    """Cells streamed from a file by the program: simulated, summed, fitted and tested in every cell type."""
    size = ["--n-genes", str(n_genes), "--n-cells", str(n_cells), "--n-donors", "20"]
    with tempfile.TemporaryDirectory(prefix="ferrocyte-nbmm-") as folder:
        at = Path(folder)
        program("simulate", "cohort", *size, "-o", "study.h5ad", cwd=at)
        model = ["--formula", MODEL, "--groups", "cell_type", "--threads", "2"]
        summed = program("nbmm", "sums", "study.h5ad", *model, "-o", "sums.npz", cwd=at)
        fitted = program("nbmm", "fit", "sums.npz", "-o", "tests.tsv", "--threads", "2", cwd=at)
        file = (at / "study.h5ad").stat().st_size
    size = [f"{n_cells:,}", f"{n_genes:,}", f"{file / 2**30:.2f} GiB"]
    ran = {"sums, two passes": summed, "fit and tests, all cell types": fitted}
    rows = [[*size, name, words(one.seconds), f"{one.peak / 2**20:,.0f} MiB"] for name, one in ran.items()]
    for row in rows:
        say(" | ".join(row))
    return rows


def main() -> None:
    """Measure, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure little and write nothing")
    parser.add_argument("--only", choices=["fits", "sums", "million"], action="append", help="these blocks only")
    asked = parser.parse_args()
    n_genes, repeats = (200, 1) if asked.quick else (20_000, 2)
    blocks: dict[str, Callable[[], list[list[str]]]] = {
        "fits": lambda: fits(n_genes, repeats),
        "sums": lambda: sums(n_genes, repeats),
        "million": lambda: million(*((100, 5_000) if asked.quick else (2_000, 1_000_000))),
    }
    found = {name: block() for name, block in blocks.items() if not asked.only or name in asked.only}
    if asked.quick or asked.only:
        return
    quoted = [[f"{cells:,}", words(ln / 1e3), words(hl / 1e3) or "not measured"] for cells, (ln, hl) in QUOTED.items()]
    lines = [
        "<!-- Made by `make bench`. Do not edit. -->",
        "",
        "# Speed: count models",
        "",
        f"Measured on {date.today().isoformat()}: {machine()}; {versions()}.",
        "",
        f"Simulated negative-binomial counts of donors in two arms, `{MODEL}`; processor seconds on one thread, the "
        f"least of {repeats} runs (REML: one, of a twentieth of the genes).",
        "",
        "## Fits, from sums",
        "",
        *table(["donors", "cells", "what", "genes", "time", "per gene", "peak memory"], found["fits"]),
        "Fits do not depend on the number of cells. Quoted from the reference cases, another machine, 16 donors in 32 "
        "groups, one maximum-likelihood fit per gene by NEBULA 1.5.6:",
        "",
        *table(["cells", "NEBULA-LN, per gene", "NEBULA-HL, per gene"], quoted),
        "## Sums, from a matrix in memory",
        "",
        *table(["donors", "cells", "values", "count models", "linear mixed models", "ratio"], found["sums"]),
        "## A million cells from a file",
        "",
        "A simulated cohort of 20 donors, by the program on two threads (elapsed seconds). The file is read "
        "twice, as the offset is the total of the cell.",
        "",
        *table(["cells", "genes", "file", "what", "time", "peak memory"], found["million"]),
    ]  # fmt: skip
    PAGE.write_text("\n".join(lines).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
