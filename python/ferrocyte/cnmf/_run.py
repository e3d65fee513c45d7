"""Replicates of a study in memory, and what speaks for each number of programs."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._tables import frame
from ..errors import BadFileError, BadInputError, FerrocyteWarning, MissingKeyError
from ._inputs import (
    HowFound,
    HowMade,
    HowPrepared,
    gene_list,
    inputs,
    loss_word,
    seed_or_drawn,
    whole_numbers,
)
from ._programs import Programs, provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

_KIND = "cnmf.run"


def fit(
    counts: Any,
    ks: int | Iterable[int],
    *,
    n_iter: int = 100,
    seed: int | None = None,
    n_genes: int | None = 2000,
    genes: Any = None,
    layer: str | None = None,
    tpm: Any = None,
    beta_loss: str | float = "frobenius",
    init: str = "random",
    max_nmf_iter: int = 1000,
    alpha_usage: float = 0.0,
    alpha_spectra: float = 0.0,
    precision: str = "double",
    solver: str = "exact",
    drop_empty: bool = False,
    min_counts: float = 0.0,
    style: str = "cnmf",
    checkpoint: str | os.PathLike[str] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ConsensusNMF:
    """Factorise counts from many random starts, in one process on all cores.

    Parameters
    ----------
    counts
        Counts, cells x genes: an AnnData in memory, a view or backed, a data frame, or a path (.h5ad, 10x, text).
    ks
        Numbers of programs.
    n_iter
        Replicates of each.
    seed
        The seed of the seeds of the replicates; ``None`` draws one and tells it. Another k changes the seeds of all
        larger ones.
    n_genes
        How many variable genes are factorised; ``None`` takes those above the automatic threshold.
    genes
        The genes that are factorised instead: names, or a file with one a line.
    layer
        The matrix of the counts; ``None`` is X.
    tpm
        Expression in place of counts per million: a layer, an AnnData, a path. Cells and genes are matched by name.
    beta_loss
        ``"frobenius"``, ``"kullback-leibler"``, ``"itakura-saito"`` or a beta.
    init
        Where replicates begin; a consensus needs ``"random"``.
    max_nmf_iter
        The most iterations of a replicate.
    alpha_usage, alpha_spectra
        Penalties on usages and spectra.
    precision
        ``"double"`` meets the digits of cnmf, ``"single"`` takes half the time.
    solver
        ``"exact"`` has the iterates of cnmf; ``"accelerated"``, for the squared norm, finds the same kind of optimum by
        other iterates in less time.
    drop_empty
        Whether cells without a count in the selected genes are left out and listed, rather than refused.
    min_counts
        Cells with fewer counts in the selected genes are left out and listed.
    style
        Whose rules are followed: ``"cnmf"`` or ``"exprmat"``.
    checkpoint
        A folder where replicates are stored as they end. Those that are there are read: a run that was killed goes on,
        to the same bits.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    ConsensusNMF
        The spectra of all replicates.

    Raises
    ------
    BadInputError
        Counts or options that cannot be worked with, by name; replicates of another run in `checkpoint`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> run = fe.cnmf.fit(small_study(), [2, 3], n_iter=6, seed=1, n_genes=40)
    >>> run.selection.index.tolist(), run.replicates.shape[0]
    ([2, 3], 12)
    """
    ks = whole_numbers(ks, "ks")
    (n_iter,) = whole_numbers([n_iter], "n_iter")
    seed = seed_or_drawn(seed)
    made = HowMade(
        loss_word(beta_loss), init, float(alpha_usage), float(alpha_spectra), int(max_nmf_iter), precision, solver
    )
    how = HowPrepared(gene_list(genes), n_genes, None, 0.5, bool(drop_empty), float(min_counts), style)
    resources = means(n_threads, max_memory, progress=progress)
    given = inputs(counts, layer, tpm)
    core = _core.cnmf_prepare(given, how, made, resources)
    if checkpoint is not None:
        os.makedirs(checkpoint, exist_ok=True)
    core.factorise(_core.cnmf_jobs(seed, ks, n_iter), None if checkpoint is None else os.fspath(checkpoint), resources)
    options = {**vars(how), **vars(made), "ks": ks, "n_iter": n_iter, "layer": layer}
    selected = [given.genes[j] for j in core.genes]
    options["genes"] = selected
    about = {
        "options": options,
        "seed": seed,
        "source": given.counts.name,
        "tpm": tpm if isinstance(tpm, str) and not os.path.exists(tpm) else None,
        "dropped_cells": [given.cells[i] for i in core.cells[1]],
        "dropped_genes": [given.genes[j] for j in core.dropped_genes],
        "warnings": list(core.warnings),
        "replicates": _plain(frame(core.replicates_table())),
    }
    spectra = {k: core.merged(k)[0] for k in sorted(set(ks))}
    rows = {k: core.merged(k)[1] for k in sorted(set(ks))}
    return ConsensusNMF(spectra, rows, about, (core, given))


def _plain(table: pd.DataFrame) -> dict[str, Any]:
    return {name: table[name].tolist() for name in table.columns}


class ConsensusNMF:
    """The spectra of many replicates, for one or more numbers of programs.

    Made by :func:`fit` and :func:`consensus_nmf`. It keeps hold of the counts that it was made of, as they are; what
    :meth:`load` gives has none, and :meth:`consensus` then asks for them.
    """

    def __init__(
        self,
        spectra: Mapping[int, np.ndarray[Any, Any]],
        rows: Mapping[int, list[str]],
        about: dict[str, Any],
        engine: tuple[Any, Any] | None = None,
    ) -> None:
        self._spectra, self._rows, self._about, self._engine = dict(spectra), dict(rows), about, engine
        self._selection: pd.DataFrame | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the counts."""
        return {**self.__dict__, "_engine": None}

    @property
    def ks(self) -> list[int]:
        """Numbers of programs, rising."""
        return sorted(self._spectra)

    @property
    def genes(self) -> list[str]:
        """The genes that are factorised, in the order of the columns of spectra."""
        return list(self._about["options"]["genes"])

    @property
    def dropped(self) -> dict[str, list[str]]:
        """Cells and genes that were left out."""
        return {"cells": list(self._about["dropped_cells"]), "genes": list(self._about["dropped_genes"])}

    @property
    def warnings(self) -> list[str]:
        """What was said while counts were made ready."""
        return list(self._about["warnings"])

    @property
    def replicates(self) -> pd.DataFrame:
        """A row for each replicate: k, iter, seed, iterations, error, status."""
        import pandas as pd

        return pd.DataFrame(self._about["replicates"])

    @property
    def status(self) -> pd.Series[Any]:
        """A word for each replicate: ``ok``, or ``max_iter``."""
        table = self.replicates
        return table.set_index(["k", "iter"])["status"] if len(table) else table.get("status")

    @property
    def provenance(self) -> dict[str, Any]:
        """Method, version, options, seed."""
        return self._provenance("cnmf.fit", {})

    def _provenance(self, method: str, options: dict[str, Any]) -> dict[str, Any]:
        about = self._about
        return provenance(method, {**about["options"], **options}, about["seed"], about["source"])

    def merged(self, k: int) -> pd.DataFrame:
        """Give the spectra of all replicates of one k, replicate by replicate.

        Parameters
        ----------
        k
            The number of programs.

        Returns
        -------
        DataFrame
            Rows ``iter0_topic1`` and so on, a column for each gene.
        """
        import pandas as pd

        self._check(k)
        return pd.DataFrame(self._spectra[k], index=self._rows[k], columns=pd.Index(self.genes, dtype=object))

    @property
    def selection(self) -> pd.DataFrame:
        """What speaks for each k: silhouette, error, replicates at the limit, stability, suggested threshold.

        Index k. ``suggested`` marks the largest k whose silhouette is at least 95 % of the best; nothing is applied.
        """
        if self._selection is None:
            core, _ = self._engine_of(None)
            table, densities = core.selection(self._how(0.5, 0.3, "peer"), means(progress=False))
            found = frame(table).set_index("k")
            found.attrs["local_density"] = {int(k): density for k, density in densities.items()}
            self._selection = found
        return self._selection

    @property
    def suggested_k(self) -> int | None:
        """The largest k that is about as stable as the best; ``None`` where there is no silhouette."""
        table = self.selection
        marked = table.index[table["suggested"]]
        return int(marked[0]) if len(marked) else None

    def consensus(
        self,
        k: int,
        density_threshold: float = 0.5,
        *,
        local_neighborhood_size: float = 0.3,
        refit: str = "peer",
        refit_usage: bool = True,
        normalize_tpm_spectra: bool = False,
        data: Any = None,
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        progress: bool | None = None,
    ) -> Programs:
        """Find the programs of one k.

        Parameters
        ----------
        k
            The number of programs.
        density_threshold
            Spectra whose mean distance to their neighbours is not below this are dropped; 2 keeps all.
        local_neighborhood_size
            The neighbours of a spectrum, as a share of the replicates.
        refit
            When refits with one factor fixed end: ``"peer"`` by the rule of cnmf, ``"exact"`` at their optimum.
        refit_usage
            Whether usages are fitted again, to all expression of the selected genes.
        normalize_tpm_spectra
            Whether spectra over all genes are scaled to the sum of a million.
        data
            The counts, where they are not at hand (after :meth:`load`).
        n_threads, max_memory, progress
            With what means; none changes a number.

        Returns
        -------
        Programs
            Spectra, usages, and what speaks for them.

        Raises
        ------
        BadInputError
            A threshold that keeps too little, with one that would do.
        MissingKeyError
            A k that was not tried.
        """
        self._check(k)
        core, given = self._engine_of(data)
        how = self._how(density_threshold, local_neighborhood_size, refit)
        how.refit_usage, how.normalize_tpm_spectra = bool(refit_usage), bool(normalize_tpm_spectra)
        found = core.consensus(int(k), given, how, means(n_threads, max_memory, progress=progress))
        names = {
            "cells": [given.cells[i] for i in core.cells[0]],
            "genes": given.genes,
            "selected": self.genes,
            "rows": self._rows[k],
        }
        options = {"k": int(k), **vars(how)}
        about = {
            "density_threshold": float(density_threshold),
            "provenance": self._provenance("cnmf.consensus", options),
        }
        return Programs._found(found, names, about)

    def distances(self, programs: Programs) -> np.ndarray[Any, Any]:
        """Compute how far the kept spectra lie apart, in the order of the clustergram.

        Parameters
        ----------
        programs
            A consensus of this run.

        Returns
        -------
        ndarray
            Kept spectra x kept spectra, for :func:`ferrocyte.pl.cnmf_clustergram`.
        """
        core, _ = self._engine_of(None)
        rows = np.flatnonzero(programs.kept)[programs.clustergram_order]
        return core.distances(programs.k, [int(i) for i in rows], means(progress=False))

    def to_df(self) -> pd.DataFrame:
        """The table of :attr:`selection`, with k as a column."""
        return self.selection.reset_index()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all spectra to a ``.npz`` that :meth:`load` reads; without pickled objects, and without the counts.

        Parameters
        ----------
        path
            The file.
        """
        table = self.selection if self._engine is not None or self._selection is not None else None
        held = None if table is None else {"k": table.index.tolist(), **_plain(table)}
        header = json.dumps({"kind": _KIND, "version": 1, "about": self._about, "rows": self._rows, "selection": held})
        arrays: dict[str, Any] = {f"k{k}": values for k, values in self._spectra.items()}
        with open(path, "wb") as file:
            np.savez_compressed(file, header=np.asarray(header), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConsensusNMF:
        """Read what :meth:`save` has written.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        ConsensusNMF
            With the same bits, without the counts.

        Raises
        ------
        BadFileError
            Where it is another file.
        """
        import pandas as pd

        try:
            with np.load(path, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                if header.get("kind") != _KIND:
                    message = f"expected `{_KIND}`, found `{header.get('kind')}`"
                    raise BadFileError(message, place=os.fspath(path))
                rows = {int(k): names for k, names in header["rows"].items()}
                run = cls({k: arrays[f"k{k}"] for k in rows}, rows, header["about"])
        except (KeyError, ValueError, OSError) as error:
            message = f"this is no run of cnmf: {error}"
            raise BadFileError(message, place=os.fspath(path)) from error
        if header["selection"] is not None:
            run._selection = pd.DataFrame(header["selection"]).set_index("k")
        return run

    def _check(self, k: int) -> None:
        if k not in self._spectra:
            message = f"there is no k = {k} in this run"
            raise MissingKeyError(message, place="k", hint=f"there are {', '.join(map(str, self.ks))}")

    def _how(self, threshold: float, neighbourhood: float, refit: str) -> HowFound:
        style = self._about["options"]["style"]
        return HowFound(float(threshold), float(neighbourhood), refit, style=style)

    def _engine_of(self, data: Any) -> tuple[Any, Any]:
        """The compiled run and its inputs; made of the counts and the spectra where it is not at hand."""
        if data is None and self._engine is not None:
            return self._engine
        if data is None:
            message = "the counts are not at hand"
            raise BadInputError(message, place="data", hint="give them: consensus(k, data=adata)")
        options = self._about["options"]
        given = inputs(data, options["layer"], self._about["tpm"])
        names = {name: getattr(HowPrepared(), name) for name in vars(HowPrepared())}
        how = HowPrepared(**{name: options[name] for name in names})
        how.drop_empty = how.drop_empty and how.min_counts == 0.0
        made = HowMade(**{name: options[name] for name in vars(HowMade())})
        with warnings.catch_warnings():
            # What there is to say of these counts was said when the run was made.
            warnings.simplefilter("ignore", FerrocyteWarning)
            core = _core.cnmf_prepare(given, how, made, means(progress=False))
        for k, values in self._spectra.items():
            for at in range(0, len(values), k):
                index = int(self._rows[k][at].split("_")[0].removeprefix("iter"))
                core.adopt(k, index, np.ascontiguousarray(values[at : at + k]))
        self._engine = (core, given)
        return self._engine

    def __repr__(self) -> str:
        """A few lines."""
        table = self.replicates
        limit = int((table["status"] == "max_iter").sum()) if len(table) else 0
        dropped = self.dropped
        lines = [
            f"ConsensusNMF: k = {', '.join(map(str, self.ks))}, {len(table)} replicates ({limit} at the limit of "
            f"iterations), {len(self.genes):,} genes"
        ]
        if self._selection is not None:
            for k, row in self._selection.iterrows():
                mark = "  suggested" if row["suggested"] else ""
                silhouette, error = row["silhouette"], row["prediction_error"]
                lines.append(f"  k = {k}: silhouette {silhouette:.3f}, error {error:.6g}{mark}")
        if dropped["cells"] or dropped["genes"]:
            lines.append(f"  left out: {len(dropped['cells'])} cells, {len(dropped['genes'])} genes")
        return "\n".join(lines)
