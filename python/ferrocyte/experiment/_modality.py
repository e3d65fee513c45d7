""":class:`Modality`: the verbs of a modality, on all samples together or on samples by themselves."""

from __future__ import annotations

from ._annotation import Annotation
from ._figures import Figures
from ._quality import Quality
from ._steps import Steps


class Modality(Quality, Steps, Annotation, Figures):
    """The verbs of a modality.

    Each takes `run_on_samples`: ``False`` is all samples together, ``True`` each sample, a list of names some of them.
    A text is the name of a sample, or a regular expression that the whole of a name fits. What a verb gives back is a
    dict by sample, or ``{"integrated": …}``.

    Results are written into the AnnData under the names of exprmat; ``uns["commands"]`` keeps the steps.
    """
