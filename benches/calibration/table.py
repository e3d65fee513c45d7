"""What a table of calibration shows: levels of null genes, power of the others, as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = (0.05, 0.01, 0.001)


@dataclass
class Row:
    """One test in one setting: how often it rejects null genes at each level, and how often it finds the others."""

    setting: tuple[str, ...]
    test: str
    levels: tuple[float, float, float]
    power: float
    power_own: float
    n_null: int


def row(setting: tuple[str, ...], test: str, p: np.ndarray, null: np.ndarray) -> Row:
    """Count: `p` of all genes, `null` true for those without effect. Genes without p-value are not rejected.

    `power` is at p < 0.01 as users see it, `power_own` where the test's own null error is exactly 1 %.
    """
    of_null, of_others = np.nan_to_num(p[null], nan=1.0), np.nan_to_num(p[~null], nan=1.0)
    rejected = tuple(float(np.mean(of_null < level)) for level in LEVELS)
    if not len(of_others):
        return Row(setting, test, rejected, np.nan, np.nan, len(of_null))
    own = float(np.quantile(of_null, 0.01))
    return Row(
        setting, test, rejected, float(np.mean(of_others < 0.01)), float(np.mean(of_others <= own)), len(of_null)
    )


def markdown(heads: tuple[str, ...], rows: list[Row]) -> list[str]:
    """The rows as a Markdown table; levels above what chance allows (three standard errors) are in bold."""
    titles = [*heads, "test", "at 0.05", "at 0.01", "at 0.001", "power", "power*"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for r in rows:
        cells = [*r.setting, r.test, *(_level(x, at, r.n_null) for x, at in zip(r.levels, LEVELS, strict=True))]
        cells += ["" if np.isnan(x) else f"{x:.2f}" for x in (r.power, r.power_own)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _level(found: float, level: float, n: int) -> str:
    text = f"{found:.4f}"
    return f"**{text}**" if found > level + 3 * np.sqrt(level * (1 - level) / n) else text
