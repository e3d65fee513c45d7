"""Type I error of the tests of `lmm`, on simulated and on real null data; writes docs/calibration.md.

Real null: cells of one type and one condition, donors split at random into two arms of three (48 splits, listed in
tests/golden/counts/null_splits.json): any difference between the arms is a false positive. Simulated null: sums of
normal cells of eight donors, drawn through their sufficient statistics.

`--check` fails when a bound of the issue of record is not met, and writes nothing.
"""

import argparse
import json
import os
import platform
import sys
import warnings
from datetime import date
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import ferrocyte as fe

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(os.environ.get("FERROCYTE_GOLDEN", ROOT / "tests/golden"))
DATA = Path(os.environ.get("FERROCYTE_DATA", ROOT / "data"))
LEVELS = (0.05, 0.01, 0.001)
RULES = ("moderated", "satterthwaite", "residual")
SIMULATED_GENES = 20_000


def find(name: str) -> Path:
    """A data set by its file name, directly in the data folder or in a folder of its own."""
    for path in [DATA / f"{name}.h5ad", *sorted(DATA.glob(f"*/{name}.h5ad"))]:
        if path.exists():
            return path
    message = f"no {name}.h5ad under {DATA}"
    raise FileNotFoundError(message)


def real_null() -> pd.DataFrame:
    """P-values of every gene, split and rule."""
    rows = []
    for name, splits in json.loads((GOLDEN / "counts/null_splits.json").read_text()).items():
        study = ad.read_h5ad(find(name))
        for number, split in enumerate(splits):
            arms = split["arms"]
            if [len(arm) for arm in arms] != [3, 3]:
                continue
            chosen = study.obs["donor"].isin(arms[0] + arms[1]) & (study.obs["cell_type"] == split["cell_type"])
            cells = study[chosen.to_numpy()].copy()
            expressed = np.asarray((cells.X >= 1).sum(axis=0)).ravel() >= 10
            enough = np.asarray(cells.X.sum(axis=0)).ravel() >= 20
            # Totals over all genes, before any are left out.
            cells.obs["libsize"] = np.asarray(cells.X.sum(axis=1)).ravel()
            cells.obs["arm"] = np.where(cells.obs["donor"].isin(arms[0]), "a", "b")
            cells = cells[:, expressed & enough].copy()
            fit = fe.lmm.fit(cells, "~ log(libsize) + arm + (1 | donor)", progress=False)
            for rule in RULES:
                table = fit.contrast("arm", "b", "a", df=rule)
                rows.append(pd.DataFrame({"data": name, "split": number, "rule": rule, "p": table["p_value"]}))
    return pd.concat(rows, ignore_index=True).dropna()


def simulated_null(cells: np.ndarray, ratio: float, seed: int) -> dict[str, np.ndarray]:
    """P-values of a contrast between eight donors, four against four, by rule."""
    rng = np.random.default_rng(seed)
    m, d = SIMULATED_GENES, len(cells)
    arm = np.arange(d) % 2
    mean = 10 + rng.normal(size=(m, d)) * np.sqrt(ratio + 1 / cells)
    within = rng.chisquare(cells - 1, size=(m, d))
    zy = mean * cells
    design = np.column_stack([np.ones(d), arm])
    sums = fe.lmm.sums_from_arrays(
        XX=pd.DataFrame(design.T @ (design * cells[:, None]), ["(Intercept)", "arm"], ["(Intercept)", "arm"]),
        ZX=design * cells[:, None],
        ZZ=np.diag(cells.astype(float)),
        XY=zy @ design,
        ZY=zy,
        Ynorm=(mean**2 * cells + within).sum(axis=1),
        n=int(cells.sum()),
        d=[d],
    )
    fit = fe.lmm.fit(sums, progress=False)
    return {rule: fit.test("arm", df=rule)["p_value"].to_numpy() for rule in RULES}


def shares(p: np.ndarray) -> list[float]:
    """The share of p-values below each level."""
    return [float(np.mean(p < level)) for level in LEVELS]


def page(real: pd.DataFrame, simulated: list[tuple[str, str, list[float]]]) -> str:
    """The page, as Markdown."""
    lines = [
        "<!-- Made by `make calibration`. Do not edit. -->",
        "",
        "# Calibration of lmm",
        "",
        f"ferrocyte {fe.__version__}, {date.today().isoformat()}, {platform.machine()}, Python "
        f"{platform.python_version()}. A test that holds its level has the level itself in its column.",
        "",
        "## Real null data",
        "",
        "48 splits of donors, three against three, within one cell type and condition (24 of Kang 2018's controls, 24 "
        "of OneK1K), genes with 20 counts or more in 10 cells or more; `~ log(libsize) + arm + (1 | donor)`. Genes are "
        "correlated, so that single splits scatter; the range over splits stands beside the pooled level.",
        "",
        "| df | genes × splits | at 0.05 | at 0.01 | at 0.001 | range over splits at 0.05 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule in RULES:
        p = real.loc[real["rule"] == rule]
        single = p.groupby(["data", "split"])["p"].apply(lambda x: float(np.mean(x < LEVELS[0])))
        numbers = " | ".join(f"{s:.4f}" for s in shares(p["p"].to_numpy()))
        lines.append(f"| {rule} | {len(p)} | {numbers} | {single.min():.3f} to {single.max():.3f} |")
    lines += [
        "",
        "`residual` counts cells as replicates, as a test on cells does: it is here to be seen, not to be used.",
        "",
        "## Simulated null data",
        "",
        f"{SIMULATED_GENES:,} genes, 8 donors, four against four; the ratio is that of the variance between donors to "
        "the residual variance.",
        "",
        "With very unequal arms Satterthwaite's degrees of freedom, which look at one gene alone, exceed the level in "
        "the tail; moderated tests, the default, do not.",
        "",
        "| cells per donor | ratio | df | at 0.05 | at 0.01 | at 0.001 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for setting, rule, levels in simulated:
        lines.append(f"| {setting} | {rule} | " + " | ".join(f"{s:.4f}" for s in levels) + " |")
    lines += [
        "",
        "The same, with contrasts within donors and two random terms, is tested in "
        "`crates/ferrocyte-mixed/tests/lmm_calibration.rs`.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, then write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a bound is not met; write nothing")
    check = parser.parse_args().check
    warnings.simplefilter("ignore", fe.FerrocyteWarning)

    simulated, failures = [], []
    settings = {
        "60": np.full(8, 60),
        "25 to 200": np.array([25, 30, 60, 45, 120, 90, 200, 160]),
        "25 against 200": np.array([25, 200] * 4),
    }
    for name, cells in settings.items():
        for ratio in (0.0, 0.02, 0.1):
            for rule, p in simulated_null(cells, ratio, seed=20).items():
                levels = shares(p)
                simulated.append((f"{name} | {ratio}", rule, levels))
                if rule == "moderated" and not (levels[0] <= 0.055 and levels[2] <= 0.002):
                    failures.append(f"simulated, {name} cells, ratio {ratio}, {rule}: {levels}")
    real = real_null()
    levels = shares(real.loc[real["rule"] == "moderated", "p"].to_numpy())
    if not (0.040 <= levels[0] <= 0.062 and levels[2] <= 0.002):
        failures.append(f"real null, moderated: {levels}")
    text = page(real, simulated)
    print(text)
    for failure in failures:
        print(f"out of bounds: {failure}", file=sys.stderr)
    if not check:
        (ROOT / "docs/calibration.md").write_text(text)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
