//! Effects that fall into groups without a common cell: slopes beside intercepts, samples nested in donors.
//!
//! Then Z'Z is block diagonal over those groups. With N = I + Z'ZΓ block by block, E = N⁻¹Z'Z, F = N⁻¹Z'X and
//! C = X'X - X'ZΓF (that is s₀ X'V⁻¹X), eliminating the fixed effects leaves
//!
//! * (I + AΓ)⁻¹x = N⁻¹x + F C⁻¹F'Γx, K = E - F C⁻¹F'
//! * ln|I + AΓ| = ln|N| + ln|C| - ln|X'X|
//! * with F̃ = F L'⁻¹ for C = L L': |K_ij|² = |E_ij|² - 2 Σ F̃_i∘(E_ij F̃_j) + tr(G_i G_j), G_i = F̃_i'F̃_i
//!
//! so that a point costs O(qp² + p³ + Σ b³) for groups of b effects. For Z'Z itself there is no X. (Henderson's mixed
//! model equations with the random effects absorbed.)

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, cross_product, dot, product, solve_lower, solve_lower_transposed, symmetric_eigen,
};

use super::operator::{Evaluator, Operator, Region, Traces, Which, ranges, spread};
use super::signed::Signed;
use crate::lmm::canonical::Canonical;

const RANK_TOLERANCE: f64 = 1e-10;

/// Below this pivot of a block, digits are lost in what the fixed effects take away again.
const NEAR_SINGULAR: f64 = 1e-3;

/// The groups of effects that share cells: the connected components of the pattern of Z'Z.
pub(super) fn groups(zz: &Matrix) -> Vec<Vec<usize>> {
    let q = zz.n_rows();
    let mut seen = vec![false; q];
    let mut out = Vec::new();
    for start in 0..q {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut group = vec![start];
        let mut next = 0;
        while next < group.len() {
            for (j, &x) in zz.row(group[next]).iter().enumerate() {
                if x != 0.0 && !seen[j] {
                    seen[j] = true;
                    group.push(j);
                }
            }
            next += 1;
        }
        group.sort_unstable();
        out.push(group);
    }
    out
}

/// Z'Z of one group.
#[derive(Debug)]
struct Block {
    effects: Vec<usize>,
    /// b × b, row-major.
    zz: Vec<f64>,
    /// (Z'Z)⁺ of the group.
    inverse: Matrix,
}

/// A matrix of random effects in groups, and the fixed effects that are projected out.
#[derive(Debug)]
pub(super) struct Blocks {
    dims: Vec<usize>,
    groups: Vec<Block>,
    /// Σ b².
    n_entries: usize,
    /// Z'X, q × p; no columns where nothing is projected out.
    zx: Matrix,
    xx: Matrix,
    ln_det_xx: f64,
    /// The matrix itself, q × q.
    m: Matrix,
    rank: usize,
    /// (Z'Z)⁺Z'X, q × p.
    absorbed: Matrix,
    /// R with R R' = (X'X - X'Z(Z'Z)⁺Z'X)⁺.
    rest: Matrix,
}

/// Roots of a pseudo-inverse: R with R R' = a⁺, in units of the diagonal `scale`, and the rank.
fn inverse_root(a: &Matrix, scale: &[f64]) -> Result<Matrix> {
    let n = a.n_rows();
    if n == 0 {
        return Ok(Matrix::default());
    }
    let unit: Vec<f64> = scale.iter().map(|s| s.max(f64::MIN_POSITIVE).sqrt()).collect();
    let mut scaled = a.clone();
    for i in 0..n {
        for j in 0..n {
            scaled[(i, j)] /= unit[i] * unit[j];
        }
    }
    let (values, vectors) = symmetric_eigen(&scaled)?;
    let kept: Vec<usize> = (0..n).filter(|&l| values[l] > RANK_TOLERANCE).collect();
    let mut root = Matrix::zeros(n, kept.len());
    for i in 0..n {
        for (j, &l) in kept.iter().enumerate() {
            root[(i, j)] = vectors[(i, l)] / (unit[i] * values[l].sqrt());
        }
    }
    Ok(root)
}

