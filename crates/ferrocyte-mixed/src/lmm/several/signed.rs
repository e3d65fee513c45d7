//! I + NΓ for a small symmetric N and ratios of either sign.
//!
//! With G = |Γ|^½ and J the signs of Γ, (I + NΓ) = G⁻¹ P J G for P = J + GNG. Where N is positive semi-definite, I + NΓ
//! has positive eigenvalues exactly where P has as many positive and negative ones as J (Sylvester), and that is where
//! P = L J L' exists with positive ratios first, negative ones after: then no pivoting is needed, since the part of the
//! positive ratios is positive definite by itself. Columns with a ratio of zero stay out of P.

/// The factor of I + NΓ, in buffers that are used again.
#[derive(Debug, Clone, Default)]
pub(super) struct Signed {
    size: usize,
    /// Columns whose ratio is not zero, positive ones first.
    order: Vec<usize>,
    n_positive: usize,
    /// |γ|^½ of those.
    root: Vec<f64>,
    /// L, then its inverse; lower triangle, row-major.
    factor: Vec<f64>,
    inverse: Vec<f64>,
    /// P⁻¹.
    whole: Vec<f64>,
    least: f64,
}

impl Signed {
    /// Factors I + NΓ (n × n, one ratio per column) and gives ln|I + NΓ|; `None` where an eigenvalue is not positive.
    pub(super) fn factor(&mut self, n: &[f64], gamma: &[f64]) -> Option<f64> {
        self.size = gamma.len();
        self.order.clear();
        self.order.extend((0..self.size).filter(|&i| gamma[i] > 0.0));
        self.n_positive = self.order.len();
        self.order.extend((0..self.size).filter(|&i| gamma[i] < 0.0));
        self.root.clear();
        self.root.extend(self.order.iter().map(|&i| gamma[i].abs().sqrt()));
        let m = self.order.len();
        self.factor.clear();
        self.factor.resize(m * m, 0.0);
        self.least = 1.0;
        let mut ln_det = 0.0;
        for i in 0..m {
            let (head, tail) = self.factor.split_at_mut(i * m);
            let row = &mut tail[..m];
            for j in 0..=i {
                let entry = self.root[i] * n[self.order[i] * self.size + self.order[j]] * self.root[j];
                let other = if j == i { None } else { Some(&head[j * m..=j * m + j]) };
                let known = other.unwrap_or(&row[..j]);
                let split = self.n_positive.min(j);
                let mut sum = 0.0;
                for k in 0..split {
                    sum += row[k] * known[k];
                }
                for k in split..j {
                    sum -= row[k] * known[k];
                }
                let sign = if j < self.n_positive { 1.0 } else { -1.0 };
                if let Some(other) = other {
                    row[j] = sign * (entry - sum) / other[j];
                } else {
                    let pivot = 1.0 + sign * (entry - sum);
                    // Also catches NaN.
                    if !(pivot > 0.0) {
                        return None;
                    }
                    self.least = self.least.min(pivot);
                    ln_det += pivot.ln();
                    row[i] = pivot.sqrt();
                }
            }
        }
        Some(ln_det)
    }

    /// The least of the pivots, one at most: how close the boundary is.
    pub(super) fn least(&self) -> f64 {
        self.least
    }

    /// P⁻¹ = L'⁻¹ J L⁻¹.
    fn invert(&mut self) {
        let m = self.order.len();
        self.inverse.clear();
        self.inverse.resize(m * m, 0.0);
        for i in 0..m {
            let (head, tail) = self.inverse.split_at_mut(i * m);
            let row = &mut tail[..m];
            for k in 0..i {
                let l = self.factor[i * m + k];
                for (x, y) in row[..=k].iter_mut().zip(&head[k * m..=k * m + k]) {
                    *x -= l * y;
                }
            }
            let scale = 1.0 / self.factor[i * m + i];
            row[..i].iter_mut().for_each(|x| *x *= scale);
            row[i] = scale;
        }
        self.whole.clear();
        self.whole.resize(m * m, 0.0);
        for k in 0..m {
            let sign = if k < self.n_positive { 1.0 } else { -1.0 };
            let row = &self.inverse[k * m..=k * m + k];
            for i in 0..=k {
                let scale = sign * row[i];
                for (x, y) in self.whole[i * m..=i * m + k].iter_mut().zip(row) {
                    *x += scale * y;
                }
            }
        }
    }

