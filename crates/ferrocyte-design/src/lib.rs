//! Formulas, design matrices, contrasts, random-effect structures.
//!
//! ```text
//! formula -> Model -> Design -> rows of [X Z], one sparse row per cell
//!              + obs    |
//!                       +----> Coefficients: names, contrasts, differences of levels
//! ```
//!
//! * [`Model`]: a formula, parsed: R's operators for fixed terms, `(1 | sample)` for random ones. What it cannot hold
//!   is refused by name, with what to write instead.
//! * [`Design`]: a model bound to the cells of a study or of one group. Everything that is wrong with the columns of
//!   obs is said at once; columns are R's, in R's order. Rows are computed when asked for, nothing of the size
//!   cells x columns is ever held.
//! * [`alias`]: which columns depend on others, from X'X, in any units.
//! * [`Coefficients`]: from a name in any spelling to its position, from `"A - (B + C)/2"` or from two levels of a
//!   factor to the weights of a contrast. It is plain data and travels with saved sums.
//! * [`replication`]: whether a comparison has replicates, and a random term for the unit treated.
//!
//! The crate knows formulas and cells, no gene and no method.
//!
//! ```
//! use ferrocyte_data::{Factor, Frame, ObsColumn};
//! use ferrocyte_design::{BindOptions, Design, Model};
//!
//! // Two donors, each control and stimulated, two cells a sample.
//! let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
//! let mut obs = Frame::new(8);
//! obs.insert("donor", texts("P1 P1 P1 P1 P2 P2 P2 P2"))?;
//! obs.insert("condition", texts("ctrl ctrl stim stim ctrl ctrl stim stim"))?;
//! obs.insert("sample", texts("a a b b c c d d"))?;
//!
//! let model = Model::parse("~ donor + condition + (1 | sample)", &[])?;
//! let design = Design::bind(&model, &obs, None, &BindOptions::default())?;
//! assert_eq!(design.fixed_names(), ["(Intercept)", "donorP2", "conditionstim"]);
//! assert_eq!(design.coefficients().difference("condition", "ctrl", "stim", &[])?, [0.0, 0.0, -1.0]);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

pub mod alias;
mod arithmetic;
mod basis;
mod bind;
mod coding;
mod coefficients;
mod columns;
mod contrast;
mod derive;
mod design;
mod difference;
mod model;
mod parse;
mod refuse;
pub mod replication;
mod source;
mod terms;
mod why;

pub use coefficients::{Coefficients, Part};
pub use derive::{Derived, SavedDesign};
pub use design::{Aliased, BindOptions, Component, Design, Rows};
pub use model::{LIBSIZE, Model};
pub use terms::Term;
