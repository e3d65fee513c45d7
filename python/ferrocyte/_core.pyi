from collections.abc import Callable, Sequence
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
    def submodel(self, formula: str, random: list[str], aliased: str, means: _Means) -> Sums: ...
    def select_genes(self, genes: list[int]) -> Sums: ...
    def find_genes(self, names: list[str]) -> list[int]: ...
    def concat_genes(self, others: list[Sums]) -> Sums: ...
    def missing_rows(self) -> list[str]: ...
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
    def estimates(
        self, group: int, weights: Floats | None, alternative: str | None, means: _Means
    ) -> dict[str, Any]: ...
    def components(self, group: int, errors: bool, means: _Means) -> dict[str, Any]: ...
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
def simulate_arguments() -> list[tuple[str, str, str, list[str]]]: ...
def lmm_inference_columns() -> list[tuple[str, list[tuple[str, str, str]]]]: ...
def lmm_terms(fit: Fit) -> list[str]: ...
def lmm_test_joint(fit: Fit, hypotheses: list[Any], df: str | None, adjust: str, means: _Means) -> dict[str, Any]: ...
def lmm_differences(
    fit: Fit,
    variable: str,
    levels: tuple[str, str] | None,
    at: list[tuple[str, list[str]]],
    means: _Means,
) -> list[tuple[str, str, str, list[tuple[str, str]]]]: ...
def lmm_test_components(fit: Fit, adjust: str, means: _Means) -> dict[str, Any]: ...
def lmm_variance_shares(fit: Fit, means: _Means) -> dict[str, Any]: ...
def lmm_compare(fit: Fit, other: Fit, adjust: str, means: _Means) -> dict[str, Any]: ...
def lmm_random_effect_errors(fit: Fit, group: int, means: _Means) -> Floats: ...
def lmm_t_p_values(t: Floats, df: Floats, alternative: str) -> Floats: ...
def lmm_contrast_weights(names: list[str], expressions: list[str]) -> Floats: ...
def lmm_blocks(n_rows: int) -> int: ...
def lmm_plan(n_rows: int, n_shards: int) -> list[tuple[int, int]]: ...
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
def sim_options() -> list[tuple[str, list[str], str, list[str], str]]: ...
def sim_study(request: Any, means: _Means) -> dict[str, Any]: ...
def sim_cohort(request: Any, means: _Means) -> dict[str, Any]: ...
def sim_rnaseq(request: Any, reference: _Matrix | None, means: _Means) -> dict[str, Any]: ...
def lmm_moments(matrix: _Matrix, means: _Means) -> dict[str, Floats]: ...
def gene_values(matrix: _Matrix, gene: int, means: _Means) -> Floats: ...
def io_kind(path: str) -> str: ...
def io_write(path: str, item: tuple[Any, ...], compression: str | None, level: int, means: _Means) -> None: ...
def io_anndata(path: str, modality: str | None, means: _Means) -> dict[str, Any]: ...
def io_mudata(path: str, means: _Means) -> dict[str, Any]: ...
def h5ad_info(path: str, means: _Means) -> Table: ...

class Study:
    format: str
    def index(self, element: str) -> tuple[tuple[int, int], list[str], list[str]]: ...
    def fingerprint(self, element: str, means: _Means) -> str: ...
    def mask(self, name: str) -> list[bool]: ...
    def obs_names(self) -> list[str]: ...
    def obs(
        self, names: list[str], optional: list[str], all_factors: bool = False, all_columns: bool = False
    ) -> Columns: ...
    def whole(self, element: str, means: _Means, wide: bool = False) -> dict[str, Any]: ...

def io_open(path: str, form: str, opening: Any, means: _Means) -> Study: ...
def io_concat(studies: list[Study], join: str, key: str | None, labels: list[str] | None) -> Study: ...
def io_join(names: list[list[str]], labels: list[str], join: str) -> tuple[list[str], list[list[int]]]: ...
def io_stack(
    matrices: Sequence[_Matrix], names: list[list[str]], labels: list[str], join: str, means: _Means, wide: bool = False
) -> dict[str, Any]: ...
def cli_help_pages() -> list[tuple[str, str]]: ...
def run_program(arguments: list[str]) -> int: ...

