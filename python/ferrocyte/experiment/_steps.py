"""Verbs that normalise, embed, cluster and rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import pp, tl
from ..errors import BadInputError, MissingKeyError
from ._published import accept
from ._quality import counts_of
from ._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd

    from ._verbs import Where

_FLAVORS = {"vst": "seurat_v3_paper", "binned": "seurat", "cellranger": "cell_ranger"}


class Steps(Verbs):
    """From counts to clusters and markers. Verbs of :class:`Modality`."""

    def log_normalize(
        self, run_on_samples: Where = False, *, target_sum: float | None = None, norm: bool = True, **published: Any
    ) -> None:
        """Bring cells to one total and take ln(1 + x): X has the result, layers the counts.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        target_sum
            The total; ``None`` is the mean of the totals of all cells.
        norm
            Whether layer ``norm`` (before the logarithm) is kept too.
        published
            Arguments of exprmat that change nothing here.

        Notes
        -----
        Layers are ``counts``, ``norm`` and ``lognorm``, which is X itself.
        """
        accept("log_normalize", published)

        def step(adata: ad.AnnData) -> None:
            counts = counts_of(adata)
            target = target_sum
            if target is None:
                target = float(counts.sum(dtype=np.float64)) / max(adata.n_obs, 1)
            adata.layers["counts"] = counts
            if norm:
                how = {"target_sum": target, **self._means}
                scaled: Any = pp.normalize_total(adata, layer="counts", inplace=False, **how)
                adata.layers["norm"] = scaled["X"]
            adata.X = counts.copy()
            adata.uns.pop("log1p", None)
            pp.log_normalize(adata, target_sum=target, **self._means)
            # exprmat keeps no record of the base, which is e.
            del adata.uns["log1p"]
            adata.layers["lognorm"] = adata.X

        self._change("log_normalize", run_on_samples, {"target_sum": target_sum}, step)

    def hvg(
        self,
        run_on_samples: Where = False,
        *,
        method: Literal["vst", "binned", "cellranger"] = "vst",
        dest: str = "vst",
        batch_key: str | None = None,
        n_top_genes: int = 2000,
        span: float = 0.3,
        **published: Any,
    ) -> None:
        """Find the genes that vary more than their mean explains.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        method
            ``"vst"`` (variances of standardised counts), ``"binned"`` or ``"cellranger"`` (dispersions of X).
        dest
            What stands before the names of the columns of var: ``vst.hvg``, ``vst.hvg.rank``, ``vst.means``, ….
        batch_key
            Column of obs with batches: genes are found in each of them.
        n_top_genes
            How many.
        span
            Share of the genes that the local fit looks at (``"vst"``).
        published
            Arguments of exprmat that change nothing here.
        """
        accept("hvg", published)
        if method not in _FLAVORS:
            message = f"there is no method `{method}`"
            raise BadInputError(message, place="method", hint=f"it is one of {', '.join(_FLAVORS)}")

        def step(adata: ad.AnnData) -> None:
            layer = "counts" if method == "vst" and "counts" in adata.layers else None
            found = pp.highly_variable_genes(
                adata,
                layer=layer,
                flavor=_FLAVORS[method],  # type: ignore[arg-type]
                n_top_genes=n_top_genes,
                span=span,
                batch_key=batch_key,
                inplace=False,
                style="exprmat",
                **self._means,
            )
            assert found is not None
            for name in found:
                adata.var[str(name).replace("vst", dest, 1)] = found[name]

        arguments = {"method": method, "dest": dest, "batch_key": batch_key, "n_top_genes": n_top_genes}
        self._change("hvg", run_on_samples, arguments, step)

    def scale_pca(
        self,
        run_on_samples: Where = False,
        *,
        hvg: str | None = "vst.hvg",
        n_comps: int = 50,
        key_added: str = "pca",
        random_state: int = 42,
        **published: Any,
    ) -> None:
        """Bring variable genes to variance 1 and find principal components, without a dense matrix.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        hvg
            Column of var that marks the genes; ``None`` is all.
        n_comps
            How many components.
        key_added
            Their name in obsm, varm and uns.
        random_state
            Has no effect: nothing is random.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("scale_pca", published)

        def step(adata: ad.AnnData) -> None:
            added = None if key_added == "pca" else key_added
            pp.pca(
                adata,
                n_comps,
                mask_var=hvg,
                scale=True,
                key_added=added,
                random_state=random_state,
                style="exprmat",
                **self._means,
            )

        self._change("scale_pca", run_on_samples, {"hvg": hvg, "n_comps": n_comps, "key_added": key_added}, step)

    def harmony(
        self,
        run_on_samples: Where = False,
        *,
        batch_key: str | Sequence[str] = "batch",
        pca_key: str = "pca",
        key_added: str = "harmony",
        lamb: float | Literal["auto"] | None = None,
        theta: float = 2.0,
        sigma: float = 0.1,
        max_iter_harmony: int = 10,
        random_state: int = 42,
        **published: Any,
    ) -> None:
        """Bring batches together in the space of their components.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        batch_key
            Column of obs with the batches, or several.
        pca_key, key_added
            Where the components are in obsm, and where the result goes.
        lamb
            ``None`` or 1 is the published penalty, ``"auto"`` that of later versions: see
            :func:`ferrocyte.pp.harmony_integrate`.
        theta, sigma, max_iter_harmony, random_state
            As there.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("harmony", published)

        def step(adata: ad.AnnData) -> None:
            pp.harmony_integrate(
                adata,
                batch_key,
                basis=pca_key,
                adjusted_basis=key_added,
                lamb=1.0 if lamb is None else lamb,
                theta=theta,
                sigma=sigma,
                max_iter_harmony=max_iter_harmony,
                random_state=random_state,
                style="exprmat",
                **self._means,
            )

        self._change("harmony", run_on_samples, {"batch_key": batch_key, "lamb": lamb, "theta": theta}, step)

    def merge(
        self,
        run_on_samples: Where = True,
        *,
        join: Literal["outer", "inner"] = "outer",
        variables: Mapping[str, str | None] | Sequence[str] | None = None,
        obsm: Sequence[str] = (),
        **published: Any,
    ) -> None:
        """Put the good cells and genes of samples together: the study that verbs work on from now on.

        Parameters
        ----------
        run_on_samples
            Which samples: see :class:`Modality`.
        join
            ``"outer"``: the genes of all samples, sorted, with 0 where a sample lacks one, and all columns of obs.
            ``"inner"``: those that all samples have, in the order of the first.
        variables
            Columns of var that are kept, with the rule by which values of several samples become one: truths ``"or"``,
            ``"and"``; numbers ``"mean"``, ``"var"``, ``"sd"``, ``"max"``, ``"min"``, ``"median"``; texts
            ``"unique_concat"``, ``"concat"``; ``None`` is the first of its kind. By default those that describe genes.
        obsm
            Entries of obsm that are kept.
        published
            Arguments of exprmat that change nothing here.
        """
        from ._merging import merged
        from ._slots import log

        accept("merge", published)
        if run_on_samples is False:
            message = "there is nothing to merge in what is together"
            raise BadInputError(message, place="run_on_samples", hint="name samples, or give True")
        whole = merged(self._targets(run_on_samples), join, variables, obsm, self._means)
        log(whole, "merge", {"join": join, "samples": list(dict.fromkeys(whole.obs["sample"]))})
        self._experiment[self._name] = whole
        self._experiment.subset = None

    def knn(
        self,
        run_on_samples: Where = False,
        *,
        use_rep: str | None = None,
        n_comps: int | None = None,
        n_neighbors: int = 15,
        method: Literal["umap", "gauss", "jaccard"] = "umap",
        metric: str = "euclidean",
        random_state: int = 42,
        key_added: str | None = "neighbors",
        **published: Any,
    ) -> None:
        """Find the nearest neighbours of every cell and join them to a graph.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        use_rep
            The coordinates in obsm; ``None`` is ``harmony`` if there is one, else ``pca``.
        n_comps
            How many of their columns; ``None`` is all.
        n_neighbors
            Neighbours of each cell, itself included.
        method, metric, random_state
            As in :func:`ferrocyte.pp.neighbors`.
        key_added
            The name of the graph, if it is not the only one.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("knn", published)

        def step(adata: ad.AnnData) -> None:
            rep = use_rep if use_rep is not None else next((k for k in ("harmony", "pca") if k in adata.obsm), None)
            pp.neighbors(
                adata,
                n_neighbors,
                n_comps,
                use_rep=rep,
                method=method,
                metric=metric,
                random_state=random_state,
                key_added=key_added,
                style="exprmat",
                **self._means,
            )

        arguments = {"use_rep": use_rep, "n_neighbors": n_neighbors, "n_comps": n_comps, "key_added": key_added}
        self._change("knn", run_on_samples, arguments, step)

    def umap(
        self,
        run_on_samples: Where = False,
        *,
        min_dist: float = 0.5,
        spread: float = 1.0,
        n_components: int = 2,
        maxiter: int | None = None,
        alpha: float = 1.0,
        gamma: float = 1.0,
        negative_sample_rate: int = 5,
        init_pos: str | np.ndarray[Any, Any] = "spectral",
        random_state: int = 42,
        a: float | None = None,
        b: float | None = None,
        key_added: str = "umap",
        neighbors_key: str = "neighbors",
        allow_stale: bool = False,
        **published: Any,
    ) -> None:
        """Lay out the graph of neighbours; arguments are those of :func:`ferrocyte.tl.umap`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        min_dist, spread, n_components, maxiter, alpha, gamma, negative_sample_rate, init_pos, random_state, a, b
            As there.
        key_added, neighbors_key
            Where the layout goes in obsm, and the graph that is laid out.
        allow_stale
            Whether the graph of more cells than there are now will do.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("umap", published)

        def step(adata: ad.AnnData) -> None:
            tl.umap(
                adata,
                min_dist=min_dist,
                spread=spread,
                n_components=n_components,
                maxiter=maxiter,
                alpha=alpha,
                gamma=gamma,
                negative_sample_rate=negative_sample_rate,
                init_pos=init_pos,
                random_state=random_state,
                a=a,
                b=b,
                key_added=None if key_added == "umap" else key_added,
                neighbors_key=neighbors_key,
                allow_stale=allow_stale,
                style="exprmat",
                **self._means,
            )

        arguments = {"min_dist": min_dist, "spread": spread, "random_state": random_state, "key_added": key_added}
        self._change("umap", run_on_samples, arguments, step)

    def leiden(
        self,
        run_on_samples: Where = False,
        *,
        resolution: float = 1.0,
        restrict_to: tuple[str, Sequence[str]] | None = None,
        random_state: int = 42,
        key_added: str = "leiden",
        adjacency: Any = None,
        directed: bool | None = None,
        use_weights: bool = True,
        n_iterations: int = 2,
        partition_type: Any = None,
        neighbors_key: str | None = None,
        obsp: str | None = None,
        flavor: str = "igraph",
        allow_stale: bool = False,
        **published: Any,
    ) -> None:
        """Find clusters of cells; arguments are those of :func:`ferrocyte.tl.leiden`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        resolution, restrict_to, random_state, adjacency, directed, use_weights, n_iterations, partition_type, flavor
            As there.
        key_added
            The column of obs that is written.
        neighbors_key, obsp
            The graph.
        allow_stale
            Whether the graph of more cells than there are now will do.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("leiden", published)

        def step(adata: ad.AnnData) -> None:
            tl.leiden(
                adata,
                resolution,
                restrict_to=restrict_to,
                random_state=random_state,
                key_added=key_added,
                adjacency=adjacency,
                directed=directed,
                use_weights=use_weights,
                n_iterations=n_iterations,
                partition_type=partition_type,
                neighbors_key=None if neighbors_key == "neighbors" else neighbors_key,
                obsp=obsp,
                flavor=flavor,
                allow_stale=allow_stale,
                **self._means,
            )
            adata.uns.pop(f"{key_added}.colors", None)

        arguments = {"resolution": resolution, "random_state": random_state, "key_added": key_added}
        self._change("leiden", run_on_samples, {**arguments, "n_iterations": n_iterations}, step)

    def sc3(
        self,
        run_on_samples: Where = False,
        *,
        basis: str | None = None,
        n_clusters: int | Sequence[int] = (5, 10, 20, 30),
        d_range: int | Sequence[int] | None = None,
        n_runs: int = 5,
        n_facility: int | None = None,
        multiplier_facility: int = 3,
        random_state: int = 42,
        **published: Any,
    ) -> None:
        """Cluster cells into given numbers of clusters: the consensus of many k-means runs.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        basis
            The coordinates in obsm; ``None`` is ``harmony`` if there is one, else ``pca``.
        n_clusters, d_range, n_runs, n_facility, multiplier_facility, random_state
            As in :func:`ferrocyte.tl.sc3`; obs gains ``sc3.K`` for each number.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("sc3", published)

        def step(adata: ad.AnnData) -> None:
            tl.sc3(
                adata,
                n_clusters,
                basis=basis if basis is not None else next((k for k in ("harmony",) if k in adata.obsm), None),
                d_range=d_range,
                n_runs=n_runs,
                n_facility=n_facility,
                multiplier_facility=multiplier_facility,
                random_state=random_state,
                style="exprmat",
                **self._means,
            )

        self._change("sc3", run_on_samples, {"basis": basis, "n_clusters": n_clusters, "n_runs": n_runs}, step)

    def consensus_nmf(self, run_on_samples: Where = False, **arguments: Any) -> None:
        """Find programs of genes by consensus factorisation; arguments are those of :mod:`ferrocyte.cnmf`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        arguments
            ``counts="counts"``, ``tpm="norm"``, ``ks``, ``hvg="vst.hvg"``, ``seed``, … of its ``consensus_nmf``.
        """
        from .. import cnmf

        def step(adata: ad.AnnData) -> None:
            cnmf.consensus_nmf(adata, **arguments)

        self._change("consensus_nmf", run_on_samples, arguments, step)

    def consensus_nmf_extract_k(self, k: int, run_on_samples: Where = False, **arguments: Any) -> None:
        """Take the programs of one number of them out of what :meth:`consensus_nmf` tried.

        Parameters
        ----------
        k
            The number of programs.
        run_on_samples
            On what: see :class:`Modality`.
        arguments
            Those of ``consensus_nmf_extract_k`` of :mod:`ferrocyte.cnmf`.
        """
        from .. import cnmf

        def step(adata: ad.AnnData) -> None:
            cnmf.consensus_nmf_extract_k(adata, k, **arguments)

        self._change("consensus_nmf_extract_k", run_on_samples, {"k": k, **arguments}, step)

    def markers(
        self,
        run_on_samples: Where = False,
        *,
        groupby: str = "leiden",
        mask_var: str | None = None,
        groups: str | Sequence[str] = "all",
        reference: str = "rest",
        n_genes: int | None = None,
        pts: bool = True,
        key_added: str = "markers",
        method: str = "t-test",
        corr_method: str = "benjamini-hochberg",
        tie_correct: bool = True,
        gene_symbol: str | None = "gene",
        layer: str | None = None,
        **published: Any,
    ) -> None:
        """Rank the genes of each group of cells. P-values are of cells: they name clusters, and compare no conditions.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        groupby
            Column of obs with the groups.
        mask_var, groups, reference, n_genes, method, corr_method, tie_correct
            As in :func:`ferrocyte.tl.rank_genes_groups`.
        pts
            Has no effect: shares of cells are always kept.
        key_added
            Where the result goes in uns.
        gene_symbol
            Column of var with symbols, which tables gain.
        layer
            The matrix; ``None`` or ``"X"`` is X.
        published
            Arguments of exprmat that change nothing here.
        """
        accept("markers", published)

        def step(adata: ad.AnnData) -> None:
            tl.rank_genes_groups(
                adata,
                groupby,
                mask_var=mask_var,
                groups=groups,
                reference=reference,
                n_genes=n_genes,
                key_added=key_added,
                method=method,
                corr_method=corr_method,
                tie_correct=tie_correct,
                use_raw=False,
                layer=None if layer == "X" else layer,
                style="exprmat",
                **self._means,
            )
            if gene_symbol is not None and gene_symbol in adata.var:
                symbols = adata.var[gene_symbol].astype(str)
                for table in adata.uns[key_added]["differential"].values():
                    at = list(table.columns).index("pct")
                    table.insert(at, gene_symbol, symbols.reindex(table["names"]).to_numpy(dtype=object))

        self._change("markers", run_on_samples, {"groupby": groupby, "method": method, "key_added": key_added}, step)

    def get_markers(
        self,
        group: str | int | None = None,
        run_on_samples: Where = False,
        *,
        slot: str = "markers",
        min_pct: float | None = 0.25,
        max_pct_reference: float | None = 0.75,
        min_lfc: float | None = 1,
        max_lfc: float | None = 100,
        max_q: float | None = None,
        max_p: float | None = None,
    ) -> dict[str, pd.DataFrame]:
        """The markers of a group that pass bounds, which belong to what passes, by falling score.

        Parameters
        ----------
        group
            The group; ``None`` is all, with a column ``group``.
        run_on_samples
            On what: see :class:`Modality`.
        slot
            Where :meth:`markers` put them.
        min_pct, max_pct_reference
            Bounds on the shares of cells that have the gene, in the group and outside.
        min_lfc, max_lfc
            Bounds on the log2 fold change.
        max_q, max_p
            Bounds on adjusted and plain p-values.

        Returns
        -------
        dict
            A table for each of the studies, by name.
        """
        import pandas as pd

        bounds = [("pct", min_pct, None), ("pct.reference", None, max_pct_reference), ("lfc", min_lfc, max_lfc)]
        bounds += [("q", None, max_q), ("p", None, max_p)]

        def table(held: pd.DataFrame) -> pd.DataFrame:
            kept = np.ones(len(held), dtype=bool)
            for column, least, most in bounds:
                values = held[column].to_numpy(dtype=float)
                kept &= (values >= least) if least is not None else True
                kept &= (values <= most) if most is not None else True
            return held[kept].sort_values("scores", ascending=False, kind="stable").reset_index(drop=True)

        def question(adata: ad.AnnData) -> pd.DataFrame:
            tables = _differential(adata, slot)
            if group is not None:
                if str(group) not in tables:
                    message = f"there is no group `{group}`"
                    raise MissingKeyError(message, place=slot, hint=f"there are {', '.join(tables)}")
                return table(tables[str(group)])
            every = [table(held).assign(group=name) for name, held in tables.items()]
            return pd.concat(every, ignore_index=True)

        return self._ask(run_on_samples, question)


def _differential(adata: ad.AnnData, slot: str) -> dict[str, pd.DataFrame]:
    if slot not in adata.uns or "differential" not in adata.uns[slot]:
        message = f"there are no markers `{slot}`"
        raise MissingKeyError(message, place="uns", hint="call markers first")
    tables: dict[str, pd.DataFrame] = adata.uns[slot]["differential"]
    return tables
