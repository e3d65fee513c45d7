//! Cells, labels, models and options on their way in.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::RowChunks;
use ferrocyte_ecotype::{
    Draws, Expression, Feature, Labels, Mode, Model, Normalize, NotFinite, Reading, Rng, SmallClasses, TrainOptions,
};
use ferrocyte_math::linalg::Matrix as Dense;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;

use crate::sources::Matrix;

/// Named cells × genes, and what is done to them first: `ferrocyte.ecotype._inputs.Cells`.
#[derive(FromPyObject)]
pub(crate) struct Cells<'py> {
    pub(super) matrix: Matrix<'py>,
    names: Vec<String>,
    genes: Vec<String>,
    normalize: String,
    nan: String,
    pub(super) auto_log: bool,
}

/// The names and wishes of [`Cells`], without the matrix.
pub(super) struct Named {
    cells: Vec<String>,
    genes: Vec<String>,
    normalize: Normalize,
    nan: NotFinite,
    pub(super) auto_log: bool,
}

impl<'py> Cells<'py> {
    /// The matrix, and the rest.
    pub(super) fn parts(self) -> Result<(Matrix<'py>, Named)> {
        let named = Named {
            cells: self.names,
            genes: self.genes,
            normalize: Normalize::from_word(&self.normalize)?,
            nan: NotFinite::from_word(&self.nan)?,
            auto_log: self.auto_log,
        };
        Ok((self.matrix, named))
    }
}

impl Named {
    /// Names of cells and genes, and how values are read.
    pub(super) fn reading(self) -> ((Vec<String>, Vec<String>), Reading) {
        let reading = Reading { normalize: self.normalize, nan: self.nan, auto_log: self.auto_log };
        ((self.cells, self.genes), reading)
    }

    /// Reads the matrix, and normalises it.
    pub(super) fn read(self, run: &Run, source: &mut dyn RowChunks) -> Result<Expression> {
        let mut x = Expression::collect(run, source, self.cells, self.genes, self.nan)?;
        if self.normalize == Normalize::Log1pCp10k {
            let empty = x.log_normalize()?;
            if empty > 0 {
                run.warn(&format!("{empty} cells have no counts and stay 0"));
            }
        }
        Ok(x)
    }
}

/// Columns of cells: `(types, labels, samples)`.
pub(super) type LabelColumns = (Vec<String>, Vec<String>, Option<Vec<String>>);

/// The columns, borrowed.
pub(super) fn labels((cell_type, label, sample): &LabelColumns) -> Labels<'_> {
    Labels { cell_type, label, sample: sample.as_deref() }
}

/// A model: cell type, classes, names of features, features × classes.
#[derive(FromPyObject)]
pub(crate) struct ModelIn<'py>(String, Vec<String>, Vec<String>, PyReadonlyArray2<'py, f64>);

impl ModelIn<'_> {
    /// The model, and how many weights were missing and became 0.
    pub(super) fn model(&self) -> Result<(Model, usize)> {
        let features = self.2.iter().map(|name| Feature::parse(name)).collect();
        Model::new(&self.0, self.1.clone(), features, dense(&self.3))
    }
}

/// All models of a list, and a word about missing weights.
pub(super) fn models(given: &[ModelIn<'_>]) -> Result<(Vec<Model>, Option<String>)> {
    let mut missing = 0;
    let mut models = Vec::with_capacity(given.len());
    for one in given {
        let (model, n) = one.model()?;
        models.push(model);
        missing += n;
    }
    Ok((models, (missing > 0).then(|| format!("{missing} weights are missing and count as 0"))))
}

/// A matrix of numpy.
pub(super) fn dense(array: &PyReadonlyArray2<'_, f64>) -> Dense {
    let array = array.as_array();
    Dense::from_rows(array.nrows(), array.ncols(), array.iter().copied().collect())
}

/// How models are trained: `ferrocyte.ecotype._inputs.Training`.
#[derive(FromPyObject)]
pub(crate) struct Training {
    mode: String,
    scale: bool,
    balance_sample: bool,
    nfeature: usize,
    nfeature_per_se: Option<usize>,
    min_cells: usize,
    downsample: usize,
    seed: u64,
    rng: Option<String>,
    small_classes: Option<String>,
}

impl Training {
    pub(super) fn options(&self) -> Result<TrainOptions> {
        Ok(TrainOptions {
            mode: Mode::from_word(&self.mode)?,
            scale: self.scale,
            balance_sample: self.balance_sample,
            nfeature: self.nfeature,
            nfeature_per_se: self.nfeature_per_se,
            min_cells: self.min_cells,
            downsample: self.downsample,
            seed: self.seed,
            rng: self.rng.as_deref().map(Rng::from_word).transpose()?,
            small_classes: self.small_classes.as_deref().map(SmallClasses::from_word).transpose()?,
        })
    }
}

/// A stream of random choices: `(rng, seed)`.
pub(super) type Seed = (String, u64);

/// The stream.
pub(super) fn draws((rng, seed): &Seed, task: &str) -> Result<Draws> {
    Ok(Draws::new(Rng::from_word(rng)?, *seed, task))
}
