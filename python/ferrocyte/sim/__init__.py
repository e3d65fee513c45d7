"""Studies of which the truth is known: to plan an experiment, to test a method, to measure its speed.

=================  =========================================================================================
:func:`cohort`     donors in arms, samples, batches, cell types, covariates, planted effects
:func:`ctmm`       pseudobulk per individual and cell type with known variances (the design of CTMM's paper)
:func:`gxemm`      genotypes and a trait with heritability by environment (the design of GxEMM)
:func:`programs`   cells of planted programs of expression, identities and activities
:func:`rnaseq`     counts like those of a reference (the distributions of the R package FLASHMM's simulator)
:func:`study`      cells of samples in two treatments, with cluster and sample effects
=================  =========================================================================================

All but :func:`ctmm` and :func:`gxemm` give an AnnData, cells x genes, whose ``uns["truth"]`` lists the planted effects
(ln of a ratio), or programs. Counts depend on the seed and the options alone, not on the number of threads. Studies
beyond memory are written by the program: ``ferrocyte simulate cohort --cells 1000000 -o study.h5ad`` gives the counts
that :func:`cohort` gives.
"""

from __future__ import annotations

from ._cohort import cohort
from ._ctmm import ctmm
from ._gxemm import gxemm
from ._programs import programs
from ._rnaseq import rnaseq
from ._study import study

__all__ = ["cohort", "ctmm", "gxemm", "programs", "rnaseq", "study"]
