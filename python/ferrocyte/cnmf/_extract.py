"""Programs in an AnnData, by the names of exprmat: spectra of replicates in uns, the programs of one k beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .._keys import keys
from ..errors import BadInputError, MissingKeyError
from ._inputs import whole_numbers
from ._run import ConsensusNMF, fit

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import anndata as ad

    from ._programs import Programs


def consensus_nmf(
    adata: ad.AnnData,
    ks: int | Iterable[int] = (),
    *,
    counts: str | None = "counts",
    tpm: str | None = "norm",
    hvg: str | None = "vst.hvg",
    min_counts: float = 3,
    alpha_usage: float = 0.0,
    alpha_spectra: float = 0.0,
    init: str = "random",
    max_nmf_iter: int = 1000,
    n_permutation: int = 100,
    seed: int = 42,
    beta_loss: str | float = "frobenius",
    density_threshold: float = 0.5,
    local_neighborhood_size: float = 0.3,
    refit: bool = True,
    normalize_tpm_spectra: bool = False,
    key_added: str = "cnmf",
    ncpus: int | None = None,
    style: str = "exprmat",
    precision: str = "double",
    solver: str = "exact",
    checkpoint: str | os.PathLike[str] | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ConsensusNMF:
    """Factorise the counts of an AnnData from many random starts, and keep the spectra in it.

    Parameters
    ----------
    adata
        Cells x genes; it is written to.
    ks
        Numbers of programs.
    counts
        The layer with the counts; ``None`` is X.
    tpm
        The layer with expression, linear; ``None`` is counts per million.
    hvg
        The column of var that marks the genes that are factorised; ``None`` takes 2,000 variable ones.
    min_counts
        Cells with fewer counts in these genes are left out; they are listed, and their usages are 0.
    alpha_usage, alpha_spectra, init, max_nmf_iter, beta_loss, precision, solver, checkpoint, max_memory, progress
        As of :func:`fit`.
    n_permutation
        Replicates of each k.
    seed
        The seed of the seeds of the replicates.
    density_threshold, local_neighborhood_size, refit, normalize_tpm_spectra
        Kept for :func:`consensus_nmf_extract_k`, where those that are given go first.
    key_added
        The key in uns.
    ncpus
        Threads; ``None`` is all. Never changes a number.
    style
        Whose rules are followed: ``"exprmat"`` factorises the counts as they are, ``"cnmf"`` divides genes by their
        standard deviations.

    Returns
    -------
    ConsensusNMF
        The spectra of all replicates. uns gains ``KEY`` (k as text to stacked spectra), ``KEY.stats`` (index k:
        ``ncomps``, ``threshold``, ``silhoutte``, ``error``) and ``KEY.args``.

    Raises
    ------
    MissingKeyError
        Where a layer or the column of genes does not exist.
    BadInputError
        Counts or options that cannot be worked with, by name.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> cells.var["vst.hvg"] = True
    >>> run = fe.cnmf.consensus_nmf(cells, [2, 3], counts=None, tpm=None, n_permutation=6)
    >>> cells.uns["cnmf.stats"].columns.tolist()
    ['ncomps', 'threshold', 'silhoutte', 'error']
    >>> programs = fe.cnmf.consensus_nmf_extract_k(cells, 3, density_threshold=2.0)
    >>> cells.obsm["cnmf.3"].shape, cells.varm["cnmf.coef.3"].shape
    ((240, 3), (60, 3))
    """
    ks = whole_numbers(ks, "ks")
    genes = None if hvg is None else _marked(adata, hvg)
    for place, layer in (("counts", counts), ("tpm", tpm)):
        if layer is not None and layer != "X" and layer not in adata.layers:
            message = f"there is no layer `{layer}`"
            known = ", ".join(f"`{name}`" for name in adata.layers) or "none"
            raise MissingKeyError(message, place=place, hint=f"there are {known}; None is X, or counts per million")
    run = fit(
        adata,
        ks,
        n_iter=n_permutation,
        seed=seed,
        genes=genes,
        layer=counts,
        tpm=tpm,
        beta_loss=beta_loss,
        init=init,
        max_nmf_iter=max_nmf_iter,
        alpha_usage=alpha_usage,
        alpha_spectra=alpha_spectra,
        precision=precision,
        solver=solver,
        min_counts=min_counts if genes is not None else 0.0,
        drop_empty=genes is None,
        style=style,
        checkpoint=checkpoint,
        n_threads=ncpus,
        max_memory=max_memory,
        progress=progress,
    )
    import pandas as pd

    selection = run.selection
    adata.uns[key_added] = {str(k): run.merged(k).to_numpy() for k in run.ks}
    adata.uns[f"{key_added}.stats"] = pd.DataFrame(
        {
            "ncomps": selection.index.to_numpy(dtype=float),
            "threshold": float(density_threshold),
            "silhoutte": selection["silhouette"].to_numpy(),
            "error": selection["prediction_error"].to_numpy(),
        },
        index=pd.Index([str(k) for k in selection.index]),
    )
    adata.uns[f"{key_added}.args"] = {
        "density_threshold": float(density_threshold),
        "local_neighborhood_size": float(local_neighborhood_size),
        "refit": bool(refit),
        "normalize_tpm_spectra": bool(normalize_tpm_spectra),
        "seed": int(seed),
        "n_permutation": int(n_permutation),
        # What only ferrocyte needs to find the consensus again, as text that every file can hold.
        "ferrocyte": json.dumps({"about": run._about, "rows": {str(k): run._rows[k] for k in run.ks}}),
    }
    return run


def consensus_nmf_extract_k(
    adata: ad.AnnData,
    k: int,
    nmf_slot: str = "cnmf",
    *,
    density_threshold: float | None = None,
    local_neighborhood_size: float | None = None,
    refit: bool | None = None,
    normalize_tpm_spectra: bool | None = None,
    exact: bool = False,
    ncpus: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Programs:
    """Find the programs of one k of a run that is kept in an AnnData, and write them beside it.

    Parameters
    ----------
    adata
        Cells x genes with a run of :func:`consensus_nmf`; it is written to.
    k
        The number of programs.
    nmf_slot
        The key of the run.
    density_threshold, local_neighborhood_size, refit, normalize_tpm_spectra
        As of :meth:`ConsensusNMF.consensus` (`refit`: whether usages are fitted again); by default those of the run.
    exact
        Whether refits end at their optimum rather than by the rule of cnmf.
    ncpus, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    Programs
        The programs. obsm gains ``KEY.K`` (final usages, columns C1 to Ck), varm ``KEY.K`` and ``KEY.coef.K``, uns
        ``KEY.dist.K`` (distances of the kept spectra in the order of the clustergram), ``KEY.density.K`` and
        ``KEY.threshold.K``.

    Raises
    ------
    MissingKeyError
        Where there is no such run, or no such k in it.
    """
    args = adata.uns.get(f"{nmf_slot}.args")
    if nmf_slot not in adata.uns or args is None:
        message = f"there is no run `{nmf_slot}`"
        raise MissingKeyError(message, place="uns", hint="call fe.cnmf.consensus_nmf first")
    if "ferrocyte" not in args:
        message = f"the run `{nmf_slot}` was made by another program"
        raise BadInputError(message, place="uns", hint="call fe.cnmf.consensus_nmf")
    held = json.loads(str(args["ferrocyte"]))
    spectra = {int(key): np.asarray(values) for key, values in adata.uns[nmf_slot].items()}
    run = ConsensusNMF(spectra, {int(key): names for key, names in held["rows"].items()}, held["about"])

    def asked(given: Any, name: str) -> Any:
        return args[name] if given is None else given

    run._check(int(k))
    run._engine_of(adata)
    programs = run.consensus(
        int(k),
        float(asked(density_threshold, "density_threshold")),
        local_neighborhood_size=float(asked(local_neighborhood_size, "local_neighborhood_size")),
        refit="exact" if exact else "peer",
        refit_usage=bool(asked(refit, "refit")),
        normalize_tpm_spectra=bool(asked(normalize_tpm_spectra, "normalize_tpm_spectra")),
        n_threads=ncpus,
        max_memory=max_memory,
        progress=progress,
    )
    programs.store(adata, nmf_slot)
    adata.uns[f"{nmf_slot}.dist.{int(k)}"] = run.distances(programs)
    adata.uns[f"{nmf_slot}.threshold.{int(k)}"] = programs.density_threshold
    return programs


def _marked(adata: ad.AnnData, column: str) -> list[str]:
    """The genes that a column of var marks; the name of the other dialect is found too."""
    names = dict.fromkeys([column, *(keys(style).hvg["highly_variable"] for style in ("exprmat", "scanpy"))])
    found = next((name for name in names if name in adata.var), None)
    if found is None:
        message = f"there is no column `{column}`"
        raise MissingKeyError(message, place="hvg", hint="mark genes (fe.pp.highly_variable_genes), or give hvg=None")
    mask = adata.var[found].to_numpy().astype(bool)
    if not mask.any():
        message = f"the column `{found}` marks no gene"
        raise BadInputError(message, place="hvg")
    return [str(name) for name in adata.var_names[mask]]
