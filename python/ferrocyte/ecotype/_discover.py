"""Discovery in one call: ecotypes of one tissue, and those that several samples have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._run import means
from .._tables import frame
from ..errors import BadInputError, MissingKeyError
from ._discovered import Discovered
from ._inputs import read_cells, strings, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ._inputs import Normalize, Orientation, Study


@dataclass
class Discovering:
    """How ecotypes are found, as the compiled module reads it."""

    radius: float
    grid_size: float | None
    resolution: float
    nfeatures: int
    min_types: int
    npcs: int
    min_cells: int
    min_features: int
    min_cells_per_region: int
    k: int
    k_sn: int
    types_needed: list[str]
    neighbours: int
    iterations: int
    precision: str
    starts: int
    seed: int
    ranks: list[int]
    runs_per_rank: int
    min_coph: float
    downsample_by_region: bool
    scratch: str | None


def discover(
    data: Any,
    meta: pd.DataFrame | None = None,
    *,
    cell_type: Any = "CellType",
    sample: Any = None,
    region: Any = None,
    clusters: Any = None,
    x: str = "X",
    y: str = "Y",
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    nan: str = "error",
    duplicates: str = "error",
    radius: float = 50.0,
    grid_size: float | None = None,
    resolution: float = 0.5,
    subresolution: float = 30.0,
    nfeatures: int = 300,
    min_types: int = 2,
    npcs: int = 20,
    min_cells: int = 5,
    min_features: int = 10,
    min_cells_per_region: int = 1,
    k: int = 20,
    k_sn: int = 50,
    filter_region_by_celltypes: Sequence[str] | None = None,
    K: int = 10,
    t: int = 10,
    precision: Literal["double", "single"] = "double",
    n_starts: int = 10,
    nmf_ranks: int | Sequence[int] = 10,
    n_runs: int = 30,
    min_coph: float = 0.95,
    downsample_by_region: bool = True,
    seed: int = 1,
    dropcell: bool = False,
    scratch: str | os.PathLike[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Discovered:
    """Discover ecotypes: communities of cells of several types, from raw or normalised cells in one call.

    Around each square of a grid the nearest cells of each type are averaged. Squares are linked to those that are alike
    in a type, the networks of all types are fused, and what comes out is divided into ecotypes; a cell belongs to the
    nearest square. With several samples each is divided finely, and the fine clusters of all are compared by how genes
    change in each cell type; factorisations vote which of them are one ecotype.

    Parameters
    ----------
    data, meta
        Cells and their columns, as in :func:`train`; coordinates are columns `x` and `y`, else ``obsm["spatial"]``.
    cell_type
        Column, or values in the order of the cells.
    sample
        Column, or values; ``None``: all cells are of one tissue. Two samples or more are compared.
    region
        With several samples: column, or values, of the parts of a tissue, such as tumour and margin.
    clusters
        With several samples: column, or values, of fine clusters that are known, such as ``InitSE`` of an earlier
        result; missing where a cell has none. They are not sought again.
    x, y
        Columns of coordinates.
    layer, orientation, normalize, nan, duplicates
        As in :func:`train`. Values above 50 are taken for counts and become ``ln(1 + x)``.
    radius, grid_size
        How far cells may be from the centre of their square, and its width; ``None`` is 1.4 times the radius, rounded.
    resolution, subresolution
        The larger, the more ecotypes of one tissue; that of the fine clusters of several.
    nfeatures
        How many genes of each type, those that vary most.
    min_types
        Squares have at least so many cell types.
    npcs
        How many components of each type.
    min_cells, min_features
        Genes are found in so many cells at least, and cells have so many genes.
    min_cells_per_region, k
        The fewest and the most cells that are averaged; types need more cells than `k`.
    k_sn
        Neighbours in the network of a type, each square itself among them.
    filter_region_by_celltypes
        Only squares with all of these types.
    K, t, precision
        How networks are fused, as in :func:`fuse`.
    n_starts
        Searches for clusters, of which the best is taken.
    nmf_ranks, n_runs, min_coph
        With several samples: numbers of ecotypes that are tried, factorisations of each, and the agreement that is
        good enough, as in :func:`nmf_clustering`.
    downsample_by_region
        Whether the regions of a sample give the same number of clusters.
    seed
        The same seed gives the same ecotypes.
    dropcell
        Whether cells without an ecotype are left out of the table.
    scratch
        A folder for what memory does not hold; ``None`` is that for temporary files.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Discovered
        Ecotypes of cells and squares, with the reason where a cell has none.
    """
    study = read_cells(
        data,
        meta,
        layer=layer,
        orientation=orientation,
        normalize=normalize,
        nan=nan,
        duplicates=duplicates,
        auto_log=False,
    )
    types = texts(study, cell_type, "cell_type")
    samples = None if sample is None else texts(study, sample, "sample")
    several = samples is not None and len(set(samples)) > 1
    if clusters is not None and not several:
        message = "known clusters are compared over at least two samples"
        raise BadInputError(message, place="clusters", hint="name the column of samples, or leave clusters out")
    places = ([0.0] * len(types),) * 2 if clusters is not None else _places(data, meta, study, x, y)
    needed = [] if filter_region_by_celltypes is None else [str(name) for name in filter_region_by_celltypes]
    how = Discovering(
        radius=float(radius),
        grid_size=None if grid_size is None else float(grid_size),
        resolution=float(subresolution if several else resolution),
        nfeatures=nfeatures,
        min_types=min_types,
        npcs=npcs,
        min_cells=min_cells,
        min_features=min_features,
        min_cells_per_region=min_cells_per_region,
        k=k,
        k_sn=k_sn,
        types_needed=needed,
        neighbours=K,
        iterations=t,
        precision=precision,
        starts=n_starts,
        seed=seed,
        ranks=[int(nmf_ranks)] if isinstance(nmf_ranks, (int, np.integer)) else [int(rank) for rank in nmf_ranks],
        runs_per_rank=n_runs,
        min_coph=float(min_coph),
        downsample_by_region=downsample_by_region,
        scratch=None if scratch is None else os.fspath(scratch),
    )
    run = means(n_threads, max_memory, progress=progress)
    params = {name: value for name, value in vars(how).items() if name != "scratch"} | {"normalize": normalize}
    if several:
        regions = None if region is None else texts(study, region, "region")
        known = None if clusters is None else _clusters(study, clusters)
        found = _core.ecotype_conserve(study.cells, places, (types, samples, regions), known, how, run)
        result = _of_samples(study.cells.names, types, samples or [], places, found, params)
    else:
        one = _core.ecotype_discover(study.cells, places, types, how, run)
        result = _of_tissue(study.cells.names, types, samples, places, one, params)
    options = {name: value for name, value in params.items() if name != "seed"} | {
        "dropcell": dropcell,
        "layer": layer or "X",
    }
    result.provenance = {
        "method": "ecotype.discover",
        "version": _core.__version__,
        "options": options,
        "seed": str(seed),
        "inputs": [{"name": study.cells.matrix.name, "fingerprint": study.fingerprint}],
    }
    if dropcell:
        result.cells = result.cells[result.cells["reason"] == "ok"].reset_index(drop=True)
    return result


def _places(data: Any, meta: pd.DataFrame | None, study: Study, x: str, y: str) -> tuple[list[float], list[float]]:
    """Columns of coordinates, else those of ``obsm["spatial"]``."""
    columns = study.columns
    if columns is not None and x in columns and y in columns:
        return columns[x].astype(float).tolist(), columns[y].astype(float).tolist()
    if meta is None and hasattr(data, "obsm") and "spatial" in data.obsm:
        places = np.asarray(data.obsm["spatial"], dtype=np.float64)
        return places[:, 0].tolist(), places[:, 1].tolist()
    message = f"there are no columns `{x}` and `{y}`"
    raise MissingKeyError(message, place="coordinates", hint='name columns of coordinates, or give obsm["spatial"]')


def _clusters(study: Study, key: Any) -> list[str | None]:
    """Known clusters; ``None`` where a cell has none."""
    return [name or None for name in texts(study, key, "clusters", "")]


def _cells(names: list[str], types: list[str], samples: list[str] | None, places: Any) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {"CID": names}
    if samples is not None:
        columns["Sample"] = samples
    return pd.DataFrame(columns | {"CellType": types, "X": places[0], "Y": places[1]})


def _of_tissue(
    names: list[str], types: list[str], samples: list[str] | None, places: Any, found: dict[str, Any], params: Any
) -> Discovered:
    import pandas as pd

    cells, squares = _cells(names, types, samples, places), frame(found["neighbourhoods"])
    nearest = np.asarray(found["nearest"])
    ok = np.array([reason == "ok" for reason in found["reason"]], dtype=bool)
    cells["SN"] = _taken(squares["SN"], nearest, nearest >= 0)
    cells["distance"] = found["distance"]
    cells["SE"] = _taken(squares["SE"], nearest, ok)
    cells["reason"] = found["reason"]
    scores = pd.DataFrame(found["scores"], index=pd.Index(squares["SN"], name="SN"))
    return Discovered(cells, squares, _numbered(scores), list(found["cell_types"]), params)


def _of_samples(
    names: list[str], types: list[str], samples: list[str], places: Any, found: dict[str, Any], params: Any
) -> Discovered:
    import pandas as pd

    clusters = pd.DataFrame(dict(zip(("cluster", "Sample", "SE"), found["clusters"], strict=True)))
    clusters["SE"] = [f"SE{k}" for k in clusters["SE"]]
    cells = _cells(names, types, samples, places)
    cells["InitSE"] = pd.Series(strings(found["initial"], "clusters", ""), dtype=object).replace("", None)
    cells["SE"] = pd.Series([f"SE{k}" if k else None for k in found["ecotype"]], dtype=object)
    reason = np.where(cells["InitSE"].isna(), "no_cluster", np.where(cells["SE"].isna(), "no_ecotype", "ok"))
    cells["reason"] = reason
    squares, scores, of_types = [], [], []
    for sample, tissue in found["tissues"]:
        rows = np.flatnonzero(cells["Sample"] == sample)
        table, nearest = frame(tissue["neighbourhoods"]), np.asarray(tissue["nearest"])
        cells.loc[rows, "SN"] = _taken(table["SN"], nearest, nearest >= 0)
        cells.loc[rows, "distance"] = tissue["distance"]
        why = np.asarray(tissue["reason"], dtype=object)
        cells.loc[rows, "reason"] = np.where(why == "ok", cells.loc[rows, "reason"], why)
        table.insert(0, "Sample", sample)
        table["InitSE"] = [f"{sample}..{name}" for name in table["InitSE"]]
        squares.append(table.merge(clusters[["cluster", "SE"]], "left", left_on="InitSE", right_on="cluster"))
        scores.append(pd.DataFrame(tissue["scores"], index=[f"{sample}..{name}" for name in table["SN"]]))
        of_types += [name for name in tissue["cell_types"] if name not in of_types]
    result = Discovered(
        cells,
        pd.concat(squares, ignore_index=True).drop(columns="cluster") if squares else pd.DataFrame(),
        _numbered(pd.concat(scores).rename_axis("SN")) if scores else pd.DataFrame(),
        of_types,
        params,
    )
    result.clusters = clusters
    result.alike = pd.DataFrame(found["alike"], index=clusters["cluster"], columns=list(clusters["cluster"]))
    ranks, values = zip(*found["cophenetic"], strict=True)
    result.cophenetic = pd.Series(values, index=pd.Index(ranks, name="rank"), name="cophenetic")
    result.best_rank = int(found["best_rank"])
    return result


def _taken(names: Any, at: Any, where: Any) -> list[Any]:
    """The names at places, ``None`` where there is none."""
    values = list(names)
    return [values[i] if known else None for i, known in zip(at, where, strict=True)]


def _numbered(scores: pd.DataFrame) -> pd.DataFrame:
    scores.columns = [f"PC{i + 1}" for i in range(scores.shape[1])]
    return scores
