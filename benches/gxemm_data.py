"""Heritability by environment on real data: wheat in four environments, mice of both sexes; writes docs/gxemm_data.md.

The data are looked for under FERROCYTE_DATA (`gxe_wheat599`, `gxe_mice1814`).
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ferrocyte as fe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ferrocyte.gxemm import GxemmResult

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
PAGE = ROOT / "docs/gxemm_data.md"
FIGURE = "tutorials/figures/heritability_data.png"

#: Traits of the mice that are measured, not derived from others.
MICE = [
    "Obesity.BMI", "Obesity.BodyLength", "Obesity.EndNormalBW", "Biochem.Albumin", "Biochem.ALP", "Biochem.Calcium",
    "Biochem.Glucose", "Biochem.HDL", "Biochem.LDL", "Biochem.Tot.Cholesterol", "Biochem.Tot.Protein",
    "Biochem.Triglycerides", "Biochem.Urea",
]  # fmt: skip


def wheat() -> tuple[GxemmResult, GxemmResult, GxemmResult, float]:
    """Fit yields of all lines in all environments as one trait, by REML and moments, and each environment alone.

    The last number is the share of three directions in the squares of the kinship.
    """
    traits = pd.read_csv(DATA / "gxe_wheat599/yield.tsv.gz", sep="\t", index_col=0)
    traits.columns = [name.removeprefix("yield_env") for name in traits.columns]
    markers = pd.read_csv(DATA / "gxe_wheat599/markers.tsv.gz", sep="\t", index_col=0).loc[traits.index].to_numpy(float)
    scaled = (markers - markers.mean(axis=0)) / markers.std(axis=0, ddof=1)
    n, e = traits.shape
    K = np.tile(scaled @ scaled.T / scaled.shape[1], (e, e))
    Z = pd.DataFrame(np.eye(e)[np.repeat(np.arange(e), n)], columns=traits.columns)
    y = pd.Series(traits.to_numpy().T.ravel(), name="grain yield")
    reml, he = (
        fe.gxemm.fit(y, Z.iloc[:, 1:], K, Z, gtype="free", etype="free", method=method, progress=False)
        for method in ("reml", "he")
    )
    ids = [str(line) for line in range(n)]
    squares = np.linalg.eigvalsh(K[:n, :n]) ** 2
    top = np.sort(squares)[-3:].sum() / squares.sum()
    return reml, he, fe.gxemm.fit(traits, None, K[:n, :n], individuals=ids, progress=False), float(top)


def mice() -> GxemmResult:
    """Traits of mice, with the sexes as environments."""
    table = pd.read_csv(DATA / "gxe_mice1814/phenotypes.tsv.gz", sep="\t", index_col=0)
    table.index = table.index.astype(str)
    y = table[MICE].rename(columns=lambda name: name.split(".", 1)[1])
    X = pd.DataFrame({"male": (table["GENDER"] == "M").astype(float)})
    Z = pd.DataFrame({"F": 1.0 - X["male"], "M": X["male"]})
    K = fe.gxemm.kinship(DATA / "gxe_mice1814/mice.bed", progress=False)
    return fe.gxemm.fit(y, X, K, Z, gtype="free", etype="free", progress=False)


def correlations(found: GxemmResult) -> pd.DataFrame:
    """Genetic correlations of environments: g_hom over the root of both genetic variances."""
    variances = dict(zip(found.variances, found.trait()["theta"], strict=True))
    own = np.array([variances["g_hom"] + variances[f"g[{name}]"] for name in found.environments])
    both = variances["g_hom"] / np.sqrt(np.outer(own, own))
    np.fill_diagonal(both, 1.0)
    return pd.DataFrame(both, found.environments, found.environments)


def draw_mice(found: GxemmResult, ax: Axes) -> None:
    """Heritability of every trait in both sexes, with 95 % intervals."""
    names = [one["name"] for one in found.traits]
    for k, (sex, colour) in enumerate((("females", "#c1543b"), ("males", "#2f6f9f"))):
        values = np.array([one["h2"][k] for one in found.traits])
        errors = 1.96 * np.sqrt([one["h2_covariance"][k, k] for one in found.traits])
        places = np.arange(len(names)) + (k - 0.5) * 0.3
        ax.errorbar(values, places, xerr=errors, fmt="o", ms=4, lw=1, color=colour, label=sex)
    ax.axvline(0.0, color="#444444", lw=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("heritability")
    ax.set_title("1,814 mice, 10,074 markers")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)


def rows(frame: pd.DataFrame) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * frame.shape[1]]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]


def main() -> None:
    """Fit, draw, write."""
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    spent = time.process_time()
    reml, he, alone, top = wheat()
    fields = time.process_time() - spent
    both = mice()
    animals = time.process_time() - spent - fields
    figure, places = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", width_ratios=[1, 1.6])
    fe.pl.gxemm_heritability(reml, title="599 wheat lines", ax=places[0])
    places[0].set_xlabel("environment")
    draw_mice(both, places[1])
    figure.savefig(ROOT / "docs" / FIGURE, dpi=110)
    by_field = pd.DataFrame({
        "environment": reml.environments,
        "h2 (reml)": [f"{h:.2f} ± {s:.2f}" for h, s in zip(reml.h2["estimate"], reml.h2["se"], strict=True)],
        "h2 (he)": [f"{h:.2f} ± {s:.2f}" for h, s in zip(he.h2["estimate"], he.h2["se"], strict=True)],
        "each alone (reml)": [f"{h:.2f} ± {s:.2f}" for h, s in zip(alone.h2["estimate"], alone.h2["se"], strict=True)],
    })  # fmt: skip
    shared = correlations(reml).round(2).reset_index(names="genetic correlation")
    table = both.table
    by_trait = pd.DataFrame({
        "trait": table["trait"],
        "mice": table["n"],
        "h2, females": [f"{h:.2f} ± {s:.2f}" for h, s in zip(table["h2[F]"], table["se[h2[F]]"], strict=True)],
        "h2, males": [f"{h:.2f} ± {s:.2f}" for h, s in zip(table["h2[M]"], table["se[h2[M]]"], strict=True)],
        "p, genetic variance of a sex": [f"{p:.2g}" for p in table["p[het]"]],
        "p, equal h2": [f"{p:.2g}" for p in table["p[h2 equal]"]],
        "status": table["status"],
    })  # fmt: skip
    page = [
        "<!-- Made by `python benches/gxemm_data.py`. Do not edit. -->",
        "",
        "# Heritability by environment on real data",
        "",
        "Genetic variance and noise of each environment are free (`gtype` and `etype` free). Intervals in the figure "
        "are of 95 %, ± are standard errors.",
        "",
        f"![Heritability of wheat yield in four environments, and of traits of mice in both sexes]({FIGURE})",
        "",
        "## Wheat: 599 lines in four environments",
        "",
        "Grain yields of CIMMYT lines (Crossa et al., Genetics 2010), standardised within environments, as one trait "
        f"of 2,396 plots with the kinship of 1,279 markers. {fields:.0f} s of processor time for all fits. Status of "
        f"REML: `{reml.status[0]}`.",
        "",
        *rows(by_field),
        "",
        "The model shares one genetic variance, and with it the same genetic covariance between any two environments:",
        "",
        *rows(shared),
        "",
        "Yields of the first environment do not go with those of the others at all (correlations of -0.02 to -0.19), "
        "which this model cannot say. REML makes up for the covariance by a larger variance of that environment, and "
        "its heritability stands too high beside that of the environment alone. Moments are not moved by it, but weigh "
        f"kin otherwise, and are lower for all: three of 598 directions hold {top:.0%} of the squares of this kinship.",
        "",
        "## Mice: traits in females and males",
        "",
        "Heterogeneous-stock mice (Valdar et al., Nature Genetics 2006), the sexes as environments, sex as covariate, "
        f"the kinship of 10,074 markers of autosomes. {animals:.0f} s of processor time for all traits. Mice of a cage "
        "are often sibs, and cages are not in the model: what they share counts as genetic here.",
        "",
        *rows(by_trait),
    ]
    PAGE.write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
