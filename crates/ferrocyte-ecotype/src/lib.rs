//! Spatial ecotypes: communities of cells that recur over tissues.
//!
//! Cells are rows and genes are columns, as everywhere in ferrocyte; models are features × classes.
//!
//! * [`train`]: for each cell type the weights of genes in labelled ecotypes; [`train_ensemble`] trains many, each on
//!   other cells, and [`aggregate`] keeps what they agree on.
//! * [`predict`], [`recover`]: scores and labels of other cells, with a margin and a reason each.
//! * [`train_w`], [`deconvolute`]: the same for mixtures of cells, as bulk samples and spots are.
//! * [`cross_validate`], [`metrics()`], [`pseudobulks`]: how good labels are.
//! * [`nmf`]: factorisation with the rules of published analyses, and clusters by its votes.
//! * [`statistics`]: which states of cells occur together, and where.
//! * [`mod@discover`]: ecotypes of one tissue and of several samples, and the steps on the way to them.
//! * [`simulate()`]: samples of which the ecotypes are known.
//!
//! [`Mode::Exact`] finds optima directly; [`Mode::Compat`] repeats the arithmetic of the R package `SpatialEcoTyper`, its
//! random numbers and stopping rules included, to meet published numbers.
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_ecotype::{Expression, Labels, RecoverOptions, TrainOptions, recover, train};
//!
//! // 200 cells of one type in two ecotypes, which six genes each tell apart.
//! let rows: Vec<Vec<f64>> = (0..200)
//!     .map(|cell| (0..12).map(|gene| f64::from(u8::from((gene < 6) == (cell < 100))) + f64::from((cell * gene) % 7) * 0.1).collect())
//!     .collect();
//! let names = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
//! let mut x = Expression::from_rows(names("cell", 200), names("gene", 12), &rows)?;
//! let types = vec!["B".to_owned(); 200];
//! let label: Vec<String> = (0..200).map(|cell| if cell < 100 { "SE1" } else { "SE2" }.to_owned()).collect();
//! let labels = Labels { cell_type: &types, label: &label, sample: None };
//! let run = Run::new();
//! let trained = train(&run, &mut x, &labels, true, &TrainOptions::default())?;
//! let found = recover(&run, &x, &types, &trained.models, true, &RecoverOptions::default())?;
//! assert_eq!(found.label, label);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod collate;
pub mod discover;
mod draws;
mod evaluate;
mod expression;
mod fingerprint;
mod mixture;
mod model;
pub mod nmf;
mod options;
mod predict;
mod recover;
mod recover_stream;
mod scale;
mod simulate;
pub mod statistics;
mod train;

pub use collate::{collate, first_seen, sorted};
pub use draws::{Draws, Rng};
pub use evaluate::{
    CrossValidated, CrossValidation, Metric, Metrics, Pseudobulks, Scheme, cross_validate, metrics, pseudobulks,
};
pub use expression::{Duplicates, Expression, Normalize, NotFinite};
pub use fingerprint::fingerprint_of_columns;
pub use mixture::{MixtureOptions, deconvolute, train_w};
pub use model::{EPS, Feature, Model, Sign};
pub use options::{OPTIONS, SIMULATE_OPTIONS, STATS_OPTIONS};
pub use predict::{PredictOptions, Reason, Scores, predict, start};
pub use recover::{NON_SE, RecoverOptions, Recovered, recover};
pub use recover_stream::{Reading, recover_from, recover_stream};
pub use scale::{Moments, SCALE_MAX, scale, scale_by_groups};
pub use simulate::{Effect, SimulateOptions, Simulated, simulate};
pub use train::{
    Aggregate, Basis, Ensemble, EnsembleOptions, Labels, Mode, Runs, Skipped, SmallClasses, TrainOptions, Trained,
    aggregate, select, share, train, train_ensemble, train_runs,
};
