"""What factorisations found: factors, and how every replica came about."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import BadFileError, MissingKeyError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

__all__ = ["Factors", "NmfResult", "load"]

#: The form of saved results.
_FORM = "ferrocyte nmf 1"


class Factors(NamedTuple):
    """Usages, cells × programs, and spectra, programs × genes."""

    w: np.ndarray[Any, Any]
    h: np.ndarray[Any, Any]


@dataclass(repr=False)
class NmfResult:
    """What :func:`fit` found.

    Attributes
    ----------
    replicas
        A row per replica: ``k, replica, seed, iterations, objective, explained, best, status, reason``.
    factors
        Usages and spectra by ``(k, replica)``, of those that were kept.
    cells, genes
        Names of the rows and columns of the matrix.
    provenance
        Method, version, resolved options, inputs, and the instructions that ran.
    """

    replicas: pd.DataFrame
    factors: dict[tuple[int, int], Factors]
    cells: list[str]
    genes: list[str]
    provenance: dict[str, Any]

    @property
    def ks(self) -> list[int]:
        """The ranks, rising."""
        return sorted({int(k) for k in self.replicas["k"]})

    @property
    def status(self) -> pd.Series[Any]:
        """How many replicas ended with which word, by k."""
        return self.replicas.groupby(["k", "status"], observed=True).size()

    def to_df(self) -> pd.DataFrame:
        """The table of replicas."""
        return self.replicas

    def get(self, k: int | None = None, replica: int | None = None) -> Factors:
        """The factors of a replica: by default of the best of the only `k`."""
        if k is None:
            if len(self.ks) != 1:
                message = "which k is meant?"
                raise MissingKeyError(message, place="k", hint=f"there are {self.ks}")
            k = self.ks[0]
        if k not in self.ks:
            message = f"there is no k {k}"
            raise MissingKeyError(message, place="k", hint=f"there are {self.ks}")
        if replica is None:
            rows = self.replicas[(self.replicas["k"] == k) & self.replicas["best"]]
            replica = int(rows["replica"].iloc[0])
        if (k, replica) not in self.factors:
            message = f"the factors of replica {replica} of k {k} were not kept"
            raise MissingKeyError(message, place="replica", hint='call fit with keep="all"')
        return self.factors[k, replica]

    def usages(self, k: int | None = None, replica: int | None = None) -> pd.DataFrame:
        """How much each cell uses each program: cells × programs."""
        import pandas as pd

        w = self.get(k, replica).w
        return pd.DataFrame(w, index=self.cells, columns=_programs(w.shape[1]))

    def spectra(self, k: int | None = None, replica: int | None = None) -> pd.DataFrame:
        """What each program consists of: programs × genes."""
        import pandas as pd

        h = self.get(k, replica).h
        return pd.DataFrame(h, index=_programs(len(h)), columns=self.genes)

    def store(self, adata: ad.AnnData, key: str = "nmf") -> None:
        """Write the best factors of each k into an AnnData.

        ``obsm[f"{key}_k{k}"]`` holds usages, ``varm[f"{key}_k{k}"]`` spectra (genes that were not used have 0), and
        ``uns[key]`` the table of replicas and the provenance.
        """
        import pandas as pd

        cells, genes = adata.obs_names.get_indexer(self.cells), adata.var_names.get_indexer(self.genes)
        if len(cells) != adata.n_obs or (cells < 0).any() or (genes < 0).any():
            message = "its cells and genes are not those that were factorised"
            raise MissingKeyError(message, place="adata")
        for k in self.ks:
            w, h = self.get(k)
            usages, spectra = np.zeros((adata.n_obs, k)), np.zeros((adata.n_vars, k))
            usages[cells], spectra[genes] = w, h.T
            names = _programs(k)
            adata.obsm[f"{key}_k{k}"] = pd.DataFrame(usages, index=adata.obs_names, columns=names)
            adata.varm[f"{key}_k{k}"] = pd.DataFrame(spectra, index=adata.var_names, columns=names)
        table = self.replicas.copy()
        table.attrs = {}
        table.index = table.index.astype(str)
        adata.uns[key] = {"replicas": table, "provenance": json.dumps(self.provenance, sort_keys=True)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one .npz file; :func:`load` reads it."""
        arrays = {f"w.{k}.{r}": f.w for (k, r), f in self.factors.items()}
        arrays |= {f"h.{k}.{r}": f.h for (k, r), f in self.factors.items()}
        columns = {
            name: [str(x) for x in column] if column.dtype.kind not in "ifb" else column.tolist()
            for name, column in self.replicas.items()
        }
        told = {"units": self.replicas.attrs.get("units", {}), "meanings": self.replicas.attrs.get("meanings", {})}
        header = {"form": _FORM, "provenance": self.provenance, "replicas": columns, **told}
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                header=np.array(json.dumps(header)),
                cells=np.array(self.cells, dtype=np.str_),
                genes=np.array(self.genes, dtype=np.str_),
                **arrays,  # type: ignore[arg-type]
            )

    @staticmethod
    def load(path: str | os.PathLike[str]) -> NmfResult:
        """Read what :meth:`save` wrote."""
        return load(path)

    def __repr__(self) -> str:
        options = self.provenance["options"]
        lines = [
            f"NMF of {len(self.cells):,} cells, {len(self.genes):,} genes: "
            f"{options['beta_loss']}, {options['solver']}, {options['precision']} precision"
        ]
        for k in self.ks:
            rows = self.replicas[self.replicas["k"] == k]
            best = rows[rows["best"]].iloc[0]
            limit = int((rows["status"] == "max_iter").sum())
            share = f", {100 * best['explained']:.1f} % explained" if np.isfinite(best["explained"]) else ""
            told = f", {limit} at the limit of iterations" if limit else ""
            lines.append(f"  k {k:>3}: {len(rows)} replicas{told}; objective {best['objective']:.6g}{share}")
        return "\n".join(lines)


def load(path: str | os.PathLike[str]) -> NmfResult:
    """Read a result that :meth:`NmfResult.save` wrote."""
    import pandas as pd

    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            if header.get("form") != _FORM:
                message = f"it is of the form `{header.get('form')}`, expected `{_FORM}`"
                raise BadFileError(message, place=os.fspath(path))
            keys = [name.split(".")[1:] for name in file.files if name.startswith("w.")]
            factors = {(int(k), int(r)): Factors(file[f"w.{k}.{r}"], file[f"h.{k}.{r}"]) for k, r in keys}
            cells, genes = file["cells"].tolist(), file["genes"].tolist()
    except (ValueError, KeyError, EOFError) as error:
        message = f"it is no saved result: {error}"
        raise BadFileError(message, place=os.fspath(path)) from error
    replicas = pd.DataFrame(header["replicas"])
    replicas.attrs = {"units": header["units"], "meanings": header["meanings"]}
    return NmfResult(replicas, factors, cells, genes, header["provenance"])


def _programs(k: int) -> list[str]:
    return [f"program_{t + 1}" for t in range(k)]
