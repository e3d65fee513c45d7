"""Speed and memory of heritability by environment; writes docs/speed_gxemm.md.

Each row runs in a process of its own, whose peak of memory is told. Beside REML stand the seconds of the package
GxEMM 1.0 with LDAK, quoted from its reference cases: it needs R and LDAK. `--only` chooses rows by name and writes
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE = Path(__file__).resolve().parents[1] / "docs/speed_gxemm.md"


@dataclass
class Row:
    """A measurement: who, how, and the quoted seconds of the package."""

    name: str
    what: str
    n: int
    #: Markers behind the kinship, or streamed.
    markers: int
    method: str = "reml"
    model: str = "free"
    precision: str = "float64"
    route: str = "auto"
    traits: int = 1
    quoted: float | None = None


ROWS = [
    Row("500", "free/free", 500, 1000, quoted=2.7),
    Row("1000", "free/free", 1000, 2000, quoted=8.9),
    Row("2000", "free/free", 2000, 4000, quoted=42.0),
    Row("5000", "free/free", 5000, 10000),
    Row("10000", "free/free", 10000, 12000),
    Row("5000-f32", "free/free, kinship in f32", 5000, 10000, precision="float32"),
    Row("10000-f32", "free/free, kinship in f32", 10000, 12000, precision="float32"),
    Row("5000-he", "free/free, moments", 5000, 10000, method="he"),
    Row("10000-he", "free/free, moments", 10000, 12000, method="he"),
    Row("markers", "free/free, 300 markers", 5000, 300),
    Row("markers-dense", "the same as one matrix", 5000, 300, route="dense"),
    Row("families", "free/free, families of 5", 10000, -5),
    Row("traits-1000", "hom/hom, 100 traits", 1000, 2000, model="hom", traits=100),
    Row("traits-1000-dense", "the same, trait by trait", 1000, 2000, model="hom", traits=100, route="dense"),
    Row("traits-2000", "hom/hom, 100 traits", 2000, 4000, model="hom", traits=100),
    Row("traits-5000", "hom/hom, 100 traits", 5000, 10000, model="hom", traits=100),
    Row("rhe-5000", "free/free, randomised moments and exact ones", 5000, 20000, method="rhe"),
    Row("rhe-100000", "free/free, randomised moments", 100000, 20000, method="rhe"),
]


def peak() -> float:
    """The most memory that this process ever had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(work: Any) -> tuple[Any, float, float]:
    """What `work` gives, with seconds and seconds of all processors."""
    start, spent = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - start, time.process_time() - spent


def kinship(row: Row, rng: Any) -> tuple[Any, Any]:
    """A factor of the kinship with few columns, or all of them, and the kinship."""
    import numpy as np

    if row.markers < 0:
        family = np.arange(row.n) // -row.markers
        same = (family[:, None] == family[None, :]).astype(row.precision)
        return None, 0.5 * same + 0.5 * np.eye(row.n, dtype=row.precision)
    # Correlations of columns in double precision cost the time of this script, not that of a fit.
    kind = np.float64 if row.markers < row.n else np.float32
    genotypes = rng.binomial(2, 0.3, (row.n, row.markers)).astype(kind)
    genotypes -= genotypes.mean(axis=0)
    genotypes /= genotypes.std(axis=0, ddof=1)
    return genotypes, (genotypes @ genotypes.T / row.markers).astype(row.precision)


