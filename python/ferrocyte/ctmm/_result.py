"""What the models found."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tables import frame
from ..errors import BadFileError, MissingKeyError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from ._study import Floats

#: The form of saved results.
_FORM = "ferrocyte ctmm fit 1"
_ARRAYS = ("v", "theta", "theta_covariance", "beta", "beta_covariance", "log_likelihood", "bad_refits")
_NAMES = ("variances", "coefficients", "fixed", "random", "genes", "cell_types", "dropped")


@dataclass(repr=False)
class CtmmResult:
    """Cell type-specific mixed models of all genes.

    Attributes
    ----------
    table
        A row for each gene: variances, ``se[..]``, means, ``p[hom2]``, ``p[V]``, ``p[mean]`` (with
        ``adj_p[..]`` and ``log10_p[..]``), ``share[..]``, ``df``, ``status``, ``reason``.
    V
        The covariance over cell types beyond what they share, genes × cell types × cell types.
    theta, theta_covariance
        Variances in the order of `variances`, and their covariance.
    beta, beta_covariance
        Fixed effects in the order of `coefficients`, and their covariance.
    log_likelihood
        Without constants; NaN after moments.
    bad_refits
        Fits without one individual that have no interior optimum.
    dropped
        Individuals that were left out.
    provenance
        Method, version, resolved options, warnings.
    """

    table: pd.DataFrame
    V: Floats
    theta: Floats
    theta_covariance: Floats
    beta: Floats
    beta_covariance: Floats
    log_likelihood: Floats
    bad_refits: np.ndarray[Any, Any]
    variances: list[str]
    coefficients: list[str]
    fixed: list[str]
    random: list[str]
    genes: list[str]
    cell_types: list[str]
    dropped: list[str]
    provenance: dict[str, Any]

    @classmethod
    def of(cls, made: dict[str, Any]) -> CtmmResult:
        """From what the compiled module gives."""
        g, c = len(made["genes"]), len(made["cell_types"])
        k, p = len(made["variances"]), len(made["coefficients"])
        return cls(
            frame(made["table"]),
            made["v"].reshape(g, c, c),
            made["theta"],
            made["theta_covariance"].reshape(g, k, k),
            made["beta"],
            made["beta_covariance"].reshape(g, p, p),
            made["log_likelihood"],
            made["bad_refits"],
            **{name: made[name] for name in _NAMES},
            provenance=made["provenance"],
        )

    @property
    def options(self) -> dict[str, Any]:
        """The resolved options."""
        return dict(self.provenance["options"])

    @property
    def status(self) -> pd.Series[Any]:
        """How many genes have which status."""
        return self.table["status"].value_counts()

    @property
    def hom2(self) -> Floats:
        """The variance that all cell types share; NaN for the model `full`."""
        if "hom2" not in self.variances:
            return np.full(len(self.genes), np.nan)
        return self.theta[:, self.variances.index("hom2")]

    def __repr__(self) -> str:
        options = self.options
        told = ", ".join(f"{n} {word}" for word, n in self.status.items())
        return (
            f"CtmmResult: {len(self.genes)} genes, {len(self.cell_types)} cell types, "
            f"{options['level']}, model {options['model']} by {options['method']}: {told}"
        )

    def to_df(self) -> pd.DataFrame:
        """The table, a row for each gene."""
        return self.table

    def peer(self, gene: int | str) -> dict[str, Any]:
        """One gene in the words of the peer: ``hom2``, ``V``, ``r2``, ``beta``, ``l``, ``p``, shares of variance."""
        i = self._place(gene)
        row = self.table.iloc[i]
        c = len(self.cell_types)
        beta: dict[str, Any] = {"ct_beta": self.beta[i, :c]}
        for name in self.fixed:
            own = [k for k, label in enumerate(self.coefficients) if k >= c and _of(label, name)]
            beta[name] = self.beta[i, own]
        shares = {"ct_beta": row["share[means]"]} | {name: row[f"share[{name}]"] for name in self.fixed}
        out: dict[str, Any] = {
            "V": self.V[i],
            "beta": beta,
            "r2": {name: row[f"r2[{name}]"] for name in self.random},
            "fixedeffect_vars": shares,
            "randomeffect_vars": {name: row[f"share[{name}]"] for name in self.random},
            "ct_random_var": row["share[V]"],
            "ct_specific_random_var": np.array([row[f"share[V[{name}]]"] for name in self.cell_types]),
            "p": {"hom2": row["p[hom2]"], "V": row["p[V]"], "ct_beta": row["p[mean]"]},
            "status": row["status"],
        }
        if "hom2" in self.variances:
            out["hom2"] = float(self.hom2[i])
        if self.options["method"] != "he":
            out["l"] = float(self.log_likelihood[i])
        else:
            out["Vy"] = "singular" if row["status"] == "singular" else "nonsingular"
        return out

    def _place(self, gene: int | str) -> int:
        if isinstance(gene, str):
            if gene not in self.genes:
                message = f"there is no gene `{gene}`"
                raise MissingKeyError(message, place="gene")
            return self.genes.index(gene)
        return int(gene)

    def store(self, adata: ad.AnnData, key: str = "ctmm") -> None:
        """Write table and provenance into ``uns[key]`` of an AnnData."""
        table = self.table.copy()
        table.attrs = {}
        table.index = table.index.astype(str)
        adata.uns[key] = {"table": table, "provenance": json.dumps(self.provenance, sort_keys=True)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one .npz file; :func:`load` reads it."""
        columns = {
            name: [str(x) for x in column] if column.dtype.kind not in "ifb" else column.tolist()
            for name, column in self.table.items()
        }
        header = {
            "form": _FORM,
            "provenance": self.provenance,
            "table": columns,
            "units": self.table.attrs.get("units", {}),
            "meanings": self.table.attrs.get("meanings", {}),
            "names": {name: getattr(self, name) for name in _NAMES},
        }
        arrays = {name: self.V if name == "v" else getattr(self, name) for name in _ARRAYS}
        with open(path, "wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def _of(label: str, name: str) -> bool:
    return label == name or label.startswith(f"{name}[")


def load(path: str | os.PathLike[str]) -> CtmmResult:
    """Read what :meth:`CtmmResult.save` wrote."""
    import pandas as pd

    with np.load(path, allow_pickle=False) as file:
        header = json.loads(str(file["header"])) if "header" in file else {}
        if header.get("form") != _FORM:
            message = "this is no saved fit of fe.ctmm"
            raise BadFileError(message, place=os.fspath(path))
        arrays = {name: file[name] for name in _ARRAYS}
    table = pd.DataFrame(header["table"])
    table.attrs = {"units": header["units"], "meanings": header["meanings"]}
    v = arrays.pop("v")
    return CtmmResult(table, v, **arrays, **header["names"], provenance=header["provenance"])
