//! The weights of one draw of cells: means of classes.

use ferrocyte_math::linalg::Matrix;

use super::prepare::Prepared;
use super::{Basis, SmallClasses};
use crate::draws::{Draws, Rng};
use crate::expression::Expression;
use crate::model::{EPS, Feature, Model, Sign};

/// Classes of this many cells or fewer have no column.
const TINY: usize = 2;

/// Updates of the reference: with fixed coefficients its stopping rule is met here.
const UPDATES: usize = 420;

/// A spread below this share of the sum may be none at all, and is looked at value by value.
const NEARLY: f64 = 1e-9;

/// Weights of a draw, before features are chosen.
pub(super) struct Fit {
    /// Places of the cells among those prepared, in the order in which they were drawn.
    pub(super) drawn: Vec<usize>,
    /// Labels with a column, and how many cells they have.
    classes: Vec<usize>,
    sizes: Vec<usize>,
    /// How many cells were of classes without a column.
    tiny: usize,
    /// Gene (in the order of those prepared) and sign of each row.
    features: Vec<(usize, Sign)>,
    weights: Matrix,
}

impl Fit {
    /// What to know about it.
    pub(super) fn warning(&self, cell_type: &str) -> Option<String> {
        (self.tiny > 0).then(|| {
            format!(
                "{} cells of `{cell_type}` are of classes with {TINY} cells or fewer, which have no column",
                self.tiny
            )
        })
    }
}

impl Prepared {
    /// Draws cells and gives the weights; `Err` is the reason why there is no model.
    pub(super) fn fit(&self, seed: u64) -> Result<Fit, String> {
        let mut drawn = self.draw(seed);
        let mut counts = vec![0_usize; self.labels.len()];
        drawn.iter().for_each(|&cell| counts[self.label[cell]] += 1);
        let tiny = counts.iter().filter(|n| **n <= TINY).sum();
        if self.options.small_classes() == SmallClasses::Cells {
            drawn.retain(|&cell| counts[self.label[cell]] > TINY);
        }
        let mut classes: Vec<usize> = Vec::new();
        for &cell in &drawn {
            let label = self.label[cell];
            if counts[label] > TINY && !classes.contains(&label) {
                classes.push(label);
            }
        }
        if classes.len() < 2 {
            let message = format!("{} classes have more than {TINY} cells after sampling, 2 are needed", classes.len());
            return Err(message);
        }
        let sums = Sums::of(self, &drawn);
        let features = sums.features(self, &drawn);
        let weights = sums.weights(&features, &classes, &counts);
        Ok(Fit { drawn, sizes: classes.iter().map(|&k| counts[k]).collect(), classes, tiny, features, weights })
    }

    /// The cells of a draw: as many of each sample, then as many as there may be.
    fn draw(&self, seed: u64) -> Vec<usize> {
        let rng = self.options.rng();
        let mut current: Vec<usize> = (0..self.cells.len()).collect();
        if !self.balanced.is_empty() {
            let mut of_sample = vec![Vec::new(); self.n_groups];
            current.iter().for_each(|&cell| of_sample[self.group[cell]].push(cell));
            let size = median(of_sample.iter().map(Vec::len).filter(|n| *n > 0).collect());
            let size = size.max(self.options.min_cells);
            // One stream of R goes through all samples; our own have one each.
            let mut draws = Draws::new(rng, seed, &self.cell_type);
            current.clear();
            for &sample in &self.balanced {
                let cells = &of_sample[sample];
                if cells.len() <= size {
                    current.extend_from_slice(cells);
                    continue;
                }
                if rng == Rng::Native {
                    draws = Draws::new(rng, seed, &format!("{}\u{1f}{}", self.cell_type, self.samples[sample]));
                }
                current.extend(draws.sample(cells.len(), size).into_iter().map(|i| cells[i]));
            }
        }
        if current.len() > self.options.downsample {
            let mut draws = Draws::new(rng, seed, &self.cell_type);
            return draws.sample(current.len(), self.options.downsample).into_iter().map(|i| current[i]).collect();
        }
        current
    }

