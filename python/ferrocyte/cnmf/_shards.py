"""Replicates on the workers of a dask cluster."""

from __future__ import annotations

import os
from typing import Any

from ..errors import BadInputError, FerrocyteError, UnsupportedError
from ._folder import cNMF


def factorize_dask(run: cNMF, *, client: Any, n_shares: int | None = None, **options: Any) -> None:
    """Make the replicates of a prepared run on the workers of a dask cluster.

    Workers get the path of the folder and a share of the replicates, never data, and write their spectra there:
    :meth:`cNMF.combine` then refuses gaps and strangers by name. The bits are those of one process.

    Parameters
    ----------
    run
        A run that was prepared, in a folder that every worker can write under this path.
    client
        A ``dask.distributed.Client``.
    n_shares
        How many shares; by default as many as the cluster has threads.
    **options
        What :meth:`cNMF.factorize` takes besides: ``skip_completed_runs``, ``precision``, ``solver``, ``n_threads`` (of
        a share; 1 by default), ``max_memory``.

    Raises
    ------
    FerrocyteError
        What went wrong on a worker, as the same exception; the other shares are cancelled.

    Examples
    --------
    >>> from dask.distributed import Client, LocalCluster  # doctest: +SKIP
    >>> with LocalCluster(n_workers=2) as cluster, Client(cluster) as client:  # doctest: +SKIP
    ...     fe.cnmf.factorize_dask(fe.cnmf.cNMF("results", "run"), client=client)
    """
    if not all(hasattr(client, name) for name in ("submit", "cancel", "nthreads")):
        message = f"expected a dask.distributed.Client, found {type(client).__name__}"
        raise BadInputError(message, place="client", hint="pip install 'ferrocyte[dask]'")
    if getattr(client, "asynchronous", False):
        message = "an asynchronous client cannot be waited for"
        raise UnsupportedError(message, place="client", hint="make the client without asynchronous=True")
    known = ("skip_completed_runs", "precision", "solver", "n_threads", "max_memory")
    for name in options:
        if name not in known:
            message = f"there is no option `{name}`"
            raise BadInputError(message, place="options", hint=f"they are {', '.join(known)}")
    n = max(1, sum(client.nthreads().values())) if n_shares is None else int(n_shares)
    options.setdefault("n_threads", 1)
    place = (os.path.abspath(run.output_dir), run.name)
    # Not pure: the folder behind the path may have changed since.
    waiting = [client.submit(_share, place, worker, n, options, pure=False) for worker in range(n)]
    try:
        for future in waiting:
            _result(future)
    finally:
        client.cancel(waiting)


def _share(place: tuple[str, str], worker: int, n: int, options: dict[str, Any]) -> None:
    """The work of one worker."""
    cNMF(*place).factorize(worker, n, progress=False, **options)


def _result(future: Any) -> None:
    try:
        future.result()
    except FerrocyteError:
        raise
    except Exception as error:
        # A worker died, or the cluster is gone.
        message = f"a share was not made: {type(error).__name__}: {error}"
        raise FerrocyteError(message, place="client", hint="the logs of the workers may say more") from error
