"""What discovery gives: ecotypes of cells and neighbourhoods, stored, saved and read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadFileError, BadInputError

if TYPE_CHECKING:
    import os

    import anndata as ad
    import pandas as pd

_FORMAT = "ferrocyte.ecotype.discovered"


@dataclass
class Discovered:
    """Ecotypes of cells.

    Attributes
    ----------
    cells
        One row for each cell, in the order of the input: ``CID``, ``Sample`` (if there are samples), ``CellType``,
        ``X``, ``Y``, ``SN`` (the nearest neighbourhood) and ``distance`` to its centre, ``InitSE`` (of several samples:
        the fine cluster), ``SE`` (the ecotype, missing for none), ``reason``: ``ok``, ``too_far``, ``few_genes``,
        ``no_cluster``, ``no_ecotype``.
    neighbourhoods
        One row for each neighbourhood: ``SN``, ``X``, ``Y``, ``n_types``, and its ``SE``; of several samples also
        ``Sample`` and ``InitSE``.
    components
        Neighbourhoods × components of the ranked network.
    cell_types
        The cell types whose networks were fused.
    params
        How ecotypes were found.
    provenance
        Method, version, options, seed, and the name and fingerprint of the matrix: the same for the same work.
    clusters
        Of several samples: fine clusters, their ``Sample`` and ``SE``.
    alike
        Of several samples: how much alike fine clusters are, clusters × clusters.
    cophenetic
        Of several samples: how well the factorisations of each rank agree.
    best_rank
        Of several samples: the number of ecotypes that was chosen.
    """

    cells: pd.DataFrame
    neighbourhoods: pd.DataFrame
    components: pd.DataFrame
    cell_types: list[str]
    params: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    clusters: pd.DataFrame | None = None
    alike: pd.DataFrame | None = None
    cophenetic: pd.Series[Any] | None = None
    best_rank: int | None = None

    def to_df(self) -> pd.DataFrame:
        """Return a copy of the table of cells."""
        return self.cells.copy()

    def fine_clusters(
        self, resolution: float = 30.0, *, seed: int = 1, n_starts: int = 10, n_threads: int | None = None
    ) -> pd.Series[Any]:
        """Divide the neighbourhoods of one tissue again, without fusing networks again.

        Parameters
        ----------
        resolution
            The larger, the more clusters.
        seed, n_starts
            As in :func:`discover`.
        n_threads
            With what means; it changes no number.

        Returns
        -------
        pandas.Series
            ``InitSE1``, ... of each cell by its name, missing where it has none: what :func:`discover` takes as
            `clusters`, behind the names of samples.
        """
        import pandas as pd

        if self.alike is not None or self.components.empty:
            message = "the result of one tissue was expected, found one of several samples"
            raise BadInputError(message, place="fine_clusters", hint="it has the column InitSE already")
        scores = np.ascontiguousarray(self.components, dtype=np.float64)
        labels = _core.ecotype_subclusters(scores, float(resolution), seed, n_starts, means(n_threads, progress=False))
        of = {name: f"InitSE{label + 1}" for name, label in zip(self.components.index, labels, strict=True)}
        near = self.cells["SN"].where(self.cells["reason"] == "ok")
        values = [of.get(name) for name in near]
        return pd.Series(values, index=pd.Index(self.cells["CID"]), name="InitSE", dtype=object)

    def store(self, adata: ad.AnnData, key: str = "SE") -> None:
        """Store ecotypes in an AnnData that has the same cells, or more.

        obs gains `key`, ``key_reason`` and, as far as they are known, ``SN`` and ``InitSE``; uns ``ecotype_discovery``.

        Parameters
        ----------
        adata
            An AnnData with the cells.
        key
            The name of the ecotypes.
        """
        import pandas as pd

        names = [str(name) for name in adata.obs_names]
        strangers = set(self.cells["CID"]) - set(names)
        if strangers:
            message = f"{len(strangers)} cells are not in the AnnData, such as `{min(strangers)}`"
            raise BadInputError(message, place="adata")
        table = self.cells.set_index("CID").reindex(names)
        adata.obs[key] = pd.Categorical(table["SE"])
        adata.obs[f"{key}_reason"] = pd.Categorical(table["reason"])
        for name in ("SN", "InitSE"):
            if name in table:
                adata.obs[name] = pd.Categorical(table[name])
        known = {name: value for name, value in self.params.items() if value is not None}
        adata.uns["ecotype_discovery"] = {
            "key": key,
            "params": known,
            "cell_types": list(self.cell_types),
            "provenance": json.dumps(self.provenance),
        }

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write all tables, and ``discovered.json`` with the parameters, into a folder.

        Parameters
        ----------
        folder
            Made if it is not there.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for name, table, index in self._tables():
            if table is not None:
                table.to_csv(place / f"{name}.tsv", sep="\t", index=index, float_format="%.17g")
        head = {
            "format": _FORMAT,
            "params": self.params,
            "provenance": self.provenance,
            "cell_types": self.cell_types,
            "best_rank": self.best_rank,
            "tables": [name for name, table, _ in self._tables() if table is not None],
        }
        (place / "discovered.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Discovered:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder
            The folder.

        Returns
        -------
        Discovered
            The same tables.
        """
        import pandas as pd

        place = Path(folder)
        head = place / "discovered.json"
        if not head.exists():
            message = "there is no `discovered.json`"
            raise BadFileError(message, place=str(place), hint="give a folder that Discovered.save wrote")
        known = json.loads(head.read_text(encoding="utf-8"))
        names = {"CID": str, "Sample": str, "CellType": str, "InitSE": str, "SE": str, "SN": str, "cluster": str}

        def read(name: str, index: str | None) -> Any:
            if name not in known["tables"]:
                return None
            table = pd.read_csv(
                place / f"{name}.tsv", sep="\t", dtype=names, float_precision="round_trip",
                keep_default_na=False, na_values=[""],
            )  # fmt: skip
            for column in table.columns.intersection(list(names)):
                table[column] = table[column].astype(object).where(table[column].notna(), None)
            return table if index is None else table.set_index(index)

        out = cls(
            read("cells", None),
            pd.DataFrame() if (squares := read("neighbourhoods", None)) is None else squares,
            pd.DataFrame() if (scores := read("components", "SN")) is None else scores,
            list(known["cell_types"]),
            dict(known["params"]),
            dict(known.get("provenance", {})),
        )
        out.clusters, out.alike, out.best_rank = read("clusters", None), read("alike", "cluster"), known["best_rank"]
        cophenetic = read("cophenetic", "rank")
        out.cophenetic = None if cophenetic is None else cophenetic["cophenetic"]
        return out

    def _tables(self) -> list[tuple[str, Any, bool]]:
        """Names, tables, and whether the index of a table is worth keeping."""
        return [
            ("cells", self.cells, False),
            ("neighbourhoods", self.neighbourhoods if len(self.neighbourhoods.columns) else None, False),
            ("components", self.components if len(self.components.columns) else None, True),
            ("clusters", self.clusters, False),
            ("alike", self.alike, True),
            ("cophenetic", self.cophenetic, True),
        ]
