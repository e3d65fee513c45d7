"""From counts of samples, or of cells, to a ranked list of genes, in one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._obs import columns as obs_columns
from .._obs import require
from .._run import means
from .._tables import frame
from ..errors import BadInputError, MissingKeyError
from ._containers import MArrayLM
from ._inputs import Held, counted, expressed, labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd

__all__ = ["DeResult", "de"]


@dataclass
class Request:
    """How genes are compared, as the compiled module reads it."""

    formula: str
    contrasts: list[tuple[str, str]]
    method: str
    block: str | None
    robust: bool
    sample_weights: bool
    lfc: float
    normalize: str
    min_count: float
    min_total_count: float
    adjust: str
    groups: tuple[list[int], list[str]] | None
    annotation: list[tuple[str, list[str]]]
    name: str
    fingerprint: str


@dataclass(repr=False)
class DeResult:
    """What :func:`de` found.

    Attributes
    ----------
    table
        A row per group, contrast and gene: ``group, contrast, gene, (annotation), log_fc, se, ave_expr, t, df, p_value,
        adj_p_value, log10_p_value, b, n_samples, status, reason``. The log base is 2.
    groups
        A row per group: samples, genes in the fit, priors, correlation of blocks, and why a group was not fitted.
    samples
        A row per sample of a group: library size, normalisation factor, weight.
    fits
        The moderated fit of each group (:class:`MArrayLM`), for ``top_table``, figures and other verbs.
    provenance
        Method, version, resolved options and inputs.
    calls
        How many genes are up and down at a false discovery rate of 5 %, by group and contrast.
    values, blocks
        The counts or values that went in, genes × samples, and the block of each sample.
    """

    table: pd.DataFrame
    groups: pd.DataFrame
    samples: pd.DataFrame
    fits: dict[str, MArrayLM]
    provenance: dict[str, Any]
    calls: pd.DataFrame
    values: np.ndarray[Any, Any] = field(repr=False)
    blocks: list[Any] | None = field(default=None, repr=False)

    def to_df(self) -> pd.DataFrame:
        """The table of tests."""
        return self.table

    def select(self, group: str | None = None, contrast: str | None = None) -> pd.DataFrame:
        """The rows of one group and contrast."""
        out = self.table
        for name, wanted in (("group", group), ("contrast", contrast)):
            if wanted is None:
                continue
            if wanted not in list(out[name].cat.categories):
                message = f"there is no {name} `{wanted}`"
                known = ", ".join(f"`{known}`" for known in out[name].cat.categories[:12])
                raise MissingKeyError(message, place="table", hint=f"there are {known}")
            out = out[out[name] == wanted]
        return out

    def store(self, adata: ad.AnnData, key: str = "limma") -> None:
        """Write the tables into ``adata.uns[key]``, so that ``write_h5ad`` keeps them.

        Where the samples that were analysed are the observations of `adata` (one group), the log-values and weights of
        the fit are written as layers ``voom_E`` and ``voom_weights`` (``log_E`` for ``method="trend"``), and its
        coefficients and p-values as ``varm[key + "_log_fc"]`` and ``varm[key + "_p_value"]``. Genes that were left out
        have NaN there.

        Parameters
        ----------
        adata
            The study that was analysed, or any other.
        key
            Where in ``uns``.
        """
        import json

        import pandas as pd

        def plain(table: pd.DataFrame) -> pd.DataFrame:
            out = table.copy()
            out.attrs = {}
            out.index = out.index.astype(str)
            return out

        adata.uns[key] = {
            "table": plain(self.table),
            "groups": plain(self.groups),
            "samples": plain(self.samples),
            "provenance": json.dumps(self.provenance, sort_keys=True),
        }
        if len(self.fits) != 1:
            return
        fit = next(iter(self.fits.values()))
        genes = adata.var_names.get_indexer(fit.genes.index)
        if (genes < 0).any() or not adata.var_names.is_unique:
            return
        for name, values in (("log_fc", fit.coefficients), ("p_value", fit.p_value)):
            kept = np.full((adata.n_vars, values.shape[1]), np.nan)
            kept[genes] = values
            columns = [str(c) for c in fit.coef_names]
            adata.varm[f"{key}_{name}"] = pd.DataFrame(kept, index=adata.var_names, columns=columns)
        if [str(name) for name in adata.obs_names] == [str(name) for name in fit.design.index]:
            for layer, found in self._layers(fit).items():
                whole = np.full((adata.n_obs, adata.n_vars), np.nan)
                whole[:, genes] = found.T
                adata.layers[layer] = whole

    def _layers(self, fit: MArrayLM) -> dict[str, np.ndarray[Any, Any]]:
        """Log-values, and weights where there are any, of the genes and samples of a fit; as :func:`de` made them."""
        from ._counts import cpm
        from ._voom import voom, voom_duplicate_correlation, voom_lm_fit, voom_with_quality_weights

        options = self.provenance["options"]
        kept = self.values[fit.rows]
        if not len(fit.lib_size):
            return {"log_E": kept}
        sizes = np.asarray(fit.lib_size) * np.asarray(fit.norm_factors)
        block = self.blocks
        if options["method"] == "trend":
            return {"log_E": np.asarray(cpm(kept, lib_size=sizes, log=True, prior_count=3.0))}
        design = fit.design.to_numpy()
        made: Any
        if options["method"] == "voom_lm_fit":
            made = voom_lm_fit(kept, design, lib_size=sizes, block=block, sample_weights=options["sample_weights"])
        elif options["sample_weights"]:
            made = voom_with_quality_weights(kept, design, lib_size=sizes)
        elif block is not None:
            made = voom_duplicate_correlation(kept, design, block=block, lib_size=sizes)
        else:
            made = voom(kept, design, lib_size=sizes)
        return {"voom_E": made.E, "voom_weights": made.weights}

    def __repr__(self) -> str:
        options = self.provenance["options"]
        lines = [f"limma de  {options['method']}  {options['formula']}"]
        for call in self.calls.head(12).itertuples(index=False):
            told = call.reason or f"{call.up:,} up, {call.down:,} down of {call.genes:,} genes, {call.samples} samples"
            lines.append(f"  {call.group}  {call.contrast}: {told}")
        if len(self.calls) > 12:
            lines.append(f"  .. {len(self.calls) - 12} more")
        lines.append("  (false discovery rate below 5 %)")
        return "\n".join(lines)


def de(
    data: Any,
    formula: str,
    contrasts: str | Sequence[str] | Mapping[str, str] | None = None,
    *,
    samples: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    groups: str | None = None,
    method: Literal["voom_lm_fit", "voom", "trend"] = "voom_lm_fit",
    mode: Literal["sum", "mean"] = "sum",
    layer: str | None = None,
    min_cells: int = 10,
    block: str | None = None,
    robust: bool = False,
    sample_weights: bool = False,
    lfc: float = 0.0,
    normalize: Literal["TMM", "TMMwsp", "RLE", "upperquartile", "none"] = "TMM",
    min_count: float = 10.0,
    min_total_count: float = 15.0,
    adjust: Literal["group", "all"] = "group",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> DeResult:
    """Compare genes between samples: filter, normalise, fit, contrasts, moderated tests.

    Parameters
    ----------
    data
        Counts of samples: a DGEList, a data frame (genes × samples; columns of text are annotation of the genes), or an
        AnnData (samples × genes). Cells, with `by`: an AnnData, or the path of an .h5ad file, which is streamed. With
        ``method="trend"`` also log2 values.
    formula
        The design: ``"~ 0 + group"``, ``"~ donor + condition"``.
    contrasts
        Expressions of coefficients or levels, ``"stim - ctrl"``, several of them, or by name; by default every
        coefficient but the intercept.
    samples
        Columns of the samples, named as the samples of `data`, where `data` does not bring them. Its order is that of
        the samples, or is brought into it by name.
    by
        Columns of obs whose combinations make samples of cells (:func:`ferrocyte.pp.pseudobulk`).
    groups
        Column whose levels (cell types) are analysed apart.
    method
        ``"voom_lm_fit"``: voom and fit in one, aware of exact zeros. ``"voom"``: voom, then the weighted fit.
        ``"trend"``: log2 counts per million, or values as they are, with a prior that depends on the mean.
    mode
        How cells become samples; ``"mean"`` is for values that are no counts, and for ``method="trend"`` only.
    layer
        The matrix of an AnnData or file.
    min_cells
        Samples with fewer cells are left out, with a warning.
    block
        Column of samples that are correlated (donors that come several times).
    robust
        Whether outlying variances get a prior of their own.
    sample_weights
        Whether samples get weights, estimated from the data.
    lfc
        The log2 fold change that a gene must exceed (``treat``).
    normalize
        How library sizes are made comparable.
    min_count, min_total_count
        Counts that a gene must have in enough samples, and over all (``filter_by_expr``); ``min_count=0`` keeps every
        gene with a count.
    adjust
        Over which p-values the false discovery rate is controlled: those of each group and contrast, or all.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    DeResult
        The table, the fits, and how they came about. `data` is not touched.

    Raises
    ------
    BadInputError
        Where values are no counts but the method needs counts, samples do not match, or no group can be analysed.
    MissingKeyError
        Where a column, coefficient or level does not exist; the nearest names are listed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_counts
    >>> counts, samples = small_counts()
    >>> found = fe.limma.de(counts, "~ group", samples=samples)
    >>> found.table.columns[:4].tolist()
    ['group', 'contrast', 'gene', 'log_fc']
    """
    import pandas as pd

    if mode == "mean" and method != "trend":
        message = f"means over cells are no counts, which `{method}` needs"
        raise BadInputError(message, place="method", hint='use method="trend", or mode="sum"')
    for name, given in (("lfc", lfc), ("min_count", min_count), ("min_total_count", min_total_count)):
        if not 0 <= given < np.inf:
            message = f"expected a number from 0 on, found {given}"
            raise BadInputError(message, place=name)
    held, grouping = _study(
        data, samples, by, groups, mode, layer, min_cells, method, (n_threads, max_memory, progress)
    )
    variables = _core.limma_variables(formula)
    wanted = [*variables, *([block] if block is not None else [])]
    for name in wanted:
        require(held.samples, name, "samples")
    columns = obs_columns(held.samples, wanted)
    request = Request(
        formula=formula,
        contrasts=_contrasts(contrasts),
        method=method,
        block=block,
        robust=robust,
        sample_weights=sample_weights,
        lfc=float(lfc),
        normalize=normalize,
        min_count=float(min_count),
        min_total_count=float(min_total_count),
        adjust=adjust,
        groups=grouping,
        annotation=[(str(name), [str(v) for v in held.genes[name]]) for name in _annotation(held.genes, by)],
        name="counts" if method != "trend" else "values",
        fingerprint=f"{held.values.shape[0]} x {held.values.shape[1]}",
    )
    made = _core.limma_de(held.core(), columns, request, means(n_threads, max_memory, progress=progress))
    call_columns = ["group", "contrast", "up", "down", "genes", "samples", "reason"]
    return DeResult(
        table=frame(made["table"]),
        groups=frame(made["groups"]),
        samples=frame(made["samples"]),
        fits={name: _fit(fit, held) for name, _, fit in made["fits"] if fit is not None},
        provenance=made["provenance"],
        calls=pd.DataFrame(made["calls"], columns=call_columns),
        values=held.values,
        blocks=None if block is None else [str(label) for label in held.samples[block]],
    )


def _study(
    data: Any,
    samples: pd.DataFrame | None,
    by: str | Sequence[str] | None,
    groups: str | None,
    mode: str,
    layer: str | None,
    min_cells: int,
    method: str,
    resources: tuple[int | None, int | str | None, bool | None],
) -> tuple[Held, tuple[list[int], list[str]] | None]:
    """The values of samples and their columns, and the group of each sample."""
    import os

    import pandas as pd

    if by is not None:
        from ..pp import pseudobulk

        n_threads, max_memory, progress = resources
        data = pseudobulk(
            data,
            by,
            groups,
            mode=mode,  # type: ignore[arg-type]
            layer=layer,
            min_cells=min_cells,
            n_threads=n_threads,
            max_memory=max_memory,
            progress=progress,
        )
        layer = None
    elif isinstance(data, (str, os.PathLike)):
        import anndata as ad

        data = ad.read_h5ad(os.fspath(data))
    held = expressed(data, layer) if method == "trend" and not _holds_counts(data) else counted(data, layer)
    if samples is not None:
        held.samples = _matched(samples, held)
    if groups is None:
        return held, None
    if groups not in held.samples:
        message = f"there is no column `{groups}`"
        raise MissingKeyError(message, place="groups", hint=f"the samples have {', '.join(map(str, held.samples))}")
    column = held.samples[groups]
    if by is None and isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
    codes, levels = labels(column, held.values.shape[1], f"groups `{groups}`")
    return held, (codes.tolist(), levels)


def _holds_counts(data: Any) -> bool:
    from ._containers import DGEList

    return isinstance(data, DGEList)


def _matched(samples: pd.DataFrame, held: Held) -> pd.DataFrame:
    """The table of samples in the order of the values."""
    import pandas as pd

    names = held.samples.index
    if isinstance(samples.index, pd.RangeIndex):
        # The first column may hold the names.
        if len(samples.columns) and set(samples.iloc[:, 0].astype(str)) >= set(names.astype(str)):
            samples = samples.set_index(samples.columns[0])
        elif len(samples) == len(names):
            return samples.set_index(names)
    given = samples.index.astype(str)
    twice = given[given.duplicated() & given.isin(names.astype(str))]
    if len(twice):
        message = f"{len(twice)} rows repeat the name of another: {', '.join(f'`{name}`' for name in twice[:5])}"
        raise BadInputError(message, place="samples", hint="a sample has one row")
    found = given.get_indexer_for(names.astype(str))
    if len(found) != len(names) or (found < 0).any():
        missing = [str(name) for name in names if str(name) not in set(given)]
        message = f"{len(missing)} of {len(names)} samples have no row: {', '.join(f'`{m}`' for m in missing[:5])}"
        raise BadInputError(message, place="samples", hint="its index, or its first column, holds the names of samples")
    return samples.iloc[found]


def _contrasts(contrasts: str | Sequence[str] | Mapping[str, str] | None) -> list[tuple[str, str]]:
    if contrasts is None:
        return []
    if isinstance(contrasts, str):
        return [(contrasts, contrasts)]
    if hasattr(contrasts, "items"):
        return [(str(name), str(expression)) for name, expression in contrasts.items()]
    return [(str(expression), str(expression)) for expression in contrasts]


def _annotation(genes: pd.DataFrame, by: object) -> list[Any]:
    """Columns of the genes that reach the table: those of a table of counts; an AnnData keeps its own in var."""
    import pandas as pd

    if by is not None:
        return []
    return [name for name in genes.columns if pd.api.types.infer_dtype(genes[name], skipna=True) == "string"]


def _fit(made: dict[str, Any], held: Held) -> MArrayLM:
    import pandas as pd

    rows = np.asarray(made["rows"])
    matrix, names, samples = made.pop("design")
    fields = {name: value for name, value in made.items() if value is not None}
    return MArrayLM(
        **fields,
        design=pd.DataFrame(matrix, index=samples, columns=names),
        genes=held.genes.iloc[rows],
        method="ls",
    )
