"""More than one worker: where a study is cut, and its shards on a dask cluster."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from .. import _core
from .._sources import open_source
from ..errors import BadInputError, FerrocyteError, UnsupportedError
from ._sums import Sums, sums

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["plan", "sums_dask"]


def plan(data: ad.AnnData | str | os.PathLike[str] | int, n_shards: int) -> list[tuple[int, int]]:
    """Where a study is cut for several workers.

    Sums are rounded at every multiple of 65,536 cells and added exactly from there on, so that shards cut there and
    merged give the bits of the whole study in one call, however many they are and whoever made them.

    Parameters
    ----------
    data
        AnnData, the path of an .h5ad file, or a number of cells.
    n_shards
        How many ranges; at most one per 65,536 cells.

    Returns
    -------
    list of (int, int)
        First cell, and the cell after the last, of each shard: what `rows` of :func:`sums` takes.

    Raises
    ------
    BadInputError
        There are fewer blocks of 65,536 cells than shards.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.lmm.plan(200_000, 2)
    [(0, 131072), (131072, 200000)]
    """
    if isinstance(n_shards, bool) or int(n_shards) != n_shards or n_shards < 1:
        message = f"expected a whole number of at least 1, found {n_shards!r}"
        raise BadInputError(message, place="n_shards")
    return _core.lmm_plan(_n_cells(data), int(n_shards))


def _n_cells(data: Any) -> int:
    if isinstance(data, int) and not isinstance(data, bool):
        if data < 0:
            message = f"expected a number of cells, found {data}"
            raise BadInputError(message, place="data")
        return data
    if isinstance(data, (str, os.PathLike)):
        return open_source(data, None).n_cells
    if hasattr(data, "n_obs"):
        return int(data.n_obs)
    message = f"expected an AnnData, a path or a number of cells, found {type(data).__name__}"
    raise BadInputError(message, place="data")


def sums_dask(
    path: str | os.PathLike[str], formula: str, *, client: Any, n_shards: int | None = None, **options: Any
) -> Sums:
    """Collect the sums of a study on the workers of a dask cluster.

    Workers get the path and a range of cells, never data, and give back sums; these are added in the order of their
    rows while others are still being made. The bits are those of :func:`sums` in one call.

    Parameters
    ----------
    path
        An .h5ad file that every worker can read under this path.
    formula
        The model.
    client
        A ``dask.distributed.Client``.
    n_shards
        How many ranges, cut by :func:`plan`; by default as many as the cluster has threads, if there are so many
        blocks of 65,536 cells.
    **options
        What :func:`sums` takes besides, but for `rows` and `progress`. `n_threads` and `max_memory` are those of one
        shard; by default a shard has one thread, and a worker works on as many shards as it has threads.

    Returns
    -------
    Sums

    Raises
    ------
    BadInputError
        The data are not a path, or an option does not exist.
    FerrocyteError
        What went wrong on a worker, as the same exception; the other shards are cancelled.

    Examples
    --------
    >>> from dask.distributed import Client, LocalCluster  # doctest: +SKIP
    >>> with LocalCluster(n_workers=4) as cluster, Client(cluster) as client:  # doctest: +SKIP
    ...     sums = fe.lmm.sums_dask("study.h5ad", "~ condition + (1 | sample)", client=client)
    """
    if not all(hasattr(client, name) for name in ("submit", "cancel", "nthreads")):
        message = f"expected a dask.distributed.Client, found {type(client).__name__}"
        raise BadInputError(message, place="client", hint="pip install 'ferrocyte[dask]'")
    if getattr(client, "asynchronous", False):
        message = "an asynchronous client cannot be waited for"
        raise UnsupportedError(message, place="client", hint="make the client without asynchronous=True")
    known = [name for name in inspect.signature(sums).parameters if name not in ("data", "formula", "rows", "progress")]
    for name in options:
        if name not in known:
            message = f"there is no option `{name}`"
            raise BadInputError(message, place="options", hint=f"they are {', '.join(known)}")
    shared = _path(path)
    if n_shards is None:
        n_shards = max(1, min(sum(client.nthreads().values()), _core.lmm_blocks(_n_cells(shared))))
    options.setdefault("n_threads", 1)
    ranges = plan(shared, n_shards)
    # Not pure: the file behind the path may have changed since.
    waiting = [client.submit(_shard, shared, formula, rows, options, pure=False) for rows in ranges]
    try:
        total = _result(waiting[0])
        del waiting[0]
        while waiting:
            total = total.merge(_result(waiting[0]))
            # Without its future a worker need not keep what was fetched.
            del waiting[0]
        return total
    finally:
        client.cancel(waiting)


def _path(path: Any) -> str:
    """The path as workers, whose folder is another, can open it."""
    if not isinstance(path, (str, os.PathLike)):
        message = f"expected the path of an .h5ad file, found {type(path).__name__}"
        raise BadInputError(message, place="data", hint="write the AnnData to a file that all workers can read")
    return os.path.abspath(os.fspath(path))


def _shard(path: str, formula: str, rows: tuple[int, int], options: dict[str, Any]) -> Sums:
    """The work of one worker."""
    return sums(path, formula, rows=rows, progress=False, **options)


def _result(future: Any) -> Sums:
    try:
        result: Sums = future.result()
    except FerrocyteError:
        raise
    except Exception as error:
        # A worker died, or the cluster is gone.
        message = f"a shard was not made: {type(error).__name__}: {error}"
        raise FerrocyteError(message, place="client", hint="the logs of the workers may say more") from error
    return result
