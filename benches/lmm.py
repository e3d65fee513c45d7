"""Speed of `lmm`, beside programs that do the same, in one run; writes docs/speed.md.

Ours: the sums and the fit on simulated studies of two sizes, and a real study from file to table. Peers get a few of
the same genes with the same design, one thread each, and their own settings; where they fit the same model, the
estimates are compared, so that the times are of the same work. A peer that is not installed is named as such.

`--quick` tries everything on a small study and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

import anndata as ad
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
from ferrocyte import _core

DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
MODEL = "~ log(libsize) + cluster + cluster:treatment + (1 | sample)"
TWO_TERMS = f"{MODEL} + (1 | location)"
N_LOCATIONS = 20
KANG_MODEL = "~ log(libsize) + donor + condition + (1 | sample)"
SEED = 20


@dataclass(frozen=True)
class Size:
    """A simulated study."""

    name: str
    genes: int
    cells: int
    samples: int
    clusters: int

    def simulate(self) -> ad.AnnData:
        """Counts of the study, cells x genes, with the totals of the cells as `libsize`."""
        study = fe.lmm.simulate(self.genes, self.cells, n_samples=self.samples, n_clusters=self.clusters, seed=SEED)
        study.obs["libsize"] = np.asarray(study.X.sum(axis=1)).ravel()
        # With few genes there are cells without a count, which have no logarithm of their total.
        study = study[study.obs["libsize"] > 0].copy()
        locations = np.random.default_rng(SEED).integers(0, N_LOCATIONS, study.n_obs)
        study.obs["location"] = pd.Categorical([f"L{i:02d}" for i in locations])
        return study

    def describe(self, study: ad.AnnData) -> str:
        """The size in words."""
        return (
            f"{self.name}: {self.genes:,} genes × {study.n_obs:,} cells, {self.samples} samples, {self.clusters} "
            f"clusters, {study.X.nnz / 1e6:.1f} million values ({study.X.nnz / self.genes / study.n_obs:.0%})"
        )


TINY = Size("S", 50, 1_000, 25, 4)
SMALL = Size("small", 300, 3_000, 12, 4)
MEDIUM = Size("M", 2_000, 20_000, 20, 8)
LARGE = Size("L", 6_000, 100_000, 40, 12)
# The shape of a published study of tuberculosis: many samples, many coefficients.
TALL = Size("T", 11_596, 20_000, 259, 29)


@dataclass
class Peer:
    """What a peer took for some genes, and what it found."""

    name: str
    threads: int = 1
    genes: int = 0
    seconds: float = np.nan  # per gene
    from_sums: bool = False
    same_model: bool = True
    # Index (gene, coefficient), columns `estimate`, `se`, `df`.
    estimates: pd.DataFrame = field(default_factory=pd.DataFrame)
    note: str = ""


@dataclass
class Comparison:
    """Ours and the peers on some genes of one study."""

    study: str
    # Our seconds per gene with one thread, by whether they start from sums: on the genes of the peers, on all genes.
    few: dict[bool, float]
    many: dict[bool, float]
    # Our estimates of the genes of the peers.
    estimates: dict[str, pd.DataFrame]
    peers: list[Peer] = field(default_factory=list)


@dataclass
class Findings:
    """All that was measured in one run."""

    load: float
    sizes: list[str] = field(default_factory=list)
    # Step, and its seconds with one thread and with two.
    steps: list[tuple[str, list[float]]] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)


def best(work: Callable[[], object], repeats: int) -> float:
    """The least seconds of several runs, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# Ours


def estimates(sums: fe.lmm.Sums, threads: int) -> dict[str, pd.DataFrame]:
    """The fit from sums, as it is measured: components, and of every coefficient estimate, se, t, df and p."""
    fit = fe.lmm.fit(sums, moderate=False, n_threads=threads)
    found = {"theta": fit.theta, "estimate": fit.coef, "se": fit.se, "t": fit.t, "df": fit.df_satterthwaite}
    t, df = found["t"].to_numpy(), found["df"].to_numpy()
    p = _core.lmm_t_p_values(t.ravel(), df.ravel(), "two.sided").reshape(t.shape)
    found["p"] = pd.DataFrame(p, found["t"].index, found["t"].columns)
    return found


def moderated(sums: fe.lmm.Sums, contrast: str, threads: int) -> pd.DataFrame:
    """The fit with moderation and the table of one contrast."""
    return fe.lmm.fit(sums, n_threads=threads).test(contrast)


