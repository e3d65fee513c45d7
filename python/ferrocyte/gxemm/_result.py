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
    import pandas as pd

    from ._inputs import Floats

#: The form of saved results.
_FORM = "ferrocyte gxemm fit 1"
_NAMES = ("variances", "coefficients", "environments", "partition")
_ARRAYS = (
    "theta",
    "theta_covariance",
    "monte_carlo_covariance",
    "free_covariance",
    "beta",
    "beta_covariance",
    "h2",
    "h2_covariance",
    "shares",
    "shares_covariance",
    "projected",
    "peer",
    "peer_covariance",
    "peer_h2",
    "peer_h2_covariance",
)
_PLAIN = (
    "name",
    "n",
    "scale",
    "log_likelihood",
    "log_likelihood_full",
    "log_likelihood_null",
    "evaluations",
    "route",
    "status",
    "h2_names",
    "shares_names",
    "peer_h2_names",
)


@dataclass(repr=False)
class GxemmResult:
    """Heritability of traits by environment.

    Attributes
    ----------
    table
        A row for each trait: variances (``g_hom``, ``g[A]``, .., ``e_hom``), heritabilities (``h2``, or ``h2[A]``, ..),
        ``share[..]``, each with ``se[..]`` and ``p[..]`` (after ``rhe`` also ``mc_se[..]``, the error of its random
        vectors); the likelihood ratio of one heritability ``p[h2 ratio]``; joint tests ``p[het]``, ``p[h2 equal]``,
        ``p[any]``; fixed effects ``beta[..]``; ``log_likelihood``, ``scale``, ``route``, ``status``, ``reason``.
    traits
        For each trait a dict of arrays: ``theta``, ``theta_covariance``, ``h2``, ``h2_covariance``, ``shares``, ..
    variances, coefficients, environments
        Names.
    partition
        Whether everybody is in exactly one environment.
    provenance
        Method, version, resolved options, warnings.
    """

    table: pd.DataFrame
    traits: list[dict[str, Any]]
    variances: list[str]
    coefficients: list[str]
    environments: list[str]
    partition: bool
    provenance: dict[str, Any]

    @classmethod
    def of(cls, made: dict[str, Any]) -> GxemmResult:
        """From what the compiled module gives."""
        names = {name: made[name] for name in _NAMES}
        return cls(frame(made["table"]), made["traits"], **names, provenance=made["provenance"])

    @property
    def options(self) -> dict[str, Any]:
        """The resolved options."""
        return dict(self.provenance["options"])

    @property
    def status(self) -> pd.Series[Any]:
        """The status of each trait."""
        return self.table["status"]

    @property
    def h2(self) -> pd.DataFrame:
        """Heritabilities: trait, name, estimate, standard error, p-value; one row each.

        Where environments are numbers, the heritability of an environment is that at z = 1; :attr:`shares` are of the
        people as they are.
        """
        return self._long("h2", lambda one: one["h2_names"], p=True)

    @property
    def shares(self) -> pd.DataFrame:
        """Shares of the mean variance of the people, likewise."""
        return self._long("shares", lambda _: self.variances, p=False)

    @property
    def components(self) -> pd.DataFrame:
        """Variances of the scaled trait, likewise."""
        return self._long("theta", lambda _: self.variances, p=True)

    def _long(self, key: str, names: Any, *, p: bool) -> pd.DataFrame:
        import pandas as pd

        rows = []
        for k, one in enumerate(self.traits):
            values = one[key]
            for j, name in enumerate(names(one)[: len(values)]):
                variance = one[f"{key}_covariance"][j, j]
                row = {"trait": one["name"], "name": name, "estimate": values[j], "se": np.sqrt(max(variance, 0.0))}
                if p:
                    row["p_value"] = self.table[f"p[{name}]"].iloc[k]
                rows.append(row)
        return pd.DataFrame(rows, columns=["trait", "name", "estimate", "se", *(["p_value"] if p else [])])

    def trait(self, trait: int | str = 0) -> dict[str, Any]:
        """The arrays of one trait."""
        if isinstance(trait, str):
            names = [one["name"] for one in self.traits]
            if trait not in names:
                message = f"there is no trait `{trait}`"
                raise MissingKeyError(message, place="trait")
            return self.traits[names.index(trait)]
        return self.traits[trait]

    def matrix(self, key: str, trait: int | str = 0) -> Floats:
        """One array of one trait: ``"theta_covariance"``, ``"h2_covariance"``, .."""
        return np.asarray(self.trait(trait)[key])

    def __repr__(self) -> str:
        options = self.options
        told = ", ".join(f"{n} {word}" for word, n in self.status.value_counts().items())
        return (
            f"GxemmResult: {len(self.traits)} traits, {len(self.environments)} environments, "
            f"gtype {options['gtype']}, etype {options['etype']} by {options['method']}: {told}"
        )

    def to_df(self) -> pd.DataFrame:
        """The table, a row for each trait."""
        return self.table

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
            "traits": [{key: one[key] for key in _PLAIN} for one in self.traits],
        }
        arrays = {f"{k}.{key}": one[key] for k, one in enumerate(self.traits) for key in _ARRAYS}
        with open(path, "wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)


def load(path: str | os.PathLike[str]) -> GxemmResult:
    """Read what :meth:`GxemmResult.save` wrote."""
    import pandas as pd

    with np.load(path, allow_pickle=False) as file:
        header = json.loads(str(file["header"])) if "header" in file else {}
        if header.get("form") != _FORM:
            message = "this is no saved fit of fe.gxemm"
            raise BadFileError(message, place=os.fspath(path))
        traits = [one | {key: file[f"{k}.{key}"] for key in _ARRAYS} for k, one in enumerate(header["traits"])]
    table = pd.DataFrame(header["table"])
    table.attrs = {"units": header["units"], "meanings": header["meanings"]}
    return GxemmResult(table, traits, **header["names"], provenance=header["provenance"])
