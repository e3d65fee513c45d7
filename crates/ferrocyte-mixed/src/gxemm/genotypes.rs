//! The kinship of people from their genotypes: K = SS' / M, with S the standardised counts of M markers.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Block, add_block_product};
use ferrocyte_math::spd::mirror;

use super::kinship::ROWS;
use super::options::Standardize;

/// Markers that are taken at a time.
const MARKERS: usize = 256;

/// Genotypes, read in blocks of markers.
pub trait Markers {
    /// People.
    fn n_individuals(&self) -> usize;
    /// Markers.
    fn n_markers(&self) -> usize;
    /// Counted alleles, markers × people; negative where they are not known.
    fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>>;
}

/// The kinship from the markers that `chosen` says, row-major, and how many of them vary and are in it.
///
/// What is not known is taken for the mean of its marker. Markers that do not vary are left out.
pub fn kinship_of(
    run: &Run,
    markers: &mut dyn Markers,
    chosen: impl Fn(usize) -> bool,
    standardize: Standardize,
) -> Result<(Vec<f64>, usize)> {
    let (n, m) = (markers.n_individuals(), markers.n_markers());
    run.reserve("the kinship", 8 * (n * n) as u64)?;
    let mut kinship = vec![0.0; n * n];
    let mut used = 0;
    let task = run.task("kinship", m as u64);
    for first in (0..m).step_by(MARKERS) {
        run.check()?;
        let last = (first + MARKERS).min(m);
        let counts = markers.read(first..last)?;
        let rows = (first..last).zip(counts.chunks_exact(n)).filter(|(j, _)| chosen(*j));
        let scaled: Vec<f64> = rows.filter_map(|(_, row)| standardised(row, standardize)).flatten().collect();
        let width = scaled.len() / n;
        used += width;
        let block = Block::new(&scaled, width, n, n);
        run.for_each_chunk(&mut kinship, ROWS * n, |k, part| {
            let (at, height) = (k * ROWS, part.len() / n);
            let own = Block::new(&scaled[at.min(scaled.len())..], width, height, n);
            add_block_product(part, n, 1.0, own.transpose(), block.columns(at + height));
        })?;
        task.advance((last - first) as u64);
    }
    if used == 0 {
        return Err(Fault::bad_input(format!("none of {m} markers varies among these people")).at("genotypes"));
    }
    kinship.iter_mut().for_each(|x| *x /= used as f64);
    mirror(&mut kinship, n);
    Ok((kinship, used))
}

/// One marker with mean zero and standard deviation one; nothing where it does not vary.
pub(super) fn standardised(counts: &[i8], standardize: Standardize) -> Option<Vec<f64>> {
    // A marker has few values: they are counted once, and scaled once.
    let mut tally = [0_u32; 128];
    counts.iter().filter(|&&g| g >= 0).for_each(|&g| tally[g as usize] += 1);
    let each = || tally.iter().enumerate().filter(|t| *t.1 > 0).map(|(g, &n)| (g as f64, f64::from(n)));
    let n: f64 = each().map(|(_, n)| n).sum();
    let mean = each().map(|(g, n)| n * g).sum::<f64>() / n;
    let variance = match standardize {
        Standardize::Sample => each().map(|(g, n)| n * (g - mean) * (g - mean)).sum::<f64>() / (n - 1.0),
        Standardize::Expected => mean * (1.0 - 0.5 * mean),
    };
    if !(variance > 1e-12) {
        return None;
    }
    let scale = 1.0 / variance.sqrt();
    let scaled: Vec<f64> = (0..128).map(|g| (f64::from(g) - mean) * scale).collect();
    Some(counts.iter().map(|&g| if g < 0 { 0.0 } else { scaled[g as usize] }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<i8>, usize);

    impl Markers for Given {
        fn n_individuals(&self) -> usize {
            self.1
        }
        fn n_markers(&self) -> usize {
            self.0.len() / self.1
        }
        fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
            Ok(self.0[markers.start * self.1..markers.end * self.1].to_vec())
        }
    }

    #[test]
    fn the_kinship_is_the_product_of_standardised_counts() -> Result<()> {
        let (n, m) = (70, 300);
        let counts: Vec<i8> = (0..n * m).map(|k| ((k * k + k / 7) % 11 % 3) as i8).collect();
        let run = Run::new().threads(2);
        let (k, used) = kinship_of(&run, &mut Given(counts.clone(), n), |j| j != 5, Standardize::Sample)?;
        let rows: Vec<Vec<f64>> = counts
            .chunks_exact(n)
            .enumerate()
            .filter(|(j, _)| *j != 5)
            .filter_map(|(_, row)| standardised(row, Standardize::Sample))
            .collect();
        assert_eq!(used, rows.len());
        for (i, j) in [(0, 0), (69, 3), (3, 69), (65, 64)] {
            let expected = rows.iter().map(|r| r[i] * r[j]).sum::<f64>() / rows.len() as f64;
            assert!((k[i * n + j] - expected).abs() < 1e-12);
        }
        // The diagonal of sample-standardised counts has mean (n - 1) / n.
        let mean = (0..n).map(|i| k[i * n + i]).sum::<f64>() / n as f64;
        assert!((mean - (n - 1) as f64 / n as f64).abs() < 1e-12);
        assert!(kinship_of(&run, &mut Given(vec![1; 10], 5), |_| true, Standardize::Sample).is_err());
        Ok(())
    }

    #[test]
    fn unknown_counts_are_the_mean() {
        let row = standardised(&[0, 2, -1, 1], Standardize::Expected).unwrap_or_default();
        assert_eq!(row[2], 0.0);
        assert!((row[1] - 2.0_f64.sqrt()).abs() < 1e-12);
    }
}
