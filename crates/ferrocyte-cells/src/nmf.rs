//! Rows of a stream on their way into a factorisation ([`ferrocyte_learn::nmf`]).

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, Values, fold};
use ferrocyte_learn::nmf::{Portions, Precision, Prepared, Values as Numbers};

use crate::Names;

/// Reads a matrix of cells × genes once and lays it out for factorisation.
///
/// # Errors
/// A value that is missing, infinite or negative, with the names of its cell and gene; what cannot be read; and the wish
/// to stop.
pub fn prepare(run: &Run, rows: &mut dyn RowChunks, names: &Names, precision: Precision) -> Result<Prepared> {
    let mut laying = Laying { portions: Portions::new(rows.n_cols(), precision), names };
    fold(run, rows, &mut [&mut laying])?;
    Ok(laying.portions.finish())
}

struct Laying<'a> {
    portions: Portions,
    names: &'a Names<'a>,
}

impl Summary for Laying<'_> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let bad = |x: f64| !(x >= 0.0 && x.is_finite());
        if let Some(at) = (0..block.values().len()).find(|&at| bad(block.values().get(at))) {
            let row = block.start() + block.pointers().partition_point(|&start| start <= at) - 1;
            let (column, x) = (block.indices()[at] as usize, block.values().get(at));
            let message = format!("a matrix to factorise has finite values >= 0, found {x}");
            let hint = if x < 0.0 {
                "were centred or logarithmic data given? Counts are needed"
            } else {
                "leave out or repair the cells with missing values"
            };
            let place = format!("{}, {}", self.names.cell(row), self.names.gene(column));
            return Err(Fault::bad_input(message).at(place).hint(hint));
        }
        let values = match block.values() {
            Values::F32(values) => Numbers::Single(values),
            Values::F64(values) => Numbers::Double(values),
        };
        self.portions.add(block.pointers(), block.indices(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;
    use ferrocyte_learn::nmf::Input;

    #[test]
    fn a_stream_is_the_matrix_in_memory() -> Result<()> {
        let values: Vec<f64> = (0..900).map(|t| f64::from(t % 5)).collect();
        let mut rows = Dense::row_major(300, 3, &values)?;
        let streamed = prepare(&Run::new(), &mut rows, &Names::default(), Precision::Single)?;
        let whole = Prepared::new(&Input::dense(Numbers::Double(&values), 300, 3)?, Precision::Single);
        assert_eq!((streamed.n(), streamed.g(), streamed.n_values()), (300, 3, whole.n_values()));
        assert_eq!(streamed.squares().to_bits(), whole.squares().to_bits());
        Ok(())
    }

    #[test]
    fn the_first_bad_value_is_named() -> Result<()> {
        let mut values = vec![1.0; 12];
        (values[7], values[11]) = (-2.0, f64::NAN);
        let genes = ["A", "B", "C"].map(str::to_owned);
        let names = Names { cells: &[], genes: &genes };
        let mut rows = Dense::row_major(4, 3, &values)?;
        let fault = prepare(&Run::new(), &mut rows, &names, Precision::Double).map(drop);
        assert!(fault.is_err_and(|f| f.place() == Some("cell 2, gene `B`")
            && f.message().contains("-2")
            && f.way_out().is_some_and(|hint| hint.contains("centred"))));
        Ok(())
    }
}
