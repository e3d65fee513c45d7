"""How much new cells use known programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._inputs import inputs
from ._programs import Programs, provenance

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


class Projection:
    """Usages of known programs.

    Attributes
    ----------
    usages
        Cells x programs, not normalised.
    shares
        The same, each cell divided by its sum; a cell that uses nothing stays 0.
    missing_genes
        Genes of the reference that the cells lack.
    idle_cells
        Cells that use no program.
    provenance
        Method, version, options.
    """

    def __init__(self, found: dict[str, Any], cells: list[str], programs: list[str], about: dict[str, Any]) -> None:
        import pandas as pd

        index, columns = pd.Index(cells, dtype=object), pd.Index(programs, dtype=object, name="program")
        self.usages: pd.DataFrame = pd.DataFrame(found["usages"], index=index, columns=columns)
        self.shares: pd.DataFrame = pd.DataFrame(found["shares"], index=index, columns=columns)
        self.missing_genes: list[str] = list(found["missing"])
        self.n_shared = len(found["shared"])
        self.idle_cells: list[str] = [cells[i] for i in found["idle_cells"]]
        self.provenance: dict[str, Any] = about

    @property
    def status(self) -> pd.Series[Any]:
        """A word for each cell: ``ok``, or ``idle`` where it uses no program."""
        import pandas as pd

        words = np.where(self.usages.sum(axis=1) > 0.0, "ok", "idle")
        return pd.Series(words, index=self.usages.index, name="status")

    def to_df(self) -> pd.DataFrame:
        """Shares, with a column of status."""
        return self.shares.assign(status=self.status)

    def store(self, adata: ad.AnnData, key: str = "cnmf_projection") -> None:
        """Write shares into obsm of an AnnData of the same cells.

        Parameters
        ----------
        adata
            The cells, in the order of the projection.
        key
            The key in obsm; uns gains the same with the provenance.
        """
        if adata.n_obs != len(self.shares):
            message = f"usages of {len(self.shares)} cells for an AnnData of {adata.n_obs}"
            raise BadInputError(message, place="adata")
        adata.obsm[key] = self.shares.set_axis(adata.obs_names, axis=0)
        adata.uns[key] = {"missing_genes": self.missing_genes, "refit": self.provenance["options"]["refit"]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write shares as a tab-separated table.

        Parameters
        ----------
        path
            The file.
        """
        self.shares.to_csv(path, sep="\t")

    def __repr__(self) -> str:
        """One line."""
        n, k = self.shares.shape
        return (
            f"Projection: {n:,} cells on {k} programs by {self.n_shared:,} genes "
            f"({len(self.missing_genes)} missing), {len(self.idle_cells)} cells idle"
        )


def project(
    counts: Any,
    reference: Programs | pd.DataFrame | str | os.PathLike[str],
    *,
    layer: str | None = None,
    refit: str = "peer",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Projection:
    """Fit usages of known programs to new cells.

    Parameters
    ----------
    counts
        Counts of the new cells: an AnnData, a data frame, a path.
    reference
        Programs, or their spectra for projection (programs x genes): a data frame, or a table such as the
        ``starcat_spectra`` of a run.
    layer
        The matrix of the counts; ``None`` is X.
    refit
        ``"peer"`` by the rule of starCAT, which stops early; ``"exact"`` at the optimum.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Projection
        Usages and shares, and the genes that the cells lack.

    Raises
    ------
    BadInputError
        Fewer than two shared genes per program; counts that cannot be worked with.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> programs = fe.cnmf.fit(cells, [3], n_iter=6, seed=1, n_genes=40).consensus(3, 2.0)
    >>> fe.cnmf.project(cells, programs, refit="exact").shares.shape
    (240, 3)
    """
    import pandas as pd

    if isinstance(reference, Programs):
        reference = reference.starcat_spectra
    elif isinstance(reference, (str, os.PathLike)):
        reference = pd.read_csv(reference, sep="\t", index_col=0)
    spectra = np.ascontiguousarray(reference.to_numpy(dtype=np.float64))
    programs, genes = [str(name) for name in reference.index], [str(name) for name in reference.columns]
    given = inputs(counts, layer)
    found = _core.cnmf_project(
        given.counts,
        (given.cells, given.genes),
        (programs, genes, spectra),
        refit,
        means(n_threads, max_memory, progress=progress),
    )
    about = provenance("cnmf.project", {"refit": refit, "layer": layer}, None, given.counts.name)
    return Projection(found, given.cells, programs, about)
