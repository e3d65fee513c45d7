//! Estimates of contrasts, their variances, and Satterthwaite's degrees of freedom, for all genes at once.
//!
//! For a contrast c: estimate c'b, variance f(θ) = c'(X'V⁻¹X)⁻¹c, degrees of freedom 2 f²/(g'H⁻¹g) with g = ∂f/∂θ and
//! H the observed information of the variance components (Satterthwaite 1946, doi 10.2307/3002019; lmerTest's
//! definition). Where the components are held at zero, or H is not positive definite, the expected information takes
//! its place. No p × p matrix is formed per gene: with one component all genes of a block share three matrix products.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, product};
use ferrocyte_math::student_t::many;

use crate::lmm::core::{Core, Structure};
use crate::lmm::fit::GroupFit;
use crate::lmm::options::Alternative;
use crate::lmm::status::Outcome;

/// Which estimates of the variance components are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Those of the fit, whatever their sign: the numbers of FLASH-MM.
    Fitted,
    /// Those that tests can stand on: at zero (or the non-negative fit) where the outcome says so.
    Tested,
}

/// Estimates of `n_contrasts` contrasts for every gene; genes × contrasts, row-major. NaN without estimate.
#[derive(Debug, Clone, Default)]
pub struct Estimates {
    /// Number of contrasts.
    pub n_contrasts: usize,
    /// c'b.
    pub estimate: Vec<f64>,
    /// Its variance; negative where the covariance of the cells is not positive definite.
    pub variance: Vec<f64>,
    /// Satterthwaite's degrees of freedom.
    pub df: Vec<f64>,
}

/// Variance components of a gene and how to use them.
pub(in crate::lmm) struct Components<'a> {
    /// s_1, .., s_k, s_0.
    pub(in crate::lmm) theta: &'a [f64],
    /// Whether the expected information stands in for the observed one.
    pub(in crate::lmm) expected_information: bool,
    /// What became of the gene.
    pub(in crate::lmm) outcome: Outcome,
}

impl GroupFit {
    /// The components of a gene on a surface.
    pub(in crate::lmm) fn components_of(&self, gene: usize, surface: Surface) -> Components<'_> {
        let width = self.n_components() + 1;
        let outcome = self.outcomes[gene];
        let theta = match surface {
            Surface::Fitted => &self.theta,
            Surface::Tested => &self.theta_tested,
        };
        Components {
            theta: &theta[gene * width..(gene + 1) * width],
            expected_information: match surface {
                Surface::Tested => outcome.tested_at_zero(),
                Surface::Fitted => matches!(outcome, Outcome::NoStationary | Outcome::Boundary),
            },
            outcome,
        }
    }

    /// Estimates of the contrasts in the columns of `contrasts` (p × r), for all genes.
    pub fn estimates(&self, run: &Run, contrasts: &Matrix, surface: Surface) -> Result<Estimates> {
        let r = contrasts.n_cols();
        let Some(core) = &self.core else {
            let nan = vec![f64::NAN; self.outcomes.len() * r];
            return Ok(Estimates { n_contrasts: r, estimate: nan.clone(), variance: nan.clone(), df: nan });
        };
        let shared = SharedByGenes::new(core, contrasts);
        let blocks = run.map_ranges("testing", core.n_genes(), core.gene_block(), |genes| {
            Ok(match &core.structure {
                Structure::One { spectrum, .. } => self.block_one(core, spectrum, &shared, genes, surface),
                Structure::Several(several) => self.block_several(core, several, &shared, genes, surface),
            })
        })?;
        let cells = core.n_genes() * r;
        let mut all = Estimates {
            n_contrasts: r,
            estimate: Vec::with_capacity(cells),
            variance: Vec::with_capacity(cells),
            df: Vec::with_capacity(cells),
        };
        for block in blocks {
            all.estimate.extend(block.estimate);
            all.variance.extend(block.variance);
            all.df.extend(block.df);
        }
        Ok(all)
    }
}

/// p-values of each t with its degrees of freedom; NaN gives NaN.
pub fn p_values(t: &[f64], df: &[f64], alternative: Alternative) -> Vec<f64> {
    let mut p = many::two_sided(t, df);
    for (p, &t) in p.iter_mut().zip(t) {
        *p = match alternative {
            Alternative::TwoSided => *p,
            Alternative::Less if t < 0.0 => 0.5 * *p,
            Alternative::Greater if t > 0.0 => 0.5 * *p,
            Alternative::Less | Alternative::Greater => 1.0 - 0.5 * *p,
        };
    }
    p
}

/// What the contrasts share over genes.
pub(in crate::lmm) struct SharedByGenes {
    /// The contrasts, p × r.
    pub(in crate::lmm) contrasts: Matrix,
    /// One component: G'c; several: Hc in the basis of the model. q × r.
    pub(in crate::lmm) a: Matrix,
    /// Its entries squared.
    pub(in crate::lmm) a_squared: Matrix,
    /// c'(X'X)⁻¹c.
    pub(in crate::lmm) x0: Vec<f64>,
    /// Whether the contrasts are the coefficients themselves.
    is_identity: bool,
}

impl SharedByGenes {
    /// The contrasts in the columns of `contrasts`, p × r.
    pub(in crate::lmm) fn new(core: &Core, contrasts: &Matrix) -> Self {
        let a = match &core.structure {
            Structure::One { spectrum, .. } => spectrum.g.transpose().times(contrasts),
            Structure::Several(several) => several.enter_columns(&core.shared.projection.transpose().times(contrasts)),
        };
        let mut a_squared = a.clone();
        a_squared.entries_mut().iter_mut().for_each(|x| *x *= *x);
        let xc = core.shared.xx_inverse.times(contrasts);
        let x0 = (0..contrasts.n_cols())
            .map(|j| (0..contrasts.n_rows()).map(|i| contrasts[(i, j)] * xc[(i, j)]).sum())
            .collect();
        let unit = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
        let is_identity = contrasts.n_rows() == contrasts.n_cols()
            && contrasts.entries().iter().enumerate().all(|(k, &c)| c == unit(k / core.p(), k % core.p()));
        Self { contrasts: contrasts.clone(), a, a_squared, x0, is_identity }
    }

    /// Number of contrasts.
    pub(in crate::lmm) fn r(&self) -> usize {
        self.contrasts.n_cols()
    }

    /// Ordinary least squares of a block of genes; variances and degrees of freedom still NaN.
    pub(in crate::lmm) fn ols(&self, core: &Core, genes: std::ops::Range<usize>) -> Estimates {
        let (p, r, n) = (core.p(), self.r(), genes.len());
        let b_ols = &core.b_ols[genes.start * p..genes.end * p];
        let mut estimate = b_ols.to_vec();
        if !self.is_identity {
            estimate = vec![0.0; n * r];
            product(b_ols, p, &self.contrasts, &mut estimate);
        }
        Estimates { n_contrasts: r, estimate, variance: vec![f64::NAN; n * r], df: vec![f64::NAN; n * r] }
    }
}

impl Estimates {
    /// Takes back what a gene without variance estimate cannot have: all of it for a gene that was not fitted.
    pub(in crate::lmm) fn forget(&mut self, gene: usize, r: usize, outcome: Outcome) {
        let cells = gene * r..(gene + 1) * r;
        if matches!(outcome, Outcome::AllZero | Outcome::FewCells) {
            self.estimate[cells.clone()].fill(f64::NAN);
        }
        self.variance[cells.clone()].fill(f64::NAN);
        self.df[cells].fill(f64::NAN);
    }
}
