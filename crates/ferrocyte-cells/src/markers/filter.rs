//! [`MarkerFilter`]: which genes are worth showing as markers of a group.

use super::GroupMarkers;

/// Bounds on fractions, fold changes and adjusted p-values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkerFilter {
    /// Least share of the group that has the gene.
    pub min_fraction: f64,
    /// Largest share of the reference that has it.
    pub max_fraction_reference: f64,
    /// Least log2 fold change.
    pub min_log2_fold_change: f64,
    /// Largest log2 fold change.
    pub max_log2_fold_change: f64,
    /// Largest adjusted p-value.
    pub max_q: f64,
    /// Largest p-value.
    pub max_p: f64,
    /// Whether what lies on a bound is left out: so for figures; tables keep it.
    pub strict: bool,
}

impl MarkerFilter {
    /// For tables: bounds included, any p-value.
    pub fn for_tables() -> Self {
        Self {
            min_fraction: 0.25,
            max_fraction_reference: 0.75,
            min_log2_fold_change: 1.0,
            max_log2_fold_change: 100.0,
            max_q: f64::INFINITY,
            max_p: f64::INFINITY,
            strict: false,
        }
    }

    /// For figures: bounds left out, adjusted p-values below 0.05.
    pub fn for_figures() -> Self {
        Self { max_log2_fold_change: f64::INFINITY, max_q: 0.05, strict: true, ..Self::for_tables() }
    }

    /// The genes that pass, by falling score.
    pub fn select(&self, markers: &GroupMarkers) -> Vec<usize> {
        let mut order = markers.order(false);
        order.retain(|&gene| self.passes(markers, gene));
        order
    }

    fn passes(&self, markers: &GroupMarkers, gene: usize) -> bool {
        let above = |x: f64, bound: f64| if self.strict { x > bound } else { x >= bound };
        let below = |x: f64, bound: f64| if self.strict { x < bound } else { x <= bound };
        let change = markers.log2_fold_change[gene];
        above(markers.fraction[gene], self.min_fraction)
            && below(markers.fraction_reference[gene], self.max_fraction_reference)
            && above(change, self.min_log2_fold_change)
            && (below(change, self.max_log2_fold_change) || self.max_log2_fold_change == f64::INFINITY)
            && below(markers.q[gene], self.max_q)
            && below(markers.p[gene], self.max_p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_in_tables_and_left_out_of_figures() {
        let of = |values: [f64; 3]| values.to_vec();
        let markers = GroupMarkers {
            group: "a".into(),
            n: 4,
            n_reference: 4,
            scores: of([1.0, 3.0, 2.0]),
            p: of([0.01; 3]),
            ln_p: of([0.01_f64.ln(); 3]),
            q: of([0.02, 0.02, 0.06]),
            ln_q: of([0.0; 3]),
            log2_fold_change: of([2.0, 1.0, 5.0]),
            log2_fold_change_of_means: None,
            mean: of([1.0; 3]),
            mean_reference: of([1.0; 3]),
            fraction: of([0.5; 3]),
            fraction_reference: of([0.5, 0.75, 0.1]),
        };
        assert_eq!(MarkerFilter::for_tables().select(&markers), [1, 2, 0]);
        assert_eq!(MarkerFilter::for_figures().select(&markers), [0]);
    }
}
