//! The reduction of the sums: what the genes share, and what is left of each gene.
//!
//! With R = I - X(X'X)⁻¹X', the fixed effects are projected out once: A = Z'RZ, H = Z'X(X'X)⁻¹, and per gene
//! z = Z'Ry, b_ols = (X'X)⁻¹X'y, rss = y'Ry. For one component, A = U diag(λ) U' turns the restricted likelihood of
//! a gene into that of independent numbers w = U'z with variance λ(s₀ + λ s₁), and everything else into sums over
//! them. (Harville 1977, doi 10.1080/01621459.1977.10480998, for the profile over fixed effects.)
//!
//! Row vectors here are genes: matrices that hold one row per gene are genes × coefficients or genes × random effects.

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_math::linalg::{Matrix, dot, product, scaled_inverse, symmetric_eigen};

use crate::lmm::sums::GroupSums;

/// Eigenvalues of A below this share of the largest are zero: A is a difference and never exactly singular.
const RANK_TOLERANCE: f64 = 1e-10;

/// Pivots of the scaled X'X below this mark a dependent column.
pub(crate) const ALIAS_TOLERANCE: f64 = 1e-10;

/// What all genes share.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Canonical {
    /// Number of cells.
    pub(in crate::lmm) n: f64,
    /// (X'X)⁻¹, p × p.
    pub(in crate::lmm) xx_inverse: Matrix,
    /// H' = (X'X)⁻¹X'Z, p × q.
    pub(in crate::lmm) projection: Matrix,
    /// A = Z'RZ, q × q.
    pub(in crate::lmm) a: Matrix,
    /// Z'Z, q × q.
    pub(in crate::lmm) zz: Matrix,
    /// X'X, p × p.
    pub(in crate::lmm) xx: Matrix,
    /// Z'X, q × p.
    pub(in crate::lmm) zx: Matrix,
    /// Number of columns of each component.
    pub(in crate::lmm) dims: Vec<usize>,
}

/// What is left of one gene after projecting out the fixed effects.
#[derive(Debug, Clone, Default)]
pub(in crate::lmm) struct Reduced {
    /// Ordinary least squares, genes × p.
    pub(in crate::lmm) b_ols: Vec<f64>,
    /// z = Z'Ry, genes × q.
    pub(in crate::lmm) z: Vec<f64>,
    /// Residual sum of squares, one per gene.
    pub(in crate::lmm) rss: Vec<f64>,
}

impl Canonical {
    /// From the sums of one group. Fails when the fixed effects are not of full rank, naming columns.
    pub(in crate::lmm) fn new(sums: &GroupSums) -> Result<Self> {
        let p = sums.n_fixed();
        if sums.n_cells as usize <= p {
            return Err(Fault::bad_input(format!("{} cells for {p} coefficients", sums.n_cells))
                .hint("leave out fixed effects, or pool groups"));
        }
        let xx_inverse = scaled_inverse(&sums.xx, ALIAS_TOLERANCE).map_err(|_| aliased(sums))?;
        let projection = xx_inverse.times(&sums.zx.transpose());
        let mut a = sums.zz.clone();
        let fitted = sums.zx.times(&projection);
        for (x, f) in a.entries_mut().iter_mut().zip(fitted.entries()) {
            *x -= f;
        }
        symmetrise(&mut a);
        let dims = sums.components.iter().map(|c| c.columns.len()).collect();
        let (zz, xx, zx) = (sums.zz.clone(), sums.xx.clone(), sums.zx.clone());
        Ok(Self { n: sums.n_cells as f64, xx_inverse, projection, a, zz, xx, zx, dims })
    }

    /// Number of fixed effects.
    pub(in crate::lmm) fn p(&self) -> usize {
        self.xx_inverse.n_rows()
    }

    /// Number of random effects, all components together.
    pub(in crate::lmm) fn q(&self) -> usize {
        self.a.n_rows()
    }

