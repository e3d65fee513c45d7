//! Variables that are one column of several: `poly(age, 2)`, `ns(age, df = 3)`, `bs(age, 5)`.
//!
//! They depend on all values of the covariate at once. So they are for designs of samples that are all at hand; a
//! formula for cells that come in parts refuses them.

use std::fmt;

use ferrocyte_base::Result;
use ferrocyte_math::basis::{natural_spline_columns, orthogonal_polynomials, spline_columns};
use ferrocyte_math::linalg::Matrix;

use crate::arithmetic::Arithmetic;

/// How a covariate is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expansion {
    /// `poly(x, degree)`: orthogonal polynomials.
    Polynomials,
    /// `ns(x, df)`: natural cubic splines.
    NaturalSplines,
    /// `bs(x, df)`: cubic B-splines.
    Splines,
}

impl Expansion {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "poly" => Some(Self::Polynomials),
            "ns" => Some(Self::NaturalSplines),
            "bs" => Some(Self::Splines),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Polynomials => "poly",
            Self::NaturalSplines => "ns",
            Self::Splines => "bs",
        }
    }

    /// What R calls the number of columns.
    pub(crate) fn argument(self) -> &'static str {
        if self == Self::Polynomials { "degree" } else { "df" }
    }
}

/// One column of an expanded covariate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Basis {
    pub(crate) expansion: Expansion,
    pub(crate) argument: Arithmetic<String>,
    /// Number of columns.
    pub(crate) size: usize,
    /// Whether the number was given by name, as in `df = 3`.
    pub(crate) by_name: bool,
    /// Which column, from 0.
    pub(crate) column: usize,
}

impl Basis {
    /// The column, given the values of the covariate.
    pub(crate) fn values(&self, x: &[f64]) -> Result<Vec<f64>> {
        let columns = match self.expansion {
            Expansion::Polynomials => orthogonal_polynomials(x, self.size),
            Expansion::NaturalSplines => natural_spline_columns(x, self.size),
            Expansion::Splines => spline_columns(x, self.size, 3),
        };
        let column = |columns: Matrix| (0..columns.n_rows()).map(|i| columns[(i, self.column)]).collect();
        columns.map(column)
    }

    /// Whether both are columns of the same expansion.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Self { column: 0, ..self.clone() } == Self { column: 0, ..other.clone() }
    }
}

/// As R names the column: `poly(age, 2)1`.
impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_name = if self.by_name { format!("{} = ", self.expansion.argument()) } else { String::new() };
        write!(f, "{}({}, {by_name}{}){}", self.expansion.name(), self.argument, self.size, self.column + 1)
    }
}
