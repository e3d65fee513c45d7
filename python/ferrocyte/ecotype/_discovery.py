"""Steps of discovery: neighbourhoods, metacells, networks and their fusion, integration of samples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._run import means
from ._inputs import coordinates, read_cells, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from ._inputs import Normalize, Orientation


def preprocess(
    data: Any,
    *,
    min_cells: int = 5,
    min_features: int = 10,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
) -> tuple[list[str], list[str]]:
    """Find genes in at least `min_cells` cells, then cells with at least `min_features` of these genes.

    Parameters
    ----------
    data, layer, orientation
        Cells, as in :func:`train`.
    min_cells, min_features
        What is worth looking at.

    Returns
    -------
    tuple
        The names of the genes and of the cells that are kept.
    """
    study = read_cells(data, layer=layer, orientation=orientation, auto_log=False)
    genes, cells = _core.ecotype_preprocess(study.cells, min_cells, min_features, means(progress=False))
    return [study.cells.genes[i] for i in genes], [study.cells.names[i] for i in cells]


def spatial_metacells(
    data: Any,
    meta: pd.DataFrame | None = None,
    *,
    cell_type: Any = "CellType",
    k: int = 20,
    radius: float = 50.0,
    grid_size: float | None = None,
    min_cells: int = 1,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Average the nearest cells of each type around each square of a grid.

    Parameters
    ----------
    data, meta, layer, orientation, normalize
        Cells and their columns, as in :func:`train`; coordinates are columns ``X`` and ``Y``, or ``obsm["spatial"]``.
    cell_type
        Column, or values in the order of the cells.
    k
        The most cells of a metacell; types need more cells than this.
    radius
        How far a cell may be from the centre of a square.
    grid_size
        The width of the grid; ``None`` is 1.4 times the radius, rounded.
    min_cells
        Metacells of fewer cells are left out.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        Genes × metacells, which are called ``X1_Y2..type``.
    """
    import pandas as pd

    study = read_cells(data, meta, layer=layer, orientation=orientation, normalize=normalize, auto_log=False)
    types = texts(study, cell_type, "cell_type")
    places = coordinates(data if meta is None and hasattr(data, "obsm") else study.columns)
    width = float(round(1.4 * radius)) if grid_size is None else float(grid_size)
    options = (k, float(radius), width, min_cells)
    found = _core.ecotype_metacells(study.cells, places, types, options, means(n_threads, progress=progress))
    out = pd.DataFrame(found["values"].T, index=study.cells.genes, columns=found["names"])
    out.attrs["neighbourhood"], out.attrs["cell_type"] = list(found["neighbourhood"]), list(found["cell_type"])
    return out


