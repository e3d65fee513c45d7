"""Training: models of cell types, ensembles of them, and weights of mixtures."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadFileError, BadInputError
from ._inputs import Training, all_or, read_cells, texts
from ._rds import is_rds, read_rds, write_rds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    import pandas as pd

    from ._inputs import Meta, Mode, Normalize, Orientation, Rng

    Model: TypeAlias = tuple[str, list[str], list[str], np.ndarray[Any, Any]]


class Models(dict[str, "pd.DataFrame"]):
    """Weights of features (rows, ``GENE__pos`` and ``GENE__neg``) in ecotypes (columns), for each cell type.

    Attributes
    ----------
    skipped
        Why cell types have no model.
    bases
        What each model was made of: ``genes``, ``cells``, ``class_sizes``, ``dropped_genes``.
    logged
        Whether values were taken for counts, and logarithms taken.
    """

    skipped: dict[str, str]
    bases: dict[str, dict[str, Any]]
    logged: bool

    def __init__(self, models: Mapping[str, pd.DataFrame] | None = None) -> None:
        super().__init__(models or {})
        self.skipped, self.bases, self.logged = {}, {}, False

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write a table for each cell type, and ``models.json``, which names them, into a folder.

        A path that ends in ``.rds`` becomes a file of R: a named list of matrices.
        """
        if is_rds(folder):
            write_rds(folder, self)
            return
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        files = {name: f"W_{i}.tsv" for i, name in enumerate(self)}
        for name, table in self.items():
            table.to_csv(place / files[name], sep="\t", index_label="feature", float_format="%.17g")
        head = {"format": "ferrocyte.ecotype.models", "models": files, "skipped": self.skipped}
        (place / "models.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Models:
        """Read what :meth:`write` wrote, or a folder of tables ``TYPE.tsv`` (with ``.gz``), one for each cell type.

        A path that ends in ``.rds`` is a named list of matrices of R; types that are ``NULL`` there are in ``skipped``.
        """
        import pandas as pd

        if is_rds(folder):
            tables, without = read_rds(folder)
            found_in = cls(tables)
            found_in.skipped = dict.fromkeys(without, "the file has no model of it")
            if not found_in:
                message = "no models given: the list is empty"
                raise BadFileError(message, place=str(folder))
            return found_in
        place = Path(folder)
        head = place / "models.json"
        if head.exists():
            known = json.loads(head.read_text(encoding="utf-8"))
            files = {str(name): place / str(file) for name, file in known["models"].items()}
        else:
            found = sorted([*place.glob("*.tsv"), *place.glob("*.tsv.gz")])
            files = {path.name.removesuffix(".gz").removesuffix(".tsv"): path for path in found}
        if not files:
            message = "no models given: there is no table of weights"
            raise BadFileError(message, place=str(place), hint="each is TYPE.tsv: features, then one column an ecotype")
        models = cls({name: pd.read_csv(path, sep="\t", index_col=0) for name, path in files.items()})
        models.skipped = dict(known.get("skipped", {})) if head.exists() else {}
        return models


@dataclass
class Ensemble:
    """What models of many draws agree on.

    Attributes
    ----------
    models
        Mean weights of the features that are kept.
    frequency
        For each type the share of models in which the gene of a feature marks a class: features x classes.
    sd
        Standard deviations of the weights over the models: features x classes.
    n_models
        How many models there were of each type.
    runs
        The models of each run, if they were kept.
    """

    models: Models
    frequency: dict[str, pd.DataFrame]
    sd: dict[str, pd.DataFrame]
    n_models: dict[str, int]
    runs: list[Models] = field(default_factory=list)


def model_in(cell_type: str, table: pd.DataFrame) -> Model:
    """A table of weights as the compiled module reads it."""
    names = [str(name) for name in table.index]
    return cell_type, [str(name) for name in table.columns], names, np.ascontiguousarray(table, dtype=np.float64)


def models_in(models: Mapping[str, pd.DataFrame]) -> list[Model]:
    """All tables of a list of models."""
    if not hasattr(models, "items"):
        message = f"expected a mapping of cell types to tables of weights, found {type(models).__name__}"
        raise BadInputError(message, place="models")
    return [model_in(str(name), table) for name, table in models.items()]


def frame_out(model: Model) -> pd.DataFrame:
    """A model as a table of features x classes."""
    import pandas as pd

    return pd.DataFrame(model[3], index=pd.Index(model[2], name="feature"), columns=model[1])


def scale(data: Any, groups: Any = None, *, orientation: Orientation = "genes_x_cells") -> pd.DataFrame:
    """Standardise genes over cells, cut at 10 above; or with the same weight for every group of cells, without a cut.

    Parameters
    ----------
    data
        Cells: an AnnData, a data frame or a path.
    groups
        The group of each cell; ``None`` standardises over all cells alike.
    orientation
        Of a data frame; the result has it too.

    Returns
    -------
    pandas.DataFrame
        Standardised values; constant genes are 0.
    """
    import pandas as pd

    study = read_cells(data, orientation=orientation, auto_log=False)
    of = None if groups is None else texts(study, groups, "groups")
    values = _core.ecotype_scale(study.cells, of, means(progress=False))
    out = pd.DataFrame(values, index=study.cells.names, columns=study.cells.genes)
    return out if orientation == "cells_x_genes" else out.T


def columns_of(
    study: Any, cell_type: Any, label: Any, sample: Any, non_se_label: str
) -> tuple[list[str], list[str], list[str] | None]:
    """Types, labels and samples of the cells."""
    return (
        texts(study, cell_type, "cell_type"),
        texts(study, label, "label", non_se_label),
        None if sample is None else texts(study, sample, "sample"),
    )


def train(
    data: Any,
    meta: Meta = None,
    *,
    cell_type: Any = "CellType",
    label: Any = "SE",
    sample: Any = None,
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
    seed: int = 2024,
    rng: Rng | None = None,
    small_classes: str | None = None,
    non_se_label: str = "nonSE",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Models:
    """Train one model for each cell type from cells with labels.

    With labels for coefficients, Kullback-Leibler factorisation has a closed form: the weight of a feature in an
    ecotype is its mean over the cells of that ecotype.

    Parameters
    ----------
    data
        An AnnData (cells × genes), a data frame, or a path: .h5ad, 10x, or text (.tsv, .csv, .mtx, with .gz). Of a list
        of these the genes are taken that all have, and each is normalised by itself.
    meta
        One row for each cell, found by name: the index, or a column ``CID``, or the first column of a file; a data
        frame, a path or a list of these. Of an AnnData it is obs.
    cell_type, label, sample
        Columns, or values in the order of the cells. A missing label is `non_se_label`; without `sample` all cells
        are one.
    layer
        The matrix of an AnnData; ``None`` is X.
    orientation
        Of a data frame, and of text.
    normalize
        ``"log1p_cp10k"`` for counts; ``"none"`` takes values as they are.
    auto_log
        Whether values that look like counts (none negative, one above 80) become ``log2(x + 1)``.
    nan
        ``"error"``, or ``"zero"``: what values that are not finite are.
    duplicates
        What is done with genes of one name: ``"error"``, or ``"unique"``: later ones become ``A-1``, ``A-2``, ..
    mode
        ``"exact"``, or ``"compat"``: as SpatialEcoTyper, its random numbers included.
    scale
        Whether genes are standardised, within each sample where there are samples.
    balance_sample
        Whether samples give the same number of cells.
    nfeature
        How many genes, those that vary most.
    nfeature_per_se
        How many features mark an ecotype; infinity or ``None`` keeps all.
    min_cells
        Labels of a type, and samples of it, need more cells than this.
    downsample
        The most cells of a type.
    seed
        The seed of the choice of cells.
    rng
        ``"native"`` or ``"r"``; ``None`` is R's in compat mode.
    small_classes
        What becomes of cells whose class has two cells or fewer after sampling: ``"cells"`` takes them out, ``"leak"``
        lets them count for the classes they are like; ``None`` is ``"leak"`` in compat mode.
    non_se_label
        The label of cells without one.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Models
        Tables of features × ecotypes, with ``skipped`` and ``bases``.
    """
    how = Training(
        mode, scale, balance_sample, nfeature, all_or(nfeature_per_se), min_cells, downsample, seed, rng, small_classes
    )
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
    columns = columns_of(study, cell_type, label, sample, non_se_label)
    found = _core.ecotype_train(study.cells, columns, how, means(n_threads, max_memory, progress=progress))
    models = Models({model[0]: frame_out(model) for model in found["models"]})
    models.skipped, models.logged = found["skipped"], found["logged"]
    words = ("genes", "cells", "class_sizes", "dropped_genes")
    models.bases = {
        name: dict(zip(words, basis, strict=True)) for name, basis in zip(models, found["bases"], strict=True)
    }
    return models


def train_ensemble(
    data: Any,
    meta: Meta = None,
    *,
    n_runs: int = 50,
    seeds: Sequence[int] | None = None,
    delta_threshold: float = 0.01,
    min_model_fraction: float = 0.5,
    keep_runs: bool = False,
    cell_type: Any = "CellType",
    label: Any = "SE",
    sample: Any = None,
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
    seed: int = 2024,
    rng: Rng | None = None,
    small_classes: str | None = None,
    non_se_label: str = "nonSE",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Ensemble:
    """Train models of many draws of the same cells, and keep what they agree on.

    All that does not depend on the draw is done once.

    Parameters
    ----------
    data, meta
        As in :func:`train`.
    n_runs
        How many runs, with seeds from `seed` on.
    seeds
        The seed of each run, instead.
    delta_threshold
        A gene marks an ecotype if its weight is this much above the second largest.
    min_model_fraction
        A mark counts if it is found in more than this share of the runs.
    keep_runs
        Whether the models of all runs are kept.
    cell_type, label, sample, layer, orientation, normalize, auto_log, nan, duplicates, mode, scale, balance_sample, \
nfeature, nfeature_per_se, min_cells, downsample, seed, rng, small_classes, non_se_label
        As in :func:`train`.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Ensemble
        Mean weights, how often genes mark ecotypes, and the spread of weights over runs. In exact mode means are over
        all runs, in compat mode over those that selected the feature.
    """
    how = Training(
        mode, scale, balance_sample, nfeature, all_or(nfeature_per_se), min_cells, downsample, seed, rng, small_classes
    )
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
    columns = columns_of(study, cell_type, label, sample, non_se_label)
    chosen = list(range(seed, seed + n_runs)) if seeds is None else [int(one) for one in seeds]
    agreed = (chosen, float(delta_threshold), float(min_model_fraction), keep_runs)
    found = _core.ecotype_ensemble(study.cells, columns, how, agreed, means(n_threads, max_memory, progress=progress))
    return ensemble_out(found)


def ensemble_out(found: dict[str, Any]) -> Ensemble:
    """An ensemble as the compiled module gives it."""
    out = _ensemble(found["aggregates"])
    out.models.skipped, out.models.logged = found["skipped"], found["logged"]
    out.runs = [Models({model[0]: frame_out(model) for model in run}) for run in found["runs"]]
    return out


def _ensemble(aggregates: Iterable[Any]) -> Ensemble:
    import pandas as pd

    out = Ensemble(Models(), {}, {}, {})
    for model, n_models, frequency, sd in aggregates:
        table = frame_out(model)
        out.models[model[0]] = table
        out.n_models[model[0]] = n_models
        out.frequency[model[0]] = pd.DataFrame(frequency, index=table.index, columns=table.columns)
        out.sd[model[0]] = pd.DataFrame(sd, index=table.index, columns=table.columns)
    return out


def aggregate(
    model_list: Iterable[Mapping[str, pd.DataFrame]], delta_threshold: float = 0.01, min_model_fraction: float = 0.5
) -> Ensemble:
    """Find what lists of models agree on.

    Parameters
    ----------
    model_list
        Models of several runs, each a mapping of cell types to tables of weights.
    delta_threshold
        A gene marks an ecotype if its weight is this much above the second largest.
    min_model_fraction
        A mark counts if it is found in more than this share of the models.

    Returns
    -------
    Ensemble
        Means are over the models that have a feature and an ecotype.
    """
    lists = [models_in(models) for models in model_list]
    return _ensemble(_core.ecotype_aggregate(lists, float(delta_threshold), float(min_model_fraction)))


def train_w(
    fractions: pd.DataFrame,
    data: Any,
    *,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    auto_log: bool = True,
    nan: str = "error",
    duplicates: str = "error",
    mode: Mode = "exact",
    scale: bool = True,
    nfeature: int = 300,
    nfeature_per_se: float | None = 50,
    W0: pd.DataFrame | None = None,
    seed: int = 2024,
    rng: Rng | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Find the weights of genes in ecotypes from samples of known composition.

    Parameters
    ----------
    fractions
        Samples × ecotypes, not negative.
    data
        Expression of the same samples, found by name: a data frame, an AnnData (samples × genes) or a path.
    orientation, normalize, auto_log, nan, duplicates, scale, nfeature, nfeature_per_se
        As in :func:`train`.
    mode
        ``"exact"``: the optimum. ``"compat"``: 420 updates from `W0`, or from a random start of `seed`.
    W0
        Where updates begin: features × ecotypes.
    seed, rng
        Of the random start.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        Features × ecotypes.
    """
    study = read_cells(
        data, orientation=orientation, normalize=normalize, auto_log=auto_log, nan=nan, duplicates=duplicates
    )
    known = [str(name) for name in fractions.index]
    missing = [name for name in study.cells.names if name not in set(known)]
    if missing or len(set(known)) != len(known):
        message = f"{len(missing)} samples have no fractions, the first is `{missing[0] if missing else known[0]}`"
        raise BadInputError(message, place="fractions", hint="its index holds the names of the samples, each once")
    table = fractions.set_axis(known, axis=0).loc[study.cells.names]
    return frame_out(
        _core.ecotype_train_w(
            study.cells,
            np.ascontiguousarray(table, dtype=np.float64),
            [str(name) for name in table.columns],
            None if W0 is None else model_in("W0", W0),
            (rng or ("r" if mode == "compat" else "native"), seed),
            (mode, scale, nfeature, all_or(nfeature_per_se)),
            means(n_threads, progress=progress),
        )
    )
