"""Programs.

Consensus factorisations of the same cells (`data/kang_ifnb.h5ad`): sets of genes that rise and fall together.
"""

import anndata as ad
from book import figure, section, source

import ferrocyte as fe


@source
def programs():
    """Five numbers of programs, eight replicates of each."""
    programs = ad.read_h5ad("data/kang_ifnb.h5ad")
    fe.cnmf.consensus_nmf(programs, [5, 6, 7, 8, 9], counts=None, tpm=None, hvg=None, n_permutation=8, style="cnmf")
    fe.cnmf.consensus_nmf_extract_k(programs, 7, density_threshold=0.3)
    return programs


@figure(programs)
def cnmf_k_selection(programs):
    """How stable programs are, and what they leave unexplained, against their number."""
    return fe.pl.cnmf_k_selection(programs)


@figure(programs)
def cnmf_clustergram(programs):
    """Distances between the spectra of all replicates, grouped into programs, with how densely each lies."""
    return fe.pl.cnmf_clustergram(programs, 7)


@figure(programs)
def cnmf_density(programs):
    """Spectra by their distance to the nearest others: those beyond the threshold are left out."""
    return fe.pl.cnmf_density(programs, 7)


@figure(programs)
def cnmf_distance_comps(programs):
    """Distances between spectra of all replicates."""
    return fe.pl.cnmf_distance_comps(programs, 7)


@figure(programs)
def cnmf_distance_usages(programs):
    """Distances between cells by their use of programs, with their types."""
    return fe.pl.cnmf_distance_usages(programs, 7, downsample=0.1, annotations="cell_type")


@figure(programs)
def cnmf_distance_modules(programs):
    """Distances between genes by their weights in programs."""
    return fe.pl.cnmf_distance_modules(programs, 7, downsample=0.2)


@figure(programs)
def cnmf_usages(programs):
    """How much each cell uses each program, on a layout."""
    return fe.pl.cnmf_usages(programs, 7, basis="tsne")


PROGRAMS = section(globals())
