//! Covariates from a table of individuals.

use std::path::Path;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_io::read_frame;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_mixed::ctmm::{Covariate, align};

/// Fixed and random covariates of the individuals, in their order.
pub(super) fn read(
    path: Option<&Path>,
    individuals: &[String],
    fixed: &[String],
    random: &[String],
) -> Result<(Vec<Covariate>, Vec<Covariate>)> {
    if fixed.is_empty() && random.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let Some(path) = path else {
        return Err(Fault::missing("covariates are named, but there is no table of individuals")
            .at("covariates")
            .hint("give it with --covariates TABLE.tsv"));
    };
    let (ids, frame) = read_frame(path)?;
    let frame = frame.take(&align(individuals, &ids, "covariates")?);
    let fixed = fixed.iter().map(|name| covariate(&frame, name, false)).collect::<Result<_>>()?;
    let random = random.iter().map(|name| covariate(&frame, name, true)).collect::<Result<_>>()?;
    Ok((fixed, random))
}

/// One column as numbers; a factor as a column of 0 and 1 for each level, without the first unless `every` is wanted.
fn covariate(frame: &Frame, name: &str, every: bool) -> Result<Covariate> {
    let column = frame.column(name)?;
    if column.n_missing() > 0 {
        return Err(Fault::bad_input(format!("{} individuals have no value", column.n_missing()))
            .at(format!("covariate `{name}`"))
            .hint("leave these individuals out, or the covariate"));
    }
    let n = frame.n_rows();
    let values = match column {
        ObsColumn::Number(numbers) if !every => Matrix::from_rows(n, 1, numbers.clone()),
        ObsColumn::Number(numbers) => {
            let mut levels = numbers.clone();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            indicators(n, levels.len(), 0, |i| levels.iter().position(|level| level == &numbers[i]))
        }
        ObsColumn::Factor(factor) => {
            let skip = usize::from(!every);
            indicators(n, factor.levels.len(), skip, |i| Some(factor.codes.get(i) as usize))
        }
    };
    Ok(Covariate { name: name.to_owned(), values })
}

/// A column of 0 and 1 for each level from `skip` on.
fn indicators(n: usize, levels: usize, skip: usize, level: impl Fn(usize) -> Option<usize>) -> Matrix {
    let mut out = Matrix::zeros(n, levels - skip);
    for i in 0..n {
        if let Some(column) = level(i).and_then(|level| level.checked_sub(skip)) {
            out[(i, column)] = 1.0;
        }
    }
    out
}
