//! How well recovered labels meet the true ones.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

use crate::collate::{self, Index};

ferrocyte_base::choice! {
    /// What is measured.
    Metric, "metric" {
        /// The harmonic mean of precision and recall.
        F1 = "F1",
        /// With twice the weight of recall.
        F2 = "F2",
        /// Of those that are labelled so, the share that are so.
        Precision = "precision",
        /// Of those that are so, the share that are labelled so.
        Recall = "recall",
    }
}

/// A measure of each label, averaged over samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The true labels.
    pub labels: Vec<String>,
    /// The measure of each label.
    pub values: Vec<f64>,
    /// Labels × labels, as the reference gives it: true (or, of precision, predicted) in rows. Only its diagonal,
    /// [`Metrics::values`], is a measure of anything when precision and recall are combined.
    pub matrix: Matrix,
}

impl Metrics {
    /// The mean over labels.
    pub fn macro_average(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }
}

/// Measures labels against the true ones.
///
/// With `cell_type` labels are joined with the type (`SE1_B`), and sorted by type. With `sample` each is measured by
/// itself, and measures are averaged over the samples that have the label. Labels that no cell truly has are left
/// out, and the shares of the others are of what is left.
pub fn metrics(
    truth: &[String],
    predicted: &[String],
    cell_type: Option<&[String]>,
    sample: Option<&[String]>,
    metric: Metric,
) -> Result<Metrics> {
    let n = truth.len();
    for (name, column) in [("predicted", Some(predicted)), ("cell_type", cell_type), ("sample", sample)] {
        if let Some(found) = column.map(<[String]>::len).filter(|found| *found != n) {
            return Err(Fault::bad_input(format!("{found} values for {n} true labels")).at(name));
        }
    }
    let joined = |labels: &[String]| -> Vec<String> {
        match cell_type {
            Some(types) => labels.iter().zip(types).map(|(label, of)| format!("{label}_{of}")).collect(),
            None => labels.to_vec(),
        }
    };
    let labels = match cell_type {
        Some(types) => {
            let mut pairs: Vec<(&String, &String)> = types.iter().zip(truth).collect();
            pairs.sort_by(|a, b| collate::collate(a.0, b.0).then_with(|| collate::collate(a.1, b.1)));
            collate::first_seen(pairs.into_iter().map(|(of, label)| format!("{label}_{of}")))
        }
        None => collate::first_seen(truth),
    };
    let (truth, predicted) = (joined(truth), joined(predicted));
    let samples = sample.map(collate::first_seen);
    let groups: Vec<Vec<usize>> = match (&samples, sample) {
        (Some(names), Some(of)) => {
            names.iter().map(|name| (0..n).filter(|&cell| of[cell] == *name).collect()).collect()
        }
        _ => vec![(0..n).collect()],
    };
    let index = Index::of(&labels);
    let k = labels.len();
    let (mut sum, mut count) = (Matrix::zeros(k, k), vec![0.0_f64; k * k]);
    for cells in groups {
        let table = Table::of(&truth, &predicted, &cells, &index);
        for (a, b, value) in table.measure(metric) {
            if !value.is_nan() {
                sum[(a, b)] += value;
                count[a * k + b] += 1.0;
            }
        }
    }
    sum.entries_mut().iter_mut().zip(count).for_each(|(sum, n)| *sum /= n.max(1.0));
    Ok(Metrics { values: sum.diagonal(), labels, matrix: sum })
}

/// Counts of true and predicted labels, of the labels that are true of any cell.
struct Table {
    /// Places of the labels.
    labels: Vec<usize>,
    /// True × predicted.
    counts: Matrix,
}

impl Table {
    fn of(truth: &[String], predicted: &[String], cells: &[usize], index: &Index) -> Self {
        let mut labels: Vec<usize> = cells.iter().filter_map(|&cell| index.get(&truth[cell])).collect();
        labels.sort_unstable();
        labels.dedup();
        let mut place = vec![None; index.len()];
        labels.iter().enumerate().for_each(|(new, &old)| place[old] = Some(new));
        let code = |name: &String| index.get(name).and_then(|old| place[old]);
        let mut counts = Matrix::zeros(labels.len(), labels.len());
        for &cell in cells {
            if let (Some(a), Some(b)) = (code(&truth[cell]), code(&predicted[cell])) {
                counts[(a, b)] += 1.0;
            }
        }
        Self { labels, counts }
    }

    /// The measure of each pair of labels, as places; NaN where there is none.
    fn measure(&self, metric: Metric) -> Vec<(usize, usize, f64)> {
        let k = self.labels.len();
        let recall = shares(&self.counts);
        let precision = shares(&self.counts.transpose());
        let known = |x: f64| if x.is_nan() { 0.0 } else { x };
        let f = |beta: f64, p: f64, r: f64| {
            let (p, r) = (known(p), known(r));
            (1.0 + beta * beta) * p * r / (beta * beta * p + r)
        };
        let mut out = Vec::with_capacity(k * k);
        for a in 0..k {
            for b in 0..k {
                let (p, r) = (precision[(a, b)], recall[(a, b)]);
                let value = match metric {
                    Metric::F1 => f(1.0, p, r),
                    Metric::F2 => f(2.0, p, r),
                    Metric::Precision => p,
                    Metric::Recall => r,
                };
                out.push((self.labels[a], self.labels[b], value));
            }
        }
        out
    }
}

/// Rows divided by their sums; NaN where that is 0.
fn shares(counts: &Matrix) -> Matrix {
    let mut shares = counts.clone();
    for row in 0..shares.n_rows() {
        let row = shares.row_mut(row);
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|&w| w.to_owned()).collect()
    }

    #[test]
    fn shares_are_of_true_and_of_predicted_labels() -> Result<()> {
        let (truth, found) = (texts(&["a", "a", "a", "b", "b"]), texts(&["a", "a", "b", "b", "none"]));
        let recall = metrics(&truth, &found, None, None, Metric::Recall)?;
        // The cell without a label is left out of what is shared.
        assert_eq!(recall.values, [2.0 / 3.0, 1.0]);
        let precision = metrics(&truth, &found, None, None, Metric::Precision)?;
        assert_eq!(precision.values, [1.0, 0.5]);
        let f1 = metrics(&truth, &found, None, None, Metric::F1)?;
        assert!((f1.values[0] - 0.8).abs() < 1e-15 && (f1.macro_average() - 11.0 / 15.0).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn types_and_samples_are_told_apart() -> Result<()> {
        let (truth, found) = (texts(&["a", "b", "a", "b"]), texts(&["a", "b", "b", "b"]));
        let sample = texts(&["s1", "s1", "s2", "s2"]);
        let by_sample = metrics(&truth, &found, None, Some(&sample), Metric::Recall)?;
        assert_eq!(by_sample.values, [0.5, 1.0]);
        let by_type = metrics(&truth, &found, Some(&texts(&["T", "B", "B", "T"])), None, Metric::Recall)?;
        assert_eq!(by_type.labels, ["a_B", "b_B", "a_T", "b_T"]);
        assert_eq!(by_type.values, [0.0, 1.0, 1.0, 1.0]);
        Ok(())
    }
}