def similarity_networks(
    embeddings: Mapping[str, pd.DataFrame],
    *,
    npcs: int = 20,
    k: int = 50,
    min_types: int = 2,
    sparse: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> dict[str, pd.DataFrame]:
    """Link neighbourhoods to the nearest, for each cell type.

    Parameters
    ----------
    embeddings
        For each type its neighbourhoods × components.
    npcs
        How many components are used.
    k
        Neighbours, each neighbourhood itself among them.
    min_types
        Neighbourhoods with fewer types are left out.
    sparse
        Whether the tables are of pandas' sparse columns.
    n_threads, max_memory
        With what means; none changes a number.

    Returns
    -------
    dict
        For each type neighbourhoods × neighbourhoods, ``1 / (2 + distance)`` in row i of column j where i is among
        the nearest of j.
    """
    import pandas as pd

    given = [
        (str(name), [str(row) for row in table.index], np.ascontiguousarray(table, dtype=np.float64))
        for name, table in embeddings.items()
    ]
    names, views = _core.ecotype_networks(given, npcs, k, min_types, means(n_threads, max_memory, progress=False))
    found: dict[str, Any] = {}
    for (name, _, _), (indptr, indices, data) in zip(given, views, strict=True):
        view = sp.csr_matrix((data, indices, indptr), shape=(len(names), len(names)))
        if sparse:
            found[name] = pd.DataFrame.sparse.from_spmatrix(view, index=names, columns=names)
        else:
            found[name] = pd.DataFrame(view.toarray(), index=names, columns=names)
    return found


def fuse(
    networks: Mapping[str, pd.DataFrame] | Sequence[pd.DataFrame],
    *,
    K: int = 10,
    t: int = 10,
    precision: Literal["double", "single"] = "double",
    scratch: str | os.PathLike[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Fuse networks of the same items into one (similarity network fusion).

    Parameters
    ----------
    networks
        At least two square tables with the same names, or sparse matrices.
    K
        How many entries of a row are its neighbours.
    t
        How often networks are passed on.
    precision
        In which networks are kept on the way. ``"single"`` takes half of the room; entries that would differ may tie.
    scratch
        A folder for what memory does not hold; ``None`` is that for temporary files. Nothing is left in it.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        The fused network.
    """
    import pandas as pd

    views = list(networks.values()) if hasattr(networks, "values") else list(networks)
    names = list(views[0].index) if views and hasattr(views[0], "index") else None
    rows = []
    for view in views:
        if sp.issparse(view):
            found = sp.csr_matrix(view)
        else:
            table = view.loc[names, names]
            whole = all(isinstance(of, pd.SparseDtype) for of in table.dtypes)
            found = sp.csr_matrix(table.sparse.to_coo() if whole else np.ascontiguousarray(table, dtype=np.float64))
        found.sum_duplicates()
        rows.append((found.indptr.astype(np.int64), found.indices.astype(np.int64), found.data.astype(np.float64)))
    run = means(n_threads, max_memory, progress=progress)
    fused = _core.ecotype_fuse(rows, (K, t, precision), None if scratch is None else os.fspath(scratch), run)
    return pd.DataFrame(fused, index=names, columns=names)


def rank_columns(values: pd.DataFrame) -> pd.DataFrame:
    """Rank what is not 0 within each column, divided by the number of rows.

    Parameters
    ----------
    values
        A table.

    Returns
    -------
    pandas.DataFrame
        The ranks; ties share their mean.
    """
    import pandas as pd

    ranked = _core.ecotype_rank_columns(np.ascontiguousarray(values, dtype=np.float64))
    return pd.DataFrame(ranked, index=values.index, columns=values.columns)


def fold_changes(
    data: Any,
    meta: pd.DataFrame | None = None,
    *,
    cell_type: Any = "CellType",
    sample: Any = "Sample",
    cluster: Any = "InitSE",
    region: Any = None,
    scale: bool = True,
    layer: str | None = None,
    orientation: Orientation = "genes_x_cells",
    normalize: Normalize = "none",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Compare the cells of each type inside and outside of each cluster.

    Parameters
    ----------
    data, meta, layer, orientation, normalize
        Cells and their columns, as in :func:`train`.
    cell_type, sample, cluster
        Columns, or values in the order of the cells; a cluster belongs to one sample.
    region
        Column, or values: with it genes are standardised with the same weight for every region.
    scale
        Whether genes are standardised within the cells of a type and sample.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        Rows ``type..gene`` × clusters, with ``attrs["samples"]``, the sample of each cluster.
    """
    import pandas as pd

    study = read_cells(data, meta, layer=layer, orientation=orientation, normalize=normalize, auto_log=False)
    columns = (
        texts(study, cell_type, "cell_type"),
        texts(study, sample, "sample"),
        texts(study, cluster, "cluster"),
        None if region is None else texts(study, region, "region"),
    )
    run = means(n_threads, progress=progress)
    types, genes, clusters, samples, values = _core.ecotype_fold_changes(study.cells, columns, scale, run)
    index = [f"{of}..{gene}" for of, gene in zip(types, genes, strict=True)]
    out = pd.DataFrame(values, index=index, columns=clusters)
    out.attrs["samples"] = list(samples)
    return out


def integrate(
    changes: pd.DataFrame,
    *,
    nfeatures: int = 300,
    min_features: int = 10,
    regions: Sequence[str] | None = None,
    K: int = 10,
    t: int = 10,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Find how much alike the clusters of several samples are.

    Parameters
    ----------
    changes
        What :func:`fold_changes` gives: rows ``type..gene``; the sample of a cluster is in ``attrs["samples"]``, else
        before the ``..`` of its name.
    nfeatures
        How many genes of each type, those that vary most in all samples.
    min_features
        Clusters and types need more entries than this.
    regions
        The region of each cluster: those of the same are taken to be more alike, by a tenth of their correlation.
    K, t
        As in :func:`fuse`.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        Clusters × clusters, between 0 and 1.
    """
    import pandas as pd

    split = [str(name).partition("..") for name in changes.index]
    clusters = [str(name) for name in changes.columns]
    samples = changes.attrs.get("samples") or [name.partition("..")[0] for name in clusters]
    found = _core.ecotype_integrate(
        ([one[0] for one in split], [one[2] for one in split]),
        (clusters, list(samples), None if regions is None else [str(region) for region in regions]),
        np.ascontiguousarray(changes, dtype=np.float64),
        (nfeatures, min_features, K, t),
        means(n_threads, max_memory, progress=progress),
    )
    return pd.DataFrame(found, index=clusters, columns=clusters)
