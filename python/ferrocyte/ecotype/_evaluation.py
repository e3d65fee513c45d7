"""How good labels are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ._inputs import Recovery, Training, all_or, column_of, read_cells, texts

if TYPE_CHECKING:
    import pandas as pd

    from ._inputs import Meta, Mode, Normalize, Orientation, Rng


@dataclass
class Metrics:
    """A measure of labels.

    Attributes
    ----------
    values
        The measure of each label.
    matrix
        Labels × labels, as the reference gives it; only its diagonal measures anything.
    """

    values: pd.Series[Any]
    matrix: pd.DataFrame

    @property
    def macro(self) -> float:
        """The mean over labels."""
        return float(self.values.mean())


@dataclass
class Pseudobulks:
    """Mixtures of cells.

    Attributes
    ----------
    fractions
        Mixtures × groups.
    mixtures
        Genes × mixtures, normalised logarithms.
    """

    fractions: pd.DataFrame
    mixtures: pd.DataFrame


def cross_validate(
    data: Any,
    meta: Meta = None,
    *,
    cell_type: Any = "CellType",
    label: Any = "SE",
    sample: Any = "Sample",
    scheme: str = "leave_one_out",
    repeats: int = 30,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
    duplicates: str = "error",
    mode: Mode = "exact",
    scale: bool = True,
    balance_sample: bool = True,
    nfeature: int = 300,
    nfeature_per_se: float | None = 50,
    min_cells: int = 20,
    downsample: int = 2500,
    small_classes: str | None = None,
    non_se_label: str = "nonSE",
    min_score: float = 0.0,
    cells_per_run: int = 5000,
    seed: int = 2024,
    rng: Rng | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Label every cell by models that have not seen its sample.

    Parameters
    ----------
    data, meta, cell_type, label, layer, orientation, normalize, auto_log, nan, duplicates, mode, scale, \
balance_sample, nfeature, nfeature_per_se, min_cells, downsample, small_classes, non_se_label
        As in :func:`train`.
    sample
        The sample of each cell. With one sample, or ``None``, random halves label each other.
    scheme
        ``"leave_one_out"``, or ``"train_on_one"``: each sample labels all others, as the reference does it.
    repeats
        How often, with other seeds.
    min_score, cells_per_run
        As in :func:`recover`.
    seed, rng
        Of the seeds of the repeats.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        The columns of cells, with ``cvPred``, the label with most votes, and ``cvVotes``, its share of them.
    """
    import pandas as pd

    study = read_cells(
        data,
        meta,
        layer=layer,
        orientation=orientation,
        normalize=normalize,
        auto_log=auto_log,
        nan=nan,
        duplicates=duplicates,
    )
    columns = (
        texts(study, cell_type, "cell_type"),
        texts(study, label, "label", non_se_label),
        None if sample is None else texts(study, sample, "sample"),
    )
    training = Training(
        mode, scale, balance_sample, nfeature, all_or(nfeature_per_se), min_cells, downsample, seed, rng, small_classes
    )
    recovery = Recovery(mode, scale, cells_per_run, float(min_score), 20, non_se_label)
    found = _core.ecotype_cross_validate(
        study.cells,
        columns,
        training,
        recovery,
        (scheme, repeats),
        (rng or ("r" if mode == "compat" else "native"), seed),
        means(n_threads, max_memory, progress=progress),
    )
    out = pd.DataFrame(index=study.cells.names) if study.columns is None else study.columns.copy()
    out["cvPred"] = found["labels"]
    out["cvVotes"] = found["votes"]
    out.attrs["seeds"] = list(found["seeds"])
    return out


def metrics(
    table: Any,
    *,
    truth: str = "SE",
    predicted: str = "cvPred",
    cell_type: str | None = None,
    sample: str | None = None,
    metric: str = "F1",
) -> Metrics:
    """Measure labels against the true ones.

    Parameters
    ----------
    table
        Columns of cells: a data frame or an AnnData.
    truth, predicted
        Columns of labels.
    cell_type
        Column of types: labels of each are measured by themselves.
    sample
        Column of samples: measures are averaged over them.
    metric
        ``"F1"``, ``"F2"``, ``"precision"`` or ``"recall"``.

    Returns
    -------
    Metrics
        The measure of each label.
    """
    import pandas as pd

    labels, values, matrix = _core.ecotype_metrics(
        column_of(table, truth),
        column_of(table, predicted),
        None if cell_type is None else column_of(table, cell_type),
        None if sample is None else column_of(table, sample),
        metric,
    )
    return Metrics(pd.Series(values, index=labels, name=metric), pd.DataFrame(matrix, index=labels, columns=labels))


def pseudobulks(
    data: Any,
    groups: Any,
    meta: Meta = None,
    *,
    counts: bool = True,
    n_mixtures: int = 100,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    seed: int = 2024,
    rng: Rng = "native",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Pseudobulks:
    """Mix cells of groups in random fractions.

    Parameters
    ----------
    data, meta, layer, orientation
        Cells, as in :func:`train`.
    groups
        Column, or values in the order of the cells.
    counts
        Whether values are counts; else they are taken as they are, or for ``log2(x + 1)`` where none reaches 80.
    n_mixtures
        How many mixtures.
    seed, rng
        Of the random choices.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    Pseudobulks
        Fractions and mixtures.
    """
    import pandas as pd

    study = read_cells(data, meta, layer=layer, orientation=orientation, auto_log=False)
    names = texts(study, groups, "groups")
    run = means(n_threads, progress=progress)
    found = _core.ecotype_pseudobulks(study.cells, names, counts, n_mixtures, (rng, seed), run)
    return Pseudobulks(
        pd.DataFrame(found["fractions"], index=found["names"], columns=found["groups"]),
        pd.DataFrame(found["values"].T, index=found["genes"], columns=found["names"]),
    )
