"""The additive sums: all that the models need of the cells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._sources import Source, open_source
from .._tables import frame
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import anndata as ad
    import pandas as pd

__all__ = ["Sums", "sums", "sums_from_arrays"]


@dataclass
class Request:
    """What the sums are made of, as the compiled module reads it."""

    formula: str
    random: list[str]
    groups: str | None
    transform: str
    target_sum: float | None
    aliased: str
    na: str
    mask: tuple[list[bool], str] | None
    trust_values: bool
    rows: tuple[int, int] | None
    fingerprint: str


class Sums:
    """The sums of a study: X'X, Z'X, Z'Z, and per gene X'y, Z'y, y'y, for each group.

    They do not grow with the number of cells, hold no cell, and add: parts made from disjoint cells (shards,
    machines) with the same formula and levels can be merged. They pickle, and are what
    :func:`ferrocyte.lmm.fit` starts from if they are given instead of an AnnData.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> adata = small_study()
    >>> sums = fe.lmm.sums(adata, "~ log(libsize) + condition + (1 | sample)")
    >>> sums
    lmm sums  ~ log(libsize) + condition + (1 | sample)
    40 genes, 240 cells, log1p
    >>> fe.lmm.fit(sums).contrast("condition", "stim", "ctrl").gene[0]
    'gene1'
    """

    def __init__(self, core: _core.Sums) -> None:
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

    def arrays(self, group: str | None = None) -> dict[str, Any]:
        """The sums of one group.

        Parameters
        ----------
        group
            A level of the grouping column; not needed where there is one group.

        Returns
        -------
        dict
            `XX` (p x p), `ZX` (q x p), `ZZ` (q x q), `XY` (genes x p), `ZY` (genes x q), `Ynorm` (genes): arrays of
            float64; and `coefficients` (names), `components` (names and columns), `n` (cells).

        Raises
        ------
        MissingKeyError
            There is no such group.
        """
        from ._inference import find_group

        index = find_group(self.groups, group)
        header = self.header["groups"][index]
        return {
            **self._core.arrays(index),
            "coefficients": list(header["coefficients"]["names"]),
            "components": [(c["name"], list(c["columns"])) for c in header["components"]],
            "n": header["n_cells"],
        }

    def support(self) -> pd.DataFrame:
        """How many cells and units (samples, donors) stand behind each coefficient.

        Returns
        -------
        DataFrame
            `group`, `coefficient`, `term`, `n_cells` (cells with its levels; all for covariates), and `n_<unit>` for
            each random grouping: its levels with such a cell. A difference is as good as its smaller arm.
        """
        return frame(self._core.support())

    def merge(self, *others: Sums) -> Sums:
        """Add sums that were made from other cells, in the order of their rows, whatever the order given.

        Shards cut by :func:`plan` give the bits of the whole study in one call.

        Parameters
        ----------
        *others
            Sums with the same genes, formula, levels, transform and groups.

        Raises
        ------
        BadInputError
            They are not parts of one study (the first difference is named), share rows, or leave rows between them
            out. Rows missing at the ends may come with another merge: see :attr:`missing_rows`.
        """
        return Sums(self._core.merge([other._core for other in others]))

    @property
    def missing_rows(self) -> list[str]:
        """Rows of the sources that are not in these sums, in words; empty when all are."""
        return self._core.missing_rows()

    def submodel(self, formula: str, *, random: str | Sequence[str] | None = None, aliased: str = "refuse") -> Sums:
        """The sums of another model of the same cells, without the cells.

        Every column of the other model must be a combination of those of these sums: any of the terms, coded in any
        way; a factor may move from the random to the fixed side and back. So sums of the richest model answer all
        simpler ones. Merge shards first.

        Parameters
        ----------
        formula, random
            The other model.
        aliased
            What to do with fixed effects that depend on others: ``"refuse"`` names them in an error, ``"drop"``
            leaves them out and says so.

        Returns
        -------
        Sums
            Equal to those collected from the cells, up to rounding. Cells that were left out for want of a value of
            the richer model stay out.

        Raises
        ------
        MissingKeyError
            A variable, column or random term that is not in the sums.
        BadInputError
            Fixed effects that depend on others.

        Examples
        --------
        >>> import ferrocyte as fe
        >>> from ferrocyte._examples import small_study
        >>> rich = fe.lmm.sums(small_study(), "~ log(libsize) + donor + condition + (1 | sample)")
        >>> rich.submodel("~ condition + (1 | donor) + (1 | sample)").arrays()["XX"]
        array([[240., 120.],
               [120., 120.]])
        """
        terms = [random] if isinstance(random, str) else list(random or [])
        return Sums(self._core.submodel(formula, terms, aliased, means()))

    def select_genes(self, genes: Sequence[str] | Sequence[int] | Sequence[bool]) -> Sums:
        """The sums of some genes.

        Parameters
        ----------
        genes
            Names, positions, or one truth value per gene. Names and positions give the order.

        Raises
        ------
        MissingKeyError
            A name that no gene has.
        BadInputError
            A name that several genes have, a gene selected twice, no gene.
        """
        wanted = np.asarray(genes)
        if wanted.ndim != 1:
            message = f"expected names, positions or truth values in one dimension, found shape {wanted.shape}"
            raise BadInputError(message, place="genes")
        if wanted.dtype == np.bool_:
            if len(wanted) != self._core.n_genes:
                message = f"{len(wanted)} truth values for {self._core.n_genes} genes"
                raise BadInputError(message, place="genes")
            places = np.flatnonzero(wanted).tolist()
        elif np.issubdtype(wanted.dtype, np.integer):
            if (wanted < 0).any():
                message = f"positions count from 0, found {wanted.min()}"
                raise BadInputError(message, place="genes")
            places = wanted.tolist()
        else:
            places = self._core.find_genes([str(name) for name in wanted])
        return Sums(self._core.select_genes(places))

    def concat_genes(self, *others: Sums) -> Sums:
        """Put sums of other genes of the same cells behind these: blocks of genes that were made apart.

        Raises
        ------
        BadInputError
            They come from other cells, another model or other options, or genes are in both.
        """
        return Sums(self._core.concat_genes([other._core for other in others]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a part file (``.npz``, which numpy opens too); the same sums give the same bytes."""
        self._core.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Sums:
        """Read a part file, of this class or of the program's ``lmm sums``.

        Raises
        ------
        BadFileError
            The file does not exist, is damaged, or was not written by ferrocyte.
        """
        return cls(_core.Sums.load(os.fspath(path)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_sums_from_bytes, (self._core.to_bytes(),))

    def __repr__(self) -> str:
        header = self.header
        groups = f", {len(header['groups'])} groups of `{header['groups_by']}`" if header["groups_by"] else ""
        model = header["formula"] or "(from arrays)"
        return f"lmm sums  {model}\n{self._core.n_genes} genes, {self.n_cells} cells{groups}, {header['transform']}"


def _sums_from_bytes(data: bytes) -> Sums:
    return Sums(_core.Sums.from_bytes(data))


def sums(
    data: ad.AnnData | str | os.PathLike[str],
    formula: str,
    *,
    random: str | Sequence[str] | None = None,
    groups: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | Sequence[bool] | None = None,
    transform: str = "log1p",
    target_sum: float | None = None,
    na: str = "refuse",
    aliased: str = "refuse",
    trust_values: bool = False,
    rows: tuple[int, int] | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Sums:
    """Collect the sums of a study in one pass over its cells.

    Parameters
    ----------
    data
        AnnData (in memory, a view, backed, read lazily) or the path of an .h5ad file: cells x genes, counts.
    formula
        Fixed and random effects: ``"~ log(libsize) + donor + condition + (1 | sample)"``. `libsize` is the column of
        obs of that name, else the cell's total over all genes of the matrix.
    random
        Random effects apart from the formula: ``"(1 | sample)"``, ``"~ 0 + sample"``, or a list of these.
    groups
        A column of obs; each of its levels gets sums, and later variances, of its own.
    layer
        The matrix: ``None`` is ``X``; the name of a layer; ``"raw"``.
    use_raw
        Whether to take the matrix of ``raw``; the same as ``layer="raw"``.
    mask_var
        Only these genes are modelled: a column of var with truth values, or one truth value per gene. Totals of cells
        still count all genes, so that a mask is better than a filtered AnnData.
    transform
        What is done to a count: ``"log1p"`` is ln(1 + count), ``"log2p1"`` is log2(1 + count), ``"lognorm"`` is
        ln(1 + count x `target_sum` / total of the cell), ``"none"``.
    target_sum
        The total to which ``"lognorm"`` scales; by default 10,000.
    na
        What to do with cells that lack a value which the model needs: ``"refuse"`` counts them in an error,
        ``"drop"`` leaves them out and says so.
    aliased
        What to do with fixed effects that depend on others: ``"refuse"`` names them in an error, ``"drop"`` leaves
        them out and says so.
    trust_values
        Whether values that are not whole numbers may be transformed as if they were counts.
    rows
        Only the cells `start` to `stop` (a shard); designs and levels are those of the whole study, so that parts
        made of disjoint rows can be merged. Where :func:`plan` cuts, they give the bits of the whole.
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
        Missing values, dependent columns, values that are no counts: with names, numbers and the way out.
    MissingKeyError
        A column or layer that does not exist.
    TooLargeError
        The sums do not fit `max_memory`.

    Notes
    -----
    Memory does not grow with cells. The bits do not depend on threads or on the size of blocks.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> adata = small_study()
    >>> fe.lmm.sums(adata, "~ condition + (1 | sample)").arrays()["XX"]
    array([[240., 120.],
           [120., 120.]])
    """
    layer = matrix_name(layer, use_raw=use_raw)
    source = open_source(data, layer)
    terms = [random] if isinstance(random, str) else list(random or [])
    part = None if rows is None else (int(rows[0]), int(rows[1]))
    mask = _mask(source, mask_var)
    request = Request(
        formula, terms, groups, transform, target_sum, aliased, na, mask, trust_values, part, source.fingerprint
    )
    return Sums(
        _collect(source, request, _core.lmm_variables(formula, terms), means(n_threads, max_memory, progress=progress))
    )


def matrix_name(layer: str | None, *, use_raw: bool) -> str | None:
    """The matrix that `layer` and `use_raw` ask for."""
    if use_raw and layer not in (None, "raw"):
        message = f"the layer `{layer}` and raw are both asked for"
        raise BadInputError(message, place="use_raw", hint="give one of them")
    return "raw" if use_raw else layer


def _mask(source: Source, mask_var: str | Sequence[bool] | None) -> tuple[list[bool], str] | None:
    if mask_var is None:
        return None
    if isinstance(mask_var, str):
        return source.mask(mask_var), mask_var
    values = np.asarray(mask_var)
    if values.ndim != 1 or values.dtype != np.bool_:
        message = f"expected the name of a column of var or truth values, found {values.dtype} of shape {values.shape}"
        raise BadInputError(message, place="mask_var")
    return values.tolist(), ""


def _collect(source: Source, request: Request, variables: Iterable[str], resources: Any) -> _core.Sums:
    # A column that does not exist is left to the model, whose message knows the formula.
    wanted = [name for name in variables if name != "libsize"]
    if request.groups is not None:
        wanted.append(request.groups)
    columns = source.columns(wanted, ["libsize"] if "libsize" in variables else [])
    return _core.lmm_sums(
        source.matrix,
        source.alternatives,
        source.genes,
        source.n_cells,
        columns,
        source.cell_name,
        request,
        resources,
    )


def sums_from_arrays(
    *,
    XX: Any,
    ZX: Any,
    ZZ: Any,
    XY: Any,
    ZY: Any,
    Ynorm: Any,
    n: int,
    d: int | Sequence[int] | None = None,
    genes: Sequence[str] | None = None,
    coefficients: Sequence[str] | None = None,
    transform: str = "none",
) -> Sums:
    """Sums that were made elsewhere.

    Parameters
    ----------
    XX, ZX, ZZ
        X'X (p x p), Z'X (q x p), Z'Z (q x q); data frames give names of coefficients and random effects.
    XY, ZY
        X'y and Z'y, **genes x p** and **genes x q** (the orientation of results here).
    Ynorm
        y'y, one per gene.
    n
        Number of cells.
    d
        Number of columns of each random component; by default all are one component.
    genes, coefficients
        Names; by default those of the data frames, else ``gene1..`` and ``x1..``.
    transform
        What was done to the counts, for units.

    Returns
    -------
    Sums

    Raises
    ------
    BadInputError
        Shapes do not fit, or numbers are missing or infinite.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> made = fe.lmm.sums(small_study(), "~ condition + (1 | sample)").arrays()
    >>> again = fe.lmm.sums_from_arrays(
    ...     **{name: made[name] for name in ("XX", "ZX", "ZZ", "XY", "ZY", "Ynorm", "n", "coefficients")}
    ... )
    >>> fe.lmm.fit(again).coefficients
    ['(Intercept)', 'conditionstim']
    """
    XY_, ZY_ = _array(XY, "XY", 2), _array(ZY, "ZY", 2)
    XX_, ZX_, ZZ_ = _array(XX, "XX", 2), _array(ZX, "ZX", 2), _array(ZZ, "ZZ", 2)
    m, p, q = XY_.shape[0], XX_.shape[0], ZZ_.shape[0]
    gene_names = _names(genes, getattr(XY, "index", None), "gene", m)
    fixed = _names(coefficients, getattr(XX, "columns", None), "x", p)
    random = _names(None, getattr(ZZ, "columns", None), "z", q)
    sizes = [q] if d is None else [int(size) for size in np.atleast_1d(d)]
    if sum(sizes) != q or any(size < 1 for size in sizes):
        message = f"the components have {' + '.join(map(str, sizes))} columns, ZZ has {q}"
        raise BadInputError(message, place="d")
    bounds = np.cumsum([0, *sizes])
    components = [(f"component{i + 1}", random[bounds[i] : bounds[i + 1]]) for i in range(len(sizes))]
    norms = _array(np.ravel(Ynorm), "Ynorm", 1)
    made = _core.lmm_sums_from_arrays(gene_names, fixed, components, int(n), XX_, ZX_, ZZ_, XY_, ZY_, norms, transform)
    return Sums(made)


def _array(values: Any, name: str, dimensions: int) -> np.ndarray[Any, Any]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions:
        message = f"expected {dimensions} dimensions, found shape {array.shape}"
        raise BadInputError(message, place=name)
    return array


def _names(given: Sequence[str] | None, found: Any, stem: str, n: int) -> list[str]:
    names = given if given is not None else found
    out = [f"{stem}{i + 1}" for i in range(n)] if names is None else [str(name) for name in names]
    if len(out) != n:
        message = f"{len(out)} names for {n} of `{stem}`"
        raise BadInputError(message, place="names")
    return out
