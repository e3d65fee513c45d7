"""How factorisations are asked for, as the compiled module reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Request:
    """How a matrix is factorised."""

    beta_loss: str
    solver: str
    sweeps: int
    tol: float
    max_iter: int
    alpha_w: float
    alpha_h: float
    l1_ratio: float
    precision: str
    trace: bool = False


@dataclass
class Replicas:
    """Which replicas are made."""

    k: list[int]
    n_replicas: int
    seed: int
    init: str
    keep: str
