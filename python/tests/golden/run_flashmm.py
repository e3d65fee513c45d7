"""Fit the mixed-model reference cases from their stored sums, for compare.py.

usage: run_flashmm.py FOLDER OUT
  FOLDER/cases/ID/  case.json and the sums XX ZX ZZ XY ZY Ynorm (.tsv or .tsv.gz)
  OUT/ID/           theta coef se t p fit status df (.tsv), RE where the case has it

Method, d, max_iter, epsilon and theta0 of case.json are obeyed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

import ferrocyte as fe

SUMS = ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm")


def read(folder: Path, name: str) -> pd.DataFrame:
    path = next(path for path in (folder / f"{name}.tsv", folder / f"{name}.tsv.gz") if path.exists())
    return pd.read_csv(path, sep="\t", index_col=0, float_precision="round_trip", dtype={0: str})


def write(folder: Path, name: str, table: pd.DataFrame | pd.Series) -> None:
    table.to_csv(folder / f"{name}.tsv", sep="\t", float_format="%.17g", na_rep="NaN")


def run(case: Path, out: Path) -> None:
    about = json.loads((case / "case.json").read_text())
    sums = {name: read(case, name) for name in SUMS}
    fit = fe.compat.flashmm.lmm(
        sums["XX"],
        sums["XY"].T,
        sums["ZX"],
        sums["ZY"].T,
        sums["ZZ"],
        sums["Ynorm"].iloc[:, 0],
        about["n"],
        d=about["d"],
        method=about["method"],
        theta0=about.get("theta0"),
        max_iter=about.get("max_iter", 50),
        epsilon=about.get("epsilon", 1e-5),
        output_RE=(case / "RE.tsv").exists(),
    )
    out.mkdir(parents=True, exist_ok=True)
    for name in ("theta", "coef", "se", "t", "p"):
        write(out, name, getattr(fit, name).T)
    write(out, "df", fit.df_satterthwaite.T)
    write(out, "fit", pd.DataFrame({"logLik": fit.logLik, "niter": fit.niter}))
    write(out, "status", fit.status)
    if fit.RE is not None:
        write(out, "RE", fit.RE.T)


def main(folder: str, out: str) -> None:
    cases = sorted(path for path in Path(folder, "cases").iterdir() if (path / "case.json").exists())
    for case in cases:
        run(case, Path(out, case.name))


if __name__ == "__main__":
    main(*sys.argv[1:3])