# limma: genes x samples with names of both; designs with names of columns and rows; weights by what they belong to.
_Values = tuple[Floats, list[str], list[str]]
_Design = tuple[Floats, list[str], list[str]]
_Weights = tuple[str, Floats]

def limma_variables(formula: str) -> list[str]: ...
def limma_model_matrix(
    formula: str, names: list[str], n_samples: int, columns: Columns
) -> tuple[Floats, list[str]]: ...
def limma_make_contrasts(expressions: list[str], levels: list[str]) -> Floats: ...
def limma_non_estimable(design: _Design) -> list[str]: ...
def limma_contrast_as_coef(
    design: _Design, contrasts: Floats, names: list[str], first: bool
) -> tuple[Floats, list[str], list[int]]: ...
def limma_lm_fit(
    values: _Values,
    design: _Design,
    weights: _Weights | None,
    block: list[int] | None,
    correlation: float | None,
    manner: tuple[int, int, str, bool, bool],
    means: _Means,
) -> dict[str, Any]: ...
def limma_array_weights(
    values: _Values,
    design: _Design,
    weights: _Weights | None,
    var_group: list[int] | None,
    var_design: Floats | None,
    manner: tuple[float, str, int, float],
    means: _Means,
) -> Floats: ...
def limma_array_weights_quick(values: _Values, design: _Design, fit: tuple[Any, ...], means: _Means) -> Floats: ...
def limma_duplicate_correlation(
    values: _Values,
    design: _Design,
    weights: _Weights | None,
    block: list[int] | None,
    manner: tuple[int, int, float],
    means: _Means,
) -> tuple[float, Floats]: ...
def limma_remove_batch_effect(
    values: _Values,
    design: _Design,
    batches: list[tuple[list[int], list[str]]],
    covariates: Floats | None,
    weights: _Weights | None,
    manner: tuple[list[int] | None, float | None, str],
    means: _Means,
) -> Floats: ...
def limma_wsva(values: _Values, design: _Design, n_sv: int, weight_by_sd: bool, means: _Means) -> Floats: ...
def limma_average(values: Floats, weights: Floats | None, along: str, codes: list[int], n_groups: int) -> Floats: ...
def limma_average_duplicates(values: Floats, weights: Floats | None, ndups: int, spacing: int) -> Floats: ...
def limma_contrasts_fit(
    fit: tuple[Any, ...],
    contrasts: Floats,
    row_names: list[str],
    names: list[str],
    exact: bool,
    means: _Means,
) -> dict[str, Any]: ...

# Gene sets: an experiment is (values, design, contrast, weights, block, correlation), sets are (names, starts, genes).
_Experiment = tuple[Any, ...]
_Sets = tuple[list[str], list[int], NDArray[np.int64]]

def limma_camera(
    experiment: _Experiment,
    sets: _Sets,
    use_ranks: bool,
    allow_negative: bool,
    correlations: list[float] | None,
    how_moderated: tuple[bool, bool],
    means: _Means,
) -> dict[str, Any]: ...
def limma_camera_pr(statistic: Floats, sets: _Sets, use_ranks: bool, correlations: list[float]) -> dict[str, Any]: ...
def limma_fry(
    experiment: _Experiment,
    sets: _Sets,
    standardize: str,
    gene_weights: Floats | None,
    how_moderated: tuple[bool, bool],
    means: _Means,
) -> dict[str, Any]: ...
def limma_mroast(
    experiment: _Experiment,
    sets: _Sets,
    gene_weights: Floats | None,
    how_moderated: tuple[bool, bool],
    known_prior: tuple[float, float] | None,
    manner: tuple[str, int, bool, str, bool, int],
    means: _Means,
) -> dict[str, Any]: ...
def limma_romer(
    experiment: _Experiment,
    sets: _Sets,
    how_moderated: tuple[bool, bool],
    manner: tuple[str, int, bool, int],
    means: _Means,
) -> dict[str, Any]: ...
def limma_inter_gene_correlation(values: _Values, design: _Design, means: _Means) -> tuple[float, float]: ...
def limma_rank_sum(set: list[int], statistics: Floats, correlation: float, df: float) -> tuple[float, float]: ...
def limma_gene_set_test(
    set: list[int], statistics: Floats, manner: tuple[str, str, bool, int, int], means: _Means
) -> float: ...
def limma_barcode(
    set: list[int], statistics: Floats, weights: list[float] | None, span: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]: ...
