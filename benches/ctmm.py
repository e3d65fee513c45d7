"""Speed of cell type-specific models per gene, one thread: processor time, the least of several runs.

Beside it the seconds of the package ctmm 1.1.0 on the machine of the reference cases, quoted from there: it needs
R, and where that is not installed cannot be run. Prints a Markdown table.
"""

from __future__ import annotations

import time

import ferrocyte as fe

# Individuals, cell types: quoted seconds of the package by model and method, for one gene.
QUOTED = {
    (50, 4): {"HE + jackknife": 0.16, "REML free": 0.71, "REML free + jackknife": 29.0, "REML full": 1.4},
    (100, 4): {"HE + jackknife": 0.87, "REML free": 1.2, "REML free + jackknife": 101.0, "REML full": 3.3},
    (200, 8): {"HE + jackknife": 34.0, "REML free": 10.0, "REML full": 70.0},
}
WAYS: dict[str, dict[str, object]] = {
    "HE": {"method": "he", "jackknife": False},
    "HE + jackknife": {"method": "he"},
    "REML hom": {"method": "reml", "model": "hom", "jackknife": False},
    "REML free": {"method": "reml", "jackknife": False},
    "ML free": {"method": "ml", "jackknife": False},
    "REML full": {"method": "reml", "model": "full", "jackknife": False},
    "REML free + one-step jackknife": {"method": "reml", "jackknife": "onestep"},
    "REML free + jackknife": {"method": "reml"},
}


def seconds(made: fe.ctmm.Pseudobulk, how: dict[str, object], repeats: int = 3) -> float:
    """Processor seconds per gene."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        fe.ctmm.fit(made, n_threads=1, progress=False, **how)
        found.append(time.process_time() - start)
    return min(found) / len(made.genes)


def main() -> None:
    """Measure and print."""
    print("| individuals | cell types | what | µs per gene | ctmm 1.1.0 (quoted) | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (n, c), quoted in QUOTED.items():
        made = fe.sim.ctmm(100, n, "free", concentration=[2.0] * c, ratios=[8, 4, 2, 1] * (c // 4), seed=1)[0]
        few = made.subset(genes=made.genes[:2])
        for name, how in WAYS.items():
            if n * c > 800 and "+" in name and "REML" in name:
                continue
            ours = seconds(few if "REML" in name and "+" in name else made, how)
            theirs = quoted.get(name)
            told = ("", "") if theirs is None else (f"{theirs} s", f"{theirs / ours:,.0f}")
            print(f"| {n} | {c} | {name} | {ours * 1e6:.1f} | {told[0]} | {told[1]} |", flush=True)
        start = time.process_time()
        fe.ctmm.score_tests(made, n_threads=1, progress=False)
        spent = (time.process_time() - start) / len(made.genes)
        print(f"| {n} | {c} | score tests | {spent * 1e6:.1f} | | |", flush=True)


if __name__ == "__main__":
    main()
