"""Kinships of files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import _core
from .._run import means

if TYPE_CHECKING:
    import pandas as pd


def kinship(
    path: str | os.PathLike[str],
    *,
    standardize: str = "sample",
    sex_linked: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Read a kinship, or make it of genotypes.

    Parameters
    ----------
    path
        PLINK genotypes (``.bed``, or the prefix of ``.bed``, ``.bim`` and ``.fam``), a kinship of GCTA or LDAK
        (``.grm.bin`` or ``.grm.gz`` beside ``.grm.id``, or their prefix), or a square table with names in both ways.
    standardize
        Genotypes are scaled by their standard deviation among these individuals (``"sample"``), or by that of two
        independent copies of the allele (``"expected"``). An unknown genotype counts as the mean of its marker.
    sex_linked
        Whether markers of sex chromosomes and the mitochondrion are in the kinship.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame
        Individuals × individuals with their names; ``attrs["markers"]``: of how many markers, 0 where that is unknown.
    """
    import pandas as pd

    place = os.fspath(path)
    if not place.endswith(".bed") and not os.path.isfile(place) and os.path.isfile(f"{place}.bed"):
        place = f"{place}.bed"
    given = means(n_threads, max_memory, progress=progress)
    names, values, markers = _core.gxemm_kinship(place, standardize, sex_linked, given)
    out = pd.DataFrame(values, index=names, columns=names)
    out.attrs["markers"] = markers
    return out
