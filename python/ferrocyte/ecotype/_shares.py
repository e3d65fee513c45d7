"""Ensembles on several machines: shares of the runs, their merge, and the workers of a dask cluster."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ..errors import BadFileError, BadInputError, FerrocyteError, UnsupportedError
from ._inputs import Training, all_or, read_cells
from ._models import Ensemble, columns_of, ensemble_out, train_ensemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._inputs import Meta

#: Options of an ensemble that say how its runs are put together, not how they are made.
_AGREED = ("delta_threshold", "min_model_fraction", "keep_runs")


class Runs:
    """Runs of an ensemble: the share of one machine, or all of them.

    Made by :func:`train_runs` and ``ferrocyte ecotype ensemble --run I --of N``; it pickles. :func:`merge_runs` makes
    an ensemble of all shares.

    Attributes
    ----------
    seeds
        The seeds of all runs of the ensemble.
    numbers
        Which runs are here, counted from 0.
    """

    def __init__(self, content: bytes) -> None:
        self._content = bytes(content)
        self.seeds, self.numbers = _core.ecotype_runs_of(self._content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the runs (.npz)."""
        Path(path).write_bytes(self._content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Runs:
        """Read runs that were saved, or that the program made."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise BadFileError(str(error), place=os.fspath(path)) from error
        try:
            return cls(content)
        except BadFileError as error:
            raise BadFileError(error.message, place=os.fspath(path), hint=error.hint) from error

    def __eq__(self, other: object) -> bool:
        """Whether both have the same bits."""
        return isinstance(other, Runs) and self._content == other._content

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """How many of how many."""
        return f"Runs({len(self.numbers)} of {len(self.seeds)})"


def train_runs(data: Any, meta: Meta = None, *, run: int, of: int, **options: Any) -> Runs:
    """Train a share of the runs of an ensemble, for array jobs.

    Parameters
    ----------
    data, meta
        As in :func:`train_ensemble`.
    run, of
        Which share, counted from 1, of how many: every `of`-th run.
    **options
        What :func:`train_ensemble` takes besides, but for `delta_threshold`, `min_model_fraction`, `keep_runs`: they
        are for :func:`merge_runs`.

    Returns
    -------
    Runs

    Examples
    --------
    >>> import ferrocyte as fe
    >>> cells = fe.ecotype.simulate(1, samples=2, cells=200, genes=60, types=2, ecotypes=2)
    >>> shares = [fe.ecotype.train_runs(cells, run=i, of=2, n_runs=5, sample="Sample") for i in (1, 2)]
    >>> shares[0], fe.ecotype.merge_runs(shares).n_models
    (Runs(3 of 5), {'type1': 5, 'type2': 5})
    """
    words = _options(options)
    how = Training(
        words["mode"],
        words["scale"],
        words["balance_sample"],
        words["nfeature"],
        all_or(words["nfeature_per_se"]),
        words["min_cells"],
        words["downsample"],
        words["seed"],
        words["rng"],
        words["small_classes"],
    )
    reading = ("layer", "orientation", "normalize", "auto_log", "nan", "duplicates")
    study = read_cells(data, meta, **{name: words[name] for name in reading})
    columns = columns_of(study, words["cell_type"], words["label"], words["sample"], words["non_se_label"])
    seeds, first = words["seeds"], words["seed"]
    chosen = list(range(first, first + words["n_runs"])) if seeds is None else [int(one) for one in seeds]
    resources = means(words["n_threads"], words["max_memory"], progress=words["progress"])
    return Runs(_core.ecotype_runs(study.cells, columns, how, (chosen, int(run), int(of)), resources))


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an ensemble, with their defaults."""
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(train_ensemble).parameters.items()
        if name not in ("data", "meta", *_AGREED)
    }
    for name in given:
        if name not in known:
            message = f"there is no option `{name}`"
            raise BadInputError(message, place="options", hint=f"they are {', '.join(known)}")
    return {**known, **given}


