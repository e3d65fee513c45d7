"""Verbs that measure cells and genes, and keep the good ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core, pp
from .._messages import warn
from .._obs import require
from .._run import means
from ..errors import BadInputError, FerrocyteError, MissingKeyError, UnsupportedError
from ..pp._scrublet import _How, _one
from ._published import accept
from ._say import say
from ._verbs import Verbs

if TYPE_CHECKING:
    import anndata as ad

    from ._verbs import Where


@dataclass
class Rules:
    """What a good cell is, as the compiled module reads it."""

    outlier_mode: str | None
    outlier_n: float
    limits: tuple[float, float] | None
    min_genes: float
    max_genes: float | None
    max_mito: float
    max_ribo: float | None


class Quality(Verbs):
    """Good cells and genes. Verbs of :class:`Modality`."""

    def qc(
        self,
        run_on_samples: Where = True,
        *,
        mt_seqid: str = "MT",
        mt_percent: float = 0.15,
        ribo_percent: float | None = None,
        outlier_mode: str | tuple[float, float] | None = "mads",
        outlier_n: float | None = None,
        doublet_method: Literal["scrublet"] | None = "scrublet",
        expected_doublet_rate: float = 0.1,
        min_cells: int = 3,
        min_genes: int = 300,
        max_genes: int | None = None,
        random_state: int = 42,
        **published: Any,
    ) -> None:
        """Measure cells and genes, and mark the good ones; empty cells, those with few genes, and empty genes go.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`. Doublets form inside a sample: look at each by itself.
        mt_seqid
            What the mitochondrial chromosome is called in ``var["chr"]``; without that column, genes count whose symbol
            begins with ``MT-``.
        mt_percent, ribo_percent
            Shares (0 to 1) of mitochondrial and ribosomal counts below which a cell is good.
        outlier_mode, outlier_n
            Bounds on total counts: ``"mads"`` (median ± n median absolute deviations, 5), ``"tukey"`` (quartiles ∓ n
            interquartile ranges, 1.5), two numbers, or ``None`` (at least 200).
        doublet_method
            ``"scrublet"``, or ``None``: no cell is called a doublet.
        expected_doublet_rate
            The share of doublets that is expected.
        min_genes, max_genes
            Fewest genes of a cell that is kept, and most of a good one.
        min_cells
            In how many good cells a good gene is found.
        random_state
            Seed of the simulated doublets.
        published
            Arguments of exprmat that change nothing here.

        Notes
        -----
        obs gains ``n.umi``, ``n.genes``, ``n.mito``, ``n.ribo``, ``pct.mito``, ``pct.ribo`` (0 to 1), ``filter``,
        ``score.doublet``, ``score.doublet.se``, ``is.doublet`` and ``qc`` (``filter`` and no doublet); var ``n.umi``,
        ``n.cells`` and ``qc``.
        """
        accept("qc", published)
        if doublet_method not in ("scrublet", None):
            message = f"{doublet_method!r} is not supported: doublets are found by Scrublet"
            raise UnsupportedError(message, place="doublet_method", hint="give `scrublet` or None")
        rules = _rules(outlier_mode, outlier_n, min_genes, max_genes, mt_percent, ribo_percent)
        # What cannot be a rule is refused before anything is measured.
        _core.study_good_cells([np.zeros(0)] * 4, rules)

        def step(adata: ad.AnnData) -> ad.AnnData:
            measured = _measured(adata, mt_seqid, self._means)
            found = _good(measured, rules, min_cells)
            rate = float(expected_doublet_rate) if doublet_method is not None else None
            _call_doublets(found, rate, int(random_state), self._means)
            found.obs["qc"] = found.obs["filter"].to_numpy() & ~found.obs["is.doublet"].to_numpy()
            n_cells, n_genes = int(found.obs["qc"].sum()), int(found.var["qc"].sum())
            say(f"filtered dataset contains {n_cells} cells, {n_genes} genes", None)
            return found

        arguments = {"outlier_mode": outlier_mode, "outlier_n": outlier_n, "min_genes": min_genes}
        arguments |= {"mt_percent": mt_percent, "min_cells": min_cells, "doublet_method": doublet_method}
        self._change("qc", run_on_samples, arguments, step)

    def filter(self, run_on_samples: Where = True, **published: Any) -> None:
        """Keep the cells and genes that :meth:`qc` found good.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("filter", published)

        def step(adata: ad.AnnData) -> ad.AnnData:
            cells, genes = (require(table, "qc", place) for table, place in ((adata.obs, "obs"), (adata.var, "var")))
            kept = adata[cells.to_numpy(dtype=bool), genes.to_numpy(dtype=bool)].copy()
            say(f"keep {kept.n_obs} observations from {adata.n_obs}.")
            return kept

        self._change("filter", run_on_samples, {}, step)


def _rules(
    outlier_mode: Any, outlier_n: Any, min_genes: Any, max_genes: Any, mt_percent: Any, ribo_percent: Any
) -> Rules:
    limits: tuple[float, float] | None = None
    if outlier_mode is not None and not isinstance(outlier_mode, str):
        numbers = [float(one) for one in outlier_mode]
        if len(numbers) != 2 or not numbers[0] <= numbers[1]:
            message = f"expected two rising numbers, found {outlier_mode!r}"
            raise BadInputError(message, place="outlier_mode")
        outlier_mode, limits = None, (numbers[0], numbers[1])
    if outlier_n is None:
        outlier_n = 1.5 if outlier_mode == "tukey" else 5
    for place, share in (("mt_percent", mt_percent), ("ribo_percent", ribo_percent)):
        if share is not None and not 0 <= float(share) <= 1:
            message = f"a share from 0 to 1 is expected, found {share!r}"
            raise BadInputError(message, place=place, hint="0.15 is 15 percent")
    return Rules(
        outlier_mode,
        float(outlier_n),
        limits,
        float(min_genes),
        None if max_genes is None else float(max_genes),
        float(mt_percent),
        None if ribo_percent is None else float(ribo_percent),
    )


def counts_of(adata: ad.AnnData) -> Any:
    """The counts: the layer of that name, or X."""
    values = adata.layers.get("counts", adata.X)
    if values is None:
        message = "there are neither counts nor X"
        raise MissingKeyError(message, place="AnnData")
    return values


def _measured(adata: ad.AnnData, mt_seqid: str, how: dict[str, Any]) -> ad.AnnData:
    """A study of the counts of genes that are there, its cells and genes measured."""
    layer = "counts" if "counts" in adata.layers else None
    mito, ribo = _flags(adata, mt_seqid)
    say(f"found {int(mito.sum())} mitochondrial genes")
    say(f"found {int(ribo.sum())} ribosomal genes")
    say(f"raw dataset contains {adata.n_obs} cells, {adata.n_vars} genes", None)
    named = {"_ferrocyte_mito": mito, "_ferrocyte_ribo": ribo}
    for name, flag in named.items():
        adata.var[name] = flag
    try:
        known = [name for name, flag in named.items() if flag.any()]
        cells, genes = pp.calculate_qc_metrics(  # type: ignore[misc]
            adata, qc_vars=known, percent_top=None, log1p=False, layer=layer, **how
        )
    finally:
        adata.var = adata.var.drop(columns=list(named))
    if not mito.any():
        warn("no gene is mitochondrial: their share is 0 in all cells")
    nothing = np.zeros(adata.n_obs)

    def total(name: str) -> Any:
        column = f"total_counts_{name}"
        return cells[column].to_numpy(dtype=np.float64) if column in cells else nothing

    umi = cells["total_counts"].to_numpy(dtype=np.float64)
    adata.obs["n.umi"] = umi
    adata.obs["n.genes"] = cells["n_genes_by_counts"].to_numpy(dtype=np.int64)
    for word in ("mito", "ribo"):
        adata.obs[f"n.{word}"] = total(f"_ferrocyte_{word}")
    for word in ("mito", "ribo"):
        adata.obs[f"pct.{word}"] = np.divide(adata.obs[f"n.{word}"], umi, out=nothing.copy(), where=umi > 0)
    adata.var["n.umi"] = genes["total_counts"].to_numpy(dtype=np.float64)
    adata.var["n.cells"] = genes["n_cells_by_counts"].to_numpy(dtype=np.int64)
    return adata


def _flags(adata: ad.AnnData, mt_seqid: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Which genes are mitochondrial, and which ribosomal."""
    symbols = adata.var.get("gene", adata.var_names)
    by_symbol, ribo = _core.study_gene_flags([str(symbol) for symbol in symbols])
    mito = np.array(by_symbol, dtype=bool)
    if "chr" in adata.var:
        chromosomes = adata.var["chr"].astype(str)
        mito = (chromosomes == mt_seqid).to_numpy(dtype=bool)
        if not mito.any():
            warn(f"no gene lies on `{mt_seqid}`: chromosomes are {', '.join(sorted(set(chromosomes))[:5])}, …")
    return mito, np.array(ribo, dtype=bool)


def _good(adata: ad.AnnData, rules: Rules, min_cells: int) -> ad.AnnData:
    """The cells and genes that are kept, the good ones marked."""
    columns = ("n.umi", "n.genes", "pct.mito", "pct.ribo")
    measures = [np.ascontiguousarray(adata.obs[name], dtype=np.float64) for name in columns]
    kept, good, limits = _core.study_good_cells(measures, rules)
    say(f"keep {int(good.sum())} observations from {adata.n_obs}; totals from {limits[0]:g} to {limits[1]:g}.")
    if not good.any():
        message = f"none of {adata.n_obs} cells is good"
        raise BadInputError(message, place="qc", hint="loosen min_genes, mt_percent or outlier_mode")
    adata.obs["filter"] = good
    present = adata.var["n.umi"].to_numpy() > 0.1
    kept_study = adata[kept, present].copy()
    counts = counts_of(kept_study)
    passing = counts[kept_study.obs["filter"].to_numpy()]
    detected = np.asarray((passing > 0).sum(axis=0)).ravel()
    kept_study.var["qc"] = detected >= min_cells
    return kept_study


def _call_doublets(adata: ad.AnnData, rate: float | None, seed: int, work: dict[str, Any]) -> None:
    """Scores of doublets among the good cells; what cannot be scored is said."""
    score, se = np.full(adata.n_obs, np.nan), np.full(adata.n_obs, np.nan)
    doublet = np.zeros(adata.n_obs, dtype=bool)
    good = adata.obs["filter"].to_numpy()
    if rate is not None:
        part = adata[good, adata.var["qc"].to_numpy()]
        how = _How(
            expected_rate=rate,
            se_rate=0.02,
            sim_ratio=2.0,
            n_comps=max(1, min(30, part.n_obs - 1)),
            n_neighbors=None,
            log_transform=True,
            threshold=None,
            parents=None,
            seed=seed,
        )
        layer = "counts" if "counts" in part.layers else None
        try:
            found = _one(part, layer, how, means(**work))
        except FerrocyteError as fault:
            warn(f"doublets were not looked for: {fault.message}")
        else:
            score[good], se[good], doublet[good] = found["score"], found["se"], found["is_doublet"]
            say(f"detected doublet rate: {100 * doublet.sum() / max(good.sum(), 1):.1f} %")
    adata.obs["score.doublet"], adata.obs["score.doublet.se"], adata.obs["is.doublet"] = score, se, doublet
