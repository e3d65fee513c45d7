"""Donors in arms, samples, batches, cell types, covariates, planted effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from ._frames import frame_of, study_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

__all__ = ["cohort"]


@dataclass
class CohortRequest:
    """What is simulated, as the compiled module reads it."""

    n_genes: int
    n_cells: int
    n_donors: int
    arms: list[str]
    paired: bool
    samples_per_donor: int
    n_batches: int
    batch_of: str
    n_cell_types: int
    type_concentration: float
    sample_concentration: float
    cells_sd: float
    depth_sd: float
    log_mean: float
    log_mean_sd: float
    type_share: float
    type_sd: float
    donor_variance: float
    sample_variance: float
    batch_variance: float
    flat_share: float
    de_share: float
    effect_min: float
    effect_max: float
    direction: str
    affected: str | list[str]
    seed: int


def cohort(
    n_genes: int = 2000,
    n_cells: int = 20000,
    *,
    n_donors: int = 8,
    arms: Sequence[str] = ("control", "case"),
    paired: bool = False,
    samples_per_donor: int = 1,
    n_batches: int = 1,
    batch_of: str = "sample",
    n_cell_types: int = 6,
    type_concentration: float = 5.0,
    sample_concentration: float = 50.0,
    cells_sd: float = 0.5,
    depth_sd: float = 0.35,
    log_mean: float = -3.2,
    log_mean_sd: float = 1.6,
    type_share: float = 0.3,
    type_sd: float = 0.6,
    donor_variance: float = 0.09,
    sample_variance: float = 0.03,
    batch_variance: float = 0.03,
    flat_share: float = 0.2,
    de_share: float = 0.05,
    effect_min: float = 0.3,
    effect_max: float = 1.0,
    direction: str = "both",
    affected: str | Sequence[str] = "one",
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    r"""Simulate a cohort: counts of cells of samples of donors in arms, with planted effects.

    Counts are negative binomial with mean
    :math:`m_g \exp(t_{gc} + u_{gd} + v_{gs} + w_{gb} + e_{gca})\, l_i` for gene g in cell i of type c from sample s of
    donor d in arm a, measured in batch b.

    Parameters
    ----------
    n_genes, n_cells
        Size of the matrix; every sample has at least one cell.
    n_donors
        Donors of each arm; with `paired`, of the whole study.
    arms
        Names of the arms; the first has no planted effects. Each arm has its own effects.
    paired
        Whether every donor has samples in all arms.
    samples_per_donor
        Samples of a donor, in each of its arms.
    n_batches
        Number of batches, over which the samples (or donors) of each arm are spread evenly.
    batch_of
        Whether a ``"sample"`` or a whole ``"donor"`` is put into a batch.
    n_cell_types
        Number of cell types, named T1, T2, ..
    type_concentration, sample_concentration
        Concentrations of the Dirichlet laws of the shares of cell types: in the study, and in a sample around those
        of the study (larger is more alike).
    cells_sd
        Standard deviation of ln of the expected number of cells of a sample; 0 makes samples alike.
    depth_sd
        Standard deviation of ln of the depth (library size) of a cell.
    log_mean, log_mean_sd
        Mean and standard deviation over genes of ln of their mean count, which is kept within 0.002 and 60.
    type_share, type_sd
        Share of pairs of gene and cell type with a mean of their own, and standard deviation of ln of the difference.
    donor_variance, sample_variance, batch_variance
        Mean over genes of the variance of ln of the mean between donors, between samples of a donor, and between
        batches; genes differ by a gamma law of shape 1.5.
    flat_share
        Share of genes without any of these variances.
    de_share
        Share of genes with planted effects.
    effect_min, effect_max
        Range of the size of an effect (ln of a ratio).
    direction
        ``"both"``, ``"up"`` or ``"down"``.
    affected
        Cell types in which a gene with effects has them: ``"one"``, drawn for each gene, ``"all"``, or names.
    seed
        The same seed gives the same counts, whatever the number of threads.
    n_threads
        Number of threads; by default all processors.
    progress
        Whether a bar is drawn; by default on a terminal.

    Returns
    -------
    AnnData
        Counts, cells x genes, CSR float32, cells of a sample together; `obs`: `sample`, `donor`, `condition`, `batch`,
        `cell_type`, `age` and `sex` of the donor (without effect on counts), `depth`; `var`: `mean`, `size`, and the
        variances; ``uns["truth"]``: `gene`, `cell_type`, `condition`, `log_effect`.

    Raises
    ------
    BadInputError
        A number out of its range, or fewer cells than samples.
    MissingKeyError
        `affected` names a cell type that does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> adata = fe.sim.cohort(100, 2000, n_donors=4, paired=True, n_batches=2, seed=1)
    >>> adata
    AnnData object with n_obs × n_vars = 2000 × 100
        obs: 'sample', 'donor', 'condition', 'batch', 'cell_type', 'age', 'sex', 'depth'
        var: 'mean', 'size', 'donor_variance', 'sample_variance', 'batch_variance'
        uns: 'truth'
    >>> list(adata.uns["truth"].columns)
    ['gene', 'cell_type', 'condition', 'log_effect']
    """
    request = CohortRequest(
        n_genes,
        n_cells,
        n_donors,
        [str(arm) for arm in arms],
        paired,
        samples_per_donor,
        n_batches,
        batch_of,
        n_cell_types,
        type_concentration,
        sample_concentration,
        cells_sd,
        depth_sd,
        log_mean,
        log_mean_sd,
        type_share,
        type_sd,
        donor_variance,
        sample_variance,
        batch_variance,
        flat_share,
        de_share,
        effect_min,
        effect_max,
        direction,
        affected if isinstance(affected, str) else [str(name) for name in affected],
        seed,
    )
    made = _core.sim_cohort(request, means(n_threads, None, progress=progress))
    return study_of(made, frame_of(made["var"], made["genes"]))