    /// The model of a fit, all features in it.
    pub(super) fn model(&self, x: &Expression, fit: &Fit) -> Model {
        let feature = |&(gene, sign): &(usize, Sign)| Feature { gene: x.genes()[self.genes[gene]].clone(), sign };
        Model {
            cell_type: self.cell_type.clone(),
            classes: fit.classes.iter().map(|&k| self.labels[k].clone()).collect(),
            features: fit.features.iter().map(feature).collect(),
            weights: fit.weights.clone(),
        }
    }

    /// What a fit was made of.
    pub(super) fn basis(&self, x: &Expression, fit: &Fit) -> Basis {
        let mut used = vec![false; self.genes.len()];
        fit.features.iter().for_each(|&(gene, _)| used[gene] = true);
        let name = |&gene: &usize| x.genes()[gene].clone();
        Basis {
            genes: self.genes.iter().map(name).collect(),
            cells: fit.drawn.iter().map(|&cell| x.cells()[self.cells[cell]].clone()).collect(),
            class_sizes: fit.sizes.clone(),
            dropped_genes: self.genes.iter().zip(used).filter(|(_, used)| !used).map(|(gene, _)| name(gene)).collect(),
        }
    }
}

/// The whole part of the median.
fn median(mut sizes: Vec<usize>) -> usize {
    sizes.sort_unstable();
    let n = sizes.len();
    if n == 0 { 0 } else { usize::midpoint(sizes[(n - 1) / 2], sizes[n / 2]) }
}

/// Sums of values over the drawn cells of each label: labels × features, both signs of a gene side by side.
struct Sums {
    values: Vec<f64>,
    width: usize,
    signed: bool,
}

impl Sums {
    /// One pass over what is stored of the cells; what is not is the same number for all cells of a sample.
    fn of(prepared: &Prepared, drawn: &[usize]) -> Self {
        let (width, groups) = (2 * prepared.genes.len(), prepared.n_groups);
        let blocks = prepared.labels.len() * groups;
        let (mut values, mut stored) = (vec![0.0; blocks * width], vec![0_u32; blocks * width]);
        let mut n_cells = vec![0_u32; blocks];
        for &cell in drawn {
            let block = prepared.label[cell] * groups + prepared.group[cell];
            n_cells[block] += 1;
            let (values, stored) = (&mut values[block * width..][..width], &mut stored[block * width..][..width]);
            let range = prepared.pointers[cell]..prepared.pointers[cell + 1];
            for (&feature, &size) in prepared.features[range.clone()].iter().zip(&prepared.sizes[range]) {
                values[feature as usize] += size;
                stored[feature as usize] += 1;
            }
        }
        let mut signed = false;
        let mut totals = vec![0.0; prepared.labels.len() * width];
        for block in 0..blocks {
            let (label, group) = (block / groups, block % groups);
            let zero = &prepared.zero[group * width / 2..][..width / 2];
            let total = &mut totals[label * width..][..width];
            for (gene, &zero) in zero.iter().enumerate() {
                let at = block * width + 2 * gene;
                let absent = n_cells[block] - stored[at] - stored[at + 1];
                signed |= stored[at + 1] > 0 || (absent > 0 && zero < 0.0);
                total[2 * gene] += values[at];
                total[2 * gene + 1] += values[at + 1];
                if absent > 0 {
                    total[2 * gene + usize::from(zero < 0.0)] += f64::from(absent) * zero.abs();
                }
            }
        }
        Self { values: totals, width, signed }
    }

