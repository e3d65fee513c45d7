//! [`TextStudy`]: a study in text files, which cannot be read in part: its matrix is read when it is first asked for,
//! and stays in memory.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{OwnedCsr, RowBlock, RowChunks, SelectGenes, Values};

use crate::element::FrameData;
use crate::element::columns::{ColumnData, ColumnKind};
use crate::h5ad::describe::Element;
use crate::h5ad::{file_name, fingerprint};
use crate::study::frames::{column_of, kinds_of, names_of};
use crate::study::{AnnotatedSource, no_matrix};

type Make = Box<dyn Fn(&Run) -> Result<OwnedCsr> + Send + Sync>;

/// A study whose annotation is in memory, and whose matrix will be.
pub(crate) struct TextStudy {
    place: String,
    format: &'static str,
    obs: FrameData,
    var: FrameData,
    matrix: Arc<Awaited>,
    /// Which columns of the matrix are the genes; all if absent.
    kept: Option<Vec<usize>>,
}

/// A matrix that is read when it is first asked for.
struct Awaited {
    make: Make,
    made: OnceLock<OwnedCsr>,
    shape: (usize, usize),
    n_stored: Option<u64>,
    name: String,
}

impl Awaited {
    fn get(&self, run: &Run) -> Result<&OwnedCsr> {
        if self.made.get().is_none() {
            let made = (self.make)(run)?;
            let found = (made.n_rows(), made.n_cols());
            if found != self.shape {
                let message = format!("{} x {} values, expected {} x {}", found.0, found.1, self.shape.0, self.shape.1);
                return Err(Fault::bad_file(message).at(self.name.as_str()).hint("the file changed while it was open"));
            }
            // Whoever is second reads in vain, which is all that can go wrong.
            let _ = self.made.set(made);
        }
        self.made.get().ok_or_else(|| Fault::internal("a matrix was read and lost"))
    }
}

/// The rows of an awaited matrix.
struct Rows(Arc<Awaited>);

impl RowChunks for Rows {
    fn n_rows(&self) -> usize {
        self.0.shape.0
    }
    fn n_cols(&self) -> usize {
        self.0.shape.1
    }
    fn n_stored(&self) -> Option<u64> {
        self.0.made.get().map_or(self.0.n_stored, |made| Some(made.values().len() as u64))
    }
    fn name(&self) -> String {
        self.0.name.clone()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        self.0.get(run)?.block(rows)
    }
}

impl TextStudy {
    /// A study of `obs` × `var` whose matrix `make` reads.
    pub(crate) fn new(
        path: &Path,
        format: &'static str,
        obs: FrameData,
        var: FrameData,
        n_stored: Option<u64>,
        make: impl Fn(&Run) -> Result<OwnedCsr> + Send + Sync + 'static,
    ) -> Self {
        let place = path.display().to_string();
        let name = format!("X of {}", file_name(&place));
        let shape = (obs.n_rows(), var.n_rows());
        let matrix = Awaited { make: Box::new(make), made: OnceLock::new(), shape, n_stored, name };
        Self { place, format, obs, var, matrix: Arc::new(matrix), kept: None }
    }

    /// As [`TextStudy::new`], of a matrix that is there.
    pub(crate) fn read(path: &Path, format: &'static str, obs: FrameData, var: FrameData, matrix: OwnedCsr) -> Self {
        let gone = |_: &Run| Err(Fault::internal("a matrix was read twice"));
        let study = Self::new(path, format, obs, var, Some(matrix.values().len() as u64), gone);
        let _ = study.matrix.made.set(matrix);
        study
    }

    /// The matrix has `n_features` columns, and these of them are the genes.
    pub(crate) fn with_genes(mut self, kept: Option<Vec<usize>>, n_features: usize) -> Result<Self> {
        let matrix = Arc::get_mut(&mut self.matrix).ok_or_else(|| Fault::internal("a matrix is in use"))?;
        matrix.shape.1 = n_features;
        self.kept = kept;
        Ok(self)
    }

    fn check(&self, matrix: &str) -> Result<()> {
        if matrix == "X" { Ok(()) } else { Err(no_matrix(matrix, &["X".to_owned()]).at(self.place())) }
    }
}

impl AnnotatedSource for TextStudy {
    fn place(&self) -> &str {
        &self.place
    }

    fn format(&self) -> &'static str {
        self.format
    }

    fn n_obs(&self) -> usize {
        self.obs.n_rows()
    }

    fn n_var(&self) -> usize {
        self.var.n_rows()
    }

    fn obs_names(&self) -> Result<Vec<String>> {
        Ok(names_of(&self.obs))
    }

    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        self.check(matrix)?;
        Ok(names_of(&self.var))
    }

    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        kinds_of(&self.obs)
    }

    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        kinds_of(&self.var)
    }

    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        column_of(&self.obs, name, "obs").map_err(|fault| fault.at(self.place()))
    }

    fn var_column(&self, name: &str) -> Result<ColumnData> {
        column_of(&self.var, name, "var").map_err(|fault| fault.at(self.place()))
    }

    fn matrices(&self) -> Vec<String> {
        vec!["X".to_owned()]
    }

    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        self.check(matrix)?;
        let rows = Rows(Arc::clone(&self.matrix));
        Ok(match &self.kept {
            Some(kept) => Box::new(SelectGenes::new(rows, kept)?),
            None => Box::new(rows),
        })
    }

    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        self.check(matrix)?;
        let whole = fingerprint::of_rows(self.matrix.get(run)?);
        Ok(fingerprint::of_genes(whole, self.kept.as_deref(), self.matrix.shape.1))
    }

    fn elements(&self, run: &Run) -> Vec<Element> {
        let whole = self.matrix.get(run).ok();
        let x = Element {
            kind: "csr".to_owned(),
            dtype: whole.map_or_else(String::new, |whole| dtype(whole.values()).to_owned()),
            stored: whole.map(|whole| whole.values().len() as u64),
            ..self.matrix_element(run, "X")
        };
        std::iter::once(x).chain(self.column_elements()).collect()
    }
}

/// The type in which values are held.
fn dtype(values: &Values<'_>) -> &'static str {
    match values {
        Values::F32(_) => "float32",
        Values::F64(_) => "float64",
    }
}