def whole_kang(threads: int) -> pd.DataFrame:
    """A real study: file, sums, fits of all cell types, moderated tests, table."""
    fit = fe.lmm.fit(DATA / "kang_ifnb.h5ad", KANG_MODEL, groups="cell_type", n_threads=threads)
    return fit.contrast("condition", "stim", "ctrl")


def ours(size: Size, study: ad.AnnData, file: Path | None, repeats: int) -> list[tuple[str, list[float]]]:
    """Seconds with one and two threads of each step at one size."""
    steps: dict[str, Callable[[int], object]] = {
        "sums, CSR float32 in memory": lambda threads: fe.lmm.sums(study, MODEL, n_threads=threads)
    }
    if file is not None:
        steps["sums, .h5ad on disk, gzip"] = lambda threads: fe.lmm.sums(file, MODEL, n_threads=threads)
    sums = fe.lmm.sums(study, MODEL)
    effect = f"cluster{study.obs['cluster'].cat.categories[0]}:treatmentB"
    steps["fit: theta, coef, se, t, Satterthwaite df, p"] = partial(estimates, sums)
    steps["fit with moderation, table of one contrast"] = partial(moderated, sums, effect)
    return [(f"{size.name}: {name}", on_threads(step, repeats)) for name, step in steps.items()]


def two_terms(study: ad.AnnData, n_genes: int, repeats: int) -> list[tuple[str, list[float]]]:
    """Seconds with one and two threads of some genes of a study with two crossed random terms."""
    sums = fe.lmm.sums(study[:, spread(study, n_genes)].copy(), TWO_TERMS)
    return [
        (
            f"T: fit of {n_genes:,} genes, (1 \\| sample) + (1 \\| location)",
            on_threads(partial(estimates, sums), repeats),
        )
    ]


def on_threads(step: Callable[[int], object], repeats: int) -> list[float]:
    """Seconds of a step with one thread, and with two."""
    seconds = []
    for threads in (1, 2):
        with processors(threads):
            seconds.append(best(partial(step, threads), repeats))
    return seconds


# The problem of the peers


def spread(study: ad.AnnData, n: int) -> list[int]:
    """Genes of all levels of expression, from the 20th to the 99th percentile of their totals."""
    order = np.argsort(np.asarray(study.X.sum(axis=0)).ravel(), kind="stable")
    return [int(order[int(rank * (len(order) - 1))]) for rank in np.linspace(0.2, 0.99, n)]


def design(obs: pd.DataFrame) -> pd.DataFrame:
    """The fixed effects of the model, made here so that peers do not depend on ours."""
    columns = {"(Intercept)": np.ones(len(obs)), "log(libsize)": np.log(obs["libsize"].to_numpy(float))}
    clusters = obs["cluster"].cat.categories
    inside = {level: (obs["cluster"] == level).to_numpy(float) for level in clusters}
    columns |= {f"cluster{level}": inside[level] for level in clusters[1:]}
    treated = (obs["treatment"] == "B").to_numpy(float)
    columns |= {f"cluster{level}:treatmentB": inside[level] * treated for level in clusters}
    return pd.DataFrame(columns, index=obs.index)


def write_problem(folder: Path, cells: ad.AnnData) -> None:
    """Some genes of all cells, for programs of other languages; the cells are sorted by sample."""
    X, samples = design(cells.obs), cells.obs["sample"].cat
    (folder / "shape.txt").write_text(f"{cells.n_vars} {cells.n_obs} {X.shape[1]} {len(samples.categories)}\n")
    X.to_numpy("<f8").tofile(folder / "design.f64")
    samples.codes.to_numpy("<f8").tofile(folder / "samples.f64")
    cells.X.toarray().T.astype("<f8").tofile(folder / "counts.f64")
    cells.obs[["sample", "location", "cluster", "treatment", "libsize"]].to_csv(folder / "obs.csv", index=False)


def frame(rows: list[tuple[int, str, float, float, float]]) -> pd.DataFrame:
    """Estimates of a peer."""
    columns = ["gene", "coefficient", "estimate", "se", "df"]
    return pd.DataFrame(rows, columns=columns).set_index(["gene", "coefficient"])


# Peers