def merge_runs(
    shares: Iterable[Runs | str | os.PathLike[str]],
    *,
    delta_threshold: float = 0.01,
    min_model_fraction: float = 0.5,
    keep_runs: bool = False,
) -> Ensemble:
    """Put all shares of an ensemble together, and find what its runs agree on.

    Parameters
    ----------
    shares
        Runs, or files with runs, in any order.
    delta_threshold, min_model_fraction, keep_runs
        As in :func:`train_ensemble`.

    Returns
    -------
    Ensemble
        To the bit that of :func:`train_ensemble`.

    Raises
    ------
    BadInputError
        Shares of other cells, labels, options or seeds, or a run that is in two shares, by name.
    MissingKeyError
        Runs that are in no share, by number.
    """
    named = [
        (f"share {i + 1}", share) if isinstance(share, Runs) else (os.fspath(share), Runs.load(share))
        for i, share in enumerate(shares)
    ]
    agreed = (float(delta_threshold), float(min_model_fraction), bool(keep_runs))
    return ensemble_out(_core.ecotype_merge_runs([(name, share._content) for name, share in named], agreed))


def train_ensemble_dask(
    data: str | os.PathLike[str],
    meta: str | os.PathLike[str] | None = None,
    *,
    client: Any,
    n_shares: int | None = None,
    delta_threshold: float = 0.01,
    min_model_fraction: float = 0.5,
    keep_runs: bool = False,
    **options: Any,
) -> Ensemble:
    """Train an ensemble on the workers of a dask cluster.

    Workers get paths and a share of the runs, never data, and give back models. The bits are those of
    :func:`train_ensemble`.

    Parameters
    ----------
    data, meta
        Files that every worker can read under these paths.
    client
        A ``dask.distributed.Client``.
    n_shares
        How many shares; by default as many as the cluster has threads, if there are so many runs.
    delta_threshold, min_model_fraction, keep_runs
        As in :func:`train_ensemble`.
    **options
        What :func:`train_runs` takes besides; `n_threads` (1 by default) and `max_memory` are those of one share.

    Returns
    -------
    Ensemble

    Raises
    ------
    FerrocyteError
        What went wrong on a worker, as the same exception; the other shares are cancelled.

    Examples
    --------
    >>> from dask.distributed import Client, LocalCluster  # doctest: +SKIP
    >>> with LocalCluster(n_workers=2) as cluster, Client(cluster) as client:  # doctest: +SKIP
    ...     ensemble = fe.ecotype.train_ensemble_dask("study.h5ad", client=client, sample="Sample")
    """
    if not all(hasattr(client, name) for name in ("submit", "cancel", "nthreads")):
        message = f"expected a dask.distributed.Client, found {type(client).__name__}"
        raise BadInputError(message, place="client", hint="pip install 'ferrocyte[dask]'")
    if getattr(client, "asynchronous", False):
        message = "an asynchronous client cannot be waited for"
        raise UnsupportedError(message, place="client", hint="make the client without asynchronous=True")
    options.setdefault("n_threads", 1)
    words = _options(options)
    n_runs = words["n_runs"] if words["seeds"] is None else len(words["seeds"])
    most = sum(client.nthreads().values()) if n_shares is None else int(n_shares)
    of = max(1, min(most, n_runs))
    places = (_path(data, "data"), None if meta is None else _path(meta, "meta"))
    # Not pure: the file behind the path may have changed since.
    waiting = [client.submit(_share, places, run, of, options, pure=False) for run in range(1, of + 1)]
    try:
        shares = [_result(future) for future in waiting]
    finally:
        client.cancel(waiting)
    agreed = {"delta_threshold": delta_threshold, "min_model_fraction": min_model_fraction, "keep_runs": keep_runs}
    return merge_runs(shares, **agreed)  # type: ignore[arg-type]


def _path(path: Any, place: str) -> str:
    """The path as workers, whose folder is another, can open it."""
    if not isinstance(path, (str, os.PathLike)):
        message = f"expected the path of a file, found {type(path).__name__}"
        raise BadInputError(message, place=place, hint="write it to a file that all workers can read")
    return os.path.abspath(os.fspath(path))


def _share(places: tuple[str, str | None], run: int, of: int, options: dict[str, Any]) -> Runs:
    """The work of one worker."""
    data, meta = places
    return train_runs(data, meta, run=run, of=of, **{**options, "progress": False})


def _result(future: Any) -> Runs:
    try:
        result: Runs = future.result()
    except FerrocyteError:
        raise
    except Exception as error:
        # A worker died, or the cluster is gone.
        message = f"a share was not made: {type(error).__name__}: {error}"
        raise FerrocyteError(message, place="client", hint="the logs of the workers may say more") from error
    return result
