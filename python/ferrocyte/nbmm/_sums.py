"""The additive sums of counts: all that the models need of the cells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._sources import open_source
from ..errors import BadInputError
from ..lmm._inference import find_group
from ..lmm._sums import _mask, matrix_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd

__all__ = ["Sums", "sums"]


@dataclass
class Request:
    """What the sums are made of, as the compiled module reads it."""

    formula: str
    random: list[str]
    groups: str | None
    offset: str | None
    path: str
    nodes: int | None
    aliased: str
    na: str
    mask: tuple[list[bool], str] | None
    rows: tuple[int, int] | None
    fingerprint: str


class Sums:
    """The sums of a study of counts, for each group: on the nodes of the offset, or cell by cell.

    They add: parts made from disjoint cells (shards, machines) with the same formula and levels can be merged. On nodes
    they do not grow with the number of cells. They pickle, and are what :func:`ferrocyte.nbmm.fit` starts from if they
    are given instead of an AnnData.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> fe.nbmm.sums(small_study(), "~ condition + donor + (1 | sample)").formula
    '~ condition + donor + (1 | sample)'
    """

    def __init__(self, core: _core.NbSums) -> None:
        self._core = core

    @property
    def genes(self) -> pd.Index[Any]:
        """The genes, in order."""
        import pandas as pd

        return pd.Index(self._core.genes, name="gene")

    @property
    def n_cells(self) -> int:
        """Number of cells in all groups."""
        return self._core.n_cells

    @property
    def formula(self) -> str:
        """The model, in canonical text."""
        return str(self.header["formula"])

    @property
    def groups(self) -> list[str]:
        """The levels of the grouping column; one empty text where there is none."""
        return [str(group["label"]) for group in self.header["groups"]]

    @property
    def header(self) -> dict[str, Any]:
        """Names, sizes and options as plain data."""
        return self._core.header()

    @property
    def missing_rows(self) -> list[str]:
        """Rows of the sources that are not in these sums, in words; empty when all are."""
        return self._core.missing_rows()

    def merge(self, *others: Sums) -> Sums:
        """Add sums that were made from other cells, in the order of their rows, whatever the order given.

        Parameters
        ----------
        *others
            Sums with the same genes, formula, levels, offset and groups.

        Returns
        -------
        Sums
            Those of the whole, up to rounding (1e-12).

        Raises
        ------
        BadInputError
            They are not parts of one study, share rows, or leave rows between them out.
        """
        return Sums(self._core.merge([other._core for other in others]))

    def evaluate(
        self,
        genes: Sequence[str],
        parameters: Any,
        *,
        group: str | None = None,
        re: str = "lognormal",
        quad: int = 15,
    ) -> dict[str, Any]:
        """The marginal likelihood of genes at given parameters.

        Parameters
        ----------
        genes
            Names of genes; one may come several times.
        parameters
            Genes x (p + 2): the coefficients, tau, s2. tau = 0 is the Poisson, s2 = 0 no effect of donors.
        group
            A level of the grouping column; not needed where there is one group.
        re
            Distribution of the donor effect: ``"lognormal"`` or ``"gamma"``.
        quad
            Nodes of the integral over the effect of a donor.

        Returns
        -------
        dict
            `log_likelihood` (with all constants), `gradient` in the coefficients, ln tau and ln s2, `information`
            (minus the second derivatives in these), `effects` (posterior mean of the effect of each donor, in the order
            of the header).

        Raises
        ------
        MissingKeyError
            There is no such gene or group.
        BadInputError
            The number of parameters is another, or one is out of range.
        """
        index = find_group(self.groups, group)
        places = self.genes.get_indexer_for(list(genes))
        if (places < 0).any() or len(places) != len(genes):
            from ..errors import MissingKeyError

            message = "there is no gene, or more than one, of one of these names"
            raise MissingKeyError(message, place="genes")
        array = np.ascontiguousarray(parameters, dtype=np.float64)
        return self._core.evaluate(index, [int(place) for place in places], array, re, quad)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a part file (``.npz``, which numpy opens too); the same sums give the same bytes."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Sums:
        """Read a part file, of this class or of the program's ``nbmm sums``.

        Raises
        ------
        BadFileError
            The file does not exist, is damaged, or was not written by ferrocyte.
        """
        return cls(_core.NbSums.load(os.fspath(path)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_sums_from_bytes, (self._core.to_bytes(),))

    def __repr__(self) -> str:
        return self._core.describe()


def _sums_from_bytes(data: bytes) -> Sums:
    return Sums(_core.NbSums.from_bytes(data))


def sums(
    data: ad.AnnData | str | os.PathLike[str],
    formula: str,
    *,
    random: str | Sequence[str] | None = None,
    groups: str | None = None,
    offset: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | Sequence[bool] | None = None,
    path: str = "auto",
    nodes: int | None = None,
    na: str = "refuse",
    aliased: str = "refuse",
    rows: tuple[int, int] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Sums:
    """Collect the sums of a study of counts.

    Parameters
    ----------
    data
        AnnData (in memory, a view, backed, read lazily) or the path of an .h5ad file: cells x genes, counts.
    formula
        Fixed effects and one random intercept: ``"~ condition * cell_state + (1 | donor)"``.
    random
        The random intercept apart from the formula: ``"(1 | donor)"``.
    groups
        A column of obs; each of its levels gets sums, and later models, of its own.
    offset
        A column of obs with positive numbers, whose logarithms enter the predictor; by default the total of the cell
        over all genes, divided by its mean over cells, for which the matrix is read twice.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    use_raw
        Whether to take the matrix of ``raw``; the same as ``layer="raw"``.
    mask_var
        Only these genes are modelled: a column of var with truth values, or one truth value per gene. Totals of cells
        still count all genes.
    path
        What stands for the cells: ``"nodes"`` of the offset for each donor and row of the design, ``"cells"``, or
        ``"auto"``: nodes where they are fewer.
    nodes
        Number of nodes of the offset; by default as many as its range asks for (8 to 24).
    na
        What to do with cells that lack a value which the model needs: ``"refuse"`` counts them in an error,
        ``"drop"`` leaves them out and says so.
    aliased
        What to do with fixed effects that depend on others: ``"refuse"`` names them in an error, ``"drop"`` leaves
        them out and says so.
    rows
        Only the cells `start` to `stop` (a shard); designs, strata and nodes are those of the whole study.
    n_threads
        Number of threads; by default all processors. Changes time, never the answer.
    max_memory
        Bytes for buffers and sums (or ``"4GiB"``); by default 2 GiB. Changes time, never the answer.
    progress
        Whether bars are drawn; by default on a terminal.

    Returns
    -------
    Sums

    Raises
    ------
    BadInputError
        Values that are no counts, offsets that are not positive, missing values, dependent columns, fixed effects that
        tell all donors apart.
    UnsupportedError
        More than one random term, or a random slope: :func:`ferrocyte.lmm.fit` has these.
    TooLargeError
        The sums do not fit `max_memory`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> made = fe.nbmm.sums(small_study(), "~ condition + donor + (1 | sample)", path="nodes")
    >>> made.n_cells, made.header["groups"][0]["strata"]
    (240, 12)
    """
    layer = matrix_name(layer, use_raw=use_raw)
    source = open_source(data, layer)
    terms = [random] if isinstance(random, str) else list(random or [])
    part = None if rows is None else (int(rows[0]), int(rows[1]))
    if nodes is not None and (isinstance(nodes, bool) or int(nodes) != nodes or not 2 <= nodes <= 64):
        message = f"expected a whole number from 2 to 64, found {nodes!r}"
        raise BadInputError(message, place="nodes")
    request = Request(
        formula, terms, groups, offset, path, nodes, aliased, na, _mask(source, mask_var), part, source.fingerprint
    )
    variables = _core.lmm_variables(formula, terms)
    wanted = [name for name in variables if name != "libsize"]
    wanted += [name for name in (groups, offset) if name is not None and name not in wanted]
    columns = source.columns(wanted, ["libsize"] if "libsize" in variables else [])
    made = _core.nbmm_sums(
        source.matrix,
        source.genes,
        source.n_cells,
        columns,
        source.cell_name,
        request,
        means(n_threads, max_memory, progress=progress),
    )
    return Sums(made)
