"""Programs of gene expression: the consensus of many non-negative factorisations.

Cells are rows. The same seed gives the numbers of the program ``cnmf`` (and, with ``style="exprmat"``, of its variant
in exprmat): seeds, starts, iterates, clusters and order.

* :func:`consensus_nmf`: counts of an AnnData or a file to the spectra of many replicates, in memory;
  :func:`consensus_nmf_extract_k`: the programs of one k, written into the AnnData.
* :class:`cNMF`: the same in a folder, with the verbs and files of ``cnmf``.
* :func:`project`: how much new cells use known programs.
* :func:`harmony_corrected`: counts without the differences between batches, as input of these.
* :func:`variable_genes`: how genes are judged; :func:`suggest_density_threshold`: where outliers end.
"""

from __future__ import annotations

from ._corrected import Corrected, harmony_corrected
from ._extract import consensus_nmf, consensus_nmf_extract_k
from ._folder import cNMF
from ._genes import suggest_density_threshold, variable_genes
from ._programs import Programs
from ._project import Projection, project
from ._run import ConsensusNMF, fit
from ._shards import factorize_dask

__all__ = [
    "ConsensusNMF",
    "Corrected",
    "Programs",
    "Projection",
    "cNMF",
    "consensus_nmf",
    "consensus_nmf_extract_k",
    "factorize_dask",
    "fit",
    "harmony_corrected",
    "project",
    "suggest_density_threshold",
    "variable_genes",
]
