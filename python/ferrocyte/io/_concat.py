"""Several studies as one: cells one after the other, genes and columns of obs matched by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .. import _core
from .._run import means
from .._sources import matrix_of
from ..errors import BadInputError
from ._read import read
from ._tenx import csr, index, wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd

    Part: TypeAlias = ad.AnnData | str | os.PathLike[str]

__all__ = ["concat"]

LAYERS = ("counts", "spliced", "unspliced", "ambiguous")


def concat(
    studies: Sequence[Part] | Mapping[str, Part],
    *,
    join: Literal["outer", "inner"] = "outer",
    key: str | None = "sample",
    keys: Sequence[str] | None = None,
    index_unique: str | None = None,
    layers: Sequence[str] = LAYERS,
    dtype: Literal["float32", "float64"] | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Put the cells of several studies one after the other.

    Parameters
    ----------
    studies
        AnnData objects, or paths of studies of any kind; a mapping names them.
    join
        ``"outer"`` takes the genes of all studies, sorted by name, with 0 where a study lacks one, and every column of
        obs, missing where a study lacks it. ``"inner"`` takes the genes and columns that all have, in the order of the
        first.
    key
        The column of obs that says of which study a cell is; ``None`` for none.
    keys
        What the studies are called there. By default the keys of a mapping, the names of files without endings, or
        numbers from 0.
    index_unique
        What stands between the name of a cell and that of its study, which is put behind it; ``None`` keeps the names,
        which then must differ.
    layers
        The layers that are carried, where every study has them.
    dtype
        Type of the values; by default ``"float64"`` where a study has 64-bit floats, else ``"float32"``.
    n_threads, progress
        With what means; none changes a number.

    Returns
    -------
    anndata.AnnData
        All cells. Categories are united in order of appearance; integers with missing ones become floats. Columns of
        var, obsm and uns are left behind.

    Raises
    ------
    BadInputError
        Where two cells have one name, or one gene stands in a study twice.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> one = fe.sim.study(n_genes=5, n_cells=30, seed=1)
    >>> two = fe.sim.study(n_genes=8, n_cells=20, seed=2)
    >>> both = fe.io.concat({"one": one, "two": two}, key="study", index_unique="-")
    >>> both.shape, both.obs_names[49], both.obs["study"].value_counts().tolist()
    ((50, 8), 'cell20-two', [30, 20])
    """
    import anndata as ad

    if isinstance(studies, (str, os.PathLike)) or hasattr(studies, "obs"):
        message = "expected a list of studies, found one"
        raise BadInputError(message, place="studies")
    if isinstance(studies, Mapping):
        keys = list(studies) if keys is None else keys
        studies = list(studies.values())
    if not studies:
        message = "there are no studies to put together"
        raise BadInputError(message, place="studies")
    labels = _labels(studies, keys)
    parts = [_anndata(study) for study in studies]
    genes = [[str(name) for name in part.var_names] for part in parts]

    def stacked(matrices: list[Any]) -> Any:
        double = any(getattr(m, "dtype", None) in (np.float64, np.int64, np.uint64, np.int32) for m in matrices)
        is_wide = wide(dtype) if dtype is not None else double
        described = [matrix_of(m, label) for m, label in zip(matrices, labels, strict=True)]
        work = means(n_threads, sys.maxsize, progress=progress)
        return csr(_core.io_stack(described, genes, labels, join, work, wide=is_wide))

    obs = _obs(parts, labels, join, key, index_unique)
    var_names, _ = _core.io_join(genes, labels, join)
    everywhere = [name for name in layers if all(name in part.layers for part in parts)]
    carried = {name: stacked([part.layers[name] for part in parts]) for name in everywhere}
    import pandas as pd

    return ad.AnnData(
        stacked([part.X for part in parts]), obs=obs, var=pd.DataFrame(index=index(var_names)), layers=carried
    )


