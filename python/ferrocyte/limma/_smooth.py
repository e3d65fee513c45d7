"""Smooth curves: robust local lines, and values between points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _core

Array = np.ndarray[Any, Any]

__all__ = ["approx_rule2", "choose_lowess_span", "loess_fit", "lowess", "weighted_lowess"]


class Lowess(NamedTuple):
    """A curve at rising `x`; `fitted` is the curve at the points as they were given."""

    x: Array
    y: Array
    fitted: Array


class LoessFit(NamedTuple):
    """A curve at the points as they were given, and what it leaves."""

    fitted: Array
    residuals: Array


class WeightedLowess(NamedTuple):
    """A curve at the points as they were given, what it leaves, robustness weights, and the distance between places."""

    fitted: Array
    residuals: Array
    weights: Array
    delta: float


def lowess(x: Any, y: Any, f: float = 2 / 3, iter: int = 3, delta: float | None = None) -> Lowess:
    """Cleveland's robust local line, with the numbers of R's ``lowess``.

    Parameters
    ----------
    x, y
        Points; ties are allowed.
    f
        Share of the points that a line sees.
    iter
        Robust passes after the first.
    delta
        Points no farther than this from the last fitted one are interpolated; by default 1 % of the range of `x`.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.limma.lowess([1, 2, 3, 4], [2.0, 4.0, 6.0, 8.0], f=1).y.round(6)
    array([2., 4., 6., 8.])
    """
    return Lowess(*_core.limma_lowess(_numbers(x), _numbers(y), float(f), int(iter), delta))


def weighted_lowess(
    x: Any,
    y: Any,
    weights: Any = None,
    *,
    span: float = 0.3,
    iterations: int = 4,
    npts: int = 200,
) -> WeightedLowess:
    """A robust local line for points with weights of their own: the span is a share of the total weight.

    Parameters
    ----------
    x, y, weights
        Points and their weights; 1 by default.
    span
        Share of the total weight that a line sees.
    iterations
        Passes in all.
    npts
        About how many places a line is fitted at; the curve is straight in between.
    """
    x = _numbers(x)
    given = np.ones(len(x)) if weights is None else _numbers(weights)
    return WeightedLowess(*_core.limma_weighted_lowess(x, _numbers(y), given, float(span), int(iterations), int(npts)))


def loess_fit(y: Any, x: Any, weights: Any = None, *, span: float = 0.3, iterations: int = 4) -> LoessFit:
    """A smooth curve of `y` over `x`; the method follows the weights, as in limma.

    :func:`lowess` for points of equal weight, a weighted straight line for fewer than ``4 + 1 / span`` points, else
    :func:`weighted_lowess` with weights between 1e-5 and 1e5. Points with NaN are left out and get NaN.
    """
    given = None if weights is None else _numbers(weights)
    return LoessFit(*_core.limma_loess_fit(_numbers(y), _numbers(x), given, float(span), int(iterations)))


def choose_lowess_span(n: int = 1000, small_n: float = 50, min_span: float = 0.3, power: float = 1 / 3) -> float:
    """``min(1, min_span + (1 - min_span) (small_n / n)**power)``: the span that leaves a local line enough points."""
    return _core.limma_lowess_span(int(n), float(small_n), float(min_span), float(power))


def approx_rule2(x: Any, y: Any, xout: Any) -> Array:
    """Values at `xout` on straight lines between points, constant beyond them; ties in `x` become their mean."""
    return _core.limma_interpolate(_numbers(x), _numbers(y), _numbers(xout))


def _numbers(values: Any) -> Array:
    return np.ascontiguousarray(np.asarray(values, dtype=np.float64).reshape(-1))
