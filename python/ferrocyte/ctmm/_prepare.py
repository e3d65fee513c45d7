"""From cells to pseudobulk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._obs import require
from .._opening import open_path
from .._run import means
from .._sources import open_source
from ._study import Pseudobulk

if TYPE_CHECKING:
    import anndata as ad


@dataclass
class Request:
    """How pseudobulk is made."""

    normalize: str
    min_cells_individual: int
    min_cells_pair: int
    noise: str
    drop_empty: bool


def prepare(
    data: ad.AnnData | str | os.PathLike[str],
    donor: str,
    cell_type: str,
    *,
    layer: str | None = None,
    normalize: str = "log_cp10k",
    min_cells_individual: int = 0,
    min_cells_pair: int = 1,
    noise: str = "pooled",
    drop_empty: bool = False,
    standardize: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Pseudobulk:
    """Pseudobulk of all genes in one streamed pass: means per individual and cell type, and the variance of each mean.

    Parameters
    ----------
    data
        An AnnData, or the path of a file: cells × genes, counts.
    donor, cell_type
        Columns of obs.
    layer
        Where the counts are; ``None`` is ``X``.
    normalize
        What is done to the counts of a cell first: ``"log_cp10k"``, ``"log_cpm"`` (ln of 1 + counts per ten thousand or
        million) or ``"raw_counts"``.
    min_cells_individual
        Individuals are kept that have more cells than this.
    min_cells_pair
        A pair is observed where it has more cells than this, and never with one cell: its variance is unknown.
    noise
        From which cells the variance s² of a gene is known, whose n-th part is the variance of a mean of n cells:
        ``"pooled"`` over the individuals of a cell type, so that tests hold their level where counts are low;
        ``"sample"``, each pair by itself, as in the package ctmm.
    drop_empty
        Whether cells without a count are left out, with a warning; else they are an error that names them.
    standardize
        Whether each gene is put on the scale of its overall expression (:meth:`Pseudobulk.standardize`).
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Pseudobulk
        Individuals and cell types in the order of their names. Proportions count all cells of a kept individual.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.sim.cohort(n_genes=300, n_cells=2000, n_donors=6, seed=1)
    >>> fe.ctmm.prepare(cells, "donor", "cell_type").ctp.shape[:2]
    (300, 12)
    """
    source = open_source(data, layer)
    if hasattr(data, "obs"):
        for name in (donor, cell_type):
            require(data.obs, name)
    columns = source.columns([donor, cell_type], [])
    if isinstance(data, (str, os.PathLike)):
        cells = [str(name) for name in open_path(data).obs_names()]
    else:
        cells = [str(name) for name in data.obs_names]
    made = _core.ctmm_prepare(
        source.matrix,
        source.genes,
        cells,
        {name: columns[name] for name in (donor, cell_type)},
        (donor, cell_type),
        Request(normalize, int(min_cells_individual), int(min_cells_pair), noise, bool(drop_empty)),
        means(n_threads, max_memory, progress=progress),
    )
    out = of_made(made)
    return out.standardize() if standardize else out


def of_made(made: dict[str, Any]) -> Pseudobulk:
    """Pseudobulk from what the compiled module gives."""
    shape = (len(made["genes"]), len(made["individuals"]), len(made["cell_types"]))
    return Pseudobulk(
        made["values"].reshape(shape),
        made["noise"].reshape(shape),
        made["proportions"],
        made.get("counts"),
        made["genes"],
        made["individuals"],
        made["cell_types"],
        made.get("too_few", []),
        made.get("provenance", {}),
    )
