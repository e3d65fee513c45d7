"""What pages of measurements share: Markdown tables, numbers that read well, the machine and the versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import ferrocyte as fe

ROOT = Path(__file__).resolve().parents[1]


RIVALS = ROOT / "benches/rivals"
_RIVALS_TARGET = ROOT / "target/rivals"


def build_rivals() -> str:
    """Build the programs that call other crates; says why they could not be built, or nothing."""
    if shutil.which("cargo") is None:
        return "not measured: there is no cargo"
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(_RIVALS_TARGET)]
    done = subprocess.run(command, cwd=RIVALS, capture_output=True, text=True, check=False)
    return f"not measured: does not build: {last_line(done.stderr)}" if done.returncode else ""


def rival_program(name: str) -> str:
    """The path of a program that :func:`build_rivals` built."""
    return str(_RIVALS_TARGET / "release" / name)


def locked(crate: str) -> str:
    """The version of a crate that the lock file of the rivals holds."""
    found = re.search(rf'name = "{crate}"\nversion = "([^"]+)"', (RIVALS / "Cargo.lock").read_text())
    return found[1] if found else "?"


@contextmanager
def processors(n: int) -> Iterator[None]:
    """Confine this process, and what it starts, to some processors, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def row(cells: list[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """A table, as lines of Markdown."""
    return [row(heads), row(["---"] * len(heads)), *map(row, rows), ""]


def seconds(value: float) -> str:
    """Seconds with three digits, in the unit that reads well."""
    if np.isnan(value):
        return ""
    scale, unit = next((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * s >= 1 or u == "µs")
    return f"{value * scale:.3g} {unit}"


def times(ratio: float) -> str:
    """A ratio with two digits."""
    return "" if np.isnan(ratio) else f"{float(f'{ratio:.2g}'):,g}"


def machine() -> str:
    """Processor, cores, memory and system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        model = found[1].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} processors, {memory:.0f} GiB memory, {platform.system()} {platform.machine()}"


def versions() -> str:
    """Versions of what was measured on our side."""
    # `make bench` unpacks the wheel that is released; else this is a build for tests, which is slower.
    build = "released build" if "bench-site" in fe.__file__ else "build for tests"
    found = [f"ferrocyte {fe.__version__} ({build})", f"Python {platform.python_version()}"]
    for name in ("numpy", "pandas", "anndata", "scipy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


def say(text: str) -> None:
    """Tell what is under way."""
    print(text, file=sys.stderr, flush=True)
