//! What the likelihood needs of Z'RZ or Z'Z at given variance ratios, however their structure is used.
//!
//! With M symmetric positive semi-definite and Γ = diag(γ), one γ per component, everything about a gene follows from
//! (I + MΓ)⁻¹x, K = (I + MΓ)⁻¹M and ln|I + MΓ|. Three routes give the same numbers at different costs: [`Crossed`]
//! (one large component and a few small ones), [`Blocks`] (effects that fall into groups which share no cell) and
//! [`Dense`] (anything). Vectors of random effects keep the order of the model; a route may turn the basis within one
//! component, which changes no norm within it.

use std::ops::Range;
use std::sync::OnceLock;

use ferrocyte_base::Result;
use ferrocyte_math::linalg::Matrix;

use super::blocks::Blocks;
use super::crossed::Crossed;
use super::dense::Dense;
use crate::lmm::canonical::Canonical;

/// Where a point lies, as far as a route can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// All eigenvalues of I + MΓ are positive, and the numbers of the route are good there.
    Inside,
    /// Some eigenvalue is not positive.
    Outside,
    /// The route cannot tell, or would lose digits: dense algebra has to answer.
    Unsure,
}

/// t_i = tr K_ii and f_ij = |K_ij|², by component.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Traces {
    pub(super) t: Vec<f64>,
    pub(super) f: Matrix,
}

impl Traces {
    pub(super) fn zeros(k: usize) -> Self {
        Self { t: vec![0.0; k], f: Matrix::zeros(k, k) }
    }
}

/// The matrix M, prepared once for all genes.
pub(super) trait Operator: std::fmt::Debug + Send + Sync {
    /// M in the basis of this route, q × q.
    fn matrix(&self) -> Matrix;

    /// Numerical rank of M.
    fn rank(&self) -> usize;

    /// x'M⁺x of a vector in the basis of this route: what the random effects could explain at most.
    fn explained(&self, x: &[f64]) -> f64;

    /// Turns row vectors (each of q numbers) into the basis of this route.
    fn enter(&self, rows: &mut [f64]);

    /// Turns a vector back.
    fn leave(&self, x: &mut [f64]);

    /// Room for the factors at one point.
    fn evaluator(&self) -> Box<dyn Evaluator + '_>;
}

/// The factors of I + MΓ at one point, in buffers that are used again for the next.
pub(super) trait Evaluator {
    /// Moves to a point. The other methods may be called once this was [`Region::Inside`].
    fn factor(&mut self, gamma: &[f64]) -> Region;

    /// ln|I + MΓ|.
    fn ln_det(&self) -> f64;

    /// Traces of the blocks of K.
    fn traces(&mut self, out: &mut Traces);

    /// x ← (I + MΓ)⁻¹x for each column of x (q × r).
    fn solve(&mut self, x: &mut Matrix);

    /// x ← Kx for each column of x (q × r).
    fn k_times(&mut self, x: &mut Matrix);
}

/// The positions of each component in a vector of random effects.
pub(super) fn ranges(dims: &[usize]) -> Vec<Range<usize>> {
    let mut from = 0;
    dims.iter()
        .map(|&d| {
            from += d;
            from - d..from
        })
        .collect()
}

/// One number per component, spread over its random effects.
pub(super) fn spread(dims: &[usize], gamma: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend(dims.iter().zip(gamma).flat_map(|(&d, &g)| std::iter::repeat_n(g, d)));
}

/// Which route is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lmm) enum Route {
    Crossed,
    Blocks,
    Dense,
}

/// Which of the two matrices is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// A = Z'RZ, the fixed effects projected out.
    Projected,
    /// Z'Z.
    Plain,
}

/// The groups of random effects that share cells, and the operations of one evaluation by each route.
fn operations(route: Route, dims: &[usize], groups: &[Vec<usize>], p: usize) -> f64 {
    let q: usize = dims.iter().sum();
    let large = dims.iter().copied().max().unwrap_or(0);
    let (q, large, small, p) = (q as f64, large as f64, (q - large) as f64, p as f64);
    match route {
        // C, B'H²B and B'ΛH³B; then factor, inverse and products of the small matrices.
        Route::Crossed => 3.0 * large * small * small + 6.0 * small.powi(3) + 12.0 * large * (1.0 + small),
        // Inverse and product of each block, its part of F; then C, its factor, and the two products with it.
        Route::Blocks => {
            let blocks: f64 = groups.iter().map(|g| (g.len() as f64).powi(2) * (3.0 * g.len() as f64 + 2.0 * p)).sum();
            blocks + 60.0 * groups.len() as f64 + 3.0 * q * p * p + p.powi(3)
        }
        // C'ΓC, its factor, the triangular solutions and the product K.
        Route::Dense => 3.0 * q.powi(3),
    }
}

