//! [`select_study`]: some cells and genes of a study.

use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowChunks, SelectGenes, SelectRows};

use crate::element::columns::{ColumnData, ColumnKind};
use crate::h5ad::describe::Element;
use crate::h5ad::fingerprint::Hash;
use crate::study::AnnotatedSource;

/// A study of which some cells and genes are seen.
struct Selected {
    study: Arc<dyn AnnotatedSource>,
    cells: Vec<usize>,
    genes: Vec<usize>,
}

/// The cells and genes of a study at these positions, in the order given. Nothing is read but columns that are asked for:
/// matrices are streamed. `raw/X`, which has genes of its own, is not seen.
///
/// # Errors
/// Positions beyond the cells or genes.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_io::{OpenOptions, open_study, select_study};
/// # let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io");
/// let run = Run::new();
/// let study = open_study(&run, format!("{golden}/nocompress_ad012.h5ad"), &OpenOptions::default())?;
/// let few = select_study(study, vec![2, 0], vec![1, 3])?;
/// assert_eq!((few.n_obs(), few.n_var()), (2, 2));
/// assert_eq!(few.obs_names()?, ["cell_002", "cell_000"]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn select_study(
    study: Arc<dyn AnnotatedSource>,
    cells: Vec<usize>,
    genes: Vec<usize>,
) -> Result<Arc<dyn AnnotatedSource>> {
    for (what, rows, n) in [("cell", &cells, study.n_obs()), ("gene", &genes, study.n_var())] {
        if let Some(row) = rows.iter().find(|&&row| row >= n) {
            return Err(Fault::bad_input(format!("{what} {row} is asked for, there are {n}")).at(study.place()));
        }
    }
    Ok(Arc::new(Selected { study, cells, genes }))
}

impl AnnotatedSource for Selected {
    fn place(&self) -> &str {
        self.study.place()
    }
    fn format(&self) -> &'static str {
        self.study.format()
    }
    fn n_obs(&self) -> usize {
        self.cells.len()
    }
    fn n_var(&self) -> usize {
        self.genes.len()
    }
    fn obs_names(&self) -> Result<Vec<String>> {
        let names = self.study.obs_names()?;
        Ok(self.cells.iter().map(|&cell| names[cell].clone()).collect())
    }
    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        let names = self.study.var_names(matrix)?;
        Ok(self.genes.iter().map(|&gene| names[gene].clone()).collect())
    }
    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        self.study.obs_columns()
    }
    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        self.study.var_columns()
    }
    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        Ok(self.study.obs_column(name)?.take(&self.cells))
    }
    fn var_column(&self, name: &str) -> Result<ColumnData> {
        Ok(self.study.var_column(name)?.take(&self.genes))
    }
    fn matrices(&self) -> Vec<String> {
        self.study.matrices().into_iter().filter(|name| name != "raw/X").collect()
    }
    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        let cells = SelectRows::list(self.study.matrix(matrix)?, self.cells.clone())?;
        Ok(Box::new(SelectGenes::new(cells, &self.genes)?))
    }
    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        let mut hash = Hash::new();
        self.cells.iter().chain(&self.genes).for_each(|&k| hash.word(k as u64));
        let (n, p) = (self.cells.len(), self.genes.len());
        Ok(format!("{n} x {p} of {}, {:016x}", self.study.fingerprint(run, matrix)?, hash.value()))
    }
    fn elements(&self, run: &Run) -> Vec<Element> {
        let matrices = self.matrices().into_iter().map(|name| self.matrix_element(run, &name));
        matrices.chain(self.column_elements()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{OpenOptions, open_study};

    #[test]
    fn rows_and_columns_are_those_of_the_whole() -> Result<()> {
        let run = Run::new();
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io/full_gzip_ad013.h5ad");
        let whole = open_study(&run, golden, &OpenOptions::default())?;
        let few = select_study(Arc::clone(&whole), vec![5, 1], vec![4, 7, 2])?;
        let (mut all, mut some) = (whole.matrix("X")?, few.matrix("X")?);
        let (all, some) = (all.read(&run, 0..6)?.into_owned(), some.read(&run, 0..2)?.into_owned());
        for (new, old) in [5, 1].into_iter().enumerate() {
            let expected: Vec<(usize, f64)> = [4, 7, 2]
                .iter()
                .enumerate()
                .filter_map(|(j, &gene)| Some((j, all.row(old).find(|&(column, _)| column == gene)?.1)))
                .collect();
            assert_eq!(some.row(new).collect::<Vec<_>>(), expected);
        }
        let name = "sample";
        assert_eq!(few.obs_column(name)?, whole.obs_column(name)?.take(&[5, 1]));
        assert!(select_study(whole, vec![1 << 20], vec![]).is_err());
        Ok(())
    }
}