def fit(row: Row) -> dict[str, Any]:
    """REML or moments from a kinship."""
    import numpy as np

    import ferrocyte as fe

    rng = np.random.default_rng(1)
    factor, K = kinship(row, rng)
    inside = rng.random(row.n) < 0.5
    if factor is None:
        breeding = np.repeat(rng.normal(size=(row.n // 5, row.traits)), 5, axis=0)
    else:
        breeding = factor @ rng.normal(size=(row.markers, row.traits)).astype(factor.dtype) / np.sqrt(row.markers)
    del factor
    y = 0.6 * breeding + np.where(inside, 0.5, 1.0)[:, None] * rng.normal(size=(row.n, row.traits))
    environments = np.column_stack([inside, ~inside]).astype(float)
    how = {"gtype": row.model, "etype": row.model, "method": row.method, "route": row.route, "progress": False}
    best: tuple[Any, float, float] | None = None
    for _ in range(3 if row.n <= 2000 else 1):
        found = measured(lambda: fe.gxemm.fit(y, inside.astype(float), K, environments, max_memory="64G", **how))
        best = min((best, found), key=lambda x: x[1]) if best else found
    result, wall, spent = best
    turns = np.mean([one["evaluations"] for one in result.traits])
    told = f"{turns:.0f} factorisations" + (" a trait" if row.traits > 1 else "") if row.method == "reml" else ""
    route = result.table["route"][0]
    words = ", ".join(f"{count} {word}" for word, count in result.status.value_counts().items())
    return {"wall": wall, "spent": spent, "peak": peak(), "told": ", ".join(filter(None, [route, told, words]))}


def write_bed(prefix: Path, n: int, markers: int, rng: Any) -> NDArray[Any]:
    """Write random genotypes of frequency ½, and give the breeding values of every tenth marker."""
    import numpy as np

    breeding = np.zeros(n)
    width = -(-n // 4)
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)
    counted = np.array([2, 0, 1, 0], dtype=np.float64)
    with prefix.with_suffix(".bed").open("wb") as file:
        file.write(bytes([0x6C, 0x1B, 0x01]))
        for first in range(0, markers, 1000):
            count = min(1000, markers - first)
            alleles = rng.integers(0, 256, (count, width), dtype=np.uint8)
            one, other = (alleles >> 1) & 0x55, alleles & 0x55
            # 00 is two counted alleles, 10 one, 11 none.
            packed = ((~(one & other) & 0x55) << 1) | (~(one | other) & 0x55)
            file.write(packed.astype(np.uint8).tobytes())
            for row in packed[::10]:
                codes = ((row[:, None] >> shifts) & 3).ravel()[:n]
                breeding += (counted[codes] - 1.0) / np.sqrt(0.5) * rng.normal()
    prefix.with_suffix(".bim").write_text("".join(f"1\tm{j}\t0\t{j + 1}\tA\tB\n" for j in range(markers)))
    prefix.with_suffix(".fam").write_text("".join(f"i{i} i{i} 0 0 0 -9\n" for i in range(n)))
    return breeding / np.sqrt(-(-markers // 10))


def randomised(row: Row) -> dict[str, Any]:
    """Randomised moments of streamed genotypes; of few people with the exact ones beside them."""
    import numpy as np

    import ferrocyte as fe

    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        prefix = Path(folder) / "study"
        breeding = write_bed(prefix, row.n, row.markers, rng)
        inside = rng.random(row.n) < 0.5
        y = np.sqrt(0.4) * breeding + np.where(inside, np.sqrt(0.4), np.sqrt(0.8)) * rng.normal(size=row.n)
        given = (y, inside.astype(float))
        environments = np.column_stack([inside, ~inside]).astype(float)
        how = {"gtype": row.model, "etype": row.model, "progress": False}
        found, wall, spent = measured(
            lambda: fe.gxemm.fit(
                *given, Z=environments, genotypes=prefix.with_suffix(".bed"), method="rhe", max_memory="4G", **how
            )
        )
        most = peak()
        one = found.table.iloc[0]
        told = [f"{name} {one[name]:.3f} ± {one[f'se[{name}]']:.3f} (vectors {one[f'mc_se[{name}]']:.3f})"
                for name in ("h2[1]", "h2[2]")]  # fmt: skip
        if row.n <= 5000:
            K = fe.gxemm.kinship(prefix.with_suffix(".bed"), progress=False).to_numpy()
            exact, other, _ = measured(
                lambda: fe.gxemm.fit(*given, K, environments, method="he", max_memory="64G", **how)
            )
            exactly = exact.table.iloc[0]
            for name in ("h2[1]", "h2[2]"):
                told.append(f"exactly {name} {exactly[name]:.3f} ± {exactly[f'se[{name}]']:.3f}")
            told.append(f"{other:.1f} s from a kinship")
    return {"wall": wall, "spent": spent, "peak": most, "told": ", ".join(told)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--only", metavar="ROW", nargs="+", choices=names, help=f"some of {', '.join(names)}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    by_name = {row.name: row for row in ROWS}
    if arguments.one:
        row = by_name[arguments.one]
        print(json.dumps(randomised(row) if row.method == "rhe" else fit(row)))
        return
    import ferrocyte as fe

    head = ["individuals", "what", "seconds", "of all processors", "peak MiB", "GxEMM 1.0 (quoted)", "ratio", "found"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    print("\n".join(lines), flush=True)
    for name in arguments.only or names:
        row = by_name[name]
        done = subprocess.run(
            [sys.executable, __file__, "--one", name], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        told = json.loads(done)
        theirs = ("", "") if row.quoted is None else (f"{row.quoted} s", f"{row.quoted / told['wall']:.0f}")
        cells = [f"{row.n:,}", row.what, f"{told['wall']:.2f}", f"{told['spent']:.2f}", f"{told['peak']:.0f}",
                 *theirs, told["told"]]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if arguments.only:
        return
    where = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    page = [
        "<!-- Made by `make bench`. Do not edit. -->",
        "",
        "# Speed: heritability by environment",
        "",
        f"ferrocyte {fe.__version__}, {date.today().isoformat()}, {where}. Two environments. The seconds of GxEMM 1.0 "
        "(with LDAK) are quoted from its reference cases, of another machine. The peak is that of the whole process, "
        "which also makes the kinship. Randomised moments read PLINK genotypes twice, with 10 random vectors and 100 "
        "blocks of markers, and may use 4 GB.",
        "",
        *lines,
    ]
    PAGE.write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