def _labels(studies: Sequence[Part], keys: Sequence[str] | None) -> list[str]:
    if keys is None:
        paths = all(isinstance(study, (str, os.PathLike)) for study in studies)
        labels = [_stem(study) for study in studies] if paths else [str(i) for i in range(len(studies))]
    else:
        labels = [str(label) for label in keys]
    if len(labels) != len(studies):
        message = f"{len(labels)} names for {len(studies)} studies"
        raise BadInputError(message, place="keys")
    twice = next((label for i, label in enumerate(labels) if label in labels[:i]), None)
    if twice is not None:
        message = f"two studies are called `{twice}`"
        raise BadInputError(message, place="keys", hint="give names that differ")
    return labels


def _stem(path: Any) -> str:
    name = os.path.basename(os.fspath(path).rstrip("/"))
    for ending in (".gz", ".zip", ".h5ad", ".h5mu", ".h5", ".mtx", ".tsv", ".csv", ".txt", ".zarr"):
        name = name.removesuffix(ending)
    return name


def _anndata(study: Part) -> ad.AnnData:
    """A study in memory."""
    if not isinstance(study, (str, os.PathLike)):
        return study
    found: Any = read(study)
    if hasattr(found, "mod"):
        message = "a file of several modalities cannot be put behind others"
        raise BadInputError(message, place=os.fspath(study), hint="read one with fe.io.read_h5ad(path, modality=...)")
    return found


def _obs(
    parts: list[ad.AnnData], labels: list[str], join: str, key: str | None, index_unique: str | None
) -> pd.DataFrame:
    """The columns of obs, one part after the other; the key is the last."""
    import pandas as pd

    frames = [part.obs for part in parts]
    names = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    if join == "inner":
        names = [name for name in names if all(name in frame.columns for frame in frames)]
    cells = [
        name if index_unique is None else f"{name}{index_unique}{label}"
        for frame, label in zip(frames, labels, strict=True)
        for name in map(str, frame.index)
    ]
    place: dict[str, int] = {}
    for row, name in enumerate(cells):
        if name in place:
            message = f"cell `{name}` stands there twice, in rows {place[name]} and {row}"
            raise BadInputError(message, place="obs", hint='put the names of studies behind them: index_unique="-"')
        place[name] = row
    columns = {
        name: _column([frame[name] if name in frame.columns else len(frame) for frame in frames])
        for name in names
        if name != key
    }
    if key is not None:
        codes = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
        columns[key] = pd.Categorical.from_codes(codes, categories=labels)
    return pd.DataFrame(columns, index=index(cells))


def _column(parts: list[Any]) -> Any:
    """A column of several frames; a number stands for a frame of so many rows that lacks it."""
    import pandas as pd

    known = [part for part in parts if not isinstance(part, int)]
    if all(isinstance(part.dtype, pd.CategoricalDtype) for part in known):
        levels = list(dict.fromkeys(level for part in known for level in part.cat.categories))
        alike = all(list(part.cat.categories) == levels and part.cat.ordered for part in known)
        pieces = [
            np.full(part, -1) if isinstance(part, int) else pd.Categorical(part, categories=levels).codes
            for part in parts
        ]
        return pd.Categorical.from_codes(np.concatenate(pieces), categories=levels, ordered=alike)
    if len(known) < len(parts):
        kind = known[0].dtype
        whole = all(pd.api.types.is_integer_dtype(p.dtype) and isinstance(p.dtype, np.dtype) for p in known)
        filler = np.dtype(np.float64) if whole else kind
        if all(pd.api.types.is_bool_dtype(p.dtype) for p in known):
            filler = pd.BooleanDtype()
        parts = [pd.Series([None] * p, dtype=object) if isinstance(p, int) else p for p in parts]
        joined = pd.concat([part.astype(object) for part in parts], ignore_index=True)
        try:
            return joined.astype(filler).array
        except (TypeError, ValueError):
            return joined.array
    return pd.concat(known, ignore_index=True).array
