//! Pseudobulks: mixtures of cells of known groups, to learn and to test deconvolution with.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use crate::collate;
use crate::draws::Draws;
use crate::expression::Expression;

/// Normal numbers of each group, of which as many are taken as there are mixtures.
const POOL: usize = 10_000;

/// Cells of a mixture, about.
const CELLS: f64 = 1000.0;

/// What the total of a mixture becomes before its logarithm is taken.
const TARGET: f64 = 10_000.0;

/// Below this maximum values are taken for logarithms.
const LOGS_BELOW: f64 = 80.0;

/// Mixtures of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Pseudobulks {
    /// The mixtures: `Pseudobulk1`, ...
    pub names: Vec<String>,
    /// The groups, sorted.
    pub groups: Vec<String>,
    /// Mixtures × groups, each mixture summing to 1.
    pub fractions: Matrix,
    /// The genes.
    pub genes: Vec<String>,
    /// Mixtures × genes: `ln(1 + share of the mixture's total * 10,000)`.
    pub values: Matrix,
}

/// Mixes cells of `groups` in random fractions.
///
/// With `counts` cells are first divided by their totals; else values are taken as they are, or, where none reaches 80,
/// for `log2(x + 1)`. Fractions come of normal numbers of mean 2 and spread 1, those below 0 being 0; mixtures of two
/// groups or fewer are left out.
pub fn pseudobulks(
    run: &Run,
    x: &Expression,
    groups: &[String],
    counts: bool,
    n_mixtures: usize,
    draws: &mut Draws,
) -> Result<Pseudobulks> {
    if groups.len() != x.n_cells() {
        return Err(Fault::bad_input(format!("{} groups for {} cells", groups.len(), x.n_cells())).at("groups"));
    }
    let logs = !counts && x.range().1 < LOGS_BELOW;
    let levels = collate::sorted(groups);
    let members: Vec<Vec<usize>> =
        levels.iter().map(|level| (0..groups.len()).filter(|&cell| groups[cell] == *level).collect()).collect();
    let drawn: Vec<Vec<f64>> = levels
        .iter()
        .map(|_| {
            let pool: Vec<f64> = (0..POOL).map(|_| 2.0 + draws.normal()).collect();
            draws.sample(POOL, n_mixtures).into_iter().map(|i| pool[i].max(0.0)).collect()
        })
        .collect();
    let (mut names, mut fractions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let task = run.task("mixing", n_mixtures as u64);
    for mixture in 0..n_mixtures.min(POOL) {
        run.check()?;
        let weights: Vec<f64> = drawn.iter().map(|of| of[mixture]).collect();
        if weights.iter().filter(|w| **w > 0.0).count() <= 2 {
            continue;
        }
        let total: f64 = weights.iter().sum();
        let shares: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let mut sum = vec![0.0; x.n_genes()];
        let mut n = 0.0;
        for (share, cells) in shares.iter().zip(&members) {
            for _ in 0..(CELLS * share).round_ties_even() as usize {
                add(x, cells[draws.below(cells.len())], counts, logs, &mut sum);
                n += 1.0;
            }
        }
        sum.iter_mut().for_each(|x| *x /= n);
        let total: f64 = sum.iter().sum();
        values.extend(sum.iter().map(|x| (x / total * TARGET).ln_1p()));
        fractions.extend(shares);
        names.push(format!("Pseudobulk{}", names.len() + 1));
        task.advance(1);
    }
    let (n, k, g) = (names.len(), levels.len(), x.n_genes());
    Ok(Pseudobulks {
        names,
        groups: levels,
        fractions: Matrix::from_rows(n, k, fractions),
        genes: x.genes().to_vec(),
        values: Matrix::from_rows(n, g, values),
    })
}

fn add(x: &Expression, cell: usize, counts: bool, logs: bool, sum: &mut [f64]) {
    let (genes, values) = x.cell(cell);
    let total: f64 = values.iter().sum();
    for (&gene, &value) in genes.iter().zip(values) {
        sum[gene as usize] += if counts {
            value / total * TARGET
        } else if logs {
            libm::exp2(value) - 1.0
        } else {
            value
        };
    }
}
