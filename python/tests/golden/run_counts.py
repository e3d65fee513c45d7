"""Compute the moderated reference cases of the area `counts` from their stored sums, for compare.py.

usage: run_counts.py FOLDER OUT [PREFIX ...]
  FOLDER/cases/ID/      case.json and the sums XX ZX ZZ XY ZY Ynorm (.tsv.gz), for cases whose name starts with a PREFIX
  OUT/cases/ID/         truth_moderated.tsv
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from run_flashmm import SUMS, read

import ferrocyte as fe

# Columns of truth_moderated.tsv, and ours.
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


def run(case: Path, out: Path) -> None:
    about = json.loads((case / "case.json").read_text())
    sums = {name: read(case, name) for name in SUMS}
    made = fe.lmm.sums_from_arrays(
        **{name: sums[name] for name in SUMS[:-1]},
        Ynorm=sums["Ynorm"].iloc[:, 0],
        n=about["n"],
        transform="log1p",
    )
    table = fe.lmm.fit(made).moderation(about["contrast"])
    table = table.rename(columns={ours: theirs for theirs, ours in COLUMNS.items()})[list(COLUMNS)].reset_index()
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "truth_moderated.tsv", sep="\t", index=False, float_format="%.17g", na_rep="NaN")


def main(folder: str, out: str, *prefixes: str) -> None:
    cases = [path for path in sorted(Path(folder, "cases").iterdir()) if path.name.startswith(prefixes or ("",))]
    for case in cases:
        run(case, Path(out, "cases", case.name))


if __name__ == "__main__":
    main(*sys.argv[1:])
