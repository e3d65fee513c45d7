"""Verbs that name clusters, take cells away, and count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, tl
from .._annotated import labels_of
from .._messages import warn
from ..errors import BadInputError
from ..pp._filter import _mark_graphs
from ._say import say
from ._slots import forget_lost, register
from ._verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    import pandas as pd

    from ._verbs import Where


class Annotation(Verbs):
    """Names of cells. Verbs of :class:`Modality`."""

    def exclude(self, run_on_samples: Where = False, *, annotation: str, remove: str | Sequence[Any]) -> None:
        """Take cells away by their labels.

        Graphs of neighbours that lose cells are marked stale: :meth:`leiden` and :meth:`umap` refuse them until
        :meth:`knn` has been called again.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        annotation
            Column of obs.
        remove
            Labels, compared as texts.
        """
        arguments = {"annotation": annotation, "remove": _texts(remove)}

        def step(adata: ad.AnnData) -> ad.AnnData:
            return _part(adata, ~chosen_cells(adata, annotation, remove, "annotation"))

        self._change("exclude", run_on_samples, arguments, step)

    def keep(self, run_on_samples: Where = False, *, annotation: str, values: str | Sequence[Any]) -> None:
        """Keep cells by their labels; the others go. Graphs of neighbours become stale as in :meth:`exclude`.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        annotation
            Column of obs.
        values
            Labels, compared as texts.
        """
        arguments = {"annotation": annotation, "values": _texts(values)}

        def step(adata: ad.AnnData) -> ad.AnnData:
            return _part(adata, chosen_cells(adata, annotation, values, "annotation"))

        self._change("keep", run_on_samples, arguments, step)

    def annotate(
        self,
        run_on_samples: Where = False,
        *,
        annotation: str = "cell.type",
        cluster: str = "leiden",
        mapping: Mapping[str, Any],
    ) -> None:
        """Give clusters names, and print how many cells have each.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        annotation
            Column of obs that is written; its levels are sorted.
        cluster
            Column of obs with the clusters.
        mapping
            For each name a cluster or a list of them, compared as texts. Clusters that are not named keep their own
            name, with a warning.

        Raises
        ------
        BadInputError
            Where two names claim a cluster.
        MissingKeyError
            Where there is no such column.
        """
        pairs = [(str(name), _texts(ids)) for name, ids in dict(mapping).items()]

        def step(adata: ad.AnnData) -> None:
            found = _core.study_annotate(tuple(labels_of(adata, cluster, "cluster")), pairs)
            _write(adata, annotation, found, f"`{cluster}`")

        arguments = {"annotation": annotation, "cluster": cluster, "mapping": dict(pairs)}
        self._change("annotate", run_on_samples, arguments, step)

    def annotate_merge(
        self,
        run_on_samples: Where = False,
        *,
        merge: Sequence[Any],
        into: str,
        annotation: str = "cell.type",
        key_added: str | None = None,
    ) -> None:
        """Give some labels one name.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        merge
            The labels, compared as texts.
        into
            Their name from now on.
        annotation
            Column of obs.
        key_added
            Column of obs that is written; ``None`` is the same.
        """

        def step(adata: ad.AnnData) -> None:
            found = _core.study_merge_levels(
                tuple(labels_of(adata, annotation, "annotation")), _texts(merge), str(into)
            )
            _write(adata, key_added or annotation, found, f"`{annotation}`")

        arguments = {"annotation": annotation, "merge": _texts(merge), "into": into}
        self._change("annotate_merge", run_on_samples, arguments, step)

    def annotate_paste(self, run_on_samples: Where = False, *, froms: Sequence[str], into: str, sep: str = ".") -> None:
        """Join the labels of several columns; cells that lack one of them have none.

        Parameters
        ----------
        run_on_samples
            On what: see :class:`Modality`.
        froms
            Columns of obs.
        into
            Column of obs that is written.
        sep
            What stands between labels.
        """
        if isinstance(froms, str):
            message = f"expected a list of columns, found the text `{froms}`"
            raise BadInputError(message, place="froms", hint=f'froms=["{froms}", …]')

        def step(adata: ad.AnnData) -> None:
            columns = [tuple(labels_of(adata, name, "froms")) for name in froms]
            codes, levels = _core.study_paste(columns, sep)
            _set_labels(adata, into, codes, levels)

        self._change("annotate_paste", run_on_samples, {"froms": list(froms), "into": into, "sep": sep}, step)

    def proportion(
        self,
        major: str,
        minor: str,
        within: str = "major",
        run_on_samples: Where = False,
        *,
        normalize: str | bool | None = None,
        show_unused: bool = False,
    ) -> dict[str, pd.DataFrame]:
        """Count the cells by two columns of obs, such as samples and types, as shares.

        Parameters
        ----------
        major, minor
            Columns of obs: rows and columns of the table.
        within
            Within what shares sum to 1: ``"major"`` (rows), ``"minor"``, ``"all"``, or ``"none"`` for counts.
        run_on_samples
            On what: see :class:`Modality`.
        normalize
            The same in the words of crosstabs: ``"index"``, ``"columns"``, ``"all"``, ``False``, before `within`.
        show_unused
            Whether levels that no cell has are shown, with 0.

        Returns
        -------
        dict
            A table for each of the studies by name, ``"integrated"`` for all samples together.
        """
        return self._ask(
            run_on_samples,
            lambda adata: tl.proportion(adata, major, minor, within, normalize=normalize, show_unused=show_unused),
        )


def chosen_cells(adata: ad.AnnData, column: str, values: Any, place: str) -> np.ndarray[Any, Any]:
    """Which cells have one of some labels; labels that no cell has are said."""
    cells, unknown = _core.study_chosen(tuple(_labels(adata, column, place)), _texts(values))
    if unknown:
        warn(f"obs column `{column}` has no label {', '.join(f'`{one}`' for one in unknown)}")
    return cells


def _labels(adata: ad.AnnData, column: str, place: str) -> Any:
    """Labels of a column; truth values and whole numbers count as texts."""
    import pandas as pd

    from .._annotated import Labels
    from .._obs import require

    series = require(adata.obs, column)
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_integer_dtype(series.dtype):
        codes, levels = pd.factorize(series, sort=True)
        return Labels(np.ascontiguousarray(codes, dtype=np.int32), [str(level) for level in levels])
    return labels_of(adata, column, place)


def _texts(values: Any) -> list[str]:
    """One value, or several, as texts."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        return [str(values)]
    return [str(value) for value in values]


