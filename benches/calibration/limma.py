"""Calibration of limma's ways: real splits of samples and of sums of cells, simulated counts, thresholds, blocks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from lmm import DATA, GOLDEN, Section, find, split_of
from table import Row, markdown, row

import ferrocyte as fe

# The words of `de` for each way.
WAYS: dict[str, dict[str, object]] = {
    "voom_lm_fit": {"method": "voom_lm_fit"},
    "voom_lm_fit, robust": {"method": "voom_lm_fit", "robust": True},
    "voom_lm_fit, sample weights": {"method": "voom_lm_fit", "sample_weights": True},
    "voom": {"method": "voom"},
    "trend": {"method": "trend"},
}


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The sections of the page, and what is out of bounds."""
    failures: list[str] = []
    lines = ["## limma: linear models of samples", ""]
    for section in (bulk_splits, pseudobulk_splits, simulated, thresholds, blocks):
        heads, words, rows, bad = section(quick=quick)
        lines += [*words, "", *markdown(heads, rows), ""]
        failures += bad
    return lines, failures


class Found:
    """P-values of tests in settings, collected over many studies."""

    def __init__(self) -> None:
        self.parts: dict[tuple[tuple[str, ...], str], list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, setting: tuple[str, ...], test: str, p: np.ndarray, null: np.ndarray) -> None:
        """One study: p-values of all genes, NaN where a gene was left out, and which genes have no effect."""
        tested = ~np.isnan(p)
        self.parts.setdefault((setting, test), []).append((p[tested], null[tested]))

    def rows(self) -> list[Row]:
        """A row for each test and setting; the last part of the setting becomes the number of studies."""
        out = []
        for (setting, test), all_ in self.parts.items():
            p, null = (np.concatenate(parts) for parts in zip(*all_, strict=True))
            out.append(row((*setting, str(len(all_))), test, p, null))
        return out


def p_values(counts: pd.DataFrame, samples: pd.DataFrame, formula: str = "~ arm", **words: object) -> np.ndarray:
    """P-values of the second arm against the first by `de`, in the order of the genes; NaN for those left out."""
    found = fe.limma.de(counts, formula, "b - a", samples=samples, progress=False, **words)
    return found.table.set_index("gene")["p_value"].reindex(counts.index).to_numpy(float)


def arms(n: int) -> np.ndarray:
    """Two arms of `n`."""
    return np.repeat(["a", "b"], n)


