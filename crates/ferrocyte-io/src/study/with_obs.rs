//! [`join_obs`]: a study, and a table that says more of its cells.

use std::collections::HashMap;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{Factor, Frame, ObsColumn, RowChunks};

use crate::element::columns::{ColumnData, ColumnKind};
use crate::h5ad::describe::Element;
use crate::store::Numbers;
use crate::study::AnnotatedSource;
use crate::study::frames::kind_of;
use crate::tenx::features::texts;

/// A study whose cells have further columns.
struct WithObs {
    study: Arc<dyn AnnotatedSource>,
    columns: Vec<(String, ColumnData)>,
}

/// Adds the columns of a table to those of the cells, matched by name; `cells` names the rows of the table, which come
/// in any order, and may be more than there are. Cells that the table does not know have missing values, which is said;
/// if it knows none, that is a fault. A column of the table takes the place of one of the same name.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_data::{Factor, Frame, ObsColumn};
/// use ferrocyte_io::{OpenOptions, join_obs, open_study};
/// # let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells");
/// let run = Run::new();
/// let study = open_study(&run, format!("{golden}/io_legacy/tenx_v2_filtered.h5"), &OpenOptions::default())?;
/// let mut table = Frame::new(2);
/// table.insert("donor", ObsColumn::Factor(Factor::from_texts(["d1", "d2"].map(Some))))?;
/// let cells = ["AAGGAGCTCCGATATG-1", "AACACGTGTACGCTGC-1"].map(str::to_owned);
/// let joined = join_obs(&run, study, &cells, &table)?;
/// assert_eq!(joined.obs(&["donor"])?.factor("donor")?.level(0), Some("d2"));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn join_obs(
    run: &Run,
    study: Arc<dyn AnnotatedSource>,
    cells: &[String],
    table: &Frame,
) -> Result<Arc<dyn AnnotatedSource>> {
    let names = study.obs_names()?;
    let rows: HashMap<&str, usize> = cells.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let places: Vec<Option<usize>> = names.iter().map(|name| rows.get(name.as_str()).copied()).collect();
    let unknown: Vec<&String> = names.iter().zip(&places).filter(|(_, row)| row.is_none()).map(|(n, _)| n).collect();
    if unknown.len() == names.len() && !names.is_empty() {
        let shown: Vec<&String> = cells.iter().take(2).collect();
        return Err(Fault::bad_input(format!("none of its {} cells stands in the table of cells", names.len()))
            .at(study.place())
            .hint(format!(
                "cells are called {}, rows of the table {}",
                listing(&unknown[..1], 1),
                listing(&shown, 2)
            )));
    }
    if !unknown.is_empty() {
        run.warn(&format!(
            "{} of {} cells do not stand in the table of cells and have no values: {}",
            unknown.len(),
            names.len(),
            listing(&unknown, 3)
        ));
    }
    let column = |name: &str| Some((name.to_owned(), taken(table.get(name)?, &places)));
    let columns = table.names().into_iter().filter_map(column).collect();
    Ok(Arc::new(WithObs { study, columns }))
}

/// The given rows of a column, missing where there is none.
fn taken(column: &ObsColumn, rows: &[Option<usize>]) -> ColumnData {
    match column {
        ObsColumn::Number(values) => {
            ColumnData::Numbers(Numbers::F64(rows.iter().map(|row| row.map_or(f64::NAN, |row| values[row])).collect()))
        }
        ObsColumn::Factor(factor) => ColumnData::Categorical {
            codes: rows.iter().map(|row| row.map_or(Factor::MISSING, |row| factor.codes.get(row))).collect(),
            levels: Box::new(texts(factor.levels.clone())),
            ordered: false,
        },
    }
}

impl WithObs {
    fn own(&self, name: &str) -> Option<&ColumnData> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, column)| column)
    }
}

impl AnnotatedSource for WithObs {
    fn place(&self) -> &str {
        self.study.place()
    }
    fn format(&self) -> &'static str {
        self.study.format()
    }
    fn n_obs(&self) -> usize {
        self.study.n_obs()
    }
    fn n_var(&self) -> usize {
        self.study.n_var()
    }
    fn obs_names(&self) -> Result<Vec<String>> {
        self.study.obs_names()
    }
    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        self.study.var_names(matrix)
    }
    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        let mut known = self.study.obs_columns();
        known.retain(|(name, _)| self.own(name).is_none());
        known.into_iter().chain(self.columns.iter().map(|(name, column)| (name.clone(), kind_of(column)))).collect()
    }
    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        self.study.var_columns()
    }
    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        match self.own(name) {
            Some(column) => Ok(column.clone()),
            None => self.study.obs_column(name),
        }
    }
    fn var_column(&self, name: &str) -> Result<ColumnData> {
        self.study.var_column(name)
    }
    fn matrices(&self) -> Vec<String> {
        self.study.matrices()
    }
    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        self.study.matrix(matrix)
    }
    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        self.study.fingerprint(run, matrix)
    }
    fn elements(&self, run: &Run) -> Vec<Element> {
        let mut elements = self.study.elements(run);
        elements.retain(|element| !element.path.starts_with("obs/") && !element.path.starts_with("var/"));
        elements.into_iter().chain(self.column_elements()).collect()
    }
}
