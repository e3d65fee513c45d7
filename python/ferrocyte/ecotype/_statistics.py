"""Statistics of labels and coordinates.

A state is an ecotype of a cell type, ``SE1_B``: its ecotype stands before the first ``_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ._inputs import column_of, coordinates, frame_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from ._inputs import Rng


@dataclass
class Colocalization:
    """Shares of states (columns) among the neighbours of states (rows).

    Attributes
    ----------
    observed
        Mean shares.
    z
        By how many standard deviations they are above those of shuffled states.
    """

    observed: pd.DataFrame
    z: pd.DataFrame


@dataclass
class MetaAnalysis:
    """Co-localisation over samples.

    Attributes
    ----------
    index
        Combined z of pairs of states.
    test
        Combined ``Z`` and ``P`` of each ecotype.
    """

    index: pd.DataFrame
    test: pd.DataFrame


def _states_out(states: tuple[list[str], list[str], Any]) -> pd.DataFrame:
    import pandas as pd

    out = pd.DataFrame(states[2], index=pd.Index(states[0], name="state"), columns=states[0])
    out.attrs["ecotypes"] = list(states[1])
    return out


def _states_in(table: pd.DataFrame) -> tuple[list[str], list[str], np.ndarray[Any, Any]]:
    names = [str(name) for name in table.index]
    ecotypes = table.attrs.get("ecotypes") or [name.partition("_")[0] for name in names]
    return names, list(ecotypes), np.ascontiguousarray(table, dtype=np.float64)


def coassociation(
    table: Any, *, ecotype: str = "SE", cell_type: str = "CellType", sample: str = "Sample", non_se: str = "NonSE"
) -> pd.DataFrame:
    """Correlate the shares of states over samples.

    Parameters
    ----------
    table
        Columns of cells: a data frame or an AnnData.
    ecotype, cell_type, sample
        Its columns.
    non_se
        The label of cells without an ecotype.

    Returns
    -------
    pandas.DataFrame
        States × states, averaged over four ways of counting: with cells of no ecotype and without, and with states
        that a sample lacks as missing or as 0.
    """
    labels, types, samples = (column_of(table, name) for name in (ecotype, cell_type, sample))
    return _states_out(_core.ecotype_coassociation(labels, types, samples, non_se))


def block_test(
    index: pd.DataFrame,
    *,
    n_permutations: int = 1000,
    seed: int = 2024,
    rng: Rng = "native",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Test whether the states of each ecotype belong together.

    Parameters
    ----------
    index
        States × states, of :func:`coassociation` or the z of :func:`colocalization`.
    n_permutations
        How often columns are permuted.
    seed, rng
        Of the permutations.
    progress
        Whether a bar is drawn.

    Returns
    -------
    pandas.DataFrame
        For each ecotype the mean of its block (``mean``), ``Z`` against permuted columns, and ``P``.
    """
    import pandas as pd

    states = _states_in(index)
    found = _core.ecotype_block_test(states, n_permutations, (rng, seed), means(progress=progress))
    names, (mean, z, p) = found
    return pd.DataFrame({"P": p, "Z": z, "mean": mean}, index=pd.Index(names, name="SE"))


