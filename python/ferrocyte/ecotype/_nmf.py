"""Factorisation with the rules of published analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass
class Factors:
    """Factors of a matrix: ``w`` features × factors, ``h`` factors × samples.

    Attributes
    ----------
    w, h
        The factors.
    iterations
        How many updates were made.
    objective
        The divergence, or half the squared distance.
    """

    w: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]
    iterations: int
    objective: float


@dataclass
class RankResult:
    """The runs of one rank.

    Attributes
    ----------
    rank
        The rank.
    consensus
        In which share of the runs two samples have the same largest factor.
    labels
        The largest factor of each sample in the best run, counted from 1.
    cophenetic, dispersion
        How well runs agree.
    iterations
        Updates of each run.
    best
        The factors of the run with the smallest objective.
    """

    rank: int
    consensus: pd.DataFrame
    labels: pd.Series[Any]
    cophenetic: float
    dispersion: float
    iterations: list[int]
    best: Factors


@dataclass
class Clustering:
    """Clusters of samples by votes of many factorisations.

    Attributes
    ----------
    best_rank
        The rank that is chosen.
    ranks
        The runs of each rank.
    seeds
        The seeds of the runs.
    none_good
        Whether no rank was good enough.
    """

    best_rank: int
    ranks: dict[int, RankResult]
    seeds: list[int]
    none_good: bool

    @property
    def labels(self) -> pd.Series[Any]:
        """Labels of the rank that is chosen."""
        return self.ranks[self.best_rank].labels


def _factors(found: dict[str, Any]) -> Factors:
    return Factors(found["w"], found["h"], found["iterations"], found["objective"])


def nmf(
    v: Any,
    rank: int | None = None,
    *,
    method: str = "brunet",
    W0: Any = None,
    H0: Any = None,
    seed: int = 2024,
    max_iter: int = 2000,
    theta: float = 0.5,
    progress: bool | None = None,
) -> Factors:
    """Factorise a non-negative matrix, features × samples.

    Parameters
    ----------
    v
        The matrix.
    rank
        How many factors; not needed with a start.
    method
        ``"brunet"``, ``"lee"``, ``"nsNMF"`` (until the largest factors of samples stand still), ``"KL"``,
        ``"Frobenius"`` (until the objective does).
    W0, H0
        Where updates begin; else a random start of `seed`, as R draws it.
    seed
        Of the random start.
    max_iter
        The most updates.
    theta
        How much nsNMF smooths.
    progress
        Whether a bar is drawn.

    Returns
    -------
    Factors
        Factors, number of updates, and what was made small.
    """
    if (W0 is None) != (H0 is None) or (W0 is None and rank is None):
        message = "a rank is needed, or both W0 and H0"
        raise BadInputError(message, place="rank")
    start = None if W0 is None else (_dense(W0), _dense(H0))
    how = (method, max_iter, float(theta))
    return _factors(_core.ecotype_nmf(_dense(v), start, rank or 1, seed, how, means(progress=progress)))


def _dense(values: Any) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(values, dtype=np.float64)


def nmf_clustering(
    values: Any,
    ranks: Sequence[int] | int = 10,
    *,
    nrun_per_rank: int = 30,
    min_coph: float = 0.95,
    method: str = "brunet",
    seed: int = 2024,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Clustering:
    """Cluster samples by votes of many factorisations, and choose the rank whose runs agree.

    Parameters
    ----------
    values
        Features × samples; a data frame, whose columns name the samples, or an array.
    ranks
        The ranks that are tried.
    nrun_per_rank
        Factorisations of each rank.
    min_coph
        Cophenetic correlations above this are good enough.
    method
        As in :func:`nmf`.
    seed
        Of the seeds of the runs.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    Clustering
        Labels, consensus and agreement of each rank.
    """
    import pandas as pd

    names = [str(name) for name in values.columns] if hasattr(values, "columns") else list(range(np.shape(values)[1]))
    tried = [ranks] if isinstance(ranks, int) else [int(rank) for rank in ranks]
    run = means(n_threads, progress=progress)
    found = _core.ecotype_nmf_clustering(_dense(values), tried, nrun_per_rank, float(min_coph), method, seed, run)
    results = {
        one["rank"]: RankResult(
            one["rank"],
            pd.DataFrame(one["consensus"], index=names, columns=names),
            pd.Series(one["labels"], index=names, name="label"),
            one["cophenetic"],
            one["dispersion"],
            list(one["iterations"]),
            _factors(one["best"]),
        )
        for one in found["ranks"]
    }
    return Clustering(found["best_rank"], results, list(found["seeds"]), found["none_good"])


def select_rank(
    cophenetic: Sequence[float],
    ranks: Sequence[int],
    *,
    threshold: float = 0.95,
    min_rank: int = 2,
    window: int = 3,
    weight: float = 0.5,
) -> int:
    """Choose the rank after which the agreement of runs falls most.

    Parameters
    ----------
    cophenetic, ranks
        The agreement of each rank.
    threshold
        Ranks above this are candidates; if there are none it is the rank with the largest agreement.
    min_rank
        The least rank.
    window
        Over how many ranks the fall is averaged.
    weight
        Of the fall to the next rank, against that over the window.

    Returns
    -------
    int
        The rank.
    """
    rule = (float(threshold), min_rank, window, float(weight))
    rank, _ = _core.ecotype_select_rank([float(c) for c in cophenetic], [int(rank) for rank in ranks], rule)
    return rank
