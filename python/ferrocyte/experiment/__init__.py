"""A study of several samples, from their counts to named, counted and saved cells.

:class:`Experiment` holds the samples of a table, each by itself and all of them together, and the folder where they
lie. Its verbs stand below the modality: ``expm.rna.leiden(resolution=0.8)`` works on all samples together,
``expm.rna.qc(run_on_samples=True)`` on each of them; they call :mod:`ferrocyte.pp`, :mod:`ferrocyte.tl` and
:mod:`ferrocyte.pl`, and name results as exprmat does.

=========================  =========================================================================
:class:`Experiment`        the samples of a table, read
:func:`load_experiment`    a folder that was saved
:class:`Metadata`          the table of samples, :func:`load_metadata` from a file
:class:`Modality`          the verbs
=========================  =========================================================================
"""

from __future__ import annotations

from ._experiment import Experiment, load_experiment
from ._metadata import Metadata, load_metadata
from ._modality import Modality
from ._session import setwd, version

__all__ = ["Experiment", "Metadata", "Modality", "load_experiment", "load_metadata", "setwd", "version"]
