"""How well consensus NMF finds planted programs again, at several depths; writes docs/recovery.md.

Studies of `fe.sim.programs` of one size and several depths are taken apart with as many programs as were planted. What
is found is matched with what was planted, one to one, so that the correlations of usages are largest together.
"""

from __future__ import annotations

import argparse
from datetime import date

import numpy as np
from page import ROOT, say, table, versions
from scipy.optimize import linear_sum_assignment

import ferrocyte as fe

PAGE = ROOT / "docs/recovery.md"
DEPTHS = (100, 260, 500, 1000, 3000)
CELLS, GENES, PROGRAMS, SEED = 2700, 2000, 8, 9001
REPLICAS, SELECTED = 20, 1500


def correlations(found: np.ndarray, planted: np.ndarray) -> np.ndarray:
    """Of each row with each."""
    return np.corrcoef(np.vstack([found, planted]))[: len(found), len(found) :]


def recovery(depth: float, loss: str, cells: int) -> list[str]:
    """A line of the table."""
    study = fe.sim.programs(cells, GENES, n_programs=PROGRAMS, depth=depth, seed=SEED)
    run = fe.cnmf.fit(
        study, PROGRAMS, n_iter=REPLICAS, seed=14, n_genes=SELECTED, drop_empty=True, beta_loss=loss, progress=False
    )
    row = run.selection.loc[PROGRAMS]
    threshold = float(row["suggested_density_threshold"])
    found = run.consensus(PROGRAMS, threshold)
    places = study.obs_names.get_indexer(found.shares.index)
    apart = correlations(found.shares.to_numpy().T, study.obsm["usage"][places].T)
    rows, columns = linear_sum_assignment(-apart)
    usage = apart[rows, columns]
    # What a program has beyond what all cells express: logarithms of spectra, less their mean over programs.
    genes = study.var_names.get_indexer(found.spectra_score.columns)
    planted = np.log(study.varm["spectra"][genes].T)
    score = correlations(found.spectra_score.to_numpy(), planted - planted.mean(axis=0))[rows, columns]
    return [
        f"{depth:,}",
        loss,
        f"{row['silhouette']:.3f}",
        f"{threshold:.2f}",
        f"{100 * np.mean(found.kept):.0f} %",
        f"{np.median(usage):.3f}",
        f"{usage.min():.3f}",
        f"{np.median(score):.3f}",
        f"{int((usage > 0.7).sum())} of {PROGRAMS}",
    ]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few cells, two depths, nothing is written")
    quick = parser.parse_args().quick
    rows = []
    for depth in (260, 3000) if quick else DEPTHS:
        for loss in ("frobenius", "kullback-leibler"):
            say(f"{depth} counts a cell, {loss}")
            rows.append(recovery(depth, loss, 700 if quick else CELLS))
    heads = ["counts a cell", "loss", "silhouette", "suggested threshold", "spectra kept"]
    heads += ["usages, median", "usages, least", "scores, median", "found"]
    lines = [
        "# Planted programs",
        "",
        f"Written by `python benches/recovery.py` on {date.today():%Y-%m-%d}. {versions()}.",
        "",
        f"`fe.sim.programs`: {CELLS:,} cells, {GENES:,} genes, {PROGRAMS} programs, seed {SEED}, at several depths:",
        "six identities and two activities, half of the expression common to all cells. `fe.cnmf.fit` with",
        f"k = {PROGRAMS}, {REPLICAS} replicates and {SELECTED:,} genes; the consensus at the suggested threshold.",
        "Programs are matched one to one. Usages: correlation, over cells, of the share of a program with the planted",
        "one. Scores: correlation, over genes, of the score with the logarithm of the planted spectrum less its mean",
        "over programs. Found: usages correlated above 0.7.",
        "",
        *table(heads, rows),
    ]
    text = "\n".join(lines).rstrip() + "\n"
    if quick:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
