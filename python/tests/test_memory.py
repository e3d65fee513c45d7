"""Peak memory of a pass over the cells, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

GENES = 2000
PER_CELL = 100


def write_study(path: Path, cells: int) -> None:
    """An .h5ad of random counts, written in slabs: CSR, gzip, 12 samples in two conditions."""
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([cells, GENES])})
        x["indptr"] = np.arange(cells + 1, dtype=np.int64) * PER_CELL
        size = cells * PER_CELL
        options = {"chunks": (65_536,), "compression": "gzip", "compression_opts": 1}
        data = x.create_dataset("data", (size,), "f4", **options)
        indices = x.create_dataset("indices", (size,), "i4", **options)
        step = 5000
        for start in range(0, cells, step):
            rows = min(step, cells - start)
            # Sorted without repeats: gaps of 1 to GENES / PER_CELL.
            gaps = rng.integers(1, GENES // PER_CELL + 1, (rows, PER_CELL), dtype="i4")
            genes = np.cumsum(gaps, axis=1, dtype="i4") - 1
            slab = slice(start * PER_CELL, (start + rows) * PER_CELL)
            indices[slab] = genes.ravel()
            data[slab] = rng.integers(1, 5, rows * PER_CELL).astype("f4")
        obs = file.create_group("obs")
        names = np.array([f"c{i}" for i in range(cells)], dtype=object)
        strings = h5py.string_dtype()
        obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        obs.attrs["column-order"] = np.array(["sample", "condition"], dtype=strings)
        obs.create_dataset("_index", data=names, dtype=strings)
        obs["_index"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        codes = rng.integers(0, 12, cells).astype("i1")
        for column, values, levels in (
            ("sample", codes, [f"s{i:02}" for i in range(12)]),
            ("condition", codes % 2, ["ctrl", "stim"]),
        ):
            group = obs.create_group(column)
            group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
            group["codes"] = values
            group.create_dataset("categories", data=np.array(levels, dtype=object), dtype=strings)
            group["categories"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        var = file.create_group("var")
        var.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        var.attrs["column-order"] = np.array([], dtype=strings)
        var.create_dataset("_index", data=np.array([f"g{i}" for i in range(GENES)], dtype=object), dtype=strings)
        var["_index"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


PROGRAM = """
import sys
from ferrocyte import _core
def peak():
    # Not ru_maxrss, which a process inherits from the one that started it.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
code = _core.run_program(["ferrocyte", "lmm", "sums", sys.argv[1], "--formula",
    "~ log(libsize) + condition + (1 | sample)", "-o", sys.argv[2], "--max-memory", "96M", "--threads", "1", "-q"])
print(code, peak())
"""


def peak(path: Path, out: Path) -> int:
    """KiB of the process that makes the sums, at most."""
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(out)], capture_output=True, text=True, check=True
    ).stdout
    code, most = (int(x) for x in printed.split())
    assert code == 0
    return most


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_peak_memory_does_not_grow_with_cells(tmp_path):
    peaks = {}
    for cells in (50_000, 500_000):
        study = tmp_path / f"{cells}.h5ad"
        write_study(study, cells)
        peaks[cells] = peak(study, tmp_path / f"{cells}.npz")
    # The columns of obs that the model names stay in memory, and the place of each cell in the design; the matrix would
    # be 381 MiB. One thread: others keep freed buffers of their own, which is not the point here.
    grown = peaks[500_000] - peaks[50_000]
    assert grown < 0.2 * peaks[50_000], peaks
    assert grown * 1024 < 10 * 450_000, peaks
