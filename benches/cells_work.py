"""The work of `benches/cells.py`, by one program, in a process of its own.

`python cells_work.py PROGRAM FOLDER STEP THREADS REPEATS` loads what the step starts from, which is the same for all
programs, runs the step with each number of threads (`1` or `1,2`) on as many processors, and prints `versions ..` and
lines `measured THREADS CPU WALL MEMORY`: the least seconds of several runs without imports and loading, and the peak
memory in bytes of the first run above what the process held before. A program that compiles at its first call does the
step on the 3,000 cells beside FOLDER first, which is not counted.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from limma_work import ENOUGH, forget_peak, memory

Work = Callable[[], Any]
Prepare = Callable[[Path, int], Work]

#: Programs whose first call compiles: it is not counted.
COMPILES = {"scanpy", "illico", "brisc"}


@cache
def counts(folder: Path) -> Any:
    """Raw counts."""
    import anndata

    return anndata.read_h5ad(folder / "counts.h5ad")


@cache
def study(folder: Path) -> Any:
    """Logarithms, variable genes, components, the graph and clusters, as the command left them."""
    import anndata

    return anndata.read_h5ad(folder / "study.h5ad")


def fresh(load: Callable[[Path], Any], step: Callable[[Any], Any]) -> Prepare:
    """A step that changes what it works on, and gets a copy for each run, which is not counted as work of others."""

    def prepare(folder: Path, _: int) -> Work:
        held = load(folder)
        copies: list[Any] = []

        def work() -> None:
            step(copies.pop() if copies else held.copy())

        work.before = lambda: copies.append(held.copy())  # type: ignore[attr-defined]
        return work

    return prepare


# Ours


def ours(load: Callable[[Path], Any], call: Callable[[Any, Any, dict[str, int]], Any]) -> Prepare:
    """A step of ferrocyte."""

    def prepare(folder: Path, threads: int) -> Work:
        import ferrocyte as fe

        return fresh(load, lambda adata: call(fe, adata, {"n_threads": threads}))(folder, threads)

    return prepare


def ours_read(folder: Path, threads: int) -> Work:
    """Reading."""
    import ferrocyte as fe

    return lambda: fe.io.read_h5ad(folder / "counts.h5ad", n_threads=threads)


def ours_write(folder: Path, threads: int) -> Work:
    """Writing, gzip."""
    import ferrocyte as fe

    held = study(folder)
    return lambda: fe.io.write_h5ad(held, folder / "written.h5ad", n_threads=threads)


FERROCYTE: dict[str, Prepare] = {
    "read": ours_read,
    "write": ours_write,
    "qc": ours(counts, lambda fe, a, n: fe.pp.calculate_qc_metrics(a, inplace=True, **n)),
    "normalize": ours(counts, lambda fe, a, n: (fe.pp.normalize_total(a, **n), fe.pp.log1p(a, **n))),
    "hvg_seurat": ours(study, lambda fe, a, n: fe.pp.highly_variable_genes(a, n_top_genes=2000, **n)),
    "hvg_seurat_v3": ours(
        counts, lambda fe, a, n: fe.pp.highly_variable_genes(a, flavor="seurat_v3", n_top_genes=2000, **n)
    ),
    "pca": ours(study, lambda fe, a, n: fe.pp.pca(a, 50, **n)),
    "harmony": ours(study, lambda fe, a, n: fe.pp.harmony_integrate(a, "batch", lamb="auto", **n)),
    "neighbors_15": ours(study, lambda fe, a, n: fe.pp.neighbors(a, 15, 35, use_rep="X_pca", **n)),
    "neighbors_100": ours(study, lambda fe, a, n: fe.pp.neighbors(a, 100, 35, use_rep="X_pca", **n)),
    "leiden": ours(study, lambda fe, a, n: fe.tl.leiden(a, n_iterations=2, **n)),
    "umap": ours(study, lambda fe, a, n: fe.tl.umap(a, **n)),
    "t_test": ours(study, lambda fe, a, n: fe.tl.rank_genes_groups(a, "label", pts=True, **n)),
    "wilcoxon": ours(study, lambda fe, a, n: fe.tl.rank_genes_groups(a, "label", method="wilcoxon", **n)),
    "scrublet": ours(counts, lambda fe, a, n: fe.pp.scrublet(a, batch_key="batch", **n)),
    "sc3": ours(study, lambda fe, a, n: fe.tl.sc3(a, [5, 10, 20, 30], **n)),
}


# scanpy


def scanpy(load: Callable[[Path], Any], call: Callable[[Any, Any], Any]) -> Prepare:
    """A step of scanpy."""

    def prepare(folder: Path, threads: int) -> Work:
        import scanpy as sc

        sc.settings.n_jobs = threads
        return fresh(load, lambda adata: call(sc, adata))(folder, threads)

    return prepare


def scanpy_neighbors(sc: Any, adata: Any, n_neighbors: int) -> None:
    """Neighbours; from 8,192 cells on scanpy 1.11 asks sparse arrays for a method that only sparse matrices have."""
    from scipy import sparse

    if not hasattr(sparse.csr_array, "getnnz"):
        sparse.csr_array.getnnz = sparse.csr_array._getnnz
    sc.pp.neighbors(adata, n_neighbors, 35, use_rep="X_pca")


def scanpy_read(folder: Path, _: int) -> Work:
    """Reading, by anndata."""
    import anndata

    return lambda: anndata.read_h5ad(folder / "counts.h5ad")


def scanpy_write(folder: Path, _: int) -> Work:
    """Writing, by anndata."""
    held = study(folder)
    return lambda: held.write_h5ad(folder / "written.h5ad", compression="gzip")


def scanpy_wilcoxon(sc: Any, adata: Any) -> None:
    """The rank-sum test that allows for ties."""
    sc.tl.rank_genes_groups(adata, "label", method="wilcoxon", tie_correct=True)


SCANPY: dict[str, Prepare] = {
    "read": scanpy_read,
    "write": scanpy_write,
    "qc": scanpy(counts, lambda sc, a: sc.pp.calculate_qc_metrics(a, inplace=True)),
    "normalize": scanpy(counts, lambda sc, a: (sc.pp.normalize_total(a), sc.pp.log1p(a))),
    "hvg_seurat": scanpy(study, lambda sc, a: sc.pp.highly_variable_genes(a, n_top_genes=2000)),
    "hvg_seurat_v3": scanpy(counts, lambda sc, a: sc.pp.highly_variable_genes(a, flavor="seurat_v3", n_top_genes=2000)),
    "pca": scanpy(study, lambda sc, a: sc.pp.pca(a, n_comps=50)),
    "neighbors_15": scanpy(study, lambda sc, a: scanpy_neighbors(sc, a, 15)),
    "neighbors_100": scanpy(study, lambda sc, a: scanpy_neighbors(sc, a, 100)),
    "leiden": scanpy(study, lambda sc, a: sc.tl.leiden(a, flavor="igraph", n_iterations=2, directed=False)),
    "umap": scanpy(study, lambda sc, a: sc.tl.umap(a)),
    "t_test": scanpy(study, lambda sc, a: sc.tl.rank_genes_groups(a, "label", method="t-test", pts=True)),
    "wilcoxon": scanpy(study, scanpy_wilcoxon),
    "scrublet": scanpy(counts, lambda sc, a: sc.pp.scrublet(a, batch_key="batch", verbose=False)),
}


# Programs of one step


def harmonypy(folder: Path, _: int) -> Work:
    """Harmony, with as many rounds and as long as ours; its penalty is ours of `lamb="auto"`."""
    import harmonypy as hm

    held = study(folder)
    points, batches = held.obsm["X_pca"], held.obs[["batch"]]
    ends = {"max_iter_kmeans": 20, "epsilon_cluster": 1e-5, "epsilon_harmony": 1e-4}
    return lambda: hm.run_harmony(points, batches, "batch", **ends)


def illico(folder: Path, threads: int) -> Work:
    """The rank-sum test."""
    from illico import asymptotic_wilcoxon

    held = study(folder)
    return lambda: asymptotic_wilcoxon(held, group_keys="label", reference=None, is_log1p=True, n_threads=threads)


# brisc


def brisc(before: str, call: Callable[[Any, int], Any]) -> Prepare:
    """A step of brisc on what its own steps before it made (`before`: their names)."""

    def prepare(folder: Path, threads: int) -> Work:
        from brisc import SingleCell

        held = SingleCell(folder / "counts.h5ad", num_threads=threads)
        for step in before.split():
            held = BRISC_STEPS[step](held, threads)
        return lambda: call(held, threads)

    return prepare


def brisc_read(folder: Path, threads: int) -> Work:
    """Reading."""
    from brisc import SingleCell

    return lambda: SingleCell(folder / "counts.h5ad", num_threads=threads)


BRISC_STEPS: dict[str, Callable[[Any, int], Any]] = {
    "qc": lambda s, n: s.qc(allow_float=True, num_threads=n),
    "hvg": lambda s, n: s.hvg(num_threads=n),
    "normalize": lambda s, n: s.normalize(num_threads=n),
    "pca": lambda s, n: s.pca(num_threads=n),
    "neighbors": lambda s, n: s.neighbors(num_threads=n),
    "shared": lambda s, n: s.shared_neighbors(num_threads=n),
}

BRISC: dict[str, Prepare] = {
    "read": brisc_read,
    "qc": brisc("", BRISC_STEPS["qc"]),
    "hvg_seurat_v3": brisc("qc", BRISC_STEPS["hvg"]),
    "normalize": brisc("qc hvg", BRISC_STEPS["normalize"]),
    "pca": brisc("qc hvg normalize", BRISC_STEPS["pca"]),
    "neighbors_15": brisc("qc hvg normalize pca", BRISC_STEPS["neighbors"]),
    "leiden": brisc("qc hvg normalize pca neighbors shared", lambda s, n: s.cluster(num_threads=n)),
    # One thread is all that it takes without races; it wants no number then.
    "umap": brisc("qc hvg normalize pca neighbors", lambda s, _: s.umap(hogwild=False)),
    "t_test": brisc("qc", lambda s, n: s.find_markers("label", num_threads=n)),
}

PROGRAMS: dict[str, dict[str, Prepare]] = {
    "ferrocyte": FERROCYTE,
    "scanpy": SCANPY,
    "harmonypy": {"harmony": harmonypy},
    "illico": {"wilcoxon": illico},
    "brisc": BRISC,
}


def measure(work: Work, repeats: int) -> dict[str, float]:
    """The least seconds of several runs, and the peak memory of the first; copies that runs need are not counted."""
    before = getattr(work, "before", lambda: None)
    before()
    forget_peak()
    held, began = memory("VmRSS"), time.perf_counter()
    wall, cpu, peak = [], [], 0
    while not wall or (len(wall) < repeats and time.perf_counter() - began < ENOUGH):
        if wall:
            before()
        at, cpu_at = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - at)
        cpu.append(time.process_time() - cpu_at)
        peak = peak or memory("VmHWM")
    return {"cpu": min(cpu), "wall": min(wall), "memory": max(peak - held, 0)}


def main() -> int:
    """Prepare, run, print."""
    program, folder, step, threads, repeats = sys.argv[1:]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = threads.rsplit(",")[-1]
    warnings.simplefilter("ignore")
    prepare, place = PROGRAMS[program][step], Path(folder)
    small = place.parent / "3k"
    if program in COMPILES and small.is_dir():
        prepare(small, int(threads))()
    print("versions", f"{program} {version(program)}")
    everywhere = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    for n in map(int, threads.split(",")):
        if everywhere:
            os.sched_setaffinity(0, sorted(everywhere)[:n])
        told = measure(prepare(place, n), int(repeats))
        print("measured", n, told["cpu"], told["wall"], told["memory"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