impl Blocks {
    /// Prepares Z'RZ or Z'Z.
    pub(super) fn new(shared: &Canonical, which: Which) -> Result<Self> {
        let q = shared.q();
        let (zx, xx, m) = match which {
            Which::Projected => (shared.zx.clone(), shared.xx.clone(), shared.a.clone()),
            Which::Plain => (Matrix::zeros(q, 0), Matrix::zeros(0, 0), shared.zz.clone()),
        };
        let p = xx.n_rows();
        let (mut all, mut n_entries, mut rank) = (Vec::new(), 0, 0);
        let mut absorbed = Matrix::zeros(q, p);
        for effects in groups(&shared.zz) {
            let b = effects.len();
            let zz: Vec<f64> = effects.iter().flat_map(|&i| effects.iter().map(move |&j| shared.zz[(i, j)])).collect();
            let whole = Matrix::from_rows(b, b, zz.clone());
            let root = inverse_root(&whole, &whole.diagonal())?;
            rank += root.n_cols();
            let inverse = root.times(&root.transpose());
            for (i, &row) in effects.iter().enumerate() {
                for (j, &from) in effects.iter().enumerate() {
                    let scale = inverse[(i, j)];
                    absorbed.row_mut(row).iter_mut().zip(zx.row(from)).for_each(|(y, x)| *y += scale * x);
                }
            }
            n_entries += b * b;
            all.push(Block { effects, zz, inverse });
        }
        let mut left = Matrix::zeros(p, p);
        cross_product(zx.entries(), absorbed.entries(), &mut left);
        left.entries_mut().iter_mut().zip(xx.entries()).for_each(|(l, x)| *l = x - *l);
        let rest = inverse_root(&left, &xx.diagonal())?;
        let rank = (rank + rest.n_cols()).saturating_sub(p);
        let mut factor = xx.clone();
        let ln_det_xx = match cholesky_in_place(&mut factor) {
            Ok(()) => 2.0 * factor.diagonal().iter().map(|d| d.ln()).sum::<f64>(),
            Err(_) => f64::NAN,
        };
        Ok(Self { dims: shared.dims.clone(), groups: all, n_entries, zx, xx, ln_det_xx, m, rank, absorbed, rest })
    }

    fn p(&self) -> usize {
        self.xx.n_rows()
    }
}

impl Operator for Blocks {
    fn matrix(&self) -> Matrix {
        self.m.clone()
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn explained(&self, x: &[f64]) -> f64 {
        // Of y with its fixed effects taken out (X'y = 0, Z'y = x): by Z, then by what Z leaves of X.
        let mut sum = 0.0;
        for block in &self.groups {
            for (i, &e) in block.effects.iter().enumerate() {
                for (j, &f) in block.effects.iter().enumerate() {
                    sum += x[e] * block.inverse[(i, j)] * x[f];
                }
            }
        }
        let mut taken = vec![0.0; self.p()];
        product(x, x.len(), &self.absorbed, &mut taken);
        let mut rest = vec![0.0; self.rest.n_cols()];
        product(&taken, taken.len(), &self.rest, &mut rest);
        sum + dot(&rest, &rest)
    }

    fn enter(&self, _rows: &mut [f64]) {}

    fn leave(&self, _x: &mut [f64]) {}

    fn evaluator(&self) -> Box<dyn Evaluator + '_> {
        let (q, p) = (self.m.n_rows(), self.p());
        let largest = self.groups.iter().map(|b| b.effects.len()).max().unwrap_or(0);
        Box::new(BlocksEvaluator {
            m: self,
            gamma: Vec::with_capacity(q),
            signed: Signed::default(),
            local: Vec::with_capacity(largest),
            w: vec![0.0; largest * largest],
            t: vec![0.0; self.n_entries],
            e: vec![0.0; self.n_entries],
            f: Matrix::zeros(q, p),
            scaled: Matrix::zeros(q, p),
            c: Matrix::zeros(p, p),
            l_inverse: Matrix::zeros(p, p),
            g: self.dims.iter().map(|_| Matrix::zeros(p, p)).collect(),
            ln_det: 0.0,
        })
    }
}

