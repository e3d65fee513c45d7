"""The work of `benches/io.py`, by one program, in a process of its own.

`python io_work.py PROGRAM WORK FOLDER STORAGE REPEATS` prints lines `cpu S`, `wall S`, `memory BYTES`, `found X`: the
least seconds of several runs without imports, the peak memory above what the process held before, and a number by
which all programs are held against each other. `versions ..` names what did the work.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

# Repeats end after this many seconds.
ENOUGH = 8.0

Work = Callable[[], Any]

FILTERS = {"none": None, "gzip": "gzip", "lzf": "lzf"}


def total(matrix: Any) -> float:
    """The sum of all values, by which readers are compared."""
    return float(matrix.sum(dtype=np.float64))


def ours(work: str, folder: Path, storage: str) -> Work:
    """The work of ferrocyte; anndata, which it loads when it is first used, is no part of it."""
    import ferrocyte as fe

    importlib.import_module("anndata")

    study, out = folder / f"{storage}.h5ad", folder / "ours.h5ad"
    if work == "read":
        return lambda: total(fe.io.read_h5ad(study).X)
    if work == "stream":
        return lambda: total(fe.pp.pseudobulk(study, "sample", min_cells=1).X)
    if work == "write":
        adata = fe.io.read_h5ad(folder / "none.h5ad")
        return lambda: fe.io.write_h5ad(adata, out, compression=FILTERS[storage], compression_level=level(storage))
    if work == "tenx":
        return lambda: program("convert", folder / "tenx.h5", out, "--compression", storage, "--compression-level", "1")
    return lambda: program("convert", study, out, "--compression", "gzip", "--compression-level", "1")


def level(storage: str) -> int | None:
    """The level of gzip of all programs."""
    return 1 if storage == "gzip" else None


def program(*words: Any) -> None:
    """Run the program of ferrocyte in this process."""
    from ferrocyte import _core

    code = _core.run_program(["ferrocyte", *map(str, words), "--quiet"])
    if code != 0:
        raise SystemExit(code)


def anndata(work: str, folder: Path, storage: str) -> Work:
    """The work of anndata, in memory."""
    import anndata as ad
    from scipy import sparse

    study, out = folder / f"{storage}.h5ad", folder / "theirs.h5ad"
    options = {"compression": FILTERS[storage]}
    if storage == "gzip":
        options["compression_opts"] = 1
    if work == "read":
        return lambda: total(ad.read_h5ad(study).X)
    if work == "stream":

        def stream() -> float:
            backed = ad.read_h5ad(study, backed="r")
            sums = np.zeros(backed.n_vars)
            for start in range(0, backed.n_obs, 2000):
                sums += np.asarray(backed.X[start : start + 2000].sum(axis=0, dtype=np.float64)).ravel()
            backed.file.close()
            return float(sums.sum())

        return stream
    if work == "write":
        adata = ad.read_h5ad(folder / "none.h5ad")
        return lambda: adata.write_h5ad(out, **options)
    if work == "tenx":

        def convert() -> None:
            import h5py

            with h5py.File(folder / "tenx.h5") as file:
                group = file["matrix"]
                parts = tuple(group[name][:] for name in ("data", "indices", "indptr"))
                counts = sparse.csr_matrix(parts, shape=tuple(group["shape"][:])[::-1]).astype(np.float32)
                adata = ad.AnnData(counts)
                adata.obs_names = group["barcodes"][:].astype(str)
                adata.var_names = group["features/name"][:].astype(str)
            adata.write_h5ad(out, **options)

        return convert
    return lambda: ad.read_h5ad(study).write_h5ad(out, compression="gzip", compression_opts=1)


def h5py(work: str, folder: Path, storage: str) -> Work:
    """The arrays of X alone, as h5py reads them."""
    import h5py as library

    if work != "read":
        message = f"h5py does not {work}"
        raise SystemExit(message)

    def read() -> float:
        with library.File(folder / f"{storage}.h5ad") as file:
            data, _, _ = (file[f"X/{name}"][:] for name in ("data", "indices", "indptr"))
        return total(data)

    return read


def snapatac2(work: str, folder: Path, storage: str) -> Work:
    """The work of SnapATAC2, whose files are those of the crate anndata-rs; it writes in one storage of its own."""
    import snapatac2 as library

    study = folder / f"{storage}.h5ad"

    def opened(job: Callable[[Any], float]) -> Work:
        def run() -> float:
            backed = library.read(str(study), backed="r")
            found = job(backed.X)
            backed.close()
            return found

        return run

    if work == "read":
        return opened(lambda matrix: total(matrix[:]))
    if work == "stream":
        return opened(lambda matrix: float(sum(total(rows) for rows, _, _ in matrix.chunked(2000))))
    message = f"SnapATAC2 is not asked to {work}"
    raise SystemExit(message)


PROGRAMS = {"ferrocyte": ours, "anndata": anndata, "h5py": h5py, "snapatac2": snapatac2}


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) * 1024


def main() -> int:
    """Do the work as often as is asked for, and print what it took."""
    name, work, folder, storage, repeats = sys.argv[1:]
    warnings.simplefilter("ignore")
    job = PROGRAMS[name](work, Path(folder), storage)
    before = peak()
    cpu, wall, found, memory, spent = [], [], None, 0, 0.0
    for i in range(int(repeats)):
        before_it, start = time.process_time(), time.perf_counter()
        found = job()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - before_it)
        if i == 0:
            memory = peak() - before
        spent += wall[-1]
        if spent > ENOUGH:
            break
    print("versions", name, version(name))
    print("cpu", min(cpu))
    print("wall", min(wall))
    print("memory", memory)
    print("found", 0.0 if found is None else found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