def lmer(folder: Path, repeats: int, model: str = MODEL) -> Peer:
    """R's lmerTest, gene by gene."""
    name = "lmerTest::lmer (R)"
    if shutil.which("Rscript") is None:
        return Peer(name, note="not measured: there is no Rscript")
    command = ["Rscript", "--vanilla", str(ROOT / "benches/lmm_lmer.R"), str(folder), model, str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode:
        return Peer(name, note=f"not measured: {last_line(done.stderr)}")
    lines = done.stdout.splitlines()
    seconds = [float(line.split()[1]) for line in lines if line.startswith("seconds ")]
    rows = [line.split("\t") for line in lines if "\t" in line]
    found = frame([(int(gene), name, float(b), float(se), float(df)) for gene, name, b, se, df in rows])
    versions = next(line for line in lines if line.startswith("versions ")).removeprefix("versions ").strip()
    return Peer(name, genes=len(seconds), seconds=float(np.mean(seconds)), estimates=found, note=versions)


def mixedlm(cells: ad.AnnData, genes: list[int]) -> Peer:
    """MixedLM of statsmodels, once for each of a few genes: it is slow."""
    title = "statsmodels MixedLM"
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError:
        return Peer(title, note="not measured: statsmodels is not installed")
    X, groups = design(cells.obs), cells.obs["sample"].astype(str).to_numpy()
    rows, seconds = [], []
    for gene in genes:
        y = np.log1p(cells.X[:, [gene]].toarray().ravel().astype(float))
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = MixedLM(y, X.to_numpy(), groups).fit(reml=True)
            se, _ = fit.bse_fe, fit.pvalues  # computed when they are asked for
        seconds.append(time.perf_counter() - start)
        rows += [(gene, name, b, s, np.nan) for name, b, s in zip(X.columns, fit.fe_params, se, strict=True)]
    note = f"statsmodels {version('statsmodels')}; no Satterthwaite df"
    return Peer(title, genes=len(genes), seconds=float(np.mean(seconds)), estimates=frame(rows), note=note)


def rival(folder: Path, which: str, names: list[str], repeats: int) -> tuple[float, int, pd.DataFrame]:
    """Seconds, genes fitted and estimates of a model of another crate."""
    command = [rival_program("rivals"), which, str(folder), str(repeats)]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    first, *lines = done.stdout.splitlines()
    _, seconds, _, genes = first.split()
    rows = [line.split() for line in lines]
    found = frame([(int(g), names[int(c)], float(b), float(se), float(df)) for g, c, b, se, df in rows])
    return float(seconds), int(genes), found


def rivals(folder: Path, names: list[str], repeats: int, problem: str) -> list[Peer]:
    """The models of other crates, or the problem because of which there are none."""
    bixverse, edge = (f"{name} {locked(name)}" for name in ("bixverse-core", "edge-rs"))
    planned = {
        "bixverse": Peer(f"{bixverse}, from cells", note="`fit_random_intercept`; the core of bixverse-rs"),
        "bixverse-sums": Peer(f"{bixverse}, from sums", from_sums=True, note="sums made before the clock starts"),
        "edge": Peer(f"{edge}, NEBULA-LN", same_model=False, note="negative binomial model of counts; Wald z, no df"),
    }
    for which, peer in planned.items():
        try:
            if problem:
                peer.note = problem
                continue
            seconds, peer.genes, peer.estimates = rival(folder, which, names, repeats)
            peer.seconds = seconds / peer.genes
        except subprocess.CalledProcessError as error:
            peer.note = f"not measured: {last_line(error.stderr)}"
    return list(planned.values())


# Comparison


def agreement(peer: Peer, found: dict[str, pd.DataFrame]) -> list[str]:
    """Genes compared, largest differences of coef (in standard errors), se and df (relative), genes that failed."""
    if peer.estimates.empty or not peer.same_model:
        return [""] * 5
    genes = peer.estimates.index.get_level_values("gene")
    failed = peer.estimates["se"].isna().groupby(genes).any()
    # All components but the residual, which stands last.
    positive = set(np.flatnonzero((found["theta"].iloc[:, :-1] > 0).all(axis=1)))
    theirs = peer.estimates[genes.isin([gene for gene in failed.index[~failed] if gene in positive])]
    mine = {
        name: found[name].set_axis(range(len(found[name]))).stack().reindex(theirs.index)
        for name in ("estimate", "se", "df")
    }
    differences = [
        (theirs["estimate"] - mine["estimate"]).abs() / mine["se"],
        (theirs["se"] - mine["se"]).abs() / mine["se"],
        (theirs["df"] - mine["df"]).abs() / mine["df"],
    ]
    largest = [f"{values.max():.0e}" if values.notna().any() else "" for values in differences]
    return [str(theirs.index.get_level_values("gene").nunique()), *largest, str(int(failed.sum()))]


def peer_rows(comparison: Comparison) -> list[list[str]]:
    """A line for each peer, ours beside it."""
    rows = []
    for peer in comparison.peers:
        few, many = comparison.few[peer.from_sums], comparison.many[peer.from_sums]
        compared = [seconds(few), times(peer.seconds / few), seconds(many), times(peer.seconds / many)]
        rows.append([peer.name, str(peer.genes or ""), seconds(peer.seconds), *compared])
    return rows


def losses(comparison: Comparison) -> list[str]:
    """The places of one comparison in which a peer is the faster one."""
    lost = []
    for peer in comparison.peers:
        for per_gene, what in ((comparison.few, "the same genes"), (comparison.many, "per gene of the whole study")):
            mine = per_gene[peer.from_sums]
            if peer.seconds < mine:
                where = f"{comparison.study.split(':')[0]}, {what}"
                lost.append(f"- {where}: {peer.name}, {seconds(peer.seconds)} against {seconds(mine)}.")
    return lost


def peer_lines(comparison: Comparison) -> list[str]:
    """The tables of one comparison: times, then agreement."""
    theta = comparison.estimates["theta"]
    heads = ["peer", "genes", "peer", "ours, same genes", "ratio", "ours, whole study", "ratio"]
    return [
        f"### {comparison.study}",
        "",
        *table(heads, peer_rows(comparison)),
        f"{(theta.iloc[:, :-1] > 0).all(axis=1).sum()} of the {len(theta)} genes have all components above zero.",
        "",
        *table(
            ["peer", "compared", "coef", "se", "df", "failed", "what"],
            [[peer.name, *agreement(peer, comparison.estimates), peer.note] for peer in comparison.peers],
        ),
    ]


def page(findings: Findings) -> str:
    """The page, as Markdown."""
    lost = [line for comparison in findings.comparisons for line in losses(comparison)]
    lines = [
        "<!-- Made by `make bench`. Do not edit. -->",
        "",
        "# Speed of lmm",
        "",
        f"{date.today().isoformat()}; {machine()}; load {findings.load:.1f} when the run began. {versions()}.",
        "",
        "**Read this first.** One machine, one run, simulated counts (`fe.lmm.simulate`, about 90 % zeros) and one "
        "small real study. Numbers are the least of several runs after a warm-up; a load that is not near zero spoils "
        "them. Peers get their own settings, one thread and a few genes of the same cells, because most of them would "
        "take hours for all. Ours uses what the genes of a study share: per gene it is cheap only with many genes, so "
        "both comparisons are shown, on the same few genes and per gene of the whole study. The transform of counts is "
        "inside our time and outside that of the peers. FLASH-MM, the R package whose numbers ours reproduce, is not "
        "measured here.",
        "",
        "## Ours",
        "",
        f"`{MODEL}`, REML, ln(1 + count). From sums to the last p-value is *fit*; reading a file is part of *on disk*.",
        "",
        *(f"- {size}" for size in findings.sizes),
        "",
        *table(
            ["step", "1 thread", "2 threads"],
            [[name, *map(seconds, both)] for name, both in findings.steps],
        ),
        f"Kang is `data/kang_ifnb.h5ad`, 4,470 cells × 9,015 genes, `{KANG_MODEL}` in each of 8 cell types.",
        "",
        "## Beside peers",
        "",
        "Seconds per gene, one thread, genes of all levels of expression, from cells to estimates, standard errors and "
        "p-values, unless it says *from sums*.",
        "",
        "Do they find the same? Compared are the genes whose variance components are above zero (below, lmer, MixedLM "
        "and bixverse hold them at zero and ours does not) and to which the peer gives standard errors; genes to which "
        "it gives none are counted as failed. The largest difference over all coefficients: of estimates in standard "
        "errors, of standard errors and degrees of freedom relative. Where a place is empty, the peer does not have "
        "it, or fits another model.",
        "",
        *(line for comparison in findings.comparisons for line in peer_lines(comparison)),
        "## Where we lose",
        "",
        *(lost or ["In none of the comparisons above."]),
        "",
    ]
    return "\n".join(lines)


# The run


def compare(size: Size, study: ad.AnnData, n_genes: int, repeats: int, folder: Path) -> tuple[list, Comparison]:
    """Our steps at one size, then ours and the peers on some genes of all its cells, one thread each."""
    study.write_h5ad(folder / "study.h5ad", compression="gzip")
    steps = ours(size, study, folder / "study.h5ad", repeats)
    # One thread: the sums in memory are the first step, the fit is the third.
    collected, fitted = steps[0][1][0], steps[2][1][0]
    many = {True: fitted / size.genes, False: (collected + fitted) / size.genes}

    by_sample = np.argsort(study.obs["sample"].cat.codes.to_numpy(), kind="stable")
    cells = study[by_sample, spread(study, n_genes)].copy()
    write_problem(folder, cells)
    say("  crates: build")
    problem = build_rivals()
    with processors(1):
        sums = fe.lmm.sums(cells, MODEL, n_threads=1)
        found = estimates(sums, 1)
        fit = best(partial(estimates, sums, 1), repeats)
        both = best(lambda: estimates(fe.lmm.sums(cells, MODEL, n_threads=1), 1), repeats)
        out = Comparison(size.describe(study), {True: fit / n_genes, False: both / n_genes}, many, found)
        say("  lmerTest")
        out.peers.append(lmer(folder, min(repeats, 2)))
        say("  statsmodels")
        out.peers.append(mixedlm(cells, list(range(n_genes - 1, -1, -max(1, n_genes // 4)))))
        say("  crates")
        out.peers += rivals(folder, list(found["estimate"].columns), repeats, problem)
    return steps, out


def compare_two_terms(study: ad.AnnData, n_genes: int) -> Comparison:
    """Ours and lmer on some genes of the tall study with two crossed terms, one thread each."""
    many = 400
    whole = study[:, spread(study, many)].copy()
    # lmer holds at zero what ours estimates below: genes are taken whose components are above it.
    theta = fe.lmm.fit(fe.lmm.sums(whole, TWO_TERMS), moderate=False).theta
    above = np.flatnonzero((theta > 0).all(axis=1))
    chosen = above[np.linspace(0, len(above) - 1, n_genes).round().astype(int)]
    by_sample = np.argsort(study.obs["sample"].cat.codes.to_numpy(), kind="stable")
    cells = whole[by_sample, chosen].copy()
    with tempfile.TemporaryDirectory(prefix="ferrocyte-bench-") as folder, processors(1):
        write_problem(Path(folder), cells)
        sums = fe.lmm.sums(cells, TWO_TERMS, n_threads=1)
        found = estimates(sums, 1)
        few = {
            True: best(partial(estimates, sums, 1), 2) / n_genes,
            False: best(lambda: estimates(fe.lmm.sums(cells, TWO_TERMS, n_threads=1), 1), 2) / n_genes,
        }
        collected = best(lambda: fe.lmm.sums(whole, TWO_TERMS, n_threads=1), 2) / many
        fitted = best(partial(estimates, fe.lmm.sums(whole, TWO_TERMS), 1), 2) / many
        name = f"{TALL.describe(study)}, with (1 | location)"
        out = Comparison(name, few, {True: fitted, False: collected + fitted}, found)
        out.peers.append(lmer(Path(folder), 1, TWO_TERMS))
    return out


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small study only, few repeats; writes nothing")
    parser.add_argument("--no-large", action="store_true", help="leave out the large study")
    options = parser.parse_args()
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    repeats = 2 if options.quick else 5
    findings = Findings(os.getloadavg()[0])

    for size, n_genes in [(SMALL, 4)] if options.quick else [(MEDIUM, 20), (SMALL, 4)]:
        say(f"size {size.name}")
        study = size.simulate()
        with tempfile.TemporaryDirectory(prefix="ferrocyte-bench-") as folder:
            steps, comparison = compare(size, study, n_genes, repeats, Path(folder))
        findings.sizes.append(size.describe(study))
        findings.steps += steps
        findings.comparisons.append(comparison)
    for size in [] if options.quick or options.no_large else [TINY, LARGE, TALL]:
        say(f"size {size.name}")
        study = size.simulate()
        findings.sizes.append(size.describe(study))
        findings.steps += ours(size, study, None, 2)
        if size is TALL:
            findings.steps += two_terms(study, 1_000, 2)
            say("  two terms")
            findings.comparisons.append(compare_two_terms(study, 3))
    say("Kang")
    findings.steps.append(("Kang: .h5ad to table, 8 cell types, moderated", on_threads(whole_kang, repeats)))

    text = page(findings)
    print(text)
    if not options.quick:
        (ROOT / "docs/speed.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