def colocalization(
    table: Any,
    *,
    cell_type: str = "CellType",
    state: str = "CellState",
    radius: float = 50.0,
    k: int = 200,
    min_cell: int = 10,
    n_permutations: int = 1000,
    seed: int = 2024,
    rng: Rng = "native",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Colocalization:
    """Find which states are near which.

    Parameters
    ----------
    table
        Columns of cells with coordinates ``X`` and ``Y``, or an AnnData with ``obsm["spatial"]``.
    cell_type, state
        Its columns; states are called ``SE1_B``.
    radius
        How far a neighbour may be, in units of the coordinates.
    k
        Neighbours that are looked at, the cell itself among them.
    min_cell
        Cells with fewer neighbours are left out.
    n_permutations
        How often states are shuffled within types.
    seed, rng
        Of the permutations.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    Colocalization
        Shares and z of pairs of states.
    """
    found = _core.ecotype_colocalization(
        coordinates(table),
        column_of(table, cell_type),
        column_of(table, state),
        (float(radius), k, min_cell, n_permutations),
        (rng, seed),
        means(n_threads, progress=progress),
    )
    return Colocalization(_states_out(found[0]), _states_out(found[1]))


def colocalization_meta(
    z: Sequence[pd.DataFrame], tests: Sequence[pd.DataFrame], *, cap: float = 5.0, min_samples: int = 3
) -> MetaAnalysis:
    """Combine the co-localisation of samples.

    Parameters
    ----------
    z
        The z of each sample: states × states.
    tests
        The test of each sample, with a column ``Z``.
    cap
        z-values of pairs are cut here; those of tests are not.
    min_samples
        States in fewer samples are left out.

    Returns
    -------
    MetaAnalysis
        Combined z of states, and of ecotypes.
    """
    import pandas as pd

    given = [([str(name) for name in test.index], [float(v) for v in test["Z"]]) for test in tests]
    index, names, (combined, p) = _core.ecotype_meta([_states_in(one) for one in z], given, float(cap), min_samples)
    return MetaAnalysis(_states_out(index), pd.DataFrame({"P": p, "Z": combined}, index=pd.Index(names, name="SE")))


def moran(
    table: Any,
    *,
    cell_type: str = "CellType",
    ecotype: str = "SE",
    k: int = 3,
    n_permutations: int = 1000,
    seed: int = 2024,
    rng: Rng = "native",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Moran's I of each ecotype: whether neighbours share it more often than by chance.

    Parameters
    ----------
    table
        Columns of cells with coordinates ``X`` and ``Y``, or an AnnData with ``obsm["spatial"]``.
    cell_type, ecotype
        Its columns.
    k
        Neighbours of each cell.
    n_permutations
        How often ecotypes are shuffled within types.
    seed, rng
        Of the permutations.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        ``I`` and ``Z`` of each ecotype.
    """
    import pandas as pd

    names, (i, z) = _core.ecotype_moran(
        coordinates(table),
        column_of(table, cell_type),
        column_of(table, ecotype),
        (k, n_permutations),
        (rng, seed),
        means(n_threads, progress=progress),
    )
    return pd.DataFrame({"I": i, "Z": z}, index=pd.Index(names, name="SE"))


def _spots_out(found: Any) -> pd.DataFrame:
    import pandas as pd

    names, x, y, ecotypes, shares = found
    places = pd.DataFrame({"X": x, "Y": y}, index=pd.Index(names, name="SN"))
    return pd.concat([places, pd.DataFrame(shares, index=places.index, columns=ecotypes)], axis=1)


def abundance(
    table: Any,
    *,
    ecotype: str = "SE",
    radius: float = 50.0,
    grid_size: float | None = None,
    k: int = 200,
    min_cells: int = 5,
) -> pd.DataFrame:
    """Shares of ecotypes among the cells around each square of a grid.

    Parameters
    ----------
    table
        Columns of cells with coordinates ``X`` and ``Y``, or an AnnData with ``obsm["spatial"]``.
    ecotype
        Its column.
    radius
        Cells that are not nearer than this do not count.
    grid_size
        The width of the grid; ``None`` is 1.4 times the radius, rounded.
    k
        The most cells of a square.
    min_cells
        Squares with fewer cells are left out.

    Returns
    -------
    pandas.DataFrame
        Squares, with ``X``, ``Y`` and the share of each ecotype.
    """
    width = float(round(1.4 * radius)) if grid_size is None else float(grid_size)
    options = (float(radius), width, k, min_cells)
    return _spots_out(_core.ecotype_abundance(coordinates(table), column_of(table, ecotype), options))


def smooth_abundance(spots: pd.DataFrame, *, k: int = 7, include_self: bool = True) -> pd.DataFrame:
    """Average shares over the nearest squares.

    Parameters
    ----------
    spots
        What :func:`abundance` gives.
    k
        How many squares, each one itself among them.
    include_self
        Whether a square counts for itself; if not, ``k - 1`` are left.

    Returns
    -------
    pandas.DataFrame
        The same squares with smoothed shares.
    """
    ecotypes = [str(name) for name in spots.columns if name not in ("X", "Y")]
    places = ([float(v) for v in spots["X"]], [float(v) for v in spots["Y"]])
    shares = np.ascontiguousarray(spots[ecotypes], dtype=np.float64)
    names = [str(name) for name in spots.index]
    return _spots_out(_core.ecotype_smooth(names, places, ecotypes, shares, k, include_self))


def infer_ncells(sums: Any, average: float = 5.0) -> np.ndarray[Any, Any]:
    """How many cells spots hold: the least sum is one cell, the mean sum `average` cells.

    Parameters
    ----------
    sums
        The sum of the normalised values of each spot.
    average
        How many cells a spot holds on average.

    Returns
    -------
    numpy.ndarray
        Whole numbers, at least 1.
    """
    return np.asarray(_core.ecotype_infer_ncells([float(v) for v in sums], float(average)))


def partition_tissue(table: Any, *, nrow: int = 2, ncol: int = 2) -> pd.Series[Any]:
    """Cut a tissue into parts of equal size.

    Parameters
    ----------
    table
        Columns of cells with coordinates ``X`` and ``Y``, or an AnnData with ``obsm["spatial"]``.
    nrow, ncol
        Parts along x and along y.

    Returns
    -------
    pandas.Series
        The part of each cell, ``a_b``.
    """
    import pandas as pd

    parts = _core.ecotype_partition(coordinates(table), nrow, ncol)
    return pd.Series(parts, index=frame_of(table).index, name="Partition")
