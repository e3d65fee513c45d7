//! [`DesignMatrix`]: one row per sample, named columns.

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_design::{Aliased, BindOptions, Design, Model, Rows};
use ferrocyte_math::linalg::Matrix;

/// A design matrix, samples × coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct DesignMatrix {
    matrix: Matrix,
    names: Vec<String>,
    samples: Vec<String>,
}

impl DesignMatrix {
    /// A design from its entries, the names of its columns, and those of its rows if it has any.
    ///
    /// # Errors
    /// Where an entry is not finite, or numbers of names differ from the shape.
    pub fn new(matrix: Matrix, names: Vec<String>, samples: Vec<String>) -> Result<Self> {
        if names.len() != matrix.n_cols() {
            return Err(Fault::bad_input(format!("{} names for {} columns", names.len(), matrix.n_cols())).at("design"));
        }
        if !samples.is_empty() && samples.len() != matrix.n_rows() {
            return Err(Fault::bad_input(format!("{} names for {} rows", samples.len(), matrix.n_rows())).at("design"));
        }
        for i in 0..matrix.n_rows() {
            if let Some(j) = matrix.row(i).iter().position(|x| !x.is_finite()) {
                let row = samples.get(i).map_or_else(|| format!("row {}", i + 1), |name| format!("row `{name}`"));
                return Err(Fault::bad_input(format!(
                    "column `{}` is {} in {row}, expected a finite number",
                    names[j],
                    matrix[(i, j)]
                ))
                .at("design")
                .hint("leave the sample out, or give it a value"));
            }
        }
        Ok(Self { matrix, names, samples })
    }

    /// The design of a formula over a table of samples: R's `model.matrix`. Columns that depend on others are kept.
    pub fn from_formula(formula: &str, samples: &Frame, names: &[String]) -> Result<Self> {
        Self::bind(&Model::parse_for_samples(formula)?, samples, names).map(|(design, _)| design)
    }

    /// A model over a table of samples: its matrix, and the model bound, which knows what stands behind the names.
    pub fn bind(model: &Model, samples: &Frame, names: &[String]) -> Result<(Self, Design)> {
        refuse_missing(model, samples, names)?;
        let design =
            Design::bind(model, samples, None, &BindOptions { aliased: Aliased::Keep, rows_are: Rows::Samples })?;
        if !design.components().is_empty() {
            return Err(Fault::unsupported("a design matrix has no random effects")
                .at("formula")
                .hint("name the column in block= (duplicate_correlation), or use the family lmm"));
        }
        let mut matrix = Matrix::zeros(design.n_rows(), design.n_fixed());
        let mut row = Vec::new();
        for i in 0..design.n_rows() {
            design.row(i, f64::NAN, &mut row);
            for &(column, value) in &row {
                matrix[(i, column as usize)] = value;
            }
        }
        let matrix = Self::new(matrix, design.fixed_names().to_vec(), names.to_vec())?;
        Ok((matrix, design))
    }

    /// The columns of the table of samples that a formula uses.
    pub fn variables(formula: &str) -> Result<Vec<String>> {
        Ok(Model::parse_for_samples(formula)?.variables())
    }

    /// The entries, samples × coefficients.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Names of the coefficients.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Names of the samples; empty if there are none.
    pub fn samples(&self) -> &[String] {
        &self.samples
    }

    /// Number of samples, n.
    pub fn n_samples(&self) -> usize {
        self.matrix.n_rows()
    }

    /// Number of coefficients, p.
    pub fn n_coefficients(&self) -> usize {
        self.matrix.n_cols()
    }

