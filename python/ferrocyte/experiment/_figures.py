"""Verbs that draw: figures of :mod:`ferrocyte.pl`, for all samples together or for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..errors import BadInputError, MissingKeyError
from ._published import accept
from ._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import anndata as ad

    from ._verbs import Where

_MARKED = ("dotplot", "matrixplot", "stacked_violin", "tracksplot", "heatmap")
#: Words of exprmat for arguments of figures.
_WORDS = {"ptsize": "size", "contour": "contours", "contour_plot": "contours", "colour": "color"}


class Figures(Verbs):
    """Figures. Verbs of :class:`Modality`; each gives back axes or figures by name of the study."""

    def plot_embedding(
        self,
        run_on_samples: Where = False,
        *,
        basis: str = "umap",
        color: str | None = "leiden",
        annotate: bool | None = None,
        annotate_style: Literal["text", "index"] = "text",
        legend: bool = True,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Draw cells where an embedding puts them, coloured by a column of obs or a gene.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        basis
            Entry of obsm.
        color
            Column of obs, or a gene by name or symbol.
        annotate, annotate_style
            Whether labels stand on the data, as ``"text"`` or as ``"index"``, their numbers.
        legend
            Whether there is a legend where labels do not stand on the data.
        figsize, dpi
            Size of the figure in inches, and its resolution.
        keywords
            Others of :func:`ferrocyte.pl.embedding`: ``size`` (also ``ptsize``), ``alpha``, ``sort``, ``contours``,
            ``cmap``, ``cmap_lower``, ``vmin``, ``vmax``, ``palette``, ``title``, ``ax``, …

        Returns
        -------
        dict
            Axes by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        if annotate is not None or not legend:
            given.setdefault("labels", _label_word(annotate_style, annotate=annotate, legend=legend))
        return self._draw(
            run_on_samples,
            lambda adata: pl.embedding(adata, basis, color=color, style="exprmat", **given),
            figsize,
            dpi,
        )

    def plot_multiple_embedding(
        self,
        run_on_samples: Where = False,
        *,
        features: Sequence[str],
        basis: str = "umap",
        ncols: int = 4,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Draw cells once for each of several columns of obs or genes.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        features
            Columns of obs, and genes by name or symbol.
        basis
            Entry of obsm.
        ncols
            Figures in a row.
        figsize, dpi
            Size of the figure in inches, and its resolution.
        keywords
            Others of :func:`ferrocyte.pl.embeddings`.

        Returns
        -------
        dict
            Figures by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        wanted = [features] if isinstance(features, str) else list(features)

        return self._draw(
            run_on_samples,
            lambda adata: pl.embeddings(adata, wanted, basis=basis, ncols=ncols, style="exprmat", **given),
            figsize,
            dpi,
        )

    def plot_markers(
        self,
        run_on_samples: Where = False,
        *,
        plot_type: str = "dotplot",
        slot: str = "markers",
        features: Any = None,
        groupby: str | None = None,
        gene_symbol: str | None = "gene",
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Draw markers in groups.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        plot_type
            ``"dotplot"``, ``"matrixplot"``, ``"stacked_violin"``, ``"tracksplot"`` or ``"heatmap"``.
        slot
            Where :meth:`Modality.markers` put them.
        features
            The genes that are drawn, a list or a dict of lists; ``None`` is the first markers of each group.
        groupby
            Column of obs with the groups; ``None`` is that of the markers.
        gene_symbol
            Column of var with the symbols that are shown.
        figsize, dpi
            Size of the figure in inches, and its resolution.
        keywords
            Others of the figures of :mod:`ferrocyte.pl`: ``n_genes``, and the bounds ``min_logfoldchange``,
            ``max_p_adjust``, ``min_pct``, ``max_pct_reference``, which do not belong to what is drawn.

        Returns
        -------
        dict
            Axes by name of the study.
        """
        from .. import pl

        if plot_type not in _MARKED:
            message = f"there is no figure `{plot_type}`"
            raise BadInputError(message, place="plot_type", hint=f"it is one of {', '.join(_MARKED)}")
        figure = getattr(pl, "heatmap_markers" if plot_type == "heatmap" else plot_type)
        given = _words(keywords)
        if plot_type in ("tracksplot", "heatmap"):
            given.setdefault("style", "exprmat")

        def draw(adata: ad.AnnData) -> Any:
            if features is None and slot not in adata.uns:
                message = f"there are no markers `{slot}`"
                raise MissingKeyError(message, place="uns", hint="call markers first, or name genes (features)")
            symbols = gene_symbol if gene_symbol in adata.var else None
            key = slot if slot in adata.uns else None
            return figure(adata, features, groupby, key=key, gene_symbols=symbols, use_raw=False, **given)

        return self._draw(run_on_samples, draw, figsize, dpi)

    def plot_proportion(
        self,
        major: str,
        minor: str,
        run_on_samples: Where = False,
        *,
        plot: Literal["bar", "pie", "donut"] = "bar",
        normalize: Any = True,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Draw the shares of cells.

        Parameters
        ----------
        major, minor
            Columns of obs: a bar for each label of the one, divided by the other.
        run_on_samples
            On what: see :class:`Modality`.
        plot
            ``"bar"``, ``"pie"`` or ``"donut"``.
        normalize
            Whether shares are drawn, or (``False``) numbers of cells.
        figsize, dpi
            Size of the figure in inches, and its resolution.
        keywords
            Others of :func:`ferrocyte.pl.proportion`.

        Returns
        -------
        dict
            Axes by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        shares = normalize is not False
        return self._draw(
            run_on_samples,
            lambda adata: pl.proportion(adata, major, minor, kind=plot, normalize=shares, style="exprmat", **given),
            figsize,
            dpi,
        )

    def plot_qc(self, run_on_samples: Where = True, **keywords: Any) -> dict[str, Any]:
        """Draw what :meth:`Modality.qc` measured; arguments are those of :func:`ferrocyte.pl.qc`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        keywords
            As there.

        Returns
        -------
        dict
            Figures by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        given.setdefault("keys", ["n.umi", "n.genes", "pct.mito"])
        return self._draw(run_on_samples, lambda adata: pl.qc(adata, style="exprmat", **given), None, None)

    def plot_hvg(self, run_on_samples: Where = False, **keywords: Any) -> dict[str, Any]:
        """Draw which genes vary; arguments are those of :func:`ferrocyte.pl.highly_variable_genes`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        keywords
            As there.

        Returns
        -------
        dict
            Axes by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        return self._draw(run_on_samples, lambda adata: pl.highly_variable_genes(adata, **given), None, None)

    def plot_elbow(self, run_on_samples: Where = False, **keywords: Any) -> dict[str, Any]:
        """Draw what components explain; arguments are those of :func:`ferrocyte.pl.elbow`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        keywords
            As there.

        Returns
        -------
        dict
            Axes by name of the study.
        """
        from .. import pl

        given = _words(keywords)
        return self._draw(run_on_samples, lambda adata: pl.elbow(adata, **given), None, None)

    def plot_cnmf_silhoutte(self, run_on_samples: Where = False, **keywords: Any) -> dict[str, Any]:
        """Draw stability and error over numbers of programs (the spelling is that of exprmat)."""
        return self._programs("cnmf_k_selection", run_on_samples, keywords)

    def plot_cnmf_density(self, k: int, run_on_samples: Where = False, **keywords: Any) -> dict[str, Any]:
        """Draw how dense the replicates of `k` programs lie."""
        return self._programs("cnmf_density", run_on_samples, {"k": k, **keywords})

    def plot_cnmf_distance_comps(self, k: int, run_on_samples: Where = False, **keywords: Any) -> dict[str, Any]:
        """Draw the distances between the replicates of `k` programs."""
        return self._programs("cnmf_distance_comps", run_on_samples, {"k": k, **keywords})

    def plot_cnmf_distance_usages(
        self, k: int, run_on_samples: Where = False, *, metrics: str = "cosine", **keywords: Any
    ) -> dict[str, Any]:
        """Draw the distances between cells by their use of `k` programs."""
        return self._programs("cnmf_distance_usages", run_on_samples, {"k": k, "metric": metrics, **keywords})

    def plot_cnmf_distance_modules(
        self, k: int, run_on_samples: Where = False, *, metrics: str = "cosine", **keywords: Any
    ) -> dict[str, Any]:
        """Draw the distances between genes by their part in `k` programs."""
        return self._programs("cnmf_distance_modules", run_on_samples, {"k": k, "metric": metrics, **keywords})

    def _programs(self, figure: str, where: Where, keywords: dict[str, Any]) -> dict[str, Any]:
        from .. import pl

        given = _words(keywords)
        size, dpi = given.pop("figsize", None), given.pop("dpi", None)
        return self._draw(where, lambda adata: getattr(pl, figure)(adata, **given), size, dpi)

    def _draw(self, where: Where, draw: Callable[[ad.AnnData], Any], figsize: Any, dpi: float | None) -> dict[str, Any]:
        found = self._ask(where, draw)
        for drawn in found.values():
            figure = drawn if hasattr(drawn, "savefig") else drawn.figure
            if figsize is not None:
                figure.set_size_inches(*figsize)
            if dpi is not None:
                figure.set_dpi(dpi)
        return found


def _words(keywords: dict[str, Any]) -> dict[str, Any]:
    """Arguments under our words, without those that change nothing."""
    from ._published import PUBLISHED

    accept("plots", {name: value for name, value in keywords.items() if name in PUBLISHED["plots"]})
    return {_WORDS.get(name, name): value for name, value in keywords.items() if name not in PUBLISHED["plots"]}


def _label_word(annotate_style: str, *, annotate: bool | None, legend: bool) -> str:
    if not annotate:
        return "legend" if legend else "none"
    if annotate_style not in ("text", "index"):
        message = f"there is no style `{annotate_style}`"
        raise BadInputError(message, place="annotate_style", hint="it is `text` or `index`")
    return "index" if annotate_style == "index" else "data"