    /// The rows: all genes, or their positive and then their negative parts; those without spread are left out.
    fn features(&self, prepared: &Prepared, drawn: &[usize]) -> Vec<(usize, Sign)> {
        let n_genes = self.width / 2;
        let signs: &[Sign] = if self.signed { &[Sign::Positive, Sign::Negative] } else { &[Sign::None] };
        let rows = signs.iter().flat_map(|&sign| (0..n_genes).map(move |gene| (gene, sign)));
        let first: Vec<f64> = drawn.first().map(|&cell| prepared.row(cell)).unwrap_or_default();
        rows.filter(|&(gene, sign)| {
            let slot = slot(gene, sign);
            let total: f64 = self.values.iter().skip(slot).step_by(self.width).sum();
            let flat = first[slot] * drawn.len() as f64;
            // Most rows vary visibly; the others are looked at.
            total != 0.0
                && ((total - flat).abs() > NEARLY * total
                    || drawn.iter().any(|&cell| prepared.row(cell)[slot] != first[slot]))
        })
        .collect()
    }

    /// Means of classes, not below [`EPS`]; where cells of no class took part, the fixed point of the updates.
    fn weights(&self, features: &[(usize, Sign)], classes: &[usize], counts: &[usize]) -> Matrix {
        let n_labels = counts.len();
        let others: Vec<usize> = (0..n_labels).filter(|label| !classes.contains(label)).collect();
        let mut weights = Matrix::zeros(features.len(), classes.len());
        for (row, &(gene, sign)) in features.iter().enumerate() {
            let slot = slot(gene, sign);
            let sum = |label: usize| self.values[label * self.width + slot];
            let leaking: f64 = others.iter().map(|&label| sum(label)).sum();
            let w = weights.row_mut(row);
            for (w, &label) in w.iter_mut().zip(classes) {
                *w = sum(label) / counts[label] as f64;
            }
            if leaking > 0.0 {
                let known: Vec<(f64, f64)> = classes.iter().map(|&label| (sum(label), counts[label] as f64)).collect();
                leak(w, leaking, &known);
            }
            w.iter_mut().for_each(|w| *w = w.max(EPS));
        }
        weights
    }
}

/// `w_k <- (S_k + w_k T / sum w) / n_k`: cells without a class count as mixtures of all.
fn leak(w: &mut [f64], total: f64, classes: &[(f64, f64)]) {
    w.iter_mut().for_each(|w| *w = w.max(EPS));
    for _ in 0..UPDATES {
        let share = total / w.iter().sum::<f64>();
        let mut change = 0.0_f64;
        for (w, &(sum, n)) in w.iter_mut().zip(classes) {
            let new = (sum + *w * share) / n;
            change = change.max(((new - *w) / new).abs());
            *w = new;
        }
        if !(change >= 1e-15) {
            break;
        }
    }
}

/// Where a feature stands among both signs of all genes.
fn slot(gene: usize, sign: Sign) -> usize {
    2 * gene + usize::from(sign == Sign::Negative)
}

impl Prepared {
    /// Both parts of all genes of a cell.
    fn row(&self, cell: usize) -> Vec<f64> {
        let n_genes = self.genes.len();
        let zero = &self.zero[self.group[cell] * n_genes..][..n_genes];
        let mut row: Vec<f64> = zero.iter().flat_map(|&z| [z.max(0.0), (-z).max(0.0)]).collect();
        for k in self.pointers[cell]..self.pointers[cell + 1] {
            let feature = self.features[k] as usize;
            row[feature ^ 1] = 0.0;
            row[feature] = self.sizes[k];
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_rounded_down() {
        assert_eq!([median(vec![3, 8]), median(vec![9, 1, 4]), median(vec![])], [5, 4, 0]);
    }

    #[test]
    fn leaking_reaches_a_fixed_point() {
        let (sums, n) = ([12.0, 3.0], [10.0, 5.0]);
        let mut w = [1.2, 0.6];
        leak(&mut w, 4.0, &[(sums[0], n[0]), (sums[1], n[1])]);
        let total: f64 = w.iter().sum();
        for k in 0..2 {
            let again = (sums[k] + w[k] * 4.0 / total) / n[k];
            assert!((again - w[k]).abs() < 1e-12);
        }
    }
}
