"""Pseudobulk with its noise, and how it is handed to the compiled module."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadFileError, BadInputError, MissingKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

#: Kind and layout of saved pseudobulk, those of the program.
_KIND, _LAYOUT = "ctmm.pseudobulk", 1

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Handed:
    """A study as the compiled module reads it."""

    genes: list[str]
    individuals: list[str]
    cell_types: list[str]
    level: str
    values: Floats
    noise: Floats
    proportions: Floats | None
    fixed: list[tuple[str, Floats]]
    random: list[tuple[str, Floats]]


@dataclass(repr=False)
class Pseudobulk:
    """Mean expression of individuals and cell types, and the variance of each mean.

    Attributes
    ----------
    ctp
        Means, genes × individuals × cell types; NaN where a pair was not observed.
    ctnu
        Variance of each mean, in the same shape.
    P
        Proportions of cell types, individuals × cell types.
    counts
        Cells, in the shape of `P`; ``None`` where they are not known.
    genes, individuals, cell_types
        Names. Those made by :func:`prepare` are in the order of the names.
    too_few
        Pairs with cells, but too few: individual, cell type, cells.
    provenance
        What was done.
    """

    ctp: Floats
    ctnu: Floats
    P: Floats
    counts: Floats | None
    genes: list[str]
    individuals: list[str]
    cell_types: list[str]
    too_few: list[tuple[str, str, int]] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        g, n, c = self.ctp.shape
        seen = int(np.sum(~np.isnan(self.ctp).all(axis=0))) if g else 0
        return f"Pseudobulk: {g} genes × {n} individuals × {c} cell types, {seen} of {n * c} pairs observed"

    @property
    def op(self) -> Floats:
        """Overall pseudobulk, genes × individuals: means over cell types weighted by `P`."""
        return np.einsum("gnc,nc->gn", self.ctp, self.P)

    @property
    def nu(self) -> Floats:
        """Its noise."""
        return np.einsum("gnc,nc->gn", self.ctnu, self.P**2)

    def to_df(self) -> pd.DataFrame:
        """One row for each gene, individual and cell type."""
        import pandas as pd

        index = pd.MultiIndex.from_product(
            [self.genes, self.individuals, self.cell_types], names=["gene", "individual", "cell_type"]
        )
        return pd.DataFrame({"ctp": self.ctp.ravel(), "ctnu": self.ctnu.ravel()}, index=index).reset_index()

    def subset(
        self,
        *,
        genes: Sequence[str] | None = None,
        individuals: Sequence[str] | None = None,
        cell_types: Sequence[str] | None = None,
        complete: bool = False,
        renormalize: bool = False,
    ) -> Pseudobulk:
        """Some genes, individuals or cell types, in the order given.

        With `complete` only individuals that have every kept cell type remain; with `renormalize` rows of `P`
        are divided by their sums.
        """
        g = _places(self.genes, genes, "genes")
        n = _places(self.individuals, individuals, "individuals")
        c = _places(self.cell_types, cell_types, "cell_types")
        if complete:
            seen = ~np.isnan(self.ctp[np.ix_(g, n, c)]).all(axis=0)
            n = n[seen.all(axis=1)]
        share = self.P[np.ix_(n, c)]
        if renormalize:
            share = share / share.sum(axis=1, keepdims=True)
        return replace(
            self,
            ctp=self.ctp[np.ix_(g, n, c)],
            ctnu=self.ctnu[np.ix_(g, n, c)],
            P=share,
            counts=None if self.counts is None else self.counts[np.ix_(n, c)],
            genes=[self.genes[k] for k in g],
            individuals=[self.individuals[k] for k in n],
            cell_types=[self.cell_types[k] for k in c],
        )

    def standardize(self) -> Pseudobulk:
        """Each gene on the scale of its overall expression: mean 0, variance 1 between individuals.

        A gene whose overall expression does not vary becomes NaN, with status ``no_values`` in a fit. Negative noise,
        as imputation leaves it, becomes the largest of its cell type.
        """
        made = _core.ctmm_standardize(self.handed())
        return self._with(made)

    def impute(self, method: str = "mvn", *, n_threads: int | None = None) -> Pseudobulk:
        """Missing pairs filled in by a multivariate normal, gene by gene (`mvn`): for parity with the reference.

        :func:`fit` takes observed pairs as they are and needs no imputation.
        """
        if method != "mvn":
            message = f"there is no choice `{method}`"
            raise BadInputError(message, place="method", hint="it is `mvn`")
        return self._with(_core.ctmm_impute(self.handed(), means(n_threads, progress=False)))

    def _with(self, made: dict[str, Any]) -> Pseudobulk:
        shape = self.ctp.shape
        return replace(self, ctp=made["values"].reshape(shape), ctnu=made["noise"].reshape(shape))

    def handed(self) -> Handed:
        """As the compiled module reads it, without covariates."""
        values = np.ascontiguousarray(self.ctp, dtype=np.float64).ravel()
        noise = np.ascontiguousarray(self.ctnu, dtype=np.float64).ravel()
        share = np.ascontiguousarray(self.P, dtype=np.float64)
        return Handed(self.genes, self.individuals, self.cell_types, "ctp", values, noise, share, [], [])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one .npz file, as ``ferrocyte ctmm prepare`` does; :meth:`load` reads it."""
        told = self.provenance or {"method": "ctmm.pseudobulk", "version": _core.__version__}
        filled = {"options": {}, "seed": None, "inputs": [], "warnings": []} | told
        header = {
            "genes": self.genes,
            "individuals": self.individuals,
            "cell_types": self.cell_types,
            "too_few": [list(pair) for pair in self.too_few],
            "provenance": filled,
        }
        counts = np.full(self.P.shape, -1) if self.counts is None else self.counts
        arrays = {"ctp": self.ctp, "ctnu": self.ctnu, "P": self.P, "counts": counts.astype(np.int64)}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            head = json.dumps({"kind": _KIND, "version": _LAYOUT, "header": header}, indent=2)
            archive.writestr(zipfile.ZipInfo("header.json"), head)
            for name, values in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Pseudobulk:
        """Read what :meth:`save` or ``ferrocyte ctmm prepare`` wrote."""
        try:
            with zipfile.ZipFile(path) as archive:
                head = json.loads(archive.read("header.json"))
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("ctp", "ctnu", "P", "counts")}
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            message = "this is no saved pseudobulk"
            raise BadFileError(message, place=os.fspath(path)) from error
        if head.get("kind") != _KIND or head.get("version", 0) > _LAYOUT:
            message = f"expected a part of kind `{_KIND}`, found `{head.get('kind')}`"
            raise BadFileError(message, place=os.fspath(path))
        header = head["header"]
        counts = None if (arrays["counts"] < 0).any() else arrays["counts"].astype(np.float64)
        too_few = [(str(i), str(c), int(n)) for i, c, n in header["too_few"]]
        return cls(
            arrays["ctp"],
            arrays["ctnu"],
            arrays["P"],
            counts,
            header["genes"],
            header["individuals"],
            header["cell_types"],
            too_few,
            header["provenance"],
        )


def _places(names: list[str], wanted: Sequence[str] | None, place: str) -> np.ndarray[Any, Any]:
    if wanted is None:
        return np.arange(len(names))
    at = {name: k for k, name in enumerate(names)}
    unknown = [str(name) for name in wanted if str(name) not in at]
    if unknown:
        message = f"not there: {', '.join(f'`{name}`' for name in unknown[:10])}"
        raise MissingKeyError(message, place=place, hint=f"there are {', '.join(names[:10])}")
    return np.array([at[str(name)] for name in wanted], dtype=int)
