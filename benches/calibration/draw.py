"""Studies drawn at random, through what is sufficient for a normal model: the mean and the spread of each sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import ferrocyte as fe


@dataclass
class Design:
    """Samples (rows of `obs`, with their number of cells), the fixed columns, and the random terms of a model.

    `fixed` are columns of obs: numbers as they are, texts with a column for each level but the first. `random` are
    columns of obs whose levels have one variance each.
    """

    obs: pd.DataFrame
    fixed: list[str]
    random: list[str]

    def columns(self) -> pd.DataFrame:
        """The fixed columns, one row per sample."""
        out = {"(Intercept)": np.ones(len(self.obs))}
        for name in self.fixed:
            values = self.obs[name]
            if values.dtype.kind in "fi":
                out[name] = values.to_numpy(float)
                continue
            for level in sorted(values.unique())[1:]:
                out[f"{name}{level}"] = (values == level).to_numpy(float)
        return pd.DataFrame(out)


@dataclass
class Truth:
    """What the genes are made of: variances relative to the residual, and effects of a column of obs."""

    n_genes: int
    variances: dict[str, float]
    effects: dict[str, np.ndarray] = field(default_factory=dict)


def gene_sums(design: Design, truth: Truth, seed: int) -> fe.lmm.Sums:
    """Sums of genes drawn from `truth` over the samples of a design, for its model.

    The same seed gives the same genes whatever the model, so that models are compared on the same data.
    """
    rng = np.random.default_rng(seed)
    obs, m = design.obs, truth.n_genes
    n = obs["cells"].to_numpy(float)
    mean = 10.0 + rng.normal(size=(m, len(n))) / np.sqrt(n)
    for name, variance in truth.variances.items():
        levels, codes = np.unique(obs[name].astype(str), return_inverse=True)
        mean += np.sqrt(variance) * rng.normal(size=(m, len(levels)))[:, codes]
    for name, effect in truth.effects.items():
        mean += np.outer(effect, obs[name].to_numpy(float))
    within = rng.chisquare(n - 1, size=(m, len(n)))
    x = design.columns()
    z = [pd.get_dummies(obs[name].astype(str), dtype=float) for name in design.random]
    zs = np.hstack([block.to_numpy() for block in z])
    weighted = mean * n
    return fe.lmm.sums_from_arrays(
        XX=pd.DataFrame(x.T.to_numpy() @ (x.to_numpy() * n[:, None]), x.columns, x.columns),
        ZX=zs.T @ (x.to_numpy() * n[:, None]),
        ZZ=zs.T @ (zs * n[:, None]),
        XY=weighted @ x.to_numpy(),
        ZY=weighted @ zs,
        Ynorm=(mean**2 * n + within).sum(axis=1),
        n=int(n.sum()),
        d=[block.shape[1] for block in z],
    )


def effect_of_size(se: float, n_genes: int, share: float = 0.1, times: float = 3.2) -> np.ndarray:
    """Effects: the first `share` of the genes have one of `times` the true standard error, the others none."""
    effect = np.zeros(n_genes)
    effect[: int(share * n_genes)] = times * se
    return effect
