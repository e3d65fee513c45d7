//! Values of cells in the features of a model.

use std::collections::HashMap;

use crate::expression::Expression;
use crate::model::{Model, Sign};
use crate::scale::Moments;

/// Genes of the model, where they are in the matrix, and where their features are in the model.
pub(super) struct Shared {
    /// Places in the matrix, in the order of the model's genes.
    pub(super) genes: Vec<usize>,
    /// Rows of the model: positive part (or the gene itself) and negative part.
    rows: Vec<[Option<usize>; 2]>,
    /// Place among the shared genes of each gene of the matrix.
    place: Vec<Option<u32>>,
}

impl Shared {
    pub(super) fn new(all: &[String], model: &Model) -> Self {
        let places: HashMap<&str, usize> = all.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let names: Vec<String> = model.genes().into_iter().filter(|gene| places.contains_key(gene.as_str())).collect();
        let genes: Vec<usize> = names.iter().filter_map(|gene| places.get(gene.as_str()).copied()).collect();
        let index = crate::collate::Index::of(&names);
        let mut rows = vec![[None; 2]; genes.len()];
        for (row, feature) in model.features.iter().enumerate() {
            if let Some(gene) = index.get(&feature.gene) {
                rows[gene][usize::from(feature.sign == Sign::Negative)] = Some(row);
            }
        }
        let mut place = vec![None; all.len()];
        genes.iter().enumerate().for_each(|(new, &old)| place[old] = Some(new as u32));
        Self { genes, rows, place }
    }

    /// The values of a cell, gene by gene.
    pub(super) fn values(&self, x: &Expression, moments: Option<&Moments>, cell: usize, out: &mut Vec<f64>) {
        out.clear();
        out.extend(self.genes.iter().map(|&gene| moments.map_or(0.0, |m| m.z(gene, 0.0))));
        let (genes, values) = x.cell(cell);
        for (&gene, &value) in genes.iter().zip(values) {
            if let Some(new) = self.place[gene as usize] {
                out[new as usize] = moments.map_or(value, |m| m.z(gene as usize, value));
            }
        }
    }
}

/// The features that take part: those that vary over some cells.
pub(super) struct Active {
    /// Row of the model for the positive and the negative part of each shared gene, where it takes part.
    pub(super) rows: Vec<[Option<usize>; 2]>,
    /// How many there are.
    pub(super) n: usize,
    /// The largest value.
    pub(super) most: f64,
    /// Whether any value is negative.
    pub(super) negative: bool,
}

impl Active {
    /// Looks at all values of the given cells.
    pub(super) fn over(shared: &Shared, x: &Expression, moments: Option<&Moments>, cells: &[usize]) -> Self {
        let g = shared.genes.len();
        let (mut least, mut most) = (vec![f64::INFINITY; g], vec![f64::NEG_INFINITY; g]);
        let mut values = Vec::with_capacity(g);
        for &cell in cells {
            shared.values(x, moments, cell, &mut values);
            for ((least, most), &value) in least.iter_mut().zip(&mut most).zip(&values) {
                *least = least.min(value);
                *most = most.max(value);
            }
        }
        Self::between(shared, &least, &most)
    }

    /// From the least and the largest value of each shared gene, as they enter the features.
    pub(super) fn between(shared: &Shared, least: &[f64], most: &[f64]) -> Self {
        let g = shared.genes.len();
        let negative = least.iter().any(|&least| least < 0.0);
        let mut out = Self { rows: Vec::with_capacity(g), n: 0, most: 0.0, negative };
        for gene in 0..g {
            let varies = [least[gene].max(0.0) < most[gene].max(0.0), (-most[gene]).max(0.0) < (-least[gene]).max(0.0)];
            let rows = [0, 1].map(|side| shared.rows[gene][side].filter(|_| varies[side]));
            for (side, size) in [most[gene], -least[gene]].into_iter().enumerate() {
                if rows[side].is_some() {
                    out.n += 1;
                    out.most = out.most.max(size);
                }
            }
            out.rows.push(rows);
        }
        out
    }

    /// Sums of the weights of each class over the features that take part.
    pub(super) fn weight_sums(&self, model: &Model) -> Vec<f64> {
        let mut sums = vec![0.0; model.classes.len()];
        for side in [0, 1] {
            for row in self.rows.iter().filter_map(|rows| rows[side]) {
                sums.iter_mut().zip(model.weights.row(row)).for_each(|(sum, w)| *sum += w);
            }
        }
        sums
    }

    /// The features of a cell that are not 0: their values and rows of the model.
    pub(super) fn features(&self, values: &[f64], out: &mut Vec<(f64, usize)>) {
        out.clear();
        for (&value, rows) in values.iter().zip(&self.rows) {
            if value != 0.0
                && let Some(row) = rows[usize::from(value < 0.0)]
            {
                out.push((value.abs(), row));
            }
        }
    }
}
