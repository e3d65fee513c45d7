"""Speed and memory of heritability by environment: one fit, free genetic variance and noise, two environments.

Beside it the seconds of the package GxEMM 1.0 with LDAK, quoted from its reference cases: it needs R and LDAK. Each
size runs in a process of its own, whose peak of memory is told; `--sizes` chooses them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

# Individuals: quoted seconds of the package.
QUOTED = {500: 2.7, 1000: 8.9, 2000: 42.0}


def one(n: int, precision: str, method: str) -> None:
    """Fit once, or several times where it takes no time; print seconds, turns and MiB."""
    import numpy as np

    import ferrocyte as fe

    rng = np.random.default_rng(1)
    genotypes = rng.binomial(2, 0.3, (n, 2 * n)).astype(np.float32)
    genotypes -= genotypes.mean(axis=0)
    genotypes /= genotypes.std(axis=0, ddof=1)
    kinship = (genotypes @ genotypes.T / (2 * n)).astype(precision)
    inside = rng.random(n) < 0.5
    breeding = genotypes @ rng.normal(size=2 * n) / np.sqrt(2 * n)
    y = 0.6 * breeding + np.where(inside, 0.5, 1.0) * rng.normal(size=n)
    del genotypes
    environments = np.column_stack([inside, ~inside]).astype(float)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent, found = [], None
    for _ in range(3 if n <= 2000 else 1):
        start = time.perf_counter()
        found = fe.gxemm.fit(
            y, inside.astype(float), kinship, environments, gtype="free", etype="free", method=method,
            max_memory="64G", progress=False,
        )  # fmt: skip
        spent.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    turns = found.trait()["evaluations"]
    print(f"{min(spent):.2f} {turns} {peak / 1024:.0f} {before / 1024:.0f} {found.status[0]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 5000, 10000])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(int(arguments.one[0]), *arguments.one[1:])
        return
    print("| individuals | kinship | method | seconds | factorisations | peak MiB | GxEMM 1.0 (quoted) | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for n in arguments.sizes:
        for precision, method in (("float64", "reml"), ("float32", "reml"), ("float64", "he")):
            command = [sys.executable, __file__, "--one", str(n), precision, method]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            quoted = QUOTED.get(n) if (precision, method) == ("float64", "reml") else None
            theirs = ("", "") if quoted is None else (f"{quoted} s", f"{quoted / float(told[0]):.0f}")
            print(
                f"| {n} | {precision} | {method} | {told[0]} | {told[1]} | {told[2]} | {theirs[0]} | {theirs[1]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
