//! How far two divisions of the same points agree.

use std::collections::BTreeMap;

use ferrocyte_base::{Fault, Result};

/// The adjusted Rand index: 1 for the same groups whatever their numbers, 0 on average for groups drawn at random with
/// the same sizes (L. Hubert and P. Arabie, *Comparing partitions*, 1985).
///
/// # Errors
///
/// Not as many labels in both.
///
/// ```
/// use ferrocyte_learn::adjusted_rand;
/// assert_eq!(adjusted_rand(&[0, 0, 1, 1], &[5, 5, 2, 2])?, 1.0);
/// assert!((adjusted_rand(&[0, 0, 1, 1], &[0, 0, 0, 1])? - 0.0).abs() < 1e-15);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn adjusted_rand(a: &[u32], b: &[u32]) -> Result<f64> {
    if a.len() != b.len() {
        return Err(Fault::bad_input(format!(
            "{} and {} labels were found, as many in both expected",
            a.len(),
            b.len()
        )));
    }
    let mut both: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    let (mut of_a, mut of_b): (BTreeMap<u32, f64>, BTreeMap<u32, f64>) = (BTreeMap::new(), BTreeMap::new());
    for (x, y) in a.iter().zip(b) {
        *both.entry((*x, *y)).or_default() += 1.0;
        *of_a.entry(*x).or_default() += 1.0;
        *of_b.entry(*y).or_default() += 1.0;
    }
    let pairs = |m: &f64| 0.5 * m * (m - 1.0);
    let joint: f64 = both.values().map(pairs).sum();
    let (pairs_a, pairs_b): (f64, f64) = (of_a.values().map(pairs).sum(), of_b.values().map(pairs).sum());
    let all = pairs(&(a.len() as f64));
    let expected = if all > 0.0 { pairs_a * pairs_b / all } else { 0.0 };
    let most = 0.5 * (pairs_a + pairs_b);
    // Both are one group, or both single points.
    Ok(if most == expected { 1.0 } else { (joint - expected) / (most - expected) })
}