def limma_tricube_moving_average(values: Floats, span: float) -> Floats: ...
def limma_diff_splice(
    fit: tuple[Any, ...],
    rows: NDArray[np.int64],
    starts: list[int],
    robust: bool,
    legacy: bool,
    means: _Means,
) -> dict[str, Any]: ...
def limma_over_representation(
    n_genes: int,
    n_terms: int,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    selections: list[list[int]],
    chances: Floats | None,
    means: _Means,
) -> tuple[list[int], list[tuple[list[int], Floats]]]: ...
def limma_goana_trend(selected: list[int], covariate: Floats, n_prior: float) -> Floats: ...

_Manner = tuple[str, bool, str, float, bool, int]
_Blocks = tuple[list[int] | None, float | None]
_Variances = tuple[list[int] | None, Floats | None]
_Refining = tuple[list[int] | None, bool, _Variances, float]
_Predicting = tuple[Floats | None, Floats | None]

def limma_norm_factors(
    counts: _Values,
    lib_size: Floats | None,
    manner: tuple[str, str, int | None, float, float, bool, float, float],
    means: _Means,
) -> Floats: ...
def limma_cpm(
    counts: _Values,
    lib_size: Floats | None,
    lengths: Floats | None,
    log: bool,
    prior_count: float,
    means: _Means,
) -> Floats: ...
def limma_filter_by_expr(
    counts: _Values,
    lib_size: Floats | None,
    group: list[int] | None,
    design: _Design | None,
    limits: tuple[float, float, float, float],
    means: _Means,
) -> Any: ...
def limma_lowess(
    x: Floats, y: Floats, span: float, iterations: int, delta: float | None
) -> tuple[Floats, Floats, Floats]: ...
def limma_weighted_lowess(
    x: Floats, y: Floats, weights: Floats, span: float, iterations: int, places: int
) -> tuple[Floats, Floats, Floats, float]: ...
def limma_loess_fit(
    y: Floats, x: Floats, weights: Floats | None, span: float, iterations: int
) -> tuple[Floats, Floats]: ...
def limma_lowess_span(n: int, small: float, least: float, power: float) -> float: ...
def limma_interpolate(x: Floats, y: Floats, at: Floats) -> Floats: ...
def limma_normalize(values: _Values, weights: Floats | None, manner: _Manner, means: _Means) -> Floats: ...
def limma_mds(values: _Values, top: int, selection: str, means: _Means) -> dict[str, Any]: ...
def limma_voom(
    counts: _Values,
    design: _Design,
    lib_size: Floats | None,
    offset: tuple[Floats, bool] | None,
    normalize: _Manner | None,
    blocks: _Blocks,
    weights: _Weights | None,
    span: float | None,
    quality: tuple[_Variances, tuple[str, float, int, float]] | None,
    means: _Means,
    learn_correlation: bool = False,
) -> dict[str, Any]: ...
def limma_voom_lm_fit(
    counts: _Values,
    design: _Design,
    lib_size: Floats | None,
    prior_weights: _Weights | None,
    refining: _Refining,
    span: float | None,
    keep: tuple[bool, bool],
    means: _Means,
) -> dict[str, Any]: ...
def limma_vooma(
    values: _Values,
    design: _Design,
    group: list[int] | None,
    blocks: _Blocks,
    predicting: _Predicting,
    span: tuple[float | None, bool],
    means: _Means,
) -> dict[str, Any]: ...
def limma_vooma_lm_fit(
    values: _Values,
    design: _Design,
    prior_weights: _Weights | None,
    refining: _Refining,
    predicting: _Predicting,
    span: tuple[float | None, bool],
    keep_covariances: bool,
    means: _Means,
) -> dict[str, Any]: ...
def pseudobulk_sums(
    source: _Matrix,
    n_cells: int,
    obs: Columns,
    by: list[str],
    groups: str | None,
    mode: str,
    min_cells: int,
    means: _Means,
) -> dict[str, Any]: ...
def limma_de(values: _Values, samples: Columns, request: object, means: _Means) -> dict[str, Any]: ...
def limma_options() -> list[tuple[str, list[str], str, list[str], str]]: ...
def limma_statuses() -> list[tuple[str, str, str]]: ...
def limma_arguments() -> list[tuple[str, str, str, list[str]]]: ...

