"""Speed of `lmm` with two random terms, per gene and on one thread, for `benches/lmm.py` to call or by itself.

Designs on the largest simulated study (20,000 cells, 259 samples, 29 clusters, 59 fixed effects): samples crossed with
20 locations, samples nested in donors, and slopes beside intercepts.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd

import ferrocyte as fe

FIXED = "~ log(libsize) + cluster + cluster:treatment"
TERMS = {
    "259 samples, 20 locations crossed": "(1 | sample) + (1 | location)",
    "259 samples in 130 donors": "(1 | donor) + (1 | sample)",
    "259 intercepts and slopes": "(1 + time || sample)",
}
LOCATIONS = 20


def study(n_genes: int, seed: int = 20) -> ad.AnnData:
    """A simulated study with `location` (random), `donor` (two samples each) and `time` (a number per cell) in obs."""
    made = fe.lmm.simulate(n_genes, 20_000, n_samples=259, n_clusters=29, seed=seed)
    random = np.random.default_rng(seed)
    # A few genes leave some cells without a count, and the logarithm of zero is no covariate.
    made.obs["libsize"] = np.asarray(made.X.sum(axis=1)).ravel() + 1
    made.obs["location"] = pd.Categorical([f"l{i:02}" for i in random.integers(LOCATIONS, size=made.n_obs)])
    made.obs["donor"] = pd.Categorical([f"d{i // 2:03}" for i in made.obs["sample"].cat.codes])
    made.obs["time"] = random.normal(size=made.n_obs)
    return made


def least(work: Callable[[], object], repeats: int) -> float:
    """The least processor time of several runs."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def measure(n_genes: int = 80, repeats: int = 3) -> dict[str, float]:
    """Seconds per gene of each design, from sums to components, coefficients, their errors and Satterthwaite's df."""
    made = study(n_genes)
    found = {}
    for name, terms in TERMS.items():
        sums = fe.lmm.sums(made, f"{FIXED} + {terms}")

        def everything(sums: fe.lmm.Sums = sums) -> tuple[pd.DataFrame, ...]:
            fit = fe.lmm.fit(sums, moderate=False, n_threads=1)
            return fit.theta, fit.coef, fit.se, fit.df_satterthwaite

        found[name] = least(everything, repeats) / n_genes
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", fe.FerrocyteWarning)
    for design, seconds in measure().items():
        print(f"{design}: {1e3 * seconds:.2f} ms per gene")
