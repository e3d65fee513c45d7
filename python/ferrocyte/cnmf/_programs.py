"""The programs of one k: spectra, usages, and what speaks for them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import __version__
from .._tables import frame
from ..errors import BadFileError, BadInputError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

_KIND = "cnmf.programs"
_TABLES = ("usages", "spectra", "spectra_tpm", "spectra_score", "starcat_spectra")


class Programs:
    """The programs of one k, by how much all cells use them, most first.

    Made by :meth:`ConsensusNMF.consensus`, :func:`consensus_nmf_extract_k` and :meth:`cNMF.consensus`; it pickles, and
    :meth:`save` and :meth:`load` keep every bit.

    Attributes
    ----------
    k
        The number of programs.
    density_threshold
        Spectra whose mean distance to their neighbours is not below this were dropped.
    usages
        Final usages, cells x programs (1 to k), not normalised.
    spectra
        Consensus spectra over the selected genes, programs x genes; each has the sum 1.
    spectra_tpm
        Spectra in the unit of expression, programs x genes.
    spectra_score
        Coefficients of standardised expression on usages, programs x genes: what is characteristic of a program.
    starcat_spectra
        Spectra by which other cells are projected (:func:`project`), over the selected genes.
    local_density, kept
        Mean distance of every spectrum of the pool to its neighbours, and whether it was kept.
    labels, clustergram_order
        The cluster of each kept spectrum (in the order of k-means, from 1), and the order in which they are drawn.
    silhouette, prediction_error
        Of the kept spectra; squared distance of the matrix to the model.
    idle_cells
        The cells that use no program.
    stability
        For each program the least cosine with the nearest one of either half of the replicates; ``None`` with too few.
    report
        A row for each program: mean share, spectra, stability, first genes.
    """

    def __init__(self, arrays: dict[str, Any], about: dict[str, Any]) -> None:
        self._arrays, self._about = arrays, about

    @classmethod
    def _found(cls, found: dict[str, Any], names: dict[str, list[str]], about: dict[str, Any]) -> Programs:
        """From what the compiled module gives, and the names of cells, of all genes and of the selected ones."""
        k = int(found["k"])
        genes = [names["genes"][j] for j in found["genes"]]
        arrays = {
            "usages": found["usages"],
            "spectra": found["spectra"],
            "spectra_tpm": found["spectra_tpm"],
            "spectra_score": found["spectra_score"],
            "starcat_spectra": found["reference"],
            "first_usages": found["first_usages"],
            "order": found["order"],
            "idle_cells": found["idle_cells"],
            "cells": np.asarray(names["cells"], dtype=str),
            "genes": np.asarray(genes, dtype=str),
            "selected": np.asarray(names["selected"], dtype=str),
            "rows": np.asarray(names["rows"], dtype=str),
        }
        for name in ("local_density", "kept", "labels", "clustergram_order"):
            arrays[name] = found[name]
        if found["stability"] is not None:
            arrays["stability"] = found["stability"]
        report = frame(found["report"])
        held = {
            "k": k,
            "silhouette": float(found["silhouette"]),
            "prediction_error": float(found["prediction_error"]),
            "warnings": [str(warning) for warning in found["warnings"]],
            "report": {name: report[name].tolist() for name in report.columns},
            "report_meanings": dict(report.attrs["meanings"]),
            **about,
        }
        return cls(arrays, held)

    @property
    def k(self) -> int:
        """The number of programs."""
        return int(self._about["k"])

    @property
    def density_threshold(self) -> float:
        """Spectra at or above this local density were dropped."""
        return float(self._about["density_threshold"])

    @property
    def silhouette(self) -> float:
        """Mean silhouette of the kept spectra; NaN where it is not defined."""
        return float(self._about["silhouette"])

    @property
    def prediction_error(self) -> float:
        """Squared distance of the factorised matrix to consensus spectra with their usages."""
        return float(self._about["prediction_error"])

    @property
    def warnings(self) -> list[str]:
        """What was said of this consensus."""
        return list(self._about["warnings"])

    @property
    def idle_cells(self) -> list[str]:
        """The cells that use no program: their shares are 0."""
        return [str(name) for name in self._arrays["cells"][self._arrays["idle_cells"]]]

    @property
    def provenance(self) -> dict[str, Any]:
        """Method, version, options, seed: the same for the same work."""
        return dict(self._about.get("provenance", {}))

    @property
    def status(self) -> pd.Series[Any]:
        """A word for each program: ``ok``, ``unsettled`` (halves of the replicates differ), ``idle`` (no use)."""
        import pandas as pd

        shares = self.shares.to_numpy().sum(axis=0)
        stable = self._arrays.get("stability")
        words = ["ok"] * self.k
        for t in range(self.k):
            if shares[t] == 0.0:
                words[t] = "idle"
            elif stable is not None and stable[t] < 0.99:
                words[t] = "unsettled"
        return pd.Series(words, index=self._names(), name="status")

    def _names(self) -> pd.Index[Any]:
        import pandas as pd

        return pd.Index(range(1, self.k + 1), name="program")

    def _table(self, name: str, columns: str, index: Any = None) -> pd.DataFrame:
        import pandas as pd

        index = self._names() if index is None else index
        return pd.DataFrame(self._arrays[name], index=index, columns=pd.Index(self._arrays[columns], dtype=object))

    @property
    def cells(self) -> pd.Index[Any]:
        """The cells, without those that were left out."""
        import pandas as pd

        return pd.Index(self._arrays["cells"], dtype=object)

    @property
    def usages(self) -> pd.DataFrame:
        """Final usages, cells x programs, not normalised."""
        import pandas as pd

        return pd.DataFrame(self._arrays["usages"], index=self.cells, columns=self._names())

    @property
    def shares(self) -> pd.DataFrame:
        """Usages, each cell divided by its sum; a cell that uses nothing stays 0."""
        usages = self.usages
        sums = usages.sum(axis=1)
        return usages.div(sums.where(sums > 0.0, 1.0), axis=0)

    @property
    def spectra(self) -> pd.DataFrame:
        """Consensus spectra over the selected genes, programs x genes; each has the sum 1."""
        return self._table("spectra", "selected")

    @property
    def spectra_tpm(self) -> pd.DataFrame:
        """Spectra in the unit of expression, programs x genes."""
        return self._table("spectra_tpm", "genes")

    @property
    def spectra_score(self) -> pd.DataFrame:
        """Coefficients of standardised expression on usages, programs x genes."""
        return self._table("spectra_score", "genes")

    @property
    def starcat_spectra(self) -> pd.DataFrame:
        """Spectra by which other cells are projected, over the selected genes; rows GEP1 to GEPk."""
        import pandas as pd

        return self._table("starcat_spectra", "selected", pd.Index([f"GEP{t}" for t in range(1, self.k + 1)]))

    @property
    def local_density(self) -> pd.Series[Any]:
        """Mean distance of each spectrum of the pool to its neighbours."""
        import pandas as pd

        return pd.Series(self._arrays["local_density"], index=self._arrays["rows"].astype(object), name="local_density")

    @property
    def kept(self) -> np.ndarray[Any, Any]:
        """Whether each spectrum of the pool was kept."""
        return np.asarray(self._arrays["kept"])

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """The cluster of each kept spectrum, from 1, in the order of k-means."""
        return np.asarray(self._arrays["labels"])

    @property
    def clustergram_order(self) -> np.ndarray[Any, Any]:
        """Kept spectra as a clustergram shows them."""
        return np.asarray(self._arrays["clustergram_order"])

    @property
    def stability(self) -> np.ndarray[Any, Any] | None:
        """How well each program is found again in halves of the replicates."""
        return self._arrays.get("stability")

    @property
    def report(self) -> pd.DataFrame:
        """A row for each program: mean share, spectra in its cluster, stability, first genes."""
        import pandas as pd

        table = pd.DataFrame(self._about["report"])
        table.attrs["meanings"] = dict(self._about["report_meanings"])
        return table

    def to_df(self) -> pd.DataFrame:
        """The report with a column of status.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> run = fe.cnmf.fit(small_study(), [3], n_iter=6, seed=1, n_genes=40)
        >>> run.consensus(3).to_df().columns.tolist()
        ['k', 'program', 'share', 'n_spectra', 'stability', 'top_genes', 'status']
        """
        return self.report.assign(status=self.status.to_numpy())

    def top_genes(self, n: int = 100) -> pd.DataFrame:
        """List the genes of largest score, rank x programs.

        Parameters
        ----------
        n
            How many.

        Returns
        -------
        DataFrame
            A column for each program.
        """
        import pandas as pd

        scores = self._arrays["spectra_score"]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        return pd.DataFrame(self._arrays["genes"][order].T, columns=self._names())

    def store(self, adata: ad.AnnData, key: str = "cnmf", *, uns: bool = True) -> None:
        """Write the programs into an AnnData, under the names of exprmat.

        Parameters
        ----------
        adata
            Cells x genes; its cells and genes are matched by name. Cells that were left out gain zeros.
        key
            The key: obsm ``KEY.K`` (final usages, columns C1 to Ck), varm ``KEY.K`` and ``KEY.coef.K`` (spectra in the
            unit of expression, and scores, genes x programs; zeros for genes without), uns ``KEY.density.K``.
        uns
            Whether densities and provenance go into uns.
        """
        import pandas as pd

        columns = [f"C{t}" for t in range(1, self.k + 1)]
        at = {name: i for i, name in enumerate(adata.obs_names)}
        missing = [name for name in self._arrays["cells"] if name not in at]
        if missing:
            message = f"{len(missing)} cells of the programs are not in the AnnData, the first is `{missing[0]}`"
            raise BadInputError(message, place="adata")
        usages = np.zeros((adata.n_obs, self.k))
        if len(at) == adata.n_obs:
            usages[[at[name] for name in self._arrays["cells"]]] = self._arrays["usages"]
        else:
            usages[:] = self._arrays["usages"]
        adata.obsm[f"{key}.{self.k}"] = pd.DataFrame(usages, index=adata.obs_names, columns=columns)
        gene_at = {name: j for j, name in enumerate(adata.var_names)}
        places = [gene_at[name] for name in self._arrays["genes"] if name in gene_at]
        known = [j for j, name in enumerate(self._arrays["genes"]) if name in gene_at]
        for name, slot in (("spectra_tpm", f"{key}.{self.k}"), ("spectra_score", f"{key}.coef.{self.k}")):
            values = np.zeros((adata.n_vars, self.k))
            values[places] = self._arrays[name].T[known]
            adata.varm[slot] = values
        if uns:
            density = pd.DataFrame(
                {"local.density": self._arrays["local_density"]}, index=self._arrays["rows"].astype(object)
            )
            adata.uns[f"{key}.density.{self.k}"] = density

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a ``.npz`` that :meth:`load` reads; without pickled objects.

        Parameters
        ----------
        path
            The file.
        """
        header = json.dumps({"kind": _KIND, "version": 1, "about": self._about})
        with open(path, "wb") as file:
            np.savez_compressed(file, header=np.asarray(header), **self._arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Programs:
        """Read what :meth:`save` has written.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Programs
            With the same bits.

        Raises
        ------
        BadFileError
            Where it is another file.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                if header.get("kind") != _KIND:
                    message = f"expected `{_KIND}`, found `{header.get('kind')}`"
                    raise BadFileError(message, place=os.fspath(path))
                return cls({name: arrays[name] for name in arrays.files if name != "header"}, header["about"])
        except (KeyError, ValueError, OSError) as error:
            message = f"these are no programs: {error}"
            raise BadFileError(message, place=os.fspath(path)) from error

    def __repr__(self) -> str:
        """A few lines."""
        n, genes = self._arrays["usages"].shape[0], self._arrays["spectra_tpm"].shape[1]
        kept, of = int(self.kept.sum()), len(self.kept)
        lines = [
            f"Programs: k = {self.k}, {n:,} cells x {genes:,} genes, {kept} of {of} spectra kept, "
            f"silhouette {self.silhouette:.3f}"
        ]
        for row in self.to_df().head(12).itertuples():
            first = " ".join(str(row.top_genes).split()[:6])
            lines.append(f"  {row.program:>2}  {100 * row.share:5.1f} %  {first}  [{row.status}]")
        if self.k > 12:
            lines.append(f"  and {self.k - 12} more")
        return "\n".join(lines)


def provenance(method: str, options: dict[str, Any], seed: int | None, source: str) -> dict[str, Any]:
    """The stable part of how a result came about."""
    return {
        "method": method,
        "version": __version__,
        "options": options,
        "seed": None if seed is None else str(seed),
        "inputs": [source],
    }
