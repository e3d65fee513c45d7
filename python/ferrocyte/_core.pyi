from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__version__: str

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Table = dict[str, Any]
Columns = dict[str, Any]

class _Means(Protocol):
    n_threads: int
    max_memory: int
    progress: Callable[[str, int, int], None] | None

class _Matrix(Protocol):
    name: str
    shape: tuple[int, int]
    content: tuple[Any, ...]
    rows: tuple[int, int] | list[int] | None
    genes: list[int] | None

class _Request(Protocol):
    formula: str
    random: list[str]
    groups: str | None
    transform: str
    target_sum: float | None
    aliased: str
    na: str
    mask: tuple[list[bool], str] | None
    trust_values: bool
    rows: tuple[int, int] | None
    fingerprint: str

class _HowFitted(Protocol):
    method: str
    negative: str
    moderate: bool
    min_cells: int

class _HowTested(Protocol):
    df: str | None
    alternative: str
    adjust: str
    unit: str

class Sums:
    genes: list[str]
    n_genes: int
    n_cells: int
    n_groups: int
    @staticmethod
    def from_bytes(bytes: bytes) -> Sums: ...
    @staticmethod
    def load(path: str) -> Sums: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: str) -> None: ...
    def merge(self, others: list[Sums]) -> Sums: ...
    def header(self) -> dict[str, Any]: ...
    def support(self) -> Table: ...
    def arrays(self, group: int) -> dict[str, Floats]: ...

class Fit:
    genes: list[str]
    formula: str
    groups_by: str
    unit: str
    method: str
    @staticmethod
    def from_bytes(bytes: bytes, means: _Means) -> Fit: ...
    @staticmethod
    def load(path: str, means: _Means) -> Fit: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: str) -> None: ...
    def test(self, contrasts: list[Any], how: _HowTested, means: _Means) -> Table: ...
    def estimates(self, group: int, weights: Floats | None, alternative: str, means: _Means) -> dict[str, Any]: ...
    def components(self, group: int, means: _Means) -> dict[str, Any]: ...
    def random_effects(self, group: int, means: _Means) -> Floats: ...
    def matrices(self, group: int, means: _Means) -> dict[str, Floats]: ...
    def moderated(
        self, group: int, weights: list[float], alternative: str, means: _Means
    ) -> dict[str, Floats] | None: ...
    def priors(self, group: int) -> list[dict[str, Any]]: ...
    def outcomes(self, group: int) -> Codes: ...
    def groups(self) -> list[dict[str, Any]]: ...
    def provenance(self) -> dict[str, Any]: ...
    def support(self) -> Table: ...
    def describe(self) -> str: ...
    def sums(self) -> Sums: ...

def lmm_variables(formula: str, random: list[str]) -> list[str]: ...
def lmm_options() -> list[tuple[str, list[str], str, list[str], str]]: ...
def lmm_statuses() -> list[tuple[str, str, str]]: ...
def lmm_test_columns() -> list[tuple[str, str, str]]: ...
def lmm_arguments() -> list[tuple[str, str, str, list[str]]]: ...
def lmm_t_p_values(t: Floats, df: Floats, alternative: str) -> Floats: ...
def lmm_contrast_weights(names: list[str], expressions: list[str]) -> Floats: ...
def lmm_check(
    n_cells: int,
    obs: Columns,
    formula: str,
    random: list[str],
    groups: str | None,
    na: str,
    means: _Means,
) -> tuple[Table, Table, list[str]]: ...
def lmm_sums(
    source: _Matrix,
    alternatives: list[Any],
    genes: list[str],
    n_cells: int,
    obs: Columns,
    cell_name: Callable[[int], str],
    request: _Request,
    means: _Means,
) -> Sums: ...
def lmm_sums_from_arrays(
    genes: list[str],
    coefficients: list[str],
    components: list[tuple[str, list[str]]],
    n: int,
    xx: Floats,
    zx: Floats,
    zz: Floats,
    xy: Floats,
    zy: Floats,
    y_norm: Floats,
    transform: str,
) -> Sums: ...
def lmm_fit(
    sums: Sums,
    how: _HowFitted,
    means: _Means,
    stop: tuple[int, float, list[float] | None] | None = None,
) -> Fit: ...
def lmm_simulate(request: Any, means: _Means) -> dict[str, Any]: ...
def lmm_simulate_rnaseq(request: Any, reference: _Matrix | None, means: _Means) -> dict[str, Any]: ...
def lmm_moments(matrix: _Matrix, means: _Means) -> dict[str, Floats]: ...
def gene_values(matrix: _Matrix, gene: int, means: _Means) -> Floats: ...
def h5ad_info(path: str, means: _Means) -> Table: ...
def h5ad_index(path: str, element: str) -> tuple[tuple[int, int], list[str], list[str]]: ...
def h5ad_mask(path: str, name: str) -> list[bool]: ...
def h5ad_obs(
    path: str,
    names: list[str],
    optional: list[str],
    all_factors: bool = False,
    cells: bool = False,
) -> tuple[Columns, list[str]]: ...
def cli_help_pages() -> list[tuple[str, str]]: ...
def run_program(arguments: list[str]) -> int: ...
