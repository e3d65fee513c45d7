"""The table of samples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import _core
from .._messages import warn
from ..errors import BadFileError, BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    Path = str | os.PathLike[str]


class Metadata:
    """Which samples there are, where their counts lie, and what is known of them.

    Parameters
    ----------
    locations
        A 10x folder, an .h5, an .h5ad or a table of genes × cells (.csv, .tsv, .ssv, also .gz) for each sample.
    names
        What the samples are called.
    batches, groups
        The batch that integration removes, and the group of the design; ``"."`` if nothing is said.
    modality, default_taxa
        What is measured (``"rna"``), and the species.
    columns
        More columns, each with a value for every sample: the cells of a sample get them all.

    Attributes
    ----------
    dataframe : pandas.DataFrame
        The table.

    Raises
    ------
    BadInputError
        Where columns differ in length, two samples have one name, or a name cannot be that of a file.
    UnsupportedError
        Where another modality is named.

    Examples
    --------
    >>> from ferrocyte.experiment import Metadata
    >>> samples = Metadata(["a.h5ad", "b.h5ad"], names=["a", "b"], age=[61, 48])
    >>> samples.dataframe.loc[1, ["sample", "batch", "age"]].tolist()
    ['b', '.', '48']
    """

    def __init__(
        self,
        locations: Sequence[str],
        *,
        names: Sequence[str],
        batches: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        modality: Sequence[str] | None = None,
        default_taxa: Sequence[str] | None = None,
        **columns: Sequence[Any],
    ) -> None:
        given = {
            "location": [os.fspath(one) for one in locations],
            "sample": names,
            "batch": batches,
            "group": groups,
            "modality": modality,
            "taxa": default_taxa,
            **columns,
        }
        held = {name: [str(value) for value in values] for name, values in given.items() if values is not None}
        for name, values in held.items():
            if len(values) != len(held["location"]):
                message = f"{len(values)} values for {len(held['location'])} samples"
                raise BadInputError(message, place=f"column `{name}`")
        rows = [list(row) for row in zip(*held.values(), strict=True)]
        self._table = _core.SampleTable.from_rows(list(held), rows)

    @classmethod
    def of(cls, table: Any) -> Metadata:
        """A table of samples from a path, a data frame, or such a table."""
        if isinstance(table, Metadata):
            return table
        made = cls.__new__(cls)
        if isinstance(table, (str, os.PathLike)):
            made._table = _core.SampleTable.parse(_text(table))
        elif hasattr(table, "columns") and hasattr(table, "itertuples"):
            filled = table.astype(object).where(table.notna(), "")
            rows = [[str(value) for value in row] for row in filled.itertuples(index=False, name=None)]
            made._table = _core.SampleTable.from_rows([str(name) for name in table.columns], rows)
        else:
            message = f"expected a path or a data frame, found {type(table).__name__}"
            raise BadInputError(message, place="samples")
        return made

    @classmethod
    def saved(cls, path: Path) -> Metadata:
        """The table of a study that was saved; samples of modalities that are not supported are said and kept in it."""
        made = cls.__new__(cls)
        made._table = _core.SampleTable.parse_saved(_text(path))
        others = made._table.others()
        if others:
            named = ", ".join(f"`{name}` ({modality})" for name, modality in others[:5])
            warn(f"{os.fspath(path)}: samples of modalities that are not supported are not loaded: {named}")
        return made

    @property
    def dataframe(self) -> pd.DataFrame:
        """The table, a row for each sample."""
        import pandas as pd

        return pd.DataFrame(self._table.rows(), columns=self._table.header())

    def save(self, path: Path) -> None:
        """Write the table as text with tabs."""
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(self._table.to_tsv())

    def __len__(self) -> int:
        return len(self._table.rows())

    def __repr__(self) -> str:
        return repr(self.dataframe)


def load_metadata(path: Path) -> Metadata:
    """Read a table of samples: text with tabs, names in its first line.

    Parameters
    ----------
    path
        The file. Columns are ``location``, ``sample``, ``batch``, ``group``, ``modality``, ``taxa`` in any order, the
        first two needed, and any others.

    Returns
    -------
    Metadata
        The table.

    Raises
    ------
    BadFileError
        Where there is no such file.
    MissingKeyError, BadInputError
        Where a column is missing, or a line does not fit; the message names them.
    """
    return Metadata.of(path)


def _text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as fault:
        reason = "it is no text" if isinstance(fault, UnicodeDecodeError) else fault.strerror or str(fault)
        message = f"the table of samples cannot be read: {reason}"
        raise BadFileError(message, place=os.fspath(path)) from None