def thin(counts: np.ndarray, thinned: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The counts where those of some genes are kept with probability one half, in one half of the samples.

    In either half, drawn by gene, so that the composition of the libraries stays: normalisation follows a change on one
    side only in part.
    """
    out, half = counts.copy(), counts.shape[1] // 2
    first = rng.random(len(counts)) < 0.5
    for which, samples in ((first, slice(None, half)), (~first, slice(half, None))):
        out[thinned & which, samples] = rng.binomial(out[thinned & which, samples].astype(int), 0.5)
    return out


# Real


def bulk_splits(*, quick: bool) -> Section:
    """Cell lines of one population, split at random: any difference is a false positive; some genes are thinned."""
    with gzip.open(DATA / "bulk_lcl/counts.tsv.gz") as file:
        counts = pd.read_csv(file, sep="\t", index_col=0)
    samples = pd.read_csv(DATA / "bulk_lcl/samples.tsv.gz", sep="\t", index_col=0)
    found = Found()
    for n, studies in ((4, 12),) if quick else ((3, 40), (4, 40), (8, 40), (20, 40)):
        for number in range(studies):
            rng = np.random.default_rng([90, n, number])
            chosen = balanced(samples["sex"].to_numpy(), n, rng)
            thinned = rng.random(len(counts)) < 0.1
            values = thin(counts.to_numpy(float)[:, chosen], thinned, rng)
            study = pd.DataFrame(values, counts.index, counts.columns[chosen])
            table = pd.DataFrame({"arm": arms(n)}, study.columns)
            for way, words in WAYS.items():
                found.add((f"{n} v {n}",), way, p_values(study, table, **words), ~thinned)
    rows = found.rows()
    words = [
        "### Real splits of bulk samples",
        "",
        "Lymphoblastoid lines of 60 Europeans (Montgomery 2010; 0.4 to 2.3 million counts), split at random into two "
        "arms with as many women in each; a tenth of the genes thinned to a half, in one arm or the other; `de` with "
        "its filter and TMM. Genes are correlated: the level of a single split scatters widely, and the average over "
        "splits more than that of independent genes, which bold numbers suppose. Weights of samples are learnt from "
        "the same few values that are tested, and cost level: they are for studies with samples that are known to be "
        "bad. Where the filter leaves no gene without counts in an arm, `voom_lm_fit` is `voom`.",
    ]
    return ("samples", "splits"), words, rows, out_of_bounds("bulk splits", rows, ("voom_lm_fit", "voom"), 0.065, 0.003)


def balanced(sex: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of two arms of `n`, one after the other, with as many women in each."""
    women, men = (rng.permutation(np.flatnonzero(sex == which)) for which in np.unique(sex))
    of_women = n // 2 + int(rng.integers(0, 2)) * (n % 2)
    of_men = n - of_women
    first, second = (
        np.concatenate([women[k * of_women : (k + 1) * of_women], men[k * of_men : (k + 1) * of_men]]) for k in (0, 1)
    )
    return np.concatenate([first, second])


def pseudobulk_splits(*, quick: bool) -> Section:
    """Sums of cells by donor, on the splits of the mixed models."""
    found = Found()
    for name, splits in json.loads((GOLDEN / "counts/null_splits.json").read_text()).items():
        study = ad.read_h5ad(find(name))
        for number, split in enumerate(splits):
            sizes = [len(arm) for arm in split["arms"]]
            if quick and sizes != [4, 4]:
                continue
            cells, thinned = split_of(study, split["cell_type"], split["arms"], seed=number)
            sums = fe.pp.pseudobulk(cells, ["donor", "arm"], min_cells=1, progress=False)
            counts = pd.DataFrame(np.asarray(sums.X.T.todense() if hasattr(sums.X, "todense") else sums.X.T))
            counts.index, counts.columns = sums.var_names, sums.obs_names
            table = pd.DataFrame({"arm": sums.obs["arm"].astype(str)})
            for way, words in WAYS.items():
                found.add((f"{sizes[0]} v {sizes[1]}",), way, p_values(counts, table, **words), ~thinned)
    rows = found.rows()
    words = [
        "### Real splits of cells",
        "",
        "The splits of [the mixed models](#real-splits), with the cells of each donor added up: donors of one "
        "condition and cell type split at random, a tenth of the genes thinned by e^-0.7 in one arm or the other. "
        "Genes that `filter_by_expr` leaves out are not counted; fewer genes of higher expression remain than above.",
    ]
    return ("donors", "splits"), words, rows, out_of_bounds("pseudobulk", rows, ("voom_lm_fit",), 0.065, 0.003)


# Simulated


@dataclass
class Simulation:
    """Negative binomial counts of two arms: a study of `n` samples an arm."""

    n: int
    n_genes: int
    libraries: str
    seed: int
    # Sizes of log2 effects, each gene's sign drawn; by default none.
    effect: np.ndarray | float = 0.0
    # Samples of a donor in succession share variation of this coefficient.
    per_donor: int = 1
    shared: float = 0.0

    def draw(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Counts, genes × samples, and the samples with `arm` and `donor`."""
        rng = np.random.default_rng([91, self.seed, self.n])
        n_samples = 2 * self.n * self.per_donor
        mean = rng.lognormal(4.0, 1.5, self.n_genes)
        # Dispersions fall with the mean and scatter around it, as scaled inverse chi-squared of 10 df.
        dispersion = (0.04 + 1 / (mean + 2)) * 10 / rng.chisquare(10, self.n_genes)
        depth = np.ones(n_samples)
        if self.libraries == "1 to 4":
            depth = rng.permutation(np.exp(np.linspace(-np.log(2), np.log(2), n_samples)))
        second = arms(self.n * self.per_donor) == "b"
        signed = self.effect * rng.choice([-1.0, 1.0], self.n_genes)
        rates = mean[:, None] * depth * 2.0 ** (signed[:, None] * second)
        if self.shared > 0:
            donors = rng.normal(0, self.shared, (self.n_genes, 2 * self.n))
            rates = rates * np.exp(np.repeat(donors, self.per_donor, axis=1))
        counts = rng.poisson(rng.gamma(1 / dispersion[:, None], rates * dispersion[:, None]))
        names = [f"s{j:03d}" for j in range(n_samples)]
        donor = [f"d{j // self.per_donor:03d}" for j in range(n_samples)]
        samples = pd.DataFrame({"arm": arms(self.n * self.per_donor), "donor": donor}, names)
        return pd.DataFrame(counts, [f"g{g:05d}" for g in range(self.n_genes)], names), samples


def some(n_genes: int, size: float, share: float = 0.1) -> np.ndarray:
    """Effects of one size in the first genes, none in the others."""
    return np.where(np.arange(n_genes) < share * n_genes, size, 0.0)


def sizes_of(quick: bool, *sizes: int) -> Iterator[int]:  # noqa: FBT001
    """Samples an arm: all of them, or the second."""
    yield from (sizes[1:2] if quick else sizes)


def simulated(*, quick: bool) -> Section:
    """A treatment of samples: three to twenty an arm."""
    n_genes, studies = (4_000, 2) if quick else (8_000, 4)
    found = Found()
    for n in sizes_of(quick, 3, 4, 8, 20):
        effect = some(n_genes, 1.6 * np.sqrt(3 / n))
        for libraries in ("equal", "1 to 4"):
            for seed in range(studies):
                counts, samples = Simulation(n, n_genes, libraries, seed, effect).draw()
                for way, words in WAYS.items():
                    found.add((f"{n} v {n}", libraries), way, p_values(counts, samples, **words), effect == 0)
    rows = found.rows()
    words = [
        "### Simulated counts of samples",
        "",
        f"{n_genes:,} genes, negative binomial, means lognormal, dispersions that fall with the mean and scatter "
        "(inverse chi-squared of 10 degrees of freedom); a tenth of the genes with an effect of 1.6 √(3/n) (log2), up "
        "or down; libraries of one size, or from one to four times. Counts of few samples are no normal values: levels "
        "at 0.001 show it first.",
    ]
    bad = out_of_bounds("simulated counts", rows, ("voom_lm_fit", "voom"), 0.06, 0.003)
    return ("samples", "libraries", "studies"), words, rows, bad


def thresholds(*, quick: bool) -> Section:
    """Whether an effect exceeds a threshold, for genes that lie exactly on it."""
    n_genes, studies, lfc = (4_000 if quick else 8_000), (1 if quick else 4), 0.5
    found = Found()
    for n in sizes_of(quick, 3, 4, 8, 20):
        effect = lfc + some(n_genes, 1.6 * np.sqrt(3 / n))
        for seed in range(studies):
            counts, samples = Simulation(n, n_genes, "equal", 20 + seed, effect).draw()
            null = effect == lfc
            found.add((f"{n} v {n}",), f"treat, lfc={lfc}", p_values(counts, samples, lfc=lfc), null)
            table = fe.limma.de(counts, "~ arm", "b - a", samples=samples, progress=False).table.set_index("gene")
            table = table.reindex(counts.index)
            beyond = np.where(table["log_fc"].abs() > lfc, table["p_value"], np.where(table["p_value"] >= 0, 1, np.nan))
            found.add((f"{n} v {n}",), f"test against 0, then \\|log_fc\\| > {lfc}", beyond.astype(float), null)
    rows = found.rows()
    words = [
        "### Thresholds",
        "",
        f"As before, but every gene without effect has one of exactly {lfc} (log2), up or down, and the others exceed "
        "it: a test of *more than the threshold* holds its level here, at its worst place. A test against zero with a "
        "cut on the estimate does not.",
    ]
    return ("samples", "studies"), words, rows, out_of_bounds("thresholds", rows, (f"treat, lfc={lfc}",), 0.06, 0.003)


def blocks(*, quick: bool) -> Section:
    """Two samples of each donor, donors in two arms."""
    n_genes, studies = (4_000, 2) if quick else (8_000, 3)
    found = Found()
    for n in sizes_of(quick, 3, 4, 8, 20):
        effect = some(n_genes, 1.8 * np.sqrt(3 / n))
        for shared in (0.0, 0.3):
            for seed in range(studies):
                study = Simulation(n, n_genes, "equal", 40 + seed, effect, per_donor=2, shared=shared)
                counts, samples = study.draw()
                tests: dict[str, np.ndarray] = {}
                for method in ("voom_lm_fit", "trend"):
                    tests[f"{method}, block"] = p_values(counts, samples, method=method, block="donor")
                tests["voom_lm_fit, donors ignored"] = p_values(counts, samples)
                sums = counts.T.groupby(samples["donor"]).sum().T
                of_donors = samples.drop_duplicates("donor").set_index("donor")
                tests["voom_lm_fit on sums of donors"] = p_values(sums, of_donors)
                for test, p in tests.items():
                    found.add((f"{n} v {n}", f"{shared:g}"), test, p, effect == 0)
    rows = found.rows()
    words = [
        "### Correlated samples",
        "",
        f"{n_genes:,} genes, two samples of each donor, donors in two arms, variation between donors (standard "
        "deviation of ln) as given; effects of 1.8 √(3/n). `block`: one correlation for all genes "
        "(`duplicate_correlation`), iterated with the weights. Genes differ in their correlation while `block` has one "
        "for all; where each donor is in one arm, adding up its samples needs no such assumption.",
    ]
    return ("donors", "between donors", "studies"), words, rows, []


def out_of_bounds(section: str, rows: list[Row], tests: tuple[str, ...], at_5: float, at_01: float) -> list[str]:
    """Rows of some tests whose levels at 0.05 or 0.001 exceed the bounds."""
    return [
        f"{section}, {found.setting}, {found.test}: {found.levels}"
        for found in rows
        if found.test in tests and (found.levels[0] > at_5 or found.levels[2] > at_01)
    ]
