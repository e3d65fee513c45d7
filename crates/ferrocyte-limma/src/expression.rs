//! [`Expression`]: a borrowed matrix of genes × samples, with the names that errors tell.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::MatrixRef;

/// Values above this that are all whole numbers are counts.
const LARGEST_LOG_VALUE: f64 = 50.0;

/// A borrowed matrix of genes × samples, counts or log-values, and the names of both.
///
/// ```
/// use ferrocyte_limma::Expression;
/// use ferrocyte_math::linalg::MatrixRef;
/// let genes = ["TP53".to_owned()];
/// let y = Expression::new(MatrixRef::from_rows(1, 2, &[5.0, 7.0]), &genes, &[])?;
/// assert_eq!((y.gene(0).as_str(), y.sample(1).as_str()), ("gene `TP53`", "sample 2"));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Expression<'a> {
    values: MatrixRef<'a>,
    genes: &'a [String],
    samples: &'a [String],
}

impl<'a> Expression<'a> {
    /// A matrix with names; empty lists of names mean that there are none.
    pub fn new(values: MatrixRef<'a>, genes: &'a [String], samples: &'a [String]) -> Result<Self> {
        for (names, expected, what) in [(genes, values.n_rows(), "genes"), (samples, values.n_cols(), "samples")] {
            if !names.is_empty() && names.len() != expected {
                return Err(Fault::bad_input(format!("{expected} {what}, but {} names", names.len())).at(what));
            }
        }
        Ok(Self { values, genes, samples })
    }

    /// A matrix without names.
    pub fn unnamed(values: MatrixRef<'a>) -> Self {
        Self { values, genes: &[], samples: &[] }
    }

    /// The same names over other values of the same shape.
    ///
    /// # Panics
    /// When the shape differs: a mistake in the code, not in data.
    #[must_use]
    pub fn with_values<'b>(&self, values: MatrixRef<'b>) -> Expression<'b>
    where
        'a: 'b,
    {
        assert_eq!((values.n_rows(), values.n_cols()), (self.n_genes(), self.n_samples()), "shape of new values");
        Expression { values, genes: self.genes, samples: self.samples }
    }

    /// The values.
    pub fn values(&self) -> MatrixRef<'a> {
        self.values
    }

    /// The values of gene `g`, one per sample.
    #[inline]
    pub fn row(&self, g: usize) -> &'a [f64] {
        self.values.row(g)
    }

    /// Number of genes, G.
    pub fn n_genes(&self) -> usize {
        self.values.n_rows()
    }

    /// Number of samples, n.
    pub fn n_samples(&self) -> usize {
        self.values.n_cols()
    }

    /// Names of the genes; empty if there are none.
    pub fn genes(&self) -> &'a [String] {
        self.genes
    }

    /// Names of the samples; empty if there are none.
    pub fn samples(&self) -> &'a [String] {
        self.samples
    }

    /// Fails where all values are whole numbers and some are larger than log-values are; `place` names the argument.
    pub(crate) fn refuse_counts(&self, place: &str) -> Result<()> {
        let mut largest = 0.0_f64;
        for &x in self.values.entries().iter().filter(|x| x.is_finite()) {
            if x != x.trunc() {
                return Ok(());
            }
            largest = largest.max(x);
        }
        if largest <= LARGEST_LOG_VALUE {
            return Ok(());
        }
        let message =
            format!("all values are whole numbers, up to {largest}: these look like counts, expected log-values");
        Err(Fault::bad_input(message)
            .at(place)
            .hint("counts are for voom, whose log-values can be fitted; check_counts=False takes them as they are"))
    }

    /// Gene `g` as messages call it.
    pub fn gene(&self, g: usize) -> String {
        self.genes.get(g).map_or_else(|| format!("gene {}", g + 1), |name| format!("gene `{name}`"))
    }

    /// Sample `j` as messages call it.
    pub fn sample(&self, j: usize) -> String {
        self.samples.get(j).map_or_else(|| format!("sample {}", j + 1), |name| format!("sample `{name}`"))
    }
}
