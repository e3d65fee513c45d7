//! The covariance of one individual's values, inverted.

/// A block whose largest eigenvalue is this many times the smallest counts as singular (the reference's own wall).
pub(super) const MAX_RATIO: f64 = 1e6;

/// The same ratio at which nothing but rounding is left of the smallest eigenvalue.
pub(super) const SINGULAR: f64 = 1e12;

/// The same ratio at which a search for a covariance matrix is taken to be on its way to no bound.
pub(super) const STEEP: f64 = 1e9;

/// Inverts S = shared 11' + diag(d) into `out`, m × m within rows of length `stride`; the logarithm of its determinant,
/// or `None` where it is not positive definite or the largest eigenvalue is `wall` times the smallest or more.
pub(super) fn invert_rank_one(d: &[f64], shared: f64, out: &mut [f64], stride: usize, wall: f64) -> Option<f64> {
    let m = d.len();
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for &x in d {
        least = least.min(x);
        most = most.max(x);
    }
    let cancels = shared < 0.0 && least < 1e-7 * most;
    if !(least > 0.0) || cancels {
        // The formula below loses digits, or S is positive definite with one entry that is not positive.
        fill_rank_one(d, shared, out, stride);
        return invert(out, m, stride, wall);
    }
    let (mut total, mut determinant, mut trace) = (0.0, 1.0, 0.0);
    for &x in d {
        total += 1.0 / x;
        determinant *= x;
        trace += x + shared;
    }
    let growth = 1.0 + shared * total;
    if !(growth > 0.0) {
        return None;
    }
    let factor = shared / growth;
    let mut inverse_trace = 0.0;
    for a in 0..m {
        let s = 1.0 / d[a];
        let mut others = 0.0;
        for b in 0..m {
            if a != b {
                let t = 1.0 / d[b];
                others += t;
                out[a * stride + b] = -factor * s * t;
            }
        }
        // 1 - factor s, without a difference of like numbers.
        let own = s * (1.0 + shared * others) / growth;
        out[a * stride + a] = own;
        inverse_trace += own;
    }
    let bound = trace * inverse_trace;
    if bound >= wall {
        let mut s = vec![0.0; m * m];
        fill_rank_one(d, shared, &mut s, m);
        if bound >= wall * (m * m) as f64 || eigenvalue_ratio(&mut s, m) >= wall {
            return None;
        }
    }
    let determinant = determinant * growth;
    Some(if determinant.is_normal() { determinant.ln() } else { ln_determinant(d, growth) })
}

fn fill_rank_one(d: &[f64], shared: f64, out: &mut [f64], stride: usize) {
    for (a, &x) in d.iter().enumerate() {
        for b in 0..d.len() {
            out[a * stride + b] = shared + if a == b { x } else { 0.0 };
        }
    }
}

fn ln_determinant(d: &[f64], growth: f64) -> f64 {
    d.iter().map(|x| x.ln()).sum::<f64>() + growth.ln()
}

/// Inverts the symmetric matrix at the head of `s` (m × m within rows of length `stride`) in place by its Cholesky
/// factor; returns and fails like [`invert_rank_one`].
pub(super) fn invert(s: &mut [f64], m: usize, stride: usize, wall: f64) -> Option<f64> {
    let mut copy: Vec<f64> = (0..m).flat_map(|a| s[a * stride..a * stride + m].to_vec()).collect();
    let trace: f64 = (0..m).map(|a| copy[a * m + a]).sum();
    let mut factor = copy.clone();
    let ln_determinant = cholesky(&mut factor, m)?;
    invert_lower(&mut factor, m);
    let mut inverse_trace = 0.0;
    for a in 0..m {
        for b in 0..=a {
            let sum: f64 = (a..m).map(|k| factor[k * m + a] * factor[k * m + b]).sum();
            s[a * stride + b] = sum;
            s[b * stride + a] = sum;
        }
        inverse_trace += s[a * stride + a];
    }
    let bound = trace * inverse_trace;
    let fine = bound < wall || (bound < wall * (m * m) as f64 && eigenvalue_ratio(&mut copy, m) < wall);
    fine.then_some(ln_determinant)
}

/// The lower Cholesky factor in place, and the logarithm of the determinant.
pub(super) fn cholesky(a: &mut [f64], m: usize) -> Option<f64> {
    let mut ln = 0.0;
    for j in 0..m {
        for i in j..m {
            let mut value = a[i * m + j];
            for k in 0..j {
                value -= a[i * m + k] * a[j * m + k];
            }
            if i == j {
                if !(value > 0.0) {
                    return None;
                }
                ln += value.ln();
                a[j * m + j] = value.sqrt();
            } else {
                a[i * m + j] = value / a[j * m + j];
            }
        }
    }
    Some(ln)
}

