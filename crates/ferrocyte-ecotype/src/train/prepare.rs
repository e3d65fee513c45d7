//! What training does before any cell is drawn: the genes that vary most, and standardised values.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::ranks;

use super::{Labels, Mode, TrainOptions};
use crate::collate::{self, Index};
use crate::expression::Expression;
use crate::scale::Moments;

/// The cells of one type, ready to be drawn from.
pub(super) struct Prepared {
    pub(super) cell_type: String,
    pub(super) options: TrainOptions,
    /// The genes that are used, as places in the matrix, in their order.
    pub(super) genes: Vec<usize>,
    /// The cells, as places in the matrix, in the order in which they are drawn from.
    pub(super) cells: Vec<usize>,
    /// The sample of each cell: an index below `n_groups`.
    pub(super) group: Vec<usize>,
    pub(super) n_groups: usize,
    /// The samples that give cells when they are balanced, as indices; empty where there are no samples.
    pub(super) balanced: Vec<usize>,
    /// Names of samples, for streams of random numbers.
    pub(super) samples: Vec<String>,
    /// The label of each cell, and the labels.
    pub(super) label: Vec<usize>,
    pub(super) labels: Vec<String>,
    /// What is stored of the cells: for each the features 2 gene + (value < 0), genes counted in their order.
    pub(super) pointers: Vec<usize>,
    pub(super) features: Vec<u32>,
    /// Values without their sign.
    pub(super) sizes: Vec<f64>,
    /// What a value that is not stored has become: samples × genes.
    pub(super) zero: Vec<f64>,
}

impl Prepared {
    pub(super) fn new(x: &Expression, labels: &Labels<'_>, cell_type: &str, options: &TrainOptions) -> Result<Self> {
        let all: Vec<usize> = (0..x.n_cells()).filter(|&cell| labels.cell_type[cell] == cell_type).collect();
        let samples = match labels.sample {
            Some(names) => collate::sorted(all.iter().map(|&cell| &names[cell])),
            None => vec![String::new()],
        };
        let index = Index::of(&samples);
        let code = |cell: usize| labels.sample.and_then(|names| index.get(&names[cell])).unwrap_or(0);
        let mut of_sample = vec![Vec::new(); samples.len()];
        all.iter().for_each(|&cell| of_sample[code(cell)].push(cell));
        let large: Vec<usize> = match labels.sample {
            Some(_) => (0..samples.len()).filter(|&s| of_sample[s].len() > options.min_cells).collect(),
            None => vec![0],
        };
        if large.is_empty() {
            return Err(too_small(cell_type, &samples, &of_sample, options.min_cells));
        }
        let moments: Vec<Option<Moments>> =
            (0..samples.len()).map(|s| large.contains(&s).then(|| Moments::of(x, &of_sample[s]))).collect();
        let genes = most_variable(x.n_genes(), &moments, options.nfeature);
        // Small samples take part only where the reference lets them: without scaling, in the order of the input.
        let half_used = !options.scale && options.mode == Mode::Compat;
        let cells: Vec<usize> = if options.scale {
            large.iter().flat_map(|&s| of_sample[s].iter().copied()).collect()
        } else {
            all.into_iter().filter(|&cell| half_used || large.contains(&code(cell))).collect()
        };
        let level = collate::first_seen(cells.iter().map(|&cell| &labels.label[cell]));
        let level_index = Index::of(&level);
        let mut prepared = Self {
            cell_type: cell_type.to_owned(),
            options: *options,
            group: cells.iter().map(|&cell| code(cell)).collect(),
            n_groups: samples.len(),
            balanced: if labels.sample.is_some() && options.balance_sample { large } else { Vec::new() },
            samples,
            label: cells.iter().filter_map(|&cell| level_index.get(&labels.label[cell])).collect(),
            labels: level,
            pointers: vec![0],
            features: Vec::new(),
            sizes: Vec::new(),
            zero: Vec::new(),
            genes,
            cells,
        };
        prepared.fill(x, &moments);
        Ok(prepared)
    }

    /// Values of the genes used, standardised or not.
    fn fill(&mut self, x: &Expression, moments: &[Option<Moments>]) {
        let mut place = vec![None; x.n_genes()];
        self.genes.iter().enumerate().for_each(|(new, &old)| place[old] = Some(new));
        let standardised = |group: usize, gene: usize, value: f64| match &moments[group] {
            Some(moments) if self.options.scale => moments.z(gene, value),
            _ => value,
        };
        self.zero = (0..self.n_groups)
            .flat_map(|group| self.genes.iter().map(move |&gene| (group, gene)))
            .map(|(group, gene)| standardised(group, gene, 0.0))
            .collect();
        for (&cell, &group) in self.cells.iter().zip(&self.group) {
            let (genes, values) = x.cell(cell);
            for (&gene, &value) in genes.iter().zip(values) {
                if let Some(new) = place[gene as usize] {
                    let z = standardised(group, gene as usize, value);
                    self.features.push(2 * new as u32 + u32::from(z < 0.0));
                    self.sizes.push(z.abs());
                }
            }
            self.pointers.push(self.sizes.len());
        }
    }
}

/// The genes whose variances have the largest ranks, summed over samples; all in their order where they are few.
fn most_variable(n_genes: usize, moments: &[Option<Moments>], most: usize) -> Vec<usize> {
    if n_genes <= most {
        return (0..n_genes).collect();
    }
    let measured: Vec<&Moments> = moments.iter().flatten().collect();
    let mut score = vec![0.0; n_genes];
    for of_sample in &measured {
        let variances = of_sample.variances();
        // One sample is ordered by its variances themselves, which is the same.
        let ranks = ranks::average(&variances);
        score.iter_mut().zip(ranks).for_each(|(score, rank)| *score += rank);
    }
    let mut order: Vec<usize> = (0..n_genes).collect();
    order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
    order.truncate(most);
    order
}

fn too_small(cell_type: &str, samples: &[String], of_sample: &[Vec<usize>], min_cells: usize) -> Fault {
    let counts: Vec<String> =
        samples.iter().zip(of_sample).take(5).map(|(name, cells)| format!("`{name}` {}", cells.len())).collect();
    Fault::bad_input(format!(
        "no sample has more than {min_cells} cells of `{cell_type}`: {}{}",
        counts.join(", "),
        if samples.len() > 5 { ", .." } else { "" }
    ))
    .at("sample")
    .hint("lower min_cells, or train without samples")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_variances_add_up() {
        let of = |sd: [f64; 3]| Some(Moments { mean: vec![0.0; 3], sd: sd.to_vec() });
        // Ranks 1, 2, 3 and 3, 2, 1, then 1, 3, 2: sums 5, 7, 6.
        let moments = [of([1.0, 2.0, 3.0]), of([3.0, 2.0, 1.0]), None, of([1.0, 3.0, 2.0])];
        assert_eq!(most_variable(3, &moments, 2), [1, 2]);
        assert_eq!(most_variable(3, &moments, 3), [0, 1, 2]);
    }
}
