"""Cells of planted programs of expression: identities, and activities that some cells have beside theirs."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInputError

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["programs"]

#: Cells whose counts are drawn at a time. It decides the order of draws, and so the counts of a seed.
_BLOCK = 20_000

#: Standard deviation of ln of the library size, share of genes that mark a program, share of cells with an activity.
_DEPTH_SD, _MARKED, _ACTIVE = 0.45, 0.08, 0.4


def programs(
    n_cells: int = 2700,
    n_genes: int = 2000,
    *,
    n_programs: int = 8,
    depth: float = 260.0,
    density: float | None = None,
    seed: int = 9001,
) -> ad.AnnData:
    r"""Simulate counts of cells that use planted programs of gene expression.

    A quarter of the programs are activities, the others identities. Every cell has one identity, and four of ten have
    an activity beside it, which takes 10 to 70 % of the program part of its expression. Half of the expression of a
    cell is the same for all cells. Counts are Poisson with mean
    :math:`l_i (b_g + \sum_t u_{it} s_{tg}) / 2` for gene g of cell i: library :math:`l`, base :math:`b`, usages
    :math:`u`, spectra :math:`s`. All numbers are drawn with numpy's ``RandomState`` in a fixed order, so that a seed
    gives the same counts everywhere.

    Parameters
    ----------
    n_cells, n_genes
        Size before cells and genes without any count are left out.
    n_programs
        How many programs, at least 2.
    depth
        Mean counts of a cell: the noise. 100 is much, 3,000 little.
    density
        In place of `depth`: the share of counts that are not 0, about.
    seed
        The same seed gives the same counts.

    Returns
    -------
    AnnData
        Counts, cells × genes, CSR float32. `obs`: `identity`, `activity` (missing where there is none), `share` of the
        activity. ``obsm["usage"]``: the planted usages, cells × programs; ``varm["spectra"]``: the planted spectra,
        genes × programs, each with sum 1 before genes were left out; ``uns["truth"]``: `kind` of each program.

    Raises
    ------
    BadInputError
        A number out of its range.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.sim.programs(500, 300, n_programs=5, depth=300, seed=1)
    >>> cells.obsm["usage"].shape[1], cells.varm["spectra"].shape[1]
    (5, 5)
    >>> float(cells.obsm["usage"].sum(axis=1).min())
    1.0
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    _check(n_cells, n_genes, n_programs, depth, density, seed)
    draws = np.random.RandomState(seed)
    n_active = max(1, round(n_programs / 4))
    n_identities = n_programs - n_active
    base, spectra = _spectra(draws, n_genes, n_programs)
    weights = 1 / np.sqrt(np.arange(1, n_identities + 1))
    identity = draws.choice(n_identities, n_cells, p=weights / weights.sum())
    has = draws.rand(n_cells) < _ACTIVE
    activity = n_identities + draws.randint(0, n_active, n_cells)
    share = 0.1 + 0.6 * draws.rand(n_cells)
    usage = np.zeros((n_cells, n_programs))
    usage[np.arange(n_cells), identity] = np.where(has, 1 - share, 1.0)
    usage[np.flatnonzero(has), activity[has]] = share[has]
    depth = depth if density is None else _depth_of(density, base)
    library = np.exp(np.log(depth) - _DEPTH_SD**2 / 2 + _DEPTH_SD * draws.standard_normal(n_cells))
    blocks = []
    for at in range(0, n_cells, _BLOCK):
        mean = library[at : at + _BLOCK, None] * (base / 2 + usage[at : at + _BLOCK] @ spectra / 2)
        blocks.append(sparse.csr_matrix(draws.poisson(mean), dtype=np.float32))
    counts = sparse.vstack(blocks, format="csr")
    del blocks
    genes = np.flatnonzero(np.bincount(counts.indices, minlength=n_genes) > 0)
    cells = np.flatnonzero(np.diff(counts.indptr) > 0)
    if len(genes) < n_genes:
        counts = counts[:, genes]
    if len(cells) < n_cells:
        counts = counts[cells]
    names = [f"P{t + 1}" for t in range(n_programs)]
    kind = ["identity"] * n_identities + ["activity"] * n_active
    obs = pd.DataFrame(
        {
            "identity": pd.Categorical.from_codes(identity[cells], names[:n_identities]),
            "activity": pd.Categorical.from_codes(
                np.where(has, activity - n_identities, -1)[cells], names[n_identities:]
            ),
            "share": np.where(has, share, 0.0)[cells],
        },
        index=[f"C{i + 1}" for i in cells],
    )
    made = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{j + 1}" for j in genes]))
    made.obsm["usage"] = usage[cells]
    made.varm["spectra"] = np.ascontiguousarray(spectra[:, genes].T)
    made.uns["truth"] = pd.DataFrame({"kind": kind}, index=names)
    return made


def _spectra(draws: np.random.RandomState, n_genes: int, n_programs: int) -> tuple[np.ndarray[Any, Any], Any]:
    """What all cells express, and the programs, each with sum 1."""
    base = draws.gamma(0.35, size=n_genes) + 1e-3
    base /= base.sum()
    spectra = np.empty((n_programs, n_genes))
    for spectrum in spectra:
        marks = draws.rand(n_genes) < _MARKED
        fold = np.ones(n_genes)
        fold[marks] = np.exp(1.4 + 0.5 * draws.standard_normal(int(marks.sum())))
        spectrum[:] = base * fold / (base * fold).sum()
    return base, spectra


def _depth_of(density: float, base: np.ndarray[Any, Any]) -> float:
    """The depth at which such a share of the counts of the base is not 0."""
    low, high = 1.0, 1e7
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if -np.expm1(-middle * base).mean() < density else (low, middle)
    return float(np.sqrt(low * high))


def _check(n_cells: Any, n_genes: Any, n_programs: Any, depth: Any, density: Any, seed: Any) -> None:
    for place, value, least in (
        ("n_cells", n_cells, 1),
        ("n_genes", n_genes, 1),
        ("n_programs", n_programs, 2),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) < 2**32:
            message = f"expected a whole number of at least {least}, found {value!r}"
            raise BadInputError(message, place=place)
    if not 0 < depth < np.inf:
        message = f"expected a number above 0, found {depth!r}"
        raise BadInputError(message, place="depth")
    if density is not None and not 0 < density < 1:
        message = f"expected a share between 0 and 1, found {density!r}"
        raise BadInputError(message, place="density")
