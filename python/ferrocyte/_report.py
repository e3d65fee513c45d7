"""A study and its results as one page: :func:`report`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _core
from ._run import means
from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

    Study: TypeAlias = ad.AnnData | str | os.PathLike[str]


@dataclass
class Request:
    """What a page shows."""

    title: str | None
    clusters: str | None
    samples: str | None
    layer: str | None
    genes: list[str]
    max_cells: int
    max_rows: int
    max_size: int
    seed: int


def report(
    study: Study,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    clusters: str | None = None,
    samples: str | None = None,
    layer: str | None = None,
    genes: Sequence[str] = (),
    max_cells: int = 100_000,
    max_rows: int = 100_000,
    max_size: int = 15_000_000,
    seed: int = 0,
    modality: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Path:
    """Write a study and its results as one page that works offline and can be mailed.

    The page has a section for what the study holds and none for what it does not: provenance, quality, layouts of
    cells coloured by any column of obs, gene or program, composition, markers, programs, tables of tests with their
    volcanoes, positions in tissue, variance components, warnings and statuses. It shows what results have stored
    (``result.store(adata)``) and computes nothing anew but means of markers in clusters.

    Parameters
    ----------
    study
        An AnnData, or the path of an .h5ad or .h5mu file or of the folder of ``ferrocyte cells run``. An AnnData is
        written to a temporary file first: name the file where there is one.
    path
        Where the page goes; it is complete or not there.
    title
        The headline; the name of the file if absent.
    clusters, samples
        Columns of obs with clusters (or cell types) and with samples; by default the first that look like such.
    layer
        The matrix whose values colour cells: ``"X"``, the name of a layer, ``"raw"``. By default X, or raw where X has
        values below zero. Counts are shown as ln(1 + counts scaled to 10,000 a cell).
    genes
        Genes that the page must have. Markers, first genes of tests and programs, variable genes and those of most
        cells follow, as far as there is room.
    max_cells
        The most cells that are drawn; of more a sample is. Counts, means and tables are of all cells.
    max_rows
        The most rows of each table, those with the smallest p-values.
    max_size
        Bytes of the page, which genes fill up.
    seed
        The seed by which cells are sampled.
    modality
        The modality of an .h5mu file; by default ``rna``, or the first.
    n_threads, max_memory, progress
        As everywhere; they never change the page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    MissingKeyError
        Where a column, matrix or gene that was named does not exist.
    BadInputError
        Options that cannot be worked with.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> from tempfile import mkdtemp
    >>> page = fe.report(small_study(), mkdtemp() + "/study.html", title="Six donors")
    >>> page.read_text().startswith("<!doctype html>")
    True
    """
    out = Path(path)
    if out.suffix.lower() not in (".html", ".htm"):
        message = f"`{out.name}` does not end in .html"
        raise BadInputError(message, place="path", hint="pages are written as .html")
    if not out.parent.is_dir():
        message = f"there is no folder `{out.parent}`"
        raise BadInputError(message, place="path", hint="make it first")
    if isinstance(genes, str):
        message = f"expected a list of names, found the text `{genes}`"
        raise BadInputError(message, place="genes", hint=f'write ["{genes}"]')
    request = Request(
        title, clusters, samples, layer, [str(gene) for gene in genes], max_cells, max_rows, max_size, seed
    )
    work = means(n_threads, max_memory, progress=progress)
    if isinstance(study, (str, os.PathLike)):
        _core.report_page(os.fspath(study), os.fspath(out), modality, request, work)
    else:
        _write_page_of(study, out, modality, request, work)
    return out


def _write_page_of(adata: ad.AnnData, out: Path, modality: str | None, request: Request, work: Any) -> None:
    """Write the page of an AnnData, by way of a file without what the page has no use for."""
    from anndata import AnnData

    from .io import write_h5ad

    if modality is not None:
        message = "an AnnData has no modalities"
        raise BadInputError(message, place="modality", hint="give the modality itself, such as mdata['rna']")
    kept = [request.layer] if request.layer in adata.layers else []
    thin = AnnData(
        X=adata.X,
        obs=adata.obs,
        var=adata.var,
        uns=dict(adata.uns),
        obsm=dict(adata.obsm),
        varm=dict(adata.varm),
        layers={name: adata.layers[name] for name in kept},
    )
    if adata.raw is not None:
        thin.raw = adata.raw.to_adata()
    request.title = request.title or "Study"
    with tempfile.TemporaryDirectory(prefix="ferrocyte-") as folder:
        file = Path(folder) / "AnnData.h5ad"
        write_h5ad(thin, file, compression=None, progress=False)
        _core.report_page(str(file), os.fspath(out), None, request, work)