    /// Fails unless the rows are these samples in this order (compared by name where both have names).
    pub fn check_samples(&self, n_samples: usize, samples: &[String]) -> Result<()> {
        if self.n_samples() != n_samples {
            return Err(Fault::bad_input(format!("{} rows for {n_samples} samples", self.n_samples())).at("design"));
        }
        if self.samples.is_empty() || samples.is_empty() || self.samples == samples {
            return Ok(());
        }
        let strange: Vec<&String> = self.samples.iter().filter(|name| !samples.contains(name)).collect();
        if !strange.is_empty() {
            return Err(Fault::bad_input(format!("rows that are no samples of the data: {}", listing(&strange, 5)))
                .at("design")
                .hint("give design and data the same names of samples, or none"));
        }
        let first = (0..n_samples).find(|&i| self.samples[i] != samples[i]).unwrap_or(0);
        Err(Fault::bad_input(format!(
            "rows in another order than the samples of the data: row {} is `{}`, sample {} is `{}`",
            first + 1,
            self.samples[first],
            first + 1,
            samples[first]
        ))
        .at("design")
        .hint("order the rows of the design as the columns of the data: design.loc[samples]"))
    }
}

/// Fails where a covariate has no value in some sample, naming both. R leaves such samples out silently.
fn refuse_missing(model: &Model, samples: &Frame, names: &[String]) -> Result<()> {
    for variable in model.variables() {
        let missing: Vec<usize> = match samples.get(&variable) {
            None => continue,
            Some(ObsColumn::Number(values)) => (0..values.len()).filter(|&i| !values[i].is_finite()).collect(),
            Some(ObsColumn::Factor(factor)) => {
                (0..factor.codes.len()).filter(|&i| factor.codes.get(i) == Factor::MISSING).collect()
            }
        };
        if !missing.is_empty() {
            let name = |&i: &usize| names.get(i).cloned().unwrap_or_else(|| format!("{}", i + 1));
            let missing: Vec<String> = missing.iter().map(name).collect();
            return Err(Fault::bad_input(format!("`{variable}` has no value in sample {}", listing(&missing, 5)))
                .at("data")
                .hint("leave these samples out of the table and of the data, or give them a value"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Result<Frame> {
        let mut frame = Frame::new(6);
        let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
        frame.insert("a", texts("x x x y y y"))?;
        frame.insert("b", texts("u v w u v w"))?;
        frame.insert("age", ObsColumn::Number(vec![1.0, 2.0, 4.0, 3.0, 7.0, 6.0]))?;
        Ok(frame)
    }

    #[test]
    fn powers_and_slashes_are_written_out() -> Result<()> {
        let names = |formula: &str| DesignMatrix::from_formula(formula, &samples()?, &[]).map(|d| d.names().to_vec());
        assert_eq!(names("~ (a + b)^2")?, names("~ a*b")?);
        assert_eq!(names("~ a/b")?, names("~ a + a:b")?);
        assert_eq!(names("~ (a + age)^2 - age")?, names("~ a + a:age")?);
        assert_eq!(names("~ (a + b)/age")?, names("~ a + b + a:b:age")?);
        assert_eq!(names("~ (a + poly(age, 2))^2")?, names("~ a*poly(age, 2)")?);
        let splines = ["(Intercept)", "ns(age, df = 3)1", "ns(age, df = 3)2", "ns(age, df = 3)3"];
        assert_eq!(names("~ ns(age, df = 3)")?, splines);
        assert_eq!(names("~ 0 + poly(log(age), 1)")?, ["poly(log(age), 1)1"]);
        assert!(names("~ poly(age, 6)").is_err_and(|fault| fault.to_string().contains("6 distinct values")));
        Ok(())
    }

    #[test]
    fn as_many_coefficients_as_samples_are_fine() -> Result<()> {
        assert_eq!(DesignMatrix::from_formula("~ a*b", &samples()?, &[])?.n_coefficients(), 6);
        Ok(())
    }

    #[test]
    fn missing_covariates_are_named() -> Result<()> {
        let mut frame = samples()?;
        frame.insert("dose", ObsColumn::Number(vec![1.0, f64::NAN, 2.0, 3.0, 4.0, 5.0]))?;
        let names: Vec<String> = (0..6).map(|i| format!("s{i}")).collect();
        let outcome = DesignMatrix::from_formula("~ a + dose", &frame, &names);
        assert!(outcome.is_err_and(|fault| fault.to_string() == "data: `dose` has no value in sample `s1`"));
        Ok(())
    }
}
