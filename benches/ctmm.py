"""Speed of cell type-specific models per gene, one thread; writes docs/speed_ctmm.md.

Processor time, the least of several runs. Beside it stand the seconds of the package ctmm 1.1.0 on the machine of its
reference cases, quoted: its likelihood route needs R. `--quick` measures little and writes nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date

from page import ROOT, machine, table, versions

import ferrocyte as fe

PAGE = ROOT / "docs/speed_ctmm.md"

# Individuals, cell types: quoted seconds of the package by what is fitted, for one gene.
QUOTED: dict[tuple[int, int], dict[str, float]] = {
    (50, 4): {"HE, jackknife": 0.16, "REML free": 0.71, "REML free, jackknife": 29.0, "REML full": 1.4},
    (100, 4): {"HE, jackknife": 0.87, "REML free": 1.2, "REML free, jackknife": 101.0, "REML full": 3.3},
    (200, 4): {},
    (200, 8): {"HE, jackknife": 34.0, "REML free": 10.0, "REML full": 70.0},
}
WAYS: dict[str, dict[str, object]] = {
    "HE": {"method": "he", "jackknife": False},
    "HE, jackknife": {"method": "he"},
    "HE full, jackknife": {"method": "he", "model": "full"},
    "REML hom": {"method": "reml", "model": "hom", "jackknife": False},
    "REML iid": {"method": "reml", "model": "iid", "jackknife": False},
    "REML free": {"method": "reml", "jackknife": False},
    "ML free": {"method": "ml", "jackknife": False},
    "REML full": {"method": "reml", "model": "full", "jackknife": False},
    "ML full": {"method": "ml", "model": "full", "jackknife": False},
    "REML free, one-step jackknife": {"method": "reml", "jackknife": "onestep"},
    "REML free, jackknife": {"method": "reml"},
    "ML free, jackknife": {"method": "ml"},
}


def seconds(job: Callable[[], object], n_genes: int, least: float) -> float:
    """Processor seconds per gene: the least of three rounds of `least` seconds or more each."""
    found = []
    for _ in range(3):
        start, times = time.process_time(), 0
        while times == 0 or time.process_time() - start < least:
            job()
            times += 1
        found.append((time.process_time() - start) / times / n_genes)
    return min(found)


def main() -> None:
    """Measure, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure little and write nothing")
    quick = parser.parse_args().quick
    rows = []
    for (n, c), quoted in list(QUOTED.items())[: 1 if quick else None]:
        # Many genes, so that what a call costs by itself does not count.
        made = fe.sim.ctmm(
            200 if quick else 2000, n, "free", concentration=[2.0] * c, ratios=[8, 4, 2, 1] * (c // 4), seed=1
        )[0]
        for name, how in WAYS.items():
            refits = "jackknife" in name and "HE" not in name
            # A covariance of eight cell types has 36 parts.
            full = 50 if c < 8 else 8
            count = 8 if refits else full if "ML full" in name else 500 if "ML" in name else len(made.genes)
            own = made.subset(genes=made.genes[:count])
            ours = seconds(
                lambda own=own, how=how: fe.ctmm.fit(own, n_threads=1, progress=False, **how),  # type: ignore[misc]
                len(own.genes),
                0.05 if quick else 0.3,
            )
            theirs = quoted.get(name)
            told = ["", ""] if theirs is None else [f"{theirs:g} s", f"{theirs / ours:,.0f}"]
            rows.append([str(n), str(c), name, _time(ours), *told])
            print(*rows[-1], sep=" | ", flush=True)
        own = made.subset(genes=made.genes[:100])
        ours = seconds(
            lambda own=own: fe.ctmm.score_tests(own, n_threads=1, progress=False),  # type: ignore[misc]
            len(own.genes),
            0.05 if quick else 0.3,
        )
        rows.append([str(n), str(c), "score tests", _time(ours), "", ""])
        print(*rows[-1], sep=" | ", flush=True)
    if quick:
        return
    whole = fe.sim.ctmm(10_000, 100, "free", seed=2)[0]
    start = time.process_time()
    fe.ctmm.fit(whole, method="reml", n_threads=1, progress=False)
    spent = time.process_time() - start
    heads = ["individuals", "cell types", "what", "per gene", "ctmm 1.1.0, per gene", "ratio"]
    lines = [
        "<!-- Made by `make bench`. Do not edit. -->",
        "",
        "# Speed: cell type-specific variance",
        "",
        f"Measured on {date.today().isoformat()}: {machine()}; {versions()}.",
        "",
        "Processor time per gene on one thread, the least of three rounds; genes of the paper's simulation "
        "(`fe.sim.ctmm`, specific variance in all cell types). The package's seconds are quoted from its reference "
        "cases, where it was measured on another machine: its fits by likelihood go through R.",
        "",
        *table(heads, rows),
        "",
        "10,000 genes of 100 individuals and four cell types, REML with the exact jackknife (a million fits), on one "
        f"thread: {spent:.0f} s.",
    ]  # fmt: skip
    PAGE.write_text("\n".join(lines) + "\n")


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    main()