/// The inverse of a lower triangle, in place.
fn invert_lower(l: &mut [f64], m: usize) {
    for j in 0..m {
        l[j * m + j] = 1.0 / l[j * m + j];
        for i in j + 1..m {
            let sum: f64 = (j..i).map(|k| l[i * m + k] * l[k * m + j]).sum();
            l[i * m + j] = -sum / l[i * m + i];
        }
    }
}

/// Eigenvalues of a small symmetric matrix by Jacobi's rotations; the matrix is overwritten.
pub(super) fn eigenvalues(a: &mut [f64], m: usize) -> Vec<f64> {
    for _ in 0..60 {
        let off: f64 = (0..m).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * m + j].powi(2)).sum();
        let on: f64 = (0..m).map(|i| a[i * m + i].powi(2)).sum();
        if off <= 1e-32 * on {
            break;
        }
        for p in 1..m {
            for q in 0..p {
                rotate(a, m, p, q);
            }
        }
    }
    (0..m).map(|i| a[i * m + i]).collect()
}

/// One rotation that makes entry (p, q) zero.
fn rotate(a: &mut [f64], m: usize, p: usize, q: usize) {
    let entry = a[p * m + q];
    if entry == 0.0 {
        return;
    }
    let theta = (a[q * m + q] - a[p * m + p]) / (2.0 * entry);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let t = if theta == 0.0 { 1.0 } else { t };
    let cosine = 1.0 / t.hypot(1.0);
    let sine = t * cosine;
    for k in 0..m {
        let (x, y) = (a[k * m + p], a[k * m + q]);
        a[k * m + p] = cosine * x - sine * y;
        a[k * m + q] = sine * x + cosine * y;
    }
    for k in 0..m {
        let (x, y) = (a[p * m + k], a[q * m + k]);
        a[p * m + k] = cosine * x - sine * y;
        a[q * m + k] = sine * x + cosine * y;
    }
}

/// The largest eigenvalue over the smallest; infinite where one is not positive.
fn eigenvalue_ratio(a: &mut [f64], m: usize) -> f64 {
    let values = eigenvalues(a, m);
    let (low, high) = values.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &x| (l.min(x), h.max(x)));
    if low > 0.0 { high / low } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_invert_agree() {
        let d = [0.7, 1.9, 0.2, 3.0];
        for shared in [0.4, 0.0, -0.02] {
            let mut one = vec![0.0; 20];
            let mut other = vec![0.0; 20];
            for a in 0..4 {
                for b in 0..4 {
                    other[a * 5 + b] = shared + if a == b { d[a] } else { 0.0 };
                }
            }
            let (x, y) = (invert_rank_one(&d, shared, &mut one, 5, MAX_RATIO), invert(&mut other, 4, 5, MAX_RATIO));
            assert!((x.unwrap_or(f64::NAN) - y.unwrap_or(f64::NAN)).abs() < 1e-13);
            for (a, b) in one.iter().zip(&other) {
                assert!((a - b).abs() < 1e-13, "{a} {b}");
            }
        }
    }

    #[test]
    fn one_negative_entry_may_be_made_up_for() {
        let mut out = vec![0.0; 9];
        assert!(invert_rank_one(&[-0.1, 1.0, 2.0], 1.0, &mut out, 3, MAX_RATIO).is_some());
        assert!(invert_rank_one(&[-0.1, -0.1, 2.0], 1.0, &mut out, 3, MAX_RATIO).is_none());
        assert!(invert_rank_one(&[1.0, 1.0, 1.0], -0.4, &mut out, 3, MAX_RATIO).is_none());
        assert!(invert_rank_one(&[1e-7, 1.0, 2.0], 0.0, &mut out, 3, MAX_RATIO).is_none(), "too far apart");
        assert!(invert_rank_one(&[1e-7, 1.0, 2.0], 0.0, &mut out, 3, f64::INFINITY).is_some());
        assert!(invert_rank_one(&[4e-6, 1.0, 2.0], 0.0, &mut out, 3, MAX_RATIO).is_some());
    }

    #[test]
    fn eigenvalues_have_the_right_sums() {
        let a = [2.0, 0.3, -0.4, 0.3, 1.0, 0.9, -0.4, 0.9, 0.5];
        let values = eigenvalues(&mut a.to_vec(), 3);
        assert!((values.iter().sum::<f64>() - 3.5).abs() < 1e-14);
        let square: f64 = a.iter().map(|x| x * x).sum();
        assert!((values.iter().map(|x| x * x).sum::<f64>() - square).abs() < 1e-13);
    }
}
