//! [`Spectrum`]: eigenvalues of a symmetric matrix and a vector's components along the eigenvectors, without these.
//!
//! Reflections make the matrix tridiagonal and turn the vector alike; implicit QL steps then rotate both until the
//! matrix is diagonal (G. H. Golub and J. H. Welsch, *Calculation of Gauss quadrature rules*, 1969). That takes
//! `4/3 n³` operations and no memory but the matrix, a fifth of what eigenvectors take.

use crate::linalg::{Matrix, dot};

/// QL steps per eigenvalue before giving up; two are usual.
const MOST_STEPS: usize = 60;

/// Memory, and the result of the last decomposition.
#[derive(Debug, Clone, Default)]
pub struct Spectrum {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    components: Vec<f64>,
    product: Vec<f64>,
}

impl Spectrum {
    /// Decomposes `a` (symmetric, destroyed) and the vector `b`; `false` if it did not converge.
    ///
    /// ```
    /// use ferrocyte_math::{linalg::Matrix, spectrum::Spectrum};
    /// let mut spectrum = Spectrum::default();
    /// let mut a = Matrix::from_rows(2, 2, vec![2.0, 1.0, 1.0, 2.0]);
    /// assert!(spectrum.decompose(&mut a, &[1.0, 1.0]));
    /// let along: f64 = spectrum.values().iter().zip(spectrum.components()).map(|(d, c)| d * c * c).sum();
    /// assert!((along - 6.0).abs() < 1e-14);
    /// ```
    pub fn decompose(&mut self, a: &mut Matrix, b: &[f64]) -> bool {
        self.components.clear();
        self.components.extend_from_slice(b);
        self.make_tridiagonal(a);
        self.make_diagonal()
    }

    /// The eigenvalues, in no order.
    pub fn values(&self) -> &[f64] {
        &self.diagonal
    }

    /// The components of the vector along their eigenvectors (signs mean nothing).
    pub fn components(&self) -> &[f64] {
        &self.components
    }

    fn make_tridiagonal(&mut self, a: &mut Matrix) {
        let n = a.n_rows();
        self.diagonal.clear();
        self.beside.clear();
        for k in 0..n {
            self.diagonal.push(a[(k, k)]);
            if k + 1 == n {
                break;
            }
            // The reflection I - v v' that leaves one entry of the row beside the diagonal; v replaces the row.
            let row = &mut a.row_mut(k)[k + 1..];
            let length = dot(row, row).sqrt();
            if dot(&row[1..], &row[1..]) == 0.0 {
                self.beside.push(row[0]);
                continue;
            }
            let norm = length.copysign(row[0]);
            let scale = 1.0 / (length * length + norm * row[0]).sqrt();
            row[0] += norm;
            row.iter_mut().for_each(|v| *v *= scale);
            self.beside.push(-norm);
            let (above, below) = a.entries_mut().split_at_mut((k + 1) * n);
            let v = &above[k * n + k + 1..];
            // A - v w' - w v' with w = A v - v (v'A v) / 2.
            self.product.clear();
            self.product.extend(below.chunks_exact(n).map(|row| dot(&row[k + 1..], v)));
            let half = 0.5 * dot(&self.product, v);
            self.product.iter_mut().zip(v).for_each(|(w, v)| *w -= half * v);
            for (i, row) in below.chunks_exact_mut(n).enumerate() {
                let (vi, wi) = (v[i], self.product[i]);
                for ((x, v), w) in row[k + 1..].iter_mut().zip(v).zip(&self.product) {
                    *x -= vi * w + wi * v;
                }
            }
            let along = dot(v, &self.components[k + 1..]);
            self.components[k + 1..].iter_mut().zip(v).for_each(|(c, v)| *c -= along * v);
        }
    }

    fn make_diagonal(&mut self) -> bool {
        let Self { diagonal: d, beside: e, components: c, .. } = self;
        let n = d.len();
        e.push(0.0);
        for l in 0..n {
            let mut steps = 0;
            loop {
                let small = |i: &usize| e[*i].abs() <= f64::EPSILON * (d[*i].abs() + d[i + 1].abs());
                let end = (l..n - 1).find(small).unwrap_or(n - 1);
                if end == l {
                    break;
                }
                steps += 1;
                if steps > MOST_STEPS {
                    return false;
                }
                // Wilkinson's shift.
                let half = (d[l + 1] - d[l]) / (2.0 * e[l]);
                let mut g = d[end] - d[l] + e[l] / (half + half.hypot(1.0).copysign(half));
                let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
                let mut split = false;
                for i in (l..end).rev() {
                    let (f, b) = (sine * e[i], cosine * e[i]);
                    let r = (f * f + g * g).sqrt();
                    e[i + 1] = r;
                    if r == 0.0 {
                        d[i + 1] -= p;
                        e[end] = 0.0;
                        split = true;
                        break;
                    }
                    (sine, cosine) = (f / r, g / r);
                    let q = d[i + 1] - p;
                    let t = (d[i] - q) * sine + 2.0 * cosine * b;
                    p = sine * t;
                    d[i + 1] = q + p;
                    g = cosine * t - b;
                    (c[i], c[i + 1]) = (cosine * c[i] - sine * c[i + 1], sine * c[i] + cosine * c[i + 1]);
                }
                if !split {
                    d[l] -= p;
                    e[l] = g;
                    e[end] = 0.0;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::symmetric_eigen;
    use crate::random::Stream;
    use ferrocyte_base::Result;

    #[test]
    fn components_are_those_along_eigenvectors() -> Result<()> {
        let mut spectrum = Spectrum::default();
        for n in [1, 2, 5, 12, 40] {
            let mut stream = Stream::new(n as u64, 0);
            let half = Matrix::from_rows(n, n, (0..n * n).map(|_| stream.normal()).collect());
            let a = half.times(&half.transpose());
            let b: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
            let (values, vectors) = symmetric_eigen(&a)?;
            assert!(spectrum.decompose(&mut a.clone(), &b));
            let mut found: Vec<(f64, f64)> =
                spectrum.values().iter().copied().zip(spectrum.components().iter().map(|c| c.abs())).collect();
            found.sort_by(|x, y| x.0.total_cmp(&y.0));
            for (k, (value, component)) in found.into_iter().enumerate() {
                let expected: f64 = (0..n).map(|i| vectors[(i, k)] * b[i]).sum();
                assert!((value - values[k]).abs() < 1e-11 * values[n - 1]);
                assert!((component - expected.abs()).abs() < 1e-9, "{n} {component} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn equal_eigenvalues_share_a_sum() {
        // 3 I - 1 1' / 2: eigenvalue 3 five times, 3 - 6/2 = 0 once.
        let n = 6;
        let mut a = Matrix::from_rows(n, n, vec![-0.5; n * n]);
        (0..n).for_each(|i| a[(i, i)] += 3.0);
        let b = [1.0, 2.0, -1.0, 0.5, 0.0, 4.0];
        let mut spectrum = Spectrum::default();
        assert!(spectrum.decompose(&mut a, &b));
        let at_zero: f64 =
            spectrum.values().iter().zip(spectrum.components()).filter(|(d, _)| **d < 1.0).map(|(_, c)| c * c).sum();
        let mean: f64 = b.iter().sum::<f64>() / 6.0;
        assert!((at_zero - 6.0 * mean * mean).abs() < 1e-12);
    }
}
