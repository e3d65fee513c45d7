"""A run in a folder, with the verbs and files of the program ``cnmf``."""
# ruff: noqa: FBT001, FBT002 -- the arguments that its users know

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._messages import info
from .._run import means
from .._tables import frame
from ..errors import BadFileError, MissingKeyError
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
    from collections.abc import Iterable

    import pandas as pd


class cNMF:  # noqa: N801 -- the name that its users know
    """A run of consensus factorisations in ``OUTPUT_DIR/NAME``, as the program ``cnmf`` lays it out.

    Its files are read by ``cnmf``, and the other way round: steps may be done by either. The same seed gives the same
    numbers.

    Parameters
    ----------
    output_dir
        Where the folder of the run is.
    name
        The name of the run, and of its folder; ``None`` is ``cNMF``.

    Examples
    --------
    >>> import tempfile, ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = fe.cnmf.cNMF(folder, "example")
    ...     run.prepare(small_study(), components=[2, 3], n_iter=6, seed=1, num_highvar_genes=40)
    ...     run.factorize()
    ...     run.combine()
    ...     programs = run.consensus(3, density_threshold=2.0, show_clustering=False)
    ...     usage, scores, tpm, top_genes = run.load_results(3, 2.0)
    >>> usage.shape, programs.k
    ((240, 3), 3)
    """

    def __init__(self, output_dir: str | os.PathLike[str] = ".", name: str | None = None) -> None:
        self.output_dir = os.fspath(output_dir)
        self.name = "cNMF" if name is None else str(name)

    @property
    def _place(self) -> tuple[str, str]:
        return self.output_dir, self.name

    def _file(self, rest: str) -> str:
        return os.path.join(self.output_dir, self.name, f"{self.name}.{rest}")

    def __repr__(self) -> str:
        """Where it is."""
        return f"cNMF({os.path.join(self.output_dir, self.name)!r})"

    def prepare(
        self,
        counts_fn: Any,
        components: int | Iterable[int],
        n_iter: int = 100,
        densify: bool = False,
        tpm_fn: Any = None,
        seed: int | None = None,
        beta_loss: str | float = "frobenius",
        num_highvar_genes: int | None = 2000,
        genes_file: Any = None,
        alpha_usage: float = 0.0,
        alpha_spectra: float = 0.0,
        init: str = "random",
        max_NMF_iter: int = 1000,
        *,
        layer: str | None = None,
        drop_empty: bool = False,
        resume: bool = False,
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        progress: bool | None = None,
    ) -> None:
        """Make counts ready: select and scale genes, draw seeds, write all of it.

        Parameters
        ----------
        counts_fn
            Counts, cells x genes: a path (.h5ad, 10x, .mtx, text, ``.npz`` of a data frame), or an AnnData.
        components
            Numbers of programs.
        n_iter
            Replicates of each.
        densify
            Has no effect: nothing is made dense.
        tpm_fn
            Expression in place of counts per million: a path, an AnnData, or a layer of the counts.
        seed
            The seed of the seeds; ``None`` draws one and tells it.
        beta_loss, alpha_usage, alpha_spectra, init, max_NMF_iter
            How replicates are made: as of :func:`fit`.
        num_highvar_genes
            How many variable genes; ``None`` takes those above the automatic threshold.
        genes_file
            The genes that are factorised instead: a file with one a line, or names.
        layer
            The matrix of the counts; ``None`` is X.
        drop_empty
            Whether cells without a count in the selected genes are left out, rather than refused.
        resume
            Whether replicates stay where the folder holds this preparation already; else they are removed.
        n_threads, max_memory, progress
            With what means; none changes a number.

        Raises
        ------
        BadInputError
            What cannot be worked with, by name: before any factorisation.
        """
        del densify
        made = HowMade(
            loss_word(beta_loss), init, float(alpha_usage), float(alpha_spectra), int(max_NMF_iter), "double"
        )
        how = HowPrepared(gene_list(genes_file), num_highvar_genes, drop_empty=bool(drop_empty))
        (n_iter,) = whole_numbers([n_iter], "n_iter")
        given = inputs(counts_fn, layer, tpm_fn)
        found = _core.cnmf_prepare_folder(
            self._place,
            given,
            how,
            made,
            whole_numbers(components),
            n_iter,
            seed_or_drawn(seed),
            bool(resume),
            means(n_threads, max_memory, progress=progress),
        )
        #: Cells and genes that were left out by the last :meth:`prepare`.
        self.dropped = {
            "cells": [given.cells[i] for i in found["dropped_cells"]],
            "genes": [given.genes[j] for j in found["dropped_genes"]],
        }

    def factorize(
        self,
        worker_i: int = 0,
        total_workers: int = 1,
        skip_completed_runs: bool = False,
        *,
        precision: str = "double",
        solver: str = "exact",
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        progress: bool | None = None,
    ) -> None:
        """Make the replicates, or the share of one of several workers; each is stored as it ends.

        Parameters
        ----------
        worker_i, total_workers
            Which worker this is, from 0, of how many. One process uses all cores: workers are for several machines.
        skip_completed_runs
            Whether replicates that are there are left as they are: so a run that was killed goes on.
        precision, solver
            ``"double"`` and ``"exact"`` meet the digits of cnmf; ``"single"`` and ``"accelerated"`` take less time.
        n_threads, max_memory, progress
            With what means; none changes a number.

        Raises
        ------
        MissingKeyError
            Nothing was prepared.
        """
        resources = means(n_threads, max_memory, progress=progress)
        made, there = _core.cnmf_factorize(
            self._place, int(worker_i), int(total_workers), bool(skip_completed_runs), (precision, solver), resources
        )
        info(f"{made} replicates made, {there} were there")

    def factorize_multi_process(self, total_workers: int) -> None:
        """Make all replicates on several cores of this machine.

        Parameters
        ----------
        total_workers
            How many threads; they share one copy of the counts.
        """
        self.factorize(n_threads=int(total_workers))

    def combine(self, components: int | Iterable[int] | None = None, skip_missing_files: bool = False) -> None:
        """Stack the spectra of the replicates of each k.

        Parameters
        ----------
        components
            Numbers of programs; ``None`` is all that were prepared.
        skip_missing_files
            Whether what is there is combined where replicates are missing.

        Raises
        ------
        MissingKeyError
            Replicates that are missing, by name.
        BadInputError
            Replicates of another run, by name.
        """
        ks = [] if components is None else whole_numbers(components)
        _core.cnmf_combine(self._place, ks, bool(skip_missing_files), means(progress=False))

    def k_selection(self) -> pd.DataFrame:
        """Tell what speaks for each k that is combined.

        Returns
        -------
        DataFrame
            Index k: silhouette, error, replicates at the limit of iterations, stability, suggested density threshold.
        """
        table = frame(_core.cnmf_k_selection(self._place, HowFound(), means(progress=False)))
        return table.set_index("k")

    def k_selection_plot(self, close_fig: bool = False) -> pd.DataFrame:
        """Draw silhouette and error against k, into ``NAME.k_selection.png``.

        Parameters
        ----------
        close_fig
            Whether the figure is closed.

        Returns
        -------
        DataFrame
            As of :meth:`k_selection`.
        """
        table = self.k_selection()
        figures = _figures()
        if figures is not None:
            ax = figures.cnmf_k_selection(table.reset_index())
            _save(ax.figure, self._file("k_selection.png"), close=close_fig)
        return table

    def consensus(
        self,
        k: int,
        density_threshold: float = 0.5,
        local_neighborhood_size: float = 0.30,
        show_clustering: bool = True,
        build_ref: bool = True,
        refit_usage: bool = True,
        normalize_tpm_spectra: bool = False,
        close_clustergram_fig: bool = False,
        *,
        refit: str = "peer",
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        progress: bool | None = None,
    ) -> Programs:
        """Find the programs of one k, and write their tables.

        Parameters
        ----------
        k
            The number of programs.
        density_threshold, local_neighborhood_size, refit_usage, normalize_tpm_spectra, refit
            As of :meth:`ConsensusNMF.consensus`.
        show_clustering
            Whether the clustergram is drawn, into ``NAME.clustering.k_K.dt_T.png``.
        build_ref
            Whether the spectra for the projection of other cells are written.
        close_clustergram_fig
            Whether the figure is closed.
        n_threads, max_memory, progress
            With what means; none changes a number.

        Returns
        -------
        Programs
            What was written, as one object.

        Raises
        ------
        MissingKeyError
            A k that is not combined; those that are get listed.
        BadInputError
            A threshold that keeps too little, with one that would do.
        """
        how = HowFound(
            float(density_threshold),
            float(local_neighborhood_size),
            refit,
            bool(refit_usage),
            bool(normalize_tpm_spectra),
        )
        resources = means(n_threads, max_memory, progress=progress)
        found = _core.cnmf_consensus(self._place, int(k), how, bool(build_ref), resources)
        names = {
            "cells": found["cell_names"],
            "genes": found["gene_names"],
            "selected": found["selected_names"],
            "rows": found["rows"],
        }
        about = {
            "density_threshold": float(density_threshold),
            "provenance": provenance("cnmf.consensus", {"k": int(k), **vars(how)}, None, self.name),
        }
        programs = Programs._found(found, names, about)
        figures = _figures() if show_clustering else None
        if figures is not None:
            self._draw(figures, programs, close=close_clustergram_fig)
        return programs

    def _draw(self, figures: Any, programs: Programs, *, close: bool) -> None:
        """The clustergram of a consensus."""
        merged = self.load_frame(f"spectra.k_{programs.k}.merged").to_numpy()
        rows = np.flatnonzero(programs.kept)[programs.clustergram_order]
        units = merged[rows] / np.linalg.norm(merged[rows], axis=1, keepdims=True)
        apart = np.sqrt(np.maximum(2.0 - 2.0 * units @ units.T, 0.0))
        np.fill_diagonal(apart, 0.0)
        ax = figures.cnmf_clustergram(
            apart,
            labels=programs.labels[programs.clustergram_order],
            density=programs.local_density.to_numpy(),
            threshold=programs.density_threshold,
        )
        word = threshold_word(programs.density_threshold)
        _save(ax.figure, self._file(f"clustering.k_{programs.k}.dt_{word}.png"), close=close)

    def load_frame(self, table: str) -> pd.DataFrame:
        """Read a data frame of ``cnmf_tmp``, such as ``"spectra.k_7.merged"``, by whomever it was written.

        Parameters
        ----------
        table
            What stands in the name of the file between the name of the run and ``.df.npz``.

        Returns
        -------
        DataFrame
        """
        from ._inputs import read_frame

        path = os.path.join(self.output_dir, self.name, "cnmf_tmp", f"{self.name}.{table}.df.npz")
        if not os.path.exists(path):
            message = f"there is no table `{table}`"
            raise MissingKeyError(message, place=self.name)
        return read_frame(path)

    def load_results(
        self, K: int, density_threshold: float, n_top_genes: int = 100, norm_usage: bool = True
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Read the tables of a consensus.

        Parameters
        ----------
        K
            The number of programs.
        density_threshold
            The threshold of the consensus.
        n_top_genes
            How many genes of each program are listed.
        norm_usage
            Whether usages are divided by their sums.

        Returns
        -------
        tuple of DataFrame
            Usages (cells x programs), scores and spectra per million (genes x programs), genes by falling score.

        Raises
        ------
        BadFileError
            Where there is no such consensus.
        """
        import pandas as pd

        word = threshold_word(float(density_threshold))

        def table(rest: str) -> pd.DataFrame:
            path = self._file(rest)
            if not os.path.exists(path):
                message = "there is no such consensus"
                raise BadFileError(message, place=path, hint=f"call consensus({K}, {density_threshold}) first")
            return pd.read_csv(path, sep="\t", index_col=0, float_precision="round_trip")

        usage = table(f"usages.k_{K}.dt_{word}.consensus.txt")
        scores = table(f"gene_spectra_score.k_{K}.dt_{word}.txt").T
        tpm = table(f"gene_spectra_tpm.k_{K}.dt_{word}.txt").T
        if norm_usage:
            sums = usage.sum(axis=1)
            usage = usage.div(sums.where(sums > 0.0, 1.0), axis=0)
        usage.columns = pd.Index([int(name) for name in usage.columns])
        order = {
            program: scores.index[np.argsort(-scores[program].to_numpy(), kind="stable")[:n_top_genes]]
            for program in scores.columns
        }
        return usage, scores, tpm, pd.DataFrame(order)


def threshold_word(threshold: float) -> str:
    """A threshold as names of files have it: ``0_5``, ``2_0``."""
    return str(float(threshold)).replace(".", "_")


def _figures() -> Any:
    """The module of figures, if matplotlib is there."""
    try:
        from .. import pl
    except ImportError:
        return None
    return pl if hasattr(pl, "cnmf_clustergram") else None


def _save(figure: Any, path: str, *, close: bool) -> None:
    figure.savefig(path, dpi=250, bbox_inches="tight")
    if close:
        from matplotlib import pyplot as plt

        plt.close(figure)