/// The cheapest route for a matrix, by counting multiplications.
pub(super) fn cheapest(dims: &[usize], groups: &[Vec<usize>], p: usize) -> Route {
    [Route::Crossed, Route::Blocks, Route::Dense]
        .into_iter()
        .min_by(|&a, &b| operations(a, dims, groups, p).total_cmp(&operations(b, dims, groups, p)))
        .unwrap_or(Route::Dense)
}

/// A route, and dense algebra where it does not reach.
#[derive(Debug)]
pub(super) struct Guarded {
    route: Box<dyn Operator>,
    kind: Route,
    dims: Vec<usize>,
    /// The largest diagonal entry of Z'Z in each component: its unit.
    scale: Vec<f64>,
    /// Built when first needed; `None` where M has no eigenvalues.
    dense: OnceLock<Option<Box<Dense>>>,
}

impl Guarded {
    /// Prepares a matrix by its cheapest route.
    pub(super) fn new(shared: &Canonical, which: Which) -> Result<Self> {
        let p = if which == Which::Projected { shared.p() } else { 0 };
        let groups = super::blocks::groups(&shared.zz);
        Self::by_route(shared, which, cheapest(&shared.dims, &groups, p))
    }

    /// Prepares a matrix by a given route.
    pub(super) fn by_route(shared: &Canonical, which: Which, kind: Route) -> Result<Self> {
        let m = if which == Which::Projected { &shared.a } else { &shared.zz };
        let dims = shared.dims.clone();
        let diagonal = shared.zz.diagonal();
        let scale: Vec<f64> =
            ranges(&dims).into_iter().map(|r| diagonal[r].iter().copied().fold(0.0, f64::max)).collect();
        let route: Box<dyn Operator> = match kind {
            Route::Crossed => Box::new(Crossed::new(m, &scale, &dims)?),
            Route::Blocks => Box::new(Blocks::new(shared, which)?),
            Route::Dense => Box::new(Dense::new(m, &scale, &dims)?),
        };
        Ok(Self { route, kind, dims, scale, dense: OnceLock::new() })
    }

    /// The route that is taken.
    pub(super) fn kind(&self) -> Route {
        self.kind
    }

    /// The unit of each component: the largest diagonal entry of Z'Z.
    pub(super) fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// The matrix behind the guard.
    pub(super) fn operator(&self) -> &dyn Operator {
        self.route.as_ref()
    }

    /// Room for the factors at one point.
    pub(super) fn evaluator(&self) -> GuardedEvaluator<'_> {
        GuardedEvaluator { owner: self, route: self.route.evaluator(), dense: None, on_dense: false }
    }

    fn dense(&self) -> Option<&Dense> {
        self.dense
            .get_or_init(|| Dense::new(&self.route.matrix(), &self.scale, &self.dims).ok().map(Box::new))
            .as_deref()
    }
}

/// [`Evaluator`] of a route that asks dense algebra where it is unsure.
pub(super) struct GuardedEvaluator<'a> {
    owner: &'a Guarded,
    route: Box<dyn Evaluator + 'a>,
    dense: Option<Box<dyn Evaluator + 'a>>,
    on_dense: bool,
}

impl GuardedEvaluator<'_> {
    /// Moves to a point; whether all eigenvalues of I + MΓ are positive there.
    pub(super) fn factor(&mut self, gamma: &[f64]) -> bool {
        self.on_dense = false;
        match self.route.factor(gamma) {
            Region::Inside => true,
            Region::Outside => false,
            Region::Unsure => {
                if self.dense.is_none() {
                    self.dense = self.owner.dense().map(Operator::evaluator);
                }
                self.on_dense = true;
                self.dense.as_mut().is_some_and(|d| d.factor(gamma) == Region::Inside)
            }
        }
    }

    /// What answers at the present point.
    pub(super) fn at(&mut self) -> &mut dyn Evaluator {
        match &mut self.dense {
            Some(dense) if self.on_dense => dense.as_mut(),
            _ => self.route.as_mut(),
        }
    }
}
