"""What all verbs of a modality do: find the studies that are meant, change them or ask them, and keep the step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import _core
from ..errors import BadInputError, MissingKeyError
from ._slots import log, register_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import anndata as ad

    from ._experiment import Experiment

    Where: TypeAlias = bool | str | Sequence[str]

#: What stands for all samples together where results are listed by sample.
INTEGRATED = "integrated"


class Verbs:
    """On what verbs work, and how. :class:`Modality` has them all."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self._experiment = experiment
        self._name = name

    def __repr__(self) -> str:
        return f"<verbs of {self._name}>"

    @property
    def _means(self) -> dict[str, Any]:
        """With what means steps work: ``n_threads``, ``max_memory``, ``progress``."""
        return self._experiment._how

    def _targets(self, where: Where) -> dict[str, ad.AnnData]:
        """The studies that a verb works on, by name."""
        if where is False:
            return {INTEGRATED: self._experiment[self._name]}
        held = self._experiment.samples
        if held is None:
            message = "the samples are not loaded"
            raise MissingKeyError(message, place="run_on_samples", hint="load_experiment(…, load_samples=True)")
        samples = held.get(self._name, {})
        names = list(samples)
        if where is True:
            chosen = names
        elif isinstance(where, str):
            chosen = [where] if where in samples else _matching(where, names)
        else:
            chosen = [names[i] for i in _core.study_samples([str(name) for name in where], names)]
        return {name: samples[name] for name in chosen}

    def _put(self, name: str, adata: ad.AnnData) -> None:
        """Puts a study into its place."""
        if name == INTEGRATED:
            self._experiment[self._name] = adata
        elif self._experiment.samples is not None:
            self._experiment.samples[self._name][name] = adata

    def _change(
        self, verb: str, where: Where, arguments: dict[str, Any], step: Callable[[ad.AnnData], ad.AnnData | None]
    ) -> None:
        """Runs a step on each of the studies; one that it gives back takes the place of the one it was given."""
        for name, adata in self._targets(where).items():
            found = step(adata)
            adata = adata if found is None else found
            register_all(adata)
            log(adata, verb, {key: value for key, value in arguments.items() if value is not None})
            self._put(name, adata)

    def _ask(self, where: Where, question: Callable[[ad.AnnData], Any]) -> dict[str, Any]:
        """What is found of each of the studies, by name."""
        return {name: question(adata) for name, adata in self._targets(where).items()}


def _matching(pattern: str, names: list[str]) -> list[str]:
    """The names that a regular expression fits as a whole."""
    try:
        found = [name for name in names if re.fullmatch(pattern, name)]
    except re.error as fault:
        message = f"`{pattern}` is neither a sample nor a regular expression: {fault}"
        raise BadInputError(message, place="run_on_samples") from None
    # The same message as for a name that does not exist.
    return found or [names[i] for i in _core.study_samples([pattern], names)]
