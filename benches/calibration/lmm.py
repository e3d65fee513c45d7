"""Calibration of the linear mixed models: between donors, paired, batches, joint tests, components, real splits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from draw import Design, Truth, effect_of_size, gene_sums
from scipy import stats
from table import Row, markdown, row

import ferrocyte as fe

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(os.environ.get("FERROCYTE_GOLDEN", ROOT / "tests/golden"))
DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
RULES = ("moderated", "satterthwaite", "residual")


def measure(*, quick: bool) -> tuple[list[str], list[str]]:
    """The sections of the page, and what is out of bounds."""
    failures: list[str] = []
    lines = ["## lmm: linear mixed models", ""]
    for section in (real_splits, between_donors, paired, batches, simulated_counts, joint, components):
        heads, words, rows, bad = section(quick=quick)
        lines += [*words, "", *markdown(heads, rows), ""]
        failures += bad
    return lines, failures


Section = tuple[tuple[str, ...], list[str], list[Row], list[str]]


# Simulated


def donors(n: int, cells: np.ndarray, **more: object) -> pd.DataFrame:
    """Donors in two arms, every other one treated."""
    return pd.DataFrame({"donor": [f"d{i:03d}" for i in range(n)], "arm": np.arange(n) % 2, "cells": cells, **more})


def unequal(n: int) -> np.ndarray:
    """Cells per sample from 25 to 200, the same for every n in distribution."""
    return np.round(np.exp(np.linspace(np.log(25), np.log(200), n)[np.random.default_rng(3).permutation(n)])).astype(
        int
    )


def variance_of_difference(obs: pd.DataFrame, ratio: float) -> float:
    """The variance of a weighted difference between the arms, were the variances known."""
    precision = 1 / (ratio + 1 / obs["cells"])
    return float(sum(1 / precision[obs["arm"] == arm].sum() for arm in (0, 1)))


def between_donors(*, quick: bool) -> Section:
    """A treatment of donors: three to fifty an arm."""
    n_genes = 4_000 if quick else 20_000
    rows, bad = [], []
    for n in (4, 8) if quick else (3, 4, 8, 20, 50):
        arms = np.arange(2 * n) % 2
        sizes = {"60": np.full(2 * n, 60), "25 to 200": unequal(2 * n), "25 against 200": np.where(arms, 200, 25)}
        for name, cells in sizes.items():
            for ratio in (0.0, 0.02, 0.1):
                obs = donors(2 * n, cells)
                effect = effect_of_size(np.sqrt(variance_of_difference(obs, ratio)), n_genes)
                truth = Truth(n_genes, {"donor": ratio}, {"arm": effect})
                fit = fe.lmm.fit(gene_sums(Design(obs, ["arm"], ["donor"]), truth, seed=20 + n), progress=False)
                for rule in RULES:
                    p = by_gene(fit.test("arm", df=rule), fit)
                    found = row((f"{n} v {n}", name, f"{ratio:g}"), rule, p, effect == 0)
                    rows.append(found)
                    if rule == "moderated" and (found.levels[0] > 0.06 or found.levels[2] > 0.0025):
                        bad.append(f"between donors, {found.setting}, {rule}: {found.levels}")
    words = [
        "### Between donors",
        "",
        f"{n_genes:,} genes, a tenth of them with an effect of 3.2 true standard errors; `~ arm + (1 | donor)`; "
        "the ratio is that of the variance between donors to the residual variance. `residual` takes n - p "
        "degrees of freedom, as FLASH-MM does. With few donors in very unequal arms Satterthwaite's degrees of "
        "freedom, which look at one gene alone, exceed the level in the tail; moderated tests, the default, do "
        "not.",
    ]
    return ("donors", "cells per donor", "ratio"), words, rows, bad


def by_gene(table: pd.DataFrame, fit: fe.lmm.Fit) -> np.ndarray:
    """P-values in the order of genes."""
    return table.set_index("gene")["p_value"].reindex(fit.genes).to_numpy()


PAIRED_MODELS = {
    "donor + arm + (1 \\| sample), moderated": (["donor", "arm"], ["sample"], "moderated"),
    "donor + arm + (1 \\| sample), satterthwaite": (["donor", "arm"], ["sample"], "satterthwaite"),
    "arm + (1 \\| donor) + (1 \\| sample), satterthwaite": (["arm"], ["donor", "sample"], "satterthwaite"),
    "arm + (1 \\| donor) + (1 \\| sample), moderated": (["arm"], ["donor", "sample"], "moderated"),
    "arm + (1 \\| sample), moderated": (["arm"], ["sample"], "moderated"),
    "arm + (1 \\| donor) only, moderated": (["arm"], ["donor"], "moderated"),
}


def paired(*, quick: bool) -> Section:
    """A treatment of samples, each donor in both arms."""
    n_genes = 2_000 if quick else 10_000
    rows, bad = [], []
    for n in (8,) if quick else (4, 8, 20):
        for name in ("60", "25 to 200"):
            for ratio in (0.0, 0.02, 0.1):
                cells = np.full(2 * n, 60) if name == "60" else unequal(2 * n)
                obs = pd.DataFrame(
                    {
                        "donor": [f"d{i // 2:03d}" for i in range(2 * n)],
                        "sample": [f"s{i:03d}" for i in range(2 * n)],
                        "arm": np.arange(2 * n) % 2,
                        "cells": cells,
                    }
                )
                spread = [(ratio + 1 / a) + (ratio + 1 / b) for a, b in zip(cells[::2], cells[1::2], strict=True)]
                effect = effect_of_size(np.sqrt(1 / np.sum(1 / np.array(spread))), n_genes)
                truth = Truth(n_genes, {"donor": 0.1, "sample": ratio}, {"arm": effect})
                for model, (fixed, random, rule) in PAIRED_MODELS.items():
                    fit = fe.lmm.fit(gene_sums(Design(obs, fixed, random), truth, seed=40 + n), progress=False)
                    found = row(
                        (f"{n}", name, f"{ratio:g}"), model, by_gene(fit.test("arm", df=rule), fit), effect == 0
                    )
                    rows.append(found)
                    recommended = model.startswith("donor") and rule == "moderated"
                    if recommended and (found.levels[0] > 0.065 or found.levels[2] > 0.004):
                        bad.append(f"paired, {found.setting}, {model}: {found.levels}")
    words = [
        "### Paired: each donor in both arms",
        "",
        f"{n_genes:,} genes, a tenth with an effect of 3.2 true standard errors; variance between donors 0.1 of "
        "the residual, between samples of a donor the ratio. **Recommended: the donor as a fixed effect and the "
        "sample, the unit that was treated, as the one random term, moderated.** `(1 | donor)` alone counts cells "
        "as replicates of the treatment; leaving the donor out gives its variation to the error.",
    ]
    return ("donors", "cells per sample", "ratio"), words, rows, bad


BATCH_MODELS = {
    "arm + (1 \\| donor), moderated": (["arm"], ["donor"], "moderated"),
    "batch + arm + (1 \\| donor), moderated": (["batch", "arm"], ["donor"], "moderated"),
    "arm + (1 \\| donor) + (1 \\| batch), satterthwaite": (["arm"], ["donor", "batch"], "satterthwaite"),
    "arm + (1 \\| donor) + (1 \\| batch), moderated": (["arm"], ["donor", "batch"], "moderated"),
}


def batches(*, quick: bool) -> Section:
    """A treatment of donors that were measured in batches, balanced over the arms or not."""
    n_genes = 2_000 if quick else 10_000
    rows: list[Row] = []
    for name in ("balanced",) if quick else ("balanced", "unbalanced"):
        for ratio in (0.0, 0.05):
            n = 16
            arm = np.arange(n) % 2
            batch = (
                np.arange(n) // 4 if name == "balanced" else np.array([0, 1, 0, 1, 0, 1, 0, 2, 1, 2, 2, 3, 3, 2, 3, 3])
            )
            obs = pd.DataFrame(
                {
                    "donor": [f"d{i:03d}" for i in range(n)],
                    "arm": arm,
                    "cells": unequal(n),
                    "batch": [f"b{b}" for b in batch],
                }
            )
            effect = effect_of_size(np.sqrt(variance_of_difference(obs, 0.02)), n_genes)
            truth = Truth(n_genes, {"donor": 0.02, "batch": ratio}, {"arm": effect})
            for model, (fixed, random, rule) in BATCH_MODELS.items():
                fit = fe.lmm.fit(gene_sums(Design(obs, fixed, random), truth, seed=60), progress=False)
                rows.append(row((name, f"{ratio:g}"), model, by_gene(fit.test("arm", df=rule), fit), effect == 0))
    words = [
        "### Batches",
        "",
        f"{n_genes:,} genes, 8 against 8 donors with 25 to 200 cells in four batches, variance between donors 0.02 "
        "of the residual. In the balanced design every batch holds two donors of each arm; in the other, arms and "
        "batches are partly confounded.",
    ]
    return ("design", "batch variance"), words, rows, []


def simulated_counts(*, quick: bool) -> Section:
    """Negative binomial counts of cohorts, as they come: the model is that of their logarithms."""
    found: dict[tuple[str, str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for n in (8,) if quick else (4, 8, 20):
        for seed in range(1 if quick else 3):
            study = fe.sim.cohort(
                n_genes=2_000, n_cells=300 * n, n_donors=n, n_cell_types=3, de_share=0.1, affected="all", seed=seed
            )
            fit = fe.lmm.fit(
                study, "~ log(libsize) + cell_type + condition + (1 | donor)", min_cells=10, progress=False
            )
            null = ~fit.genes.isin(study.uns["truth"]["gene"].unique())
            for rule in RULES:
                p = by_gene(fit.contrast("condition", "case", "control", df=rule), fit)
                tested = ~np.isnan(p)
                found.setdefault((f"{n} v {n}", rule, ""), []).append((p[tested], null[tested]))
    rows = []
    for (donors_text, rule, _), all_ in found.items():
        p, null = (np.concatenate(parts) for parts in zip(*all_, strict=True))
        rows.append(row((donors_text, f"{int(null.sum()):,}"), rule, p, null))
    words = [
        "### Simulated counts",
        "",
        "Cohorts of `fe.sim.cohort`: negative binomial counts, 150 cells per donor on average (unequal), variation "
        "between donors, samples and batches in most genes, planted effects of 0.3 to 1 (ln) in a tenth of them; "
        "genes with a count in 10 cells or more; `~ log(libsize) + cell_type + condition + (1 | donor)`.",
    ]
    return ("donors", "null genes"), words, rows, []


def joint(*, quick: bool) -> Section:
    """Three arms of donors, tested jointly."""
    n_genes = 2_000 if quick else 10_000
    rows: list[Row] = []
    for n in (4,) if quick else (4, 8):
        for name, cells in {"60": np.full(3 * n, 60), "25 to 200": unequal(3 * n)}.items():
            group = np.array(["a", "b", "c"])[np.arange(3 * n) % 3]
            obs = pd.DataFrame({"donor": [f"d{i:03d}" for i in range(3 * n)], "group": group, "cells": cells})
            obs["arm"] = (group == "c").astype(float)
            effect = effect_of_size(np.sqrt(variance_of_difference(obs, 0.05)), n_genes, times=3.8)
            truth = Truth(n_genes, {"donor": 0.05}, {"arm": effect})
            fit = fe.lmm.fit(gene_sums(Design(obs, ["group"], ["donor"]), truth, seed=70 + n), progress=False)
            for rule in RULES:
                p = by_gene(fit.test_joint({"group": ["groupb", "groupc"]}, df=rule), fit)
                rows.append(row((f"3 x {n}", name), f"F, {rule}", p, effect == 0))
    words = [
        "### Joint tests",
        "",
        f"{n_genes:,} genes, three groups of donors, F test of the two differences; a tenth of the genes "
        "differ in one group by 3.8 standard errors; variance between donors 0.05 of the residual.",
    ]
    return ("donors", "cells per donor"), words, rows, []


def components(*, quick: bool) -> Section:
    """Test whether a gene varies between samples, alone and within donors."""
    n_genes = 2_000 if quick else 10_000
    rows: list[Row] = []
    for n in (8,) if quick else (8, 40):
        obs = pd.DataFrame(
            {
                "donor": [f"d{i // 2:03d}" for i in range(2 * n)],
                "sample": [f"s{i:03d}" for i in range(2 * n)],
                "cells": unequal(2 * n),
            }
        )
        for random, tested, variances in (
            (["sample"], "sample", {"sample": 0.0}),
            (["donor", "sample"], "sample", {"donor": 0.05, "sample": 0.0}),
        ):
            null_truth = Truth(n_genes, variances)
            varied = Truth(n_genes, {**variances, "sample": 0.05})
            design = Design(obs, [], random)
            p: dict[str, list[np.ndarray]] = {"z": [], "likelihood ratio": [], "likelihood ratio, zero": []}
            for truth, seed in ((null_truth, 80), (varied, 81)):
                sums = gene_sums(design, truth, seed=seed)
                for negative in ("allow", "zero"):
                    fit = fe.lmm.fit(sums, negative=negative, moderate=False, progress=False)
                    table = fit.test_components()
                    # Terms given as arrays are named by their place.
                    table = table[table["component"] == f"component{random.index(tested) + 1}"].set_index("gene")
                    table = table.reindex(fit.genes)
                    if negative == "allow":
                        p["z"].append(table["p_z"].to_numpy())
                        p["likelihood ratio"].append(table["p_lr"].to_numpy())
                    else:
                        p["likelihood ratio, zero"].append(table["p_lr"].to_numpy())
            null = np.repeat([True, False], n_genes)
            terms = " + ".join(f"(1 \\| {name})" for name in random)
            rows += [row((f"{n}", terms), test, np.concatenate(both), null) for test, both in p.items()]
    words = [
        "### Tests of variance components",
        "",
        f"{n_genes:,} genes without variation between samples, and as many with a variance of 0.05 of the residual; "
        "two samples of 25 to 200 cells from each donor. `zero`: components held at zero or above, with the mixture of "
        "0 and chi-squared as reference.",
    ]
    return ("donors", "terms"), words, rows, []


# Real


def find(name: str) -> Path:
    """A data set by its file name, directly in the data folder or in a folder of its own."""
    for path in [DATA / f"{name}.h5ad", *sorted(DATA.glob(f"*/{name}.h5ad"))]:
        if path.exists():
            return path
    message = f"no {name}.h5ad under {DATA}"
    raise FileNotFoundError(message)


def real_splits(*, quick: bool) -> Section:
    """Donors of one condition split at random: any difference is a false positive; some genes are thinned."""
    found: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for name, splits in json.loads((GOLDEN / "counts/null_splits.json").read_text()).items():
        study = ad.read_h5ad(find(name))
        for number, split in enumerate(splits):
            sizes = [len(arm) for arm in split["arms"]]
            if quick and sizes != [3, 3]:
                continue
            cells, thinned = split_of(study, split["cell_type"], split["arms"], seed=number)
            fit = fe.lmm.fit(cells, "~ log(libsize) + arm + (1 | donor)", progress=False)
            null = ~pd.Series(thinned, index=cells.var_names).reindex(fit.genes).to_numpy()
            tests = {rule: by_gene(fit.contrast("arm", "b", "a", df=rule), fit) for rule in RULES}
            tests["t test on cells"] = t_test(cells)
            for test, p in tests.items():
                found.setdefault((f"{sizes[0]} v {sizes[1]}", test), []).append((p, null))
    rows, bad = [], []
    for (sizes_text, test), all_ in found.items():
        p, null = (np.concatenate(parts) for parts in zip(*all_, strict=True))
        rows.append(row((sizes_text, str(len(all_))), test, p, null))
        if (
            test == "moderated"
            and sizes_text == "3 v 3"
            and not (0.040 <= rows[-1].levels[0] <= 0.062 and rows[-1].levels[2] <= 0.002)
        ):
            bad.append(f"real splits, {sizes_text}, {test}: {rows[-1].levels}")
    words = [
        "### Real splits",
        "",
        "Cells of one type and one condition, donors split at random into two arms (Kang 2018's controls and "
        "OneK1K; three cell types each); genes with 20 counts or more in 10 cells or more; a tenth of them "
        "thinned by e^-0.7 for power, in one arm or the other; `~ log(libsize) + arm + (1 | donor)`. Genes are "
        "correlated: the level of a single split scatters by 0.03 at 0.05 for every test. `residual` and the t test "
        "on ln(1 + counts per 10,000) take cells for replicates: they are here to be seen, not to be used.",
    ]
    return ("donors", "splits"), words, rows, bad


def split_of(study: ad.AnnData, cell_type: str, arms: list[list[str]], seed: int) -> tuple[ad.AnnData, np.ndarray]:
    """The cells of a split, and which genes were thinned.

    In either arm, drawn by gene: where all are thinned in one arm, the others seem to rise there.
    """
    chosen = study.obs["donor"].isin(arms[0] + arms[1]) & (study.obs["cell_type"] == cell_type)
    cells = study[chosen.to_numpy()].copy()
    expressed = np.asarray((cells.X >= 1).sum(axis=0)).ravel() >= 10
    enough = np.asarray(cells.X.sum(axis=0)).ravel() >= 20
    # Totals over all genes, before any are left out.
    cells.obs["libsize"] = np.asarray(cells.X.sum(axis=1)).ravel()
    cells.obs["arm"] = np.where(cells.obs["donor"].isin(arms[0]), "a", "b")
    cells = cells[:, expressed & enough].copy()
    rng = np.random.default_rng(seed)
    thinned = rng.random(cells.n_vars) < 0.1
    counts = cells.X.tocoo()
    second = (cells.obs["arm"].to_numpy() == "b")[counts.row]
    in_first = rng.random(cells.n_vars) < 0.5
    lost = thinned[counts.col] & (second != in_first[counts.col])
    counts.data[lost] = rng.binomial(counts.data[lost].astype(int), np.exp(-0.7))
    cells.X = counts.tocsr()
    return cells, thinned


def t_test(cells: ad.AnnData) -> np.ndarray:
    """Welch's test on normalised, logged cells, as it is often done."""
    values = np.log1p(cells.X.toarray() / cells.obs["libsize"].to_numpy()[:, None] * 1e4)
    arm = cells.obs["arm"].to_numpy() == "b"
    with np.errstate(invalid="ignore", divide="ignore"):
        return stats.ttest_ind(values[arm], values[~arm], equal_var=False).pvalue