# limma: moderation. How variances are moderated: covariate, robust, winsor_tail_p, span, legacy. Moderated statistics:
# s2_prior, df_prior, s2_post, df_total, t, p_value, lods, (lfc, upshot). Tables: number, adjust_method, sort_by,
# resort_by, p_value, lfc, confint, log10_p_value.
_Moderation = tuple[Floats | None, bool, list[float], float | None, bool | None]
_Shown = tuple[int | None, str, str, str | None, float, float, float | None, bool]
_Decision = tuple[str, str, float, float]

def limma_e_bayes(
    fit: tuple[Any, ...],
    design: Floats | None,
    proportion: float,
    stdev_coef_lim: list[float],
    manner: _Moderation,
    means: _Means,
) -> dict[str, Any]: ...
def limma_treat(
    fit: tuple[Any, ...], lfc: float, upshot: bool, manner: _Moderation, means: _Means
) -> dict[str, Any]: ...
def limma_squeeze_var(var: Floats, df: Floats, manner: _Moderation, means: _Means) -> tuple[Floats, Any, Any]: ...
def limma_fit_f_dist(
    x: Floats, df1: Floats, covariate: Floats | None, winsor_tail_p: list[float] | None, means: _Means
) -> dict[str, Any]: ...
def limma_fit_f_dist_unequal(
    x: Floats,
    df1: Floats,
    covariate: Floats | None,
    how: tuple[float | None, bool],
    weights: Floats | None,
    means: _Means,
) -> dict[str, Any]: ...
def limma_gamma_function(name: str, x: Floats) -> Floats: ...
def limma_tmixture(
    t: Floats, stdev_unscaled: Floats, df: Floats, proportion: float, limits: tuple[float, float] | None
) -> float: ...
def limma_top_table(
    fit: tuple[Any, ...], moderated: tuple[Any, ...], coef: int, shown: _Shown
) -> tuple[Any, dict[str, Any]]: ...
def limma_top_table_f(
    fit: tuple[Any, ...], moderated: tuple[Any, ...], coefs: list[int], shown: _Shown
) -> tuple[Any, dict[str, Any]]: ...
def limma_decide_tests(fit: tuple[Any, ...], moderated: tuple[Any, ...], how: _Decision) -> Floats: ...
def limma_call_p_values(p: Floats, coefficients: Floats | None, how: _Decision) -> Floats: ...
def limma_classify_tests_f(t: Floats, covariance: Floats, df: Floats, p_value: float) -> Floats: ...
def limma_f_statistics(t: Floats, covariance: Floats, df: Floats) -> tuple[Floats, int]: ...
def limma_p_adjust(p: Floats, method: str) -> Floats: ...
def limma_prop_true_null(p: Floats, method: str) -> float: ...
def limma_zscore_t(t: Floats, df: Floats, method: str) -> Floats: ...
def limma_fit_gamma_intercept(y: Floats, offset: Floats) -> float: ...
def limma_fit_mixture(log2e: Floats, shares: Floats, max_iter: int, means: _Means) -> tuple[Floats, Floats, Floats]: ...
def limma_pred_fcm(fit: tuple[Any, ...], moderated: tuple[Any, ...], coef: int) -> Floats: ...
def limma_genas(fit: tuple[Any, ...], moderated: tuple[Any, ...], coef: list[int]) -> dict[str, Any]: ...
