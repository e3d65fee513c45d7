"""How dense points lie: smoothed with a normal kernel on a grid, at a cost that hardly grows with their number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Curve(NamedTuple):
    """A density at places; NaN is left out, and so is a density of values that do not differ."""

    at: Array
    density: Array


class Grid(NamedTuple):
    """A density over the plane: its columns, its rows, and the values, rows × columns."""

    x: Array
    y: Array
    density: Array


def curve(values: Array, low: float, high: float, *, factor: float = 1.0, n: int = 128) -> Curve | None:
    """The density of values at `n` places from `low` to `high`.

    The bandwidth is Scott's (1992), s n^(-1/5), times `factor`. ``None`` if fewer than two values differ.
    """
    values = values[np.isfinite(values)]
    if len(values) < 2 or high <= low:
        return None
    width = factor * float(np.std(values, ddof=1)) * len(values) ** -0.2
    if width <= 0.0:
        return None
    at = np.linspace(low, high, n)
    step = at[1] - at[0]
    weights = _binned(np.clip((values - low) / step, 0.0, n - 1.0), n)
    # Narrower than the grid, the kernel would fall between its places.
    width = max(width, 0.6 * step)
    kernel = np.exp(-0.5 * ((at - at[:, None]) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    return Curve(at, kernel @ weights / len(values))


def grid(x: Array, y: Array, *, factor: float = 0.5, n: int = 160) -> Grid | None:
    """The density of points over the plane, on `n` × `n` places that reach beyond them by three bandwidths.

    The kernel is normal with the covariance of the points times (`factor` n^(-1/6))², Scott's rule in the plane.
    ``None`` if there are fewer than three points, or they lie on a line.
    """
    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    if len(x) < 3:
        return None
    covariance = np.cov(x, y) * (factor * len(x) ** (-1.0 / 6.0)) ** 2
    spread = np.sqrt(np.diag(covariance))
    if not (spread > 0.0).all() or np.linalg.det(covariance) <= 1e-9 * np.prod(spread**2):
        return None
    places, steps, at = [], [], []
    for numbers, one in zip((x, y), spread, strict=True):
        ticks = np.linspace(numbers.min() - 3.0 * one, numbers.max() + 3.0 * one, n)
        places.append(ticks)
        steps.append(ticks[1] - ticks[0])
        at.append((numbers - ticks[0]) / steps[-1])
    weights = _binned_in_plane(at[0], at[1], n)
    from scipy.signal import fftconvolve

    reach = np.arange(-(n - 1), n)
    across, up = np.meshgrid(reach * steps[0], reach * steps[1])
    inverse = np.linalg.inv(covariance)
    form = inverse[0, 0] * across**2 + 2.0 * inverse[0, 1] * across * up + inverse[1, 1] * up**2
    kernel = np.exp(-0.5 * form) / (2.0 * np.pi * np.sqrt(np.linalg.det(covariance)))
    density = fftconvolve(weights, kernel)[n - 1 : 2 * n - 1, n - 1 : 2 * n - 1]
    return Grid(places[0], places[1], np.maximum(density, 0.0) / len(x))


def levels(found: Grid, n: int = 10) -> Array:
    """`n` rising levels of a density: outside of the i-th lie i of n + 1 equal shares of the points."""
    falling = np.sort(found.density.ravel())[::-1]
    inside = np.cumsum(falling) / falling.sum()
    shares = np.arange(n, 0, -1) / (n + 1.0)
    return np.unique(falling[np.searchsorted(inside, shares)])


def _binned(at: Array, n: int) -> Array:
    """Each value shared between the two places beside it."""
    left = np.minimum(at.astype(int), n - 2)
    right = at - left
    return np.bincount(left, 1.0 - right, n) + np.bincount(left + 1, right, n)


def _binned_in_plane(x: Array, y: Array, n: int) -> Array:
    """Each point shared between the four places around it: rows are those of y."""
    i, j = np.minimum(x.astype(int), n - 2), np.minimum(y.astype(int), n - 2)
    across, up = x - i, y - j
    out = np.zeros(n * n)
    for down, weight_y in ((0, 1.0 - up), (1, up)):
        for right, weight_x in ((0, 1.0 - across), (1, across)):
            out += np.bincount((j + down) * n + i + right, weight_x * weight_y, n * n)
    return out.reshape(n, n)
