"""Cells of planted programs of expression: identities, and activities that some cells have beside theirs."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._frames import study_of

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["programs"]


def programs(
    n_cells: int = 2700,
    n_genes: int = 2000,
    *,
    n_programs: int = 8,
    depth: float = 260.0,
    density: float | None = None,
    seed: int = 9001,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    r"""Simulate counts of cells that use planted programs of gene expression.

    A quarter of the programs are activities, the others identities. Every cell has one identity, and four of ten have
    an activity beside it, which takes 10 to 70 % of the program part of its expression. Half of the expression of a
    cell is the same for all cells. Counts are Poisson with mean
    :math:`l_i (b_g + \sum_t u_{it} s_{tg}) / 2` for gene g of cell i: library :math:`l`, base :math:`b`, usages
    :math:`u`, spectra :math:`s`. Numbers are drawn by the laws and in the order of numpy's ``RandomState``, so
    that a seed gives the counts of the published generator. ``ferrocyte simulate programs`` gives the same.

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
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData
        Counts, cells × genes, CSR float32. `obs`: `identity`, `activity` (missing where there is none), `share` of the
        activity. ``obsm["usage"]``: the planted usages, cells × programs; ``varm["spectra"]``: the planted spectra,
        genes × programs, each with sum 1 before genes were left out; ``uns["truth"]``: each `program` and its `kind`.

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
    import pandas as pd

    asked: dict[str, Any] = {"n_cells": n_cells, "n_genes": n_genes, "n_programs": n_programs, "seed": seed}
    for place, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 0 <= int(value) < 2**32:
            message = f"expected a whole number from 0 to {2**32 - 1}, found {value!r}"
            raise BadInputError(message, place=place)
    sizes = (int(n_cells), int(n_genes), int(n_programs))
    made = _core.sim_programs(sizes, (depth, density), int(seed), means(n_threads, None, progress=progress))
    study = study_of(made, pd.DataFrame(index=made["genes"]))
    study.obs_names = made["cells"]
    study.obsm["usage"] = made["usage"]
    study.varm["spectra"] = made["spectra"]
    return study