struct BlocksEvaluator<'a> {
    m: &'a Blocks,
    /// γ of each random effect.
    gamma: Vec<f64>,
    signed: Signed,
    /// γ of the effects of a group.
    local: Vec<f64>,
    w: Vec<f64>,
    /// N⁻¹ and E of each group, one after the other.
    t: Vec<f64>,
    e: Vec<f64>,
    f: Matrix,
    /// ΓF, then F̃.
    scaled: Matrix,
    /// The Cholesky factor L of C.
    c: Matrix,
    /// L'⁻¹, upper triangular.
    l_inverse: Matrix,
    g: Vec<Matrix>,
    ln_det: f64,
}

impl BlocksEvaluator<'_> {
    /// The groups: N⁻¹, E, F, ln|N|.
    fn factor_groups(&mut self) -> Region {
        let (m, p) = (self.m, self.m.p());
        let (mut at, mut refused) = (0, 0);
        self.ln_det = 0.0;
        let mut region = Region::Inside;
        for block in &m.groups {
            let b = block.effects.len();
            self.local.clear();
            self.local.extend(block.effects.iter().map(|&i| self.gamma[i]));
            let Some(ln_det) = self.signed.factor(&block.zz, &self.local) else {
                // The fixed effects hold at most one eigenvalue each above zero.
                refused += 1;
                if refused > p {
                    return Region::Outside;
                }
                region = Region::Unsure;
                continue;
            };
            if p > 0 && self.signed.least() < NEAR_SINGULAR {
                region = Region::Unsure;
            }
            if region == Region::Inside {
                self.ln_det += ln_det;
                let t = &mut self.t[at..at + b * b];
                self.signed.inverses(&block.zz, t, &mut self.w[..b * b]);
                for (i, &row) in block.effects.iter().enumerate() {
                    let e = &mut self.e[at + i * b..at + (i + 1) * b];
                    e.fill(0.0);
                    let f = self.f.row_mut(row);
                    f.fill(0.0);
                    for (j, &from) in block.effects.iter().enumerate() {
                        let t = t[i * b + j];
                        e.iter_mut().zip(&block.zz[j * b..(j + 1) * b]).for_each(|(e, z)| *e += t * z);
                        f.iter_mut().zip(m.zx.row(from)).for_each(|(f, x)| *f += t * x);
                    }
                }
            }
            at += b * b;
        }
        region
    }

    /// C and its factor, L'⁻¹.
    fn factor_fixed(&mut self) -> Region {
        let (m, p) = (self.m, self.m.p());
        if p == 0 {
            return Region::Inside;
        }
        for (i, g) in self.gamma.iter().enumerate() {
            self.scaled.row_mut(i).iter_mut().zip(self.f.row(i)).for_each(|(s, f)| *s = g * f);
        }
        cross_product(m.zx.entries(), self.scaled.entries(), &mut self.c);
        self.c.entries_mut().iter_mut().zip(m.xx.entries()).for_each(|(c, x)| *c = x - *c);
        if cholesky_in_place(&mut self.c).is_err() {
            return Region::Unsure;
        }
        self.ln_det += 2.0 * (0..p).map(|i| self.c[(i, i)].ln()).sum::<f64>() - m.ln_det_xx;
        Region::Inside
    }

    /// x ← N⁻¹x or Ex, by the entries given.
    fn by_groups(&self, entries: &[f64], x: &mut Matrix) {
        let r = x.n_cols();
        let mut rows = Vec::new();
        let mut at = 0;
        for block in &self.m.groups {
            let b = block.effects.len();
            rows.clear();
            rows.extend(block.effects.iter().flat_map(|&i| x.row(i)).copied());
            for (i, &row) in block.effects.iter().enumerate() {
                let out = x.row_mut(row);
                out.fill(0.0);
                for j in 0..b {
                    let t = entries[at + i * b + j];
                    out.iter_mut().zip(&rows[j * r..(j + 1) * r]).for_each(|(o, x)| *o += t * x);
                }
            }
            at += b * b;
        }
    }

    /// F C⁻¹F'x for each column.
    fn through_fixed(&self, x: &Matrix) -> Matrix {
        let mut columns = Matrix::zeros(x.n_cols(), self.m.p());
        cross_product(x.entries(), self.f.entries(), &mut columns);
        for j in 0..columns.n_rows() {
            solve_lower(&self.c, columns.row_mut(j));
            solve_lower_transposed(&self.c, columns.row_mut(j));
        }
        self.f.times(&columns.transpose())
    }
}

