//! [`barcode`]: where the genes of a set stand among all genes ordered by a statistic.

use ferrocyte_base::Result;
use ferrocyte_math::moving_average::tricube_moving_average;
use ferrocyte_math::ranks;

use super::rank_sum::check;

/// The numbers of a barcode plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Barcode {
    /// Genes from the smallest statistic to the largest.
    pub order: Vec<usize>,
    /// Places of the genes of the set in that order, in the order of the set.
    pub places: Vec<usize>,
    /// Share of the set among the genes around each place, relative to its share of all genes; with weights the share of
    /// their absolute values.
    pub enrichment: Vec<f64>,
}

/// Places of the genes of a set among all genes, and how dense they are.
///
/// `weights`: what each gene of the set counts; all alike without them. `span`: the share of all genes over which the
/// density is averaged.
///
/// # Errors
/// Where a statistic is NaN, or the set is empty or has every gene.
pub fn barcode(statistics: &[f64], set: &[usize], weights: Option<&[f64]>, span: f64) -> Result<Barcode> {
    check(set.len(), statistics)?;
    let n = statistics.len();
    let order = ranks::rising(statistics);
    let mut place = vec![0; n];
    order.iter().enumerate().for_each(|(at, &g)| place[g] = at);
    let places: Vec<usize> = set.iter().map(|&g| place[g]).collect();
    let mut marks = vec![0.0; n];
    let mut total = 0.0;
    for (i, &at) in places.iter().enumerate() {
        let weight = weights.map_or(1.0, |w| w[i].abs());
        marks[at] += weight;
        total += weight;
    }
    let mut enrichment = tricube_moving_average(&marks, span);
    enrichment.iter_mut().for_each(|x| *x *= n as f64 / total);
    Ok(Barcode { order, places, enrichment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_stand_where_their_statistics_are() -> Result<()> {
        let statistics: Vec<f64> = (0..100).map(|i| f64::from((i * 37) % 100)).collect();
        let set: Vec<usize> = (0..100).filter(|&g| statistics[g] >= 80.0).collect();
        let found = barcode(&statistics, &set, None, 0.45)?;
        assert!(found.places.iter().all(|&at| at >= 80));
        assert!(found.order.windows(2).all(|w| statistics[w[0]] <= statistics[w[1]]));
        assert!(found.enrichment[99] > 3.0 && found.enrichment[20] == 0.0);
        let weighted = barcode(&statistics, &set, Some(&[-2.0; 20]), 0.45)?;
        assert!(weighted.enrichment.iter().zip(&found.enrichment).all(|(a, b)| (a - b).abs() < 1e-12));
        Ok(())
    }
}
