"""The names of the R package GxEMM 1.0: ``GxEMM(y, X, K, Z, gtype, etype)``, ``GxEMM_HE``, ``Waldtest``, ..

``GxEMM`` returns a dictionary with ``h2``, ``h2Covmat``, ``sig2s``, ``sig2Var``, ``sig2g``, ``sig2e``, ``df``, ``ll``
and ``betas``. With ``parametrisation="peer"`` variances are those of the package (noise inflated by the fixed effects,
covariances of shares, no noise of the last environment even where environments are numbers); by default they are those
of :func:`ferrocyte.gxemm.fit`, whose Wald tests do not mix scales. ``ldak_loc`` has no effect: no other program is
called.
"""

# The arguments are those of the peer.
# ruff: noqa: FBT001, FBT002, N802

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import gxemm as _gxemm
from ..errors import BadInputError, FerrocyteWarning

__all__ = ["GxEMM", "GxEMM_HE", "LRtest", "MVWaldtest", "Waldtest", "h2_equal_test"]


def GxEMM(
    y: Any,
    X: Any = None,
    K: Any = None,
    Z: Any = None,
    gtype: str = "hom",
    etype: str = "hom",
    binary: bool = False,
    prev: float | None = None,
    ldak_loc: str | None = None,
    *,
    parametrisation: str = "ours",
    n_threads: int | None = None,
) -> dict[str, Any]:
    """Fit one trait by REML, or by PCGC with ``binary=True`` and the prevalence `prev`."""
    if parametrisation not in ("ours", "peer"):
        message = f"there is no choice `{parametrisation}`"
        raise BadInputError(message, place="parametrisation", hint="it is one of ours, peer")
    if ldak_loc is not None:
        message = "`ldak_loc` has no effect: no other program is called"
        warnings.warn(message, FerrocyteWarning, stacklevel=2)
    peer = parametrisation == "peer"
    found = _gxemm.fit(
        y,
        X,
        K,
        Z,
        gtype=gtype,
        etype=etype,
        method="pcgc" if binary else "reml",
        prev=prev,
        last_noise=not peer,
        n_threads=n_threads,
        progress=False,
    )
    return _as_peer(found, peer=peer)


def GxEMM_HE(
    y: Any,
    X: Any = None,
    K: Any = None,
    Z: Any = None,
    gtype: str = "hom",
    etype: str = "hom",
    use_diag: bool = True,
    *,
    n_threads: int | None = None,
) -> dict[str, Any]:
    """Fit one trait by Haseman-Elston regression, with standard errors (the jackknife), which the package lacks."""
    found = _gxemm.fit(
        y, X, K, Z, gtype=gtype, etype=etype, method="he", use_diag=use_diag, n_threads=n_threads, progress=False
    )
    return _as_peer(found, peer=False)


def _as_peer(found: _gxemm.GxemmResult, *, peer: bool) -> dict[str, Any]:
    one = found.trait()
    names = ("peer", "peer_covariance", "peer_h2") if peer else ("theta", "theta_covariance", "h2")
    sig2s, covariance, h2 = (np.asarray(one[name]) for name in names)
    genetic = [k for k, name in enumerate(found.variances) if name.startswith("g")]
    noise = sig2s[len(genetic) : -1]
    likelihood = one["log_likelihood_full"]
    sig2e: Any = sig2s[-1] + noise.sum()
    if found.options["etype"] == "free":
        sig2e = sig2s[-1] + np.append(noise, np.zeros(max(len(found.environments) - len(noise), 0)))
    return {
        "h2": h2 if h2.size > 1 else float(h2[0]),
        "h2Covmat": np.asarray(one[f"{names[2]}_covariance"]),
        "sig2s": sig2s,
        "sig2Var": covariance,
        "sig2g": sig2s[genetic] if len(genetic) > 1 else float(sig2s[0]),
        "sig2e": sig2e,
        "df": sig2s.size - 1,
        "ll": float(likelihood) if np.isfinite(likelihood) else None,
        "betas": np.asarray(one["beta"]),
        "status": one["status"],
    }


def Waldtest(z: float, Var: float) -> float:
    """Test an estimate for being zero, against a larger one: p."""
    return _gxemm.waldtest(z, Var)


def MVWaldtest(z: Any, Var: Any) -> float:
    """Test all estimates for being zero: p, NaN where the covariance is not well positive definite."""
    return _gxemm.mvwaldtest(z, Var)


def LRtest(ll1: float, ll0: float, df: float) -> float:
    """Test the likelihood ratio of two nested fits, the larger model first: p."""
    from .. import _core

    return float(np.exp(_core.gxemm_ln_likelihood_ratio(float(ll1), float(ll0), float(df))))


def h2_equal_test(h2: Any, h2Covmat: Any) -> float:
    """Test for equal heritabilities in all environments: p."""
    return _gxemm.h2_equal_test(h2, h2Covmat)