impl Evaluator for BlocksEvaluator<'_> {
    fn factor(&mut self, gamma: &[f64]) -> Region {
        spread(&self.m.dims, gamma, &mut self.gamma);
        match self.factor_groups() {
            Region::Inside => self.factor_fixed(),
            // Without fixed effects there is nothing that could hold an eigenvalue above zero.
            Region::Unsure if self.m.p() == 0 => Region::Outside,
            other => other,
        }
    }

    fn ln_det(&self) -> f64 {
        self.ln_det
    }

    fn traces(&mut self, out: &mut Traces) {
        let (m, p) = (self.m, self.m.p());
        let parts = ranges(&m.dims);
        let mut owner = vec![0; m.m.n_rows()];
        for (i, part) in parts.iter().enumerate() {
            owner[part.clone()].fill(i);
        }
        out.t.fill(0.0);
        out.f.entries_mut().fill(0.0);
        if p > 0 {
            invert_transposed(&self.c, &mut self.l_inverse);
            product(self.f.entries(), p, &self.l_inverse, self.scaled.entries_mut());
            for (part, g) in parts.iter().zip(&mut self.g) {
                let rows = &self.scaled.entries()[part.start * p..part.end * p];
                cross_product(rows, rows, g);
            }
            for i in 0..parts.len() {
                out.t[i] -= (0..p).map(|a| self.g[i][(a, a)]).sum::<f64>();
                for j in 0..parts.len() {
                    out.f[(i, j)] += dot(self.g[i].entries(), self.g[j].entries());
                }
            }
        }
        let mut at = 0;
        for block in &m.groups {
            let b = block.effects.len();
            for (i, &row) in block.effects.iter().enumerate() {
                out.t[owner[row]] += self.e[at + i * b + i];
                for (j, &column) in block.effects.iter().enumerate() {
                    let e = self.e[at + i * b + j];
                    let cross = if p > 0 { dot(self.scaled.row(row), self.scaled.row(column)) } else { 0.0 };
                    out.f[(owner[row], owner[column])] += e * (e - 2.0 * cross);
                }
            }
            at += b * b;
        }
    }

    fn solve(&mut self, x: &mut Matrix) {
        let fixed = (self.m.p() > 0).then(|| {
            let mut scaled = x.clone();
            for (i, g) in self.gamma.iter().enumerate() {
                scaled.row_mut(i).iter_mut().for_each(|x| *x *= g);
            }
            self.through_fixed(&scaled)
        });
        self.by_groups(&self.t, x);
        if let Some(fixed) = fixed {
            x.entries_mut().iter_mut().zip(fixed.entries()).for_each(|(x, f)| *x += f);
        }
    }

    fn k_times(&mut self, x: &mut Matrix) {
        let fixed = (self.m.p() > 0).then(|| self.through_fixed(x));
        self.by_groups(&self.e, x);
        if let Some(fixed) = fixed {
            x.entries_mut().iter_mut().zip(fixed.entries()).for_each(|(x, f)| *x -= f);
        }
    }
}

/// L'⁻¹ of a lower triangular L.
fn invert_transposed(l: &Matrix, out: &mut Matrix) {
    let n = l.n_rows();
    out.entries_mut().fill(0.0);
    // Row j of L'⁻¹ is column j of L⁻¹: forward substitution on a unit vector.
    for j in 0..n {
        let row = out.row_mut(j);
        row[j] = 1.0 / l[(j, j)];
        for i in j + 1..n {
            row[i] = -dot(&l.row(i)[j..i], &row[j..i]) / l[(i, i)];
        }
    }
}
