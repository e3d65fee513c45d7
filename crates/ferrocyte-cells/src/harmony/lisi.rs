//! [`lisi`]: how many batches there effectively are around each cell.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Factor;

/// How many batches there effectively are around each cell: the inverse Simpson index of the labels of its neighbours
/// (Korsunsky et al. 2019), between 1 and the number of batches.
///
/// `indices` and `distances` are cells × `m`: the neighbours of each cell, itself not among them (three times the
/// perplexity is usual). Neighbours have weights that fall with their distance, as fast as makes the entropy of the
/// weights the logarithm of `perplexity`. Neighbours without label have weight but no batch.
///
/// # Errors
/// Arrays of other sizes, a neighbour that does not exist, a perplexity that is not between 1 and `m`.
pub fn lisi(
    run: &Run,
    indices: &[u32],
    distances: &[f64],
    m: usize,
    labels: &Factor,
    perplexity: f64,
) -> Result<Vec<f64>> {
    const CELLS: usize = 256;
    let n = labels.codes.len();
    if indices.len() != n * m || distances.len() != n * m {
        return Err(Fault::bad_input(format!(
            "{} neighbours and {} distances for {n} cells with {m} neighbours each",
            indices.len(),
            distances.len()
        )));
    }
    if !(perplexity > 1.0 && perplexity < m as f64) {
        return Err(
            Fault::bad_input(format!("a number between 1 and {m} is expected, found {perplexity}")).at("perplexity")
        );
    }
    if let Some(&index) = indices.iter().find(|&&i| i as usize >= n) {
        return Err(Fault::bad_input(format!("neighbour {index} of {n} cells")));
    }
    run.map_blocks("lisi", n, CELLS, |cell| {
        let range = cell * m..(cell + 1) * m;
        let weights = weights(&distances[range.clone()], perplexity.ln());
        let mut shares = vec![0.0; labels.levels.len()];
        for (&index, weight) in indices[range].iter().zip(weights) {
            if let Some(share) = shares.get_mut(labels.codes.get(index as usize) as usize) {
                *share += weight;
            }
        }
        Ok(1.0 / shares.iter().map(|share| share * share).sum::<f64>())
    })
}

/// `exp(-beta d)` with the sum 1 and the entropy `wanted`, by bisection on beta.
fn weights(distances: &[f64], wanted: f64) -> Vec<f64> {
    const STEPS: usize = 50;
    const TOLERANCE: f64 = 1e-5;
    let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let (mut beta, mut low, mut high) = (1.0_f64, f64::NEG_INFINITY, f64::INFINITY);
    let mut weights = Vec::new();
    for _ in 0..STEPS {
        weights.clear();
        weights.extend(distances.iter().map(|d| (-(d - nearest) * beta).exp()));
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        let entropy = -weights.iter().filter(|w| **w > 0.0).map(|w| w * w.ln()).sum::<f64>();
        if (entropy - wanted).abs() < TOLERANCE {
            break;
        }
        if entropy > wanted {
            low = beta;
            beta = if high.is_infinite() { 2.0 * beta } else { 0.5 * (beta + high) };
        } else {
            high = beta;
            beta = if low.is_infinite() { 0.5 * beta } else { 0.5 * (beta + low) };
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_is_one_and_two_in_equal_shares_are_two() -> Result<()> {
        let indices: Vec<u32> = (0..4).flat_map(|i| (0..4).filter(move |j| *j != i)).collect();
        let distances = [1.0; 12];
        let one = Factor::from_texts(["a"; 4].map(Some));
        assert_eq!(lisi(&Run::new(), &indices, &distances, 3, &one, 2.0)?, [1.0; 4]);
        let two = Factor::from_texts(["a", "b", "a", "b"].map(Some));
        let found = lisi(&Run::new(), &indices, &distances, 3, &two, 2.0)?;
        assert!(found.iter().all(|l| (l - 1.8).abs() < 1e-12), "{found:?}");
        assert!(lisi(&Run::new(), &indices, &distances, 3, &two, 3.0).is_err());
        assert!(lisi(&Run::new(), &[7; 12], &distances, 3, &two, 2.0).is_err());
        Ok(())
    }

    #[test]
    fn weights_have_the_entropy() {
        let distances: Vec<f64> = (1..90).map(|i| f64::from(i).sqrt()).collect();
        let w = weights(&distances, 30.0_f64.ln());
        let entropy = -w.iter().map(|w| w * w.ln()).sum::<f64>();
        assert!((entropy - 30.0_f64.ln()).abs() < 1e-5 && (w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