    /// The reduction of the genes whose rows of X'y and Z'y (row-major) and y'y are given.
    pub(in crate::lmm) fn reduce(&self, xy: &[f64], zy: &[f64], y_norm: &[f64]) -> Reduced {
        let (p, q, genes) = (self.p(), self.q(), y_norm.len());
        let mut b_ols = vec![0.0; genes * p];
        product(xy, p, &self.xx_inverse, &mut b_ols);
        let mut z = vec![0.0; genes * q];
        product(xy, p, &self.projection, &mut z);
        for (z, zy) in z.iter_mut().zip(zy) {
            *z = zy - *z;
        }
        let rss = (0..genes)
            .map(|g| (y_norm[g] - dot(&xy[g * p..(g + 1) * p], &b_ols[g * p..(g + 1) * p])).max(0.0))
            .collect();
        Reduced { b_ols, z, rss }
    }
}

/// The columns that make X'X singular, as a fault.
fn aliased(sums: &GroupSums) -> Fault {
    let names = sums.coefficients.names();
    let found = ferrocyte_design::alias::find(sums.xx.entries(), names.len());
    let names: Vec<&str> = found.iter().map(|a| names[a.column].as_str()).collect();
    Fault::bad_input(format!(
        "the fixed effects are not of full rank: {} depend on the coefficients before them",
        listing(&names, 10)
    ))
    .hint("leave these terms out of the formula")
}

fn symmetrise(a: &mut Matrix) {
    for i in 0..a.n_rows() {
        for j in 0..i {
            let mean = 0.5 * (a[(i, j)] + a[(j, i)]);
            a[(i, j)] = mean;
            a[(j, i)] = mean;
        }
    }
}

/// The spectrum of a model with one component.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Spectrum {
    /// λ: eigenvalues of A, rising; those within rounding of zero are zero. q numbers.
    pub(in crate::lmm) lambda: Vec<f64>,
    /// μ: eigenvalues of Z'Z, rising. q numbers.
    pub(in crate::lmm) mu: Vec<f64>,
    /// Eigenvectors of A, q × q, in columns.
    pub(in crate::lmm) u: Matrix,
    /// G = H'U, p × q.
    pub(in crate::lmm) g: Matrix,
    /// Number of positive λ.
    pub(in crate::lmm) rank: usize,
    /// 1/λ, zero where λ is. q numbers.
    pub(in crate::lmm) over_lambda: Vec<f64>,
}

impl Spectrum {
    /// Decomposes A and Z'Z.
    pub(in crate::lmm) fn new(shared: &Canonical) -> Result<Self> {
        let (mut lambda, u) = symmetric_eigen(&shared.a)?;
        // For indicators Z'Z is diagonal: its eigenvalues are the cells per level, exactly.
        let off_diagonal =
            (0..shared.q()).any(|i| shared.zz.row(i).iter().enumerate().any(|(j, &x)| i != j && x != 0.0));
        let mut mu = if off_diagonal { symmetric_eigen(&shared.zz)?.0 } else { shared.zz.diagonal() };
        mu.sort_by(f64::total_cmp);
        let largest = lambda.last().copied().unwrap_or(0.0);
        for l in &mut lambda {
            if *l <= RANK_TOLERANCE * largest {
                *l = 0.0;
            }
        }
        let mu_largest = mu.last().copied().unwrap_or(0.0);
        if largest <= RANK_TOLERANCE * mu_largest {
            lambda.fill(0.0);
        }
        let rank = lambda.iter().filter(|&&l| l > 0.0).count();
        let g = shared.projection.times(&u);
        let over_lambda = lambda.iter().map(|&l| if l > 0.0 { 1.0 / l } else { 0.0 }).collect();
        Ok(Self { lambda, mu, u, g, rank, over_lambda })
    }

    /// w = U'z of the given genes (row-major, genes × q), zero where λ is.
    pub(in crate::lmm) fn rotate(&self, z: &[f64]) -> Vec<f64> {
        let q = self.lambda.len();
        let mut w = vec![0.0; z.len()];
        product(z, q, &self.u, &mut w);
        for row in w.chunks_exact_mut(q.max(1)) {
            for (w, &l) in row.iter_mut().zip(&self.lambda) {
                if l == 0.0 {
                    *w = 0.0;
                }
            }
        }
        w
    }

    /// e₀ = rss - Σ w²/λ: what the random effects cannot explain, for one gene.
    pub(in crate::lmm) fn residual(&self, w: &[f64], rss: f64) -> f64 {
        let explained: f64 = w.iter().zip(&self.over_lambda).map(|(w, over)| w * w * over).sum();
        (rss - explained).max(0.0)
    }
}
