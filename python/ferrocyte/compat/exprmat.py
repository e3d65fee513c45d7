"""The names of exprmat: ``import ferrocyte.compat.exprmat as em``, and a notebook runs on.

================================================  ==================================================================
``em.load_experiment``, ``em.experiment``         :func:`ferrocyte.load_experiment`, :class:`ferrocyte.Experiment`
``em.metadata``, ``em.load_metadata``             :class:`ferrocyte.experiment.Metadata`
``em.setwd``, ``em.version``                      the working directory, and what is installed
``expm.rna.leiden(...)``                          verbs of :class:`ferrocyte.experiment.Modality`
``expm.run_rna_leiden(...)``                      the same, as earlier versions have it; ``plot_rna_embedding`` too
================================================  ==================================================================

Numbers differ where exprmat differs from its own references: ``docs`` of each verb say how.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError
from ..experiment import Experiment, Metadata, load_metadata, setwd, version
from ..experiment import load_experiment as _load

if TYPE_CHECKING:
    import pandas as pd

    Path = str | os.PathLike[str]

__all__ = ["experiment", "load_experiment", "load_metadata", "metadata", "setwd", "version"]

metadata = Metadata

#: Verbs that earlier versions call otherwise.
_EARLIER = {"select_hvg": "hvg", "integrate": "harmony"}


class experiment(Experiment):  # noqa: N801 (exprmat has it so)
    """A study of several samples; `dump` is the folder where it is saved.

    Parameters
    ----------
    meta
        The table of samples.
    eccentric
        Only ``None``.
    dump
        The folder.
    save_simultaneously
        Whether the samples are saved as soon as they are read; ``False`` leaves that to ``save``.
    """

    def __init__(
        self,
        meta: Metadata | Path | pd.DataFrame,
        eccentric: Any = None,
        *,
        dump: Path = ".",
        save_simultaneously: bool = False,
        **keywords: Any,
    ) -> None:
        if eccentric is not None:
            message = f"{eccentric!r} is not supported: samples are read as the table says"
            raise UnsupportedError(message, place="eccentric")
        super().__init__(meta, dump, **keywords)
        if save_simultaneously:
            self.save()

    def __getattr__(self, name: str) -> Any:
        """Verbs under the names of earlier versions: ``run_rna_leiden``, ``plot_rna_embedding``, …."""
        verb = _earlier_verb(name)
        if verb is not None:
            return getattr(self.rna, verb)
        message = f"there is no `{name}`"
        raise AttributeError(message)


def _earlier_verb(name: str) -> str | None:
    """The verb of gene expression that a method of the whole experiment stands for, if there is one."""
    from ..experiment import Modality

    verb = name
    for start, own in (("run_rna_", ""), ("plot_rna_", "plot_"), ("get_rna_", "get_"), ("find_rna_", "")):
        if name.startswith(start):
            verb = own + name.removeprefix(start)
    verb = _EARLIER.get(verb, verb)
    return verb if not verb.startswith("_") and hasattr(Modality, verb) else None


def load_experiment(
    directory: Path,
    load_samples: bool = True,  # noqa: FBT001, FBT002
    load_subset: str | None = None,
    **keywords: Any,
) -> experiment:
    """Load a study from its folder: see :func:`ferrocyte.load_experiment`."""
    found = _load(directory, load_samples, load_subset, **keywords)
    made = experiment.__new__(experiment)
    made.__dict__.update(found.__dict__)
    return made
