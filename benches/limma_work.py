"""The work of `benches/limma.py` in Python, by ferrocyte or by pylimma, in a process of its own.

`python limma_work.py PROGRAM FOLDER VERB REPEATS` reads a problem, prepares what the verb starts from, runs the verb
and prints lines `versions ..`, `cpu S`, `wall S`, `memory BYTES`: the least seconds of several runs without imports and
reading, and the peak memory of the first run above what the process held before. The numbers found (t of the contrast
by gene, factors, p-values) go to `FOLDER/PROGRAM-VERB.f64`. R's part is `limma_peer.R`, with the same words.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

# Repeats end after this many seconds.
ENOUGH = 6.0

Work = Callable[[], Any]


@dataclass
class Problem:
    """A folder of little-endian arrays of 64 bits: counts (genes × samples), design, contrast, blocks, sets."""

    folder: Path

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Genes, samples, coefficients."""
        genes, samples, coefficients = map(int, (self.folder / "shape.txt").read_text().split())
        return genes, samples, coefficients

    @cached_property
    def genes(self) -> list[str]:
        """Names of the genes."""
        return [f"gene{i + 1}" for i in range(self.shape[0])]

    @cached_property
    def samples(self) -> list[str]:
        """Names of the samples."""
        return [f"sample{i + 1}" for i in range(self.shape[1])]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Counts, genes × samples."""
        values = np.fromfile(self.folder / "counts.f64").reshape(self.shape[:2])
        return pd.DataFrame(values, self.genes, self.samples, copy=False)

    @cached_property
    def design(self) -> pd.DataFrame:
        """The design, samples × coefficients."""
        values = np.fromfile(self.folder / "design.f64").reshape(self.shape[1:])
        return pd.DataFrame(values, self.samples, [f"x{j + 1}" for j in range(self.shape[2])])

    @cached_property
    def contrast(self) -> np.ndarray:
        """The contrast: the second coefficient less the first."""
        out = np.zeros((self.shape[2], 1))
        out[:2, 0] = -1, 1
        return out

    @cached_property
    def groups(self) -> pd.DataFrame:
        """The group of each sample as text, by name of the sample."""
        codes = np.fromfile(self.folder / "groups.f64").astype(int)
        return pd.DataFrame({"group": [f"g{code:02d}" for code in codes]}, self.samples)

    @cached_property
    def blocks(self) -> np.ndarray:
        """The block of each sample."""
        return np.fromfile(self.folder / "blocks.f64").astype(int)

    @cached_property
    def sets(self) -> dict[str, np.ndarray]:
        """Sets of genes, by position."""
        lines = (self.folder / "sets.txt").read_text().splitlines()
        return {f"set{i + 1}": np.array(line.split(), dtype=int) for i, line in enumerate(lines)}


# Verbs that both have, in the same words


def prepared(m: ModuleType, problem: Problem) -> tuple[Any, Any]:
    """Values with weights from voom, and the contrast of their fit: where moderation and set tests start."""
    values = m.voom(problem.counts, problem.design, adaptive_span=False)
    return values, m.contrasts_fit(m.lm_fit(values, problem.design), problem.contrast)


def pipeline(m: ModuleType, problem: Problem, weigh: str = "voom") -> Work:
    """From counts to the table of all genes; gives t."""
    design = problem.design

    def work() -> np.ndarray:
        values = getattr(m, weigh)(problem.counts, design, adaptive_span=False)
        fit = m.e_bayes(m.contrasts_fit(m.lm_fit(values, design), problem.contrast))
        m.top_table(fit, number=np.inf)
        return fit["t"]

    return work


def quality(m: ModuleType, problem: Problem) -> Work:
    """The same with weights of samples."""
    return pipeline(m, problem, "voom_with_quality_weights")


def moderation(m: ModuleType, problem: Problem, **options: bool) -> Work:
    """Moderation of one contrast; gives t."""
    _, fit = prepared(m, problem)
    # pylimma writes into the fit that it is given.
    return lambda: m.e_bayes(fit.copy(), **options)["t"]


def robust(m: ModuleType, problem: Problem) -> Work:
    """Moderation that spares outlying variances."""
    return moderation(m, problem, robust=True)


def trend(m: ModuleType, problem: Problem) -> Work:
    """Moderation with a prior that depends on the mean."""
    return moderation(m, problem, trend=True)


def dupcor(m: ModuleType, problem: Problem) -> Work:
    """The correlation within blocks, of values without weights."""
    values = log_values(problem)
    return lambda: correlation(m.duplicate_correlation(values, problem.design, block=problem.blocks))


def dupcor_weighted(m: ModuleType, problem: Problem) -> Work:
    """The correlation within blocks, with the weights of voom."""
    values = m.voom(problem.counts, problem.design, adaptive_span=False)
    return lambda: correlation(m.duplicate_correlation(values, problem.design, block=problem.blocks))


def correlation(found: Any) -> Any:
    """The consensus correlation, by whichever name."""
    return found["consensus_correlation"] if isinstance(found, dict) else found.consensus_correlation


def log_values(problem: Problem) -> pd.DataFrame:
    """Log2 counts per million with half a count added: computed here so that all programs get the same."""
    sizes = problem.counts.sum(axis=0) + 1
    return np.log2((problem.counts + 0.5) / sizes * 1e6)


def sets_of(verb: str, **options: object) -> Callable[[ModuleType, Problem], Work]:
    """A test of the sets on weighted values; gives p-values."""

    def prepare(m: ModuleType, problem: Problem) -> Work:
        values, contrast = log_values(problem), problem.contrast[:, 0]

        def work() -> np.ndarray:
            found = getattr(m, verb)(values, problem.sets, problem.design, contrast, **options)
            return found["p_value" if "p_value" in found else "PValue"].to_numpy(float)

        return work

    return prepare


BOTH = {
    "pipeline": pipeline,
    "quality": quality,
    "robust": robust,
    "trend": trend,
    "dupcor": dupcor,
    "dupcor_weighted": dupcor_weighted,
    "camera": sets_of("camera", sort=False),
    "fry": sets_of("fry", sort="none"),
    "mroast": sets_of("mroast", sort="none", nrot=1999),
}


# Verbs that only ferrocyte has


def factors(m: ModuleType, problem: Problem) -> Work:
    """Trimmed means of M-values; gives the factors."""
    return lambda: m.calc_norm_factors(problem.counts)


def fused(m: ModuleType, problem: Problem) -> Work:
    """From counts to the table of all genes, voom and fit in one, without keeping the matrices in between."""
    counts, design = problem.counts, problem.design

    def work() -> np.ndarray:
        fit = m.voom_lm_fit(counts, design, adaptive_span=False, keep_values=False, keep_covariances=False)
        fit = m.e_bayes(m.contrasts_fit(fit, problem.contrast))
        m.top_table(fit, number=np.inf)
        return fit.t

    return work


def de(m: ModuleType, problem: Problem) -> Work:
    """Filter, normalise, fit, test, table: everything in one call; gives the table."""
    counts, samples = problem.counts, problem.groups
    first, second = sorted(set(samples["group"]))[:2]

    return lambda: m.de(counts, "~ 0 + group", f"{second} - {first}", samples=samples).table


OURS = {"tmm": factors, "fused": fused, "de": de}


# Measuring


def memory(name: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at most; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")))


def forget_peak() -> None:
    """Start the peak anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(work: Work, repeats: int) -> tuple[Any, dict[str, float]]:
    """What the work gives, and the least seconds and the peak memory."""
    forget_peak()
    before, began = memory("VmRSS"), time.perf_counter()
    wall, cpu, peak, found = [], [], 0, None
    while not wall or (len(wall) < repeats and time.perf_counter() - began < ENOUGH):
        at, cpu_at = time.perf_counter(), time.process_time()
        found = work()
        wall.append(time.perf_counter() - at)
        cpu.append(time.process_time() - cpu_at)
        peak = peak or memory("VmHWM")
    return found, {"cpu": min(cpu), "wall": min(wall), "memory": max(peak - before, 0)}


def numbers(found: Any) -> np.ndarray:
    """What was found as plain numbers; of a table the number of genes that were tested."""
    if isinstance(found, pd.DataFrame):
        found = found["p_value"].notna().sum()
    return np.asarray(found, float).ravel()


def main() -> int:
    """Prepare, measure, tell."""
    program, folder, verb, repeats = sys.argv[1:]
    warnings.simplefilter("ignore")
    if program == "ferrocyte":
        import ferrocyte as fe

        module, verbs = fe.limma, BOTH | OURS
    else:
        import pylimma as module

        verbs = BOTH
    problem = Problem(Path(folder))
    # Read before anything is measured.
    _ = problem.counts, problem.design
    work = verbs[verb](module, problem)
    found, told = measure(work, int(repeats))
    numbers(found).astype("<f8").tofile(Path(folder) / f"{program}-{verb}.f64")
    print(f"versions {program} {version(program)}")
    for name, value in told.items():
        print(f"{name} {value!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