    /// (I + NΓ)⁻¹ into `solve` and the symmetric W = Γ(I + NΓ)⁻¹ into `w`, both n × n; `n` as it was factored.
    pub(super) fn inverses(&mut self, n: &[f64], solve: &mut [f64], w: &mut [f64]) {
        self.invert();
        let (size, m) = (self.size, self.order.len());
        solve.fill(0.0);
        w.fill(0.0);
        for (a, &i) in self.order.iter().enumerate() {
            let sign = if a < self.n_positive { 1.0 } else { -1.0 };
            for (b, &j) in self.order.iter().enumerate() {
                let scaled = self.whole[a * m + b] * self.root[b];
                w[i * size + j] = self.root[a] * scaled;
                solve[i * size + j] = sign * scaled / self.root[a];
            }
        }
        if m < size {
            let mut present = vec![false; size];
            self.order.iter().for_each(|&i| present[i] = true);
            for i in (0..size).filter(|&i| !present[i]) {
                solve[i * size + i] = 1.0;
                for &j in &self.order {
                    solve[i * size + j] = -self.order.iter().map(|&c| n[i * size + c] * w[c * size + j]).sum::<f64>();
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ferrocyte_math::linalg::{Matrix, symmetric_eigen};
    use ferrocyte_math::random::Stream;

    use super::*;

    /// A positive definite matrix.
    fn random(n: usize, stream: &mut Stream) -> Matrix {
        let root = Matrix::from_rows(n, n, (0..n * n).map(|_| stream.normal()).collect());
        root.times(&root.transpose())
    }

    /// The eigenvalues of I + NΓ are those of I + N^½ΓN^½.
    fn eigenvalues(n: &Matrix, gamma: &[f64]) -> Vec<f64> {
        let (values, vectors) = symmetric_eigen(n).unwrap();
        let size = gamma.len();
        let mut root = vectors.clone();
        for i in 0..size {
            for (x, v) in root.row_mut(i).iter_mut().zip(&values) {
                *x *= v.max(0.0).sqrt();
            }
        }
        let mut middle = root.clone();
        for (i, g) in gamma.iter().enumerate() {
            middle.row_mut(i).iter_mut().for_each(|x| *x *= g);
        }
        let mut s = root.transpose().times(&middle);
        for i in 0..size {
            s[(i, i)] += 1.0;
        }
        symmetric_eigen(&s).unwrap().0
    }

    #[test]
    fn it_tells_the_region_and_solves_in_it() {
        let mut stream = Stream::new(3, 0);
        let (mut inside, mut outside) = (0, 0);
        for trial in 0..300 {
            let size = 1 + trial % 7;
            let n = random(size, &mut stream);
            let gamma: Vec<f64> = (0..size)
                .map(|_| if stream.chance(0.2) { 0.0 } else { 0.3 * stream.normal() * (stream.normal() - 1.0).exp() })
                .collect();
            let values = eigenvalues(&n, &gamma);
            let mut signed = Signed::default();
            let found = signed.factor(n.entries(), &gamma);
            assert_eq!(found.is_some(), values[0] > 0.0, "{values:?}");
            let Some(ln_det) = found else {
                outside += 1;
                continue;
            };
            inside += 1;
            let expected: f64 = values.iter().map(|v| v.ln()).sum();
            assert!((ln_det - expected).abs() < 1e-10 * (1.0 + expected.abs()));
            let (mut solve, mut w) = (Matrix::zeros(size, size), Matrix::zeros(size, size));
            signed.inverses(n.entries(), solve.entries_mut(), w.entries_mut());
            let mut system = Matrix::zeros(size, size);
            for i in 0..size {
                for j in 0..size {
                    system[(i, j)] = n[(i, j)] * gamma[j] + f64::from(u8::from(i == j));
                    assert!((w[(i, j)] - gamma[i] * solve[(i, j)]).abs() < 1e-9 * (1.0 + w[(i, j)].abs()));
                }
            }
            let one = system.times(&solve);
            for i in 0..size {
                for j in 0..size {
                    assert!((one[(i, j)] - f64::from(u8::from(i == j))).abs() < 1e-8, "{one:?}");
                }
            }
        }
        assert!(inside > 50 && outside > 50, "{inside} {outside}");
    }
}
