//! Which features of a model are kept, and in which order.

use std::collections::HashSet;

use crate::model::{Model, margin};

/// The rows that are kept: both signs of the genes that mark a class best, by decreasing sum of their weights.
///
/// A feature marks the class in which its weight is largest, by how much it is above the second largest. Of each class
/// the first `per_class` are taken (`None`: all); features whose largest weight is tied mark none.
pub fn select(model: &Model, per_class: Option<usize>) -> Vec<usize> {
    let n = model.features.len();
    let margins: Vec<Option<(usize, f64)>> = (0..n).map(|row| margin(model.weights.row(row))).collect();
    let mut genes: HashSet<&str> = HashSet::new();
    for class in 0..model.classes.len() {
        let mut marks: Vec<(usize, f64)> = (0..n)
            .filter_map(|row| {
                margins[row].filter(|(best, delta)| *best == class && *delta > 0.0).map(|(_, d)| (row, d))
            })
            .collect();
        marks.sort_by(|a, b| b.1.total_cmp(&a.1));
        genes.extend(marks.iter().take(per_class.unwrap_or(n)).map(|&(row, _)| model.features[row].gene.as_str()));
    }
    let mut rows: Vec<usize> = (0..n).filter(|&row| genes.contains(model.features[row].gene.as_str())).collect();
    let sums: Vec<f64> = (0..n).map(|row| model.weights.row(row).iter().sum()).collect();
    rows.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Feature;
    use ferrocyte_math::linalg::Matrix;

    #[test]
    fn both_signs_of_marking_genes_stay() {
        let model = Model {
            cell_type: "B".into(),
            classes: vec!["SE1".into(), "SE2".into()],
            features: ["a__pos", "b__pos", "a__neg", "b__neg", "c__neg"].map(Feature::parse).to_vec(),
            weights: Matrix::from_rows(5, 2, vec![3.0, 1.0, 1.0, 1.0, 0.5, 0.6, 2.0, 2.0, 1.0, 9.0]),
        };
        // a marks SE1, c SE2; b marks none. With one feature a class, a__neg (0.1) gives way to c__neg (8).
        assert_eq!(select(&model, Some(1)), [4, 0, 2]);
        assert_eq!(select(&model, None), [4, 0, 2]);
    }
}