def _part(adata: ad.AnnData, kept: np.ndarray[Any, Any]) -> ad.AnnData:
    """Some of the cells; graphs that lose cells become stale."""
    say(f"keep {int(kept.sum())} observations from {adata.n_obs}.")
    if not kept.any():
        message = "no cell would be left"
        raise BadInputError(message, place="annotation")
    part = adata[kept].copy()
    _mark_graphs(part, all_kept=bool(kept.all()))
    forget_lost(part)
    return part


def _write(adata: ad.AnnData, name: str, found: tuple[Any, ...], of: str) -> None:
    """Writes new labels and says how many cells have each."""
    (codes, levels), counts, kept, unknown = found
    if kept:
        warn(f"clusters of {of} without a name keep their own: {', '.join(kept)}")
    if unknown:
        warn(f"there is no {', '.join(f'`{one}`' for one in unknown)} among the labels of {of}")
    _set_labels(adata, name, codes, levels)
    width = max((len(level) for level in levels), default=0)
    for level, n in zip(levels, counts, strict=True):
        say(f"  {level:<{width}}  {n}", None)


def _set_labels(adata: ad.AnnData, name: str, codes: Any, levels: list[str]) -> None:
    import pandas as pd

    adata.obs[name] = pd.Categorical.from_codes(codes, categories=levels)
    # Colours are those of the levels before.
    adata.uns.pop(f"{name}.colors", None)
    register(adata, "obs", name, ["category"])
