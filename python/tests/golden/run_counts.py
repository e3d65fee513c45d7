"""Compute the reference cases of the area `counts`, for compare.py.

usage: run_counts.py FOLDER OUT [PREFIX ...]
  FOLDER/cases/ID/      what README.md says, for cases whose name starts with a PREFIX: cells, counts and truths of
                        count models, or case.json and the sums XX ZX ZZ XY ZY Ynorm (.tsv.gz) of moderated models
  OUT/cases/ID/         the same tables as computed here
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.io
from run_flashmm import SUMS, read

import ferrocyte as fe

# Columns of truth_moderated.tsv of linear models, and ours.
COLUMNS = {
    "trend": "trend",
    "coef": "estimate",
    "se": "se",
    "t": "t",
    "df": "df",
    "p": "p_value",
    "p_t": "p_value_t",
    "log_gamma": "ln_gamma",
    "s0_prior": "residual_prior",
}

# Nodes at which the likelihood is held against eval.tsv.
EXACT = 61


def write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, float_format="%.17g", na_rep="NaN")


def linear(case: Path, about: dict, out: Path) -> None:
    """A moderated linear model, from its sums."""
    sums = {name: read(case, name) for name in SUMS}
    made = fe.lmm.sums_from_arrays(
        **{name: sums[name] for name in SUMS[:-1]},
        Ynorm=sums["Ynorm"].iloc[:, 0],
        n=about["n"],
        transform="log1p",
    )
    table = fe.lmm.fit(made).moderation(about["contrast"])
    table = table.rename(columns={ours: theirs for theirs, ours in COLUMNS.items()})[list(COLUMNS)].reset_index()
    write(table, out / "truth_moderated.tsv")


def study(case: Path) -> ad.AnnData:
    """The cells of a case, rows in the order of cells.tsv."""
    obs = pd.read_csv(case / "cells.tsv.gz", sep="\t", dtype={"cell": str, "donor": str}).set_index("cell")
    genes = pd.read_csv(case / "genes.tsv", sep="\t", usecols=["gene"], dtype=str)
    counts = scipy.io.mmread(case / "counts.mtx.gz").T.tocsr().astype(np.float32)
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=genes["gene"].to_numpy()))


def family_of(name: str, about: dict) -> dict[str, str]:
    """Family and donor effect of a table, from its name: truth_poisson_gamma, eval_gamma."""
    words = name.split("_")[1:]
    effects = [word for word in words if word in ("lognormal", "gamma")]
    return {
        "re": effects[0] if effects else about["re"],
        "family": "poisson" if "poisson" in words else about["family"],
    }


def likelihoods(name: str, theirs: pd.DataFrame, data: ad.AnnData, about: dict) -> pd.DataFrame:
    """The likelihood at the parameters of eval.tsv, cell by cell."""
    sums = fe.nbmm.sums(data, model(about), offset="offset", path="cells")
    parameters = theirs[[f"par_{c}" for c in (*about["coefficients"], "tau", "s2")]]
    found = sums.evaluate(theirs["gene"], parameters, re=family_of(name, about)["re"], quad=EXACT)
    p = len(about["coefficients"])
    table = theirs[["gene", *parameters.columns]].copy()
    table["loglik"] = found["log_likelihood"]
    for j, parameter in enumerate([*about["coefficients"], "log_tau", "log_s2"]):
        table[f"grad_{parameter}"] = found["gradient"][:, j]
    for entry, j in (("hess_11", 0), ("hess_tau_tau", p), ("hess_s2_s2", p + 1)):
        table[entry] = -found["information"][:, j, j]
    table["w_first_donor"], table["w_last_donor"] = found["effects"][:, 0], found["effects"][:, -1]
    return table


def model(about: dict) -> str:
    return f"{about['fixed']} + {about['random']}"


def maxima(name: str, data: ad.AnnData, about: dict) -> pd.DataFrame:
    """Maximum-likelihood fits with the defaults, and the likelihood ratio of one coefficient."""
    fit = fe.nbmm.fit(data, model(about), offset="offset", moderate=False, **family_of(name, about))
    table = fit.estimates().reset_index()
    names = {"se_ln_tau": "se_log_tau", "se_ln_s2": "se_log_s2", "log_likelihood": "loglik"}
    table = table.rename(columns=names).drop(columns=["tau_mod", "s2_mod", "evaluations"])
    if "lrt_coefficient" in about:
        ratio = fit.likelihood_ratio(about["lrt_coefficient"])
        table["lrt"], table["p_lrt"] = ratio["lr"].to_numpy(), ratio["p_value"].to_numpy()
    return table


def moderated(data: ad.AnnData, about: dict) -> pd.DataFrame:
    """The moderated fit with the defaults, and tests of the contrast of the case."""
    fit = fe.nbmm.fit(data, model(about), offset="offset", re=about["re"], family=about["family"])
    tests = fit.test(about["contrast"]).set_index("gene").loc[fit.genes]
    ratios = fit.test(about["contrast"], statistic="lr").set_index("gene").loc[fit.genes]
    table = tests[["estimate", "se", "t", "df", "p_value", "p_t"]].copy()
    table.columns = ["coef", "se", "t", "df", "p", "p_t"]
    table["p_lr"] = ratios["p_value"]
    table["log_tau"], table["log_s2"] = np.log(fit.tau_mod), np.log(fit.s2_mod)
    return table.rename_axis("gene").reset_index()


def count_models(case: Path, about: dict, out: Path) -> None:
    """Every table of a case of count models."""
    data = study(case)
    for path in sorted(case.glob("*.tsv")):
        name = path.stem
        if name == "truth_moderated":
            write(moderated(data, about), out / path.name)
        elif name.startswith("truth"):
            write(maxima(name, data, about), out / path.name)
        elif name.startswith("eval"):
            theirs = pd.read_csv(path, sep="\t", float_precision="round_trip", dtype={"gene": str})
            write(likelihoods(name, theirs, data, about), out / path.name)


def main(folder: str, out: str, *prefixes: str) -> None:
    cases = [path for path in sorted(Path(folder, "cases").iterdir()) if path.name.startswith(prefixes or ("",))]
    for case in cases:
        about = json.loads((case / "case.json").read_text())
        run = count_models if (case / "cells.tsv.gz").exists() else linear
        run(case, about, Path(out, "cases", case.name))


if __name__ == "__main__":
    main(*sys.argv[1:])
