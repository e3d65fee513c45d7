//! What all of ferrocyte meets at, and nothing else.
//!
//! Every floor of the house speaks through the types of this crate:
//!
//! * [`Run`]: threads, memory and a [`Monitor`]; the first argument of everything that takes time.
//! * [`Table`]: named, typed columns with units; every result ends as one.
//! * [`Status`]: a stable word, a sentence and a severity, one per gene and fit.
//! * [`Fault`]: the one error type: kind, message, place, hint.
//! * [`Provenance`]: what was done to what, with which options; the stable part of it.
//! * [`choice!`] and [`OptionInfo`]: options of a family, in one home for all fronts.
//! * [`Value`]: options and headers as plain data.
//!
//! The crate knows no matrix, no file and no gene.
//!
//! ```
//! use ferrocyte_base::{Column, Run, Table};
//!
//! let run = Run::new().threads(2);
//! let squares = run.map_blocks("squares", 1000, 64, |i| Ok((i * i) as f64))?;
//! let table = Table::new("squares").with(Column::float("square", "", "i squared", squares));
//! assert_eq!(table.n_rows(), 1000);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod fault;
mod monitor;
mod names;
mod options;
mod provenance;
mod run;
mod status;
mod table;
mod value;

pub use fault::{Fault, Kind, Result};
pub use monitor::{Level, Monitor, Quiet};
pub use names::{listing, nearest};
pub use options::OptionInfo;
pub use provenance::{Input, Provenance};
pub use run::{Run, Task};
pub use status::{Severity, Status};
pub use table::{Cells, Column, Table};
pub use value::Value;

/// The version of ferrocyte, as it is written into provenance.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
