//! The steps of a study as whole commands take them: each takes streams, arrays and labels, and gives [`Additions`], what
//! it adds to the study under the names of a dialect. No step opens a file, and none holds the study.
//!
//! ```text
//! counts → quality → log_normalized → variable_genes → components → integrate → neighbours → clusters, layout → rank
//! ```
//!
//! Numbers go from step to step as they are stored (components of scanpy's dialect in 32 bits), so that a command and
//! the same steps taken one by one, from file to file, give the same bits. [`analyse`] is the whole way behind quality.

mod analyse;
mod embed;
mod graph;
mod options;
mod quality;
mod rank;
mod sheet;
mod slots;

pub use analyse::{Analysis, AnalysisOptions, EmbedOptions, Embedding, analyse, embed};
pub use embed::{Basis, ComponentOptions, components, integrate, variable_genes};
pub use graph::{Weights, clusters, consensus, graph_of, joined, layout, neighbours, refuse_stale, stale};
pub use options::{CellsOption, OPTIONS};
pub use quality::{Outliers, Quality, QualityOptions, quality};
pub use rank::{RankOptions, marker_table, rank};
pub use sheet::{Reals, Sheet};
pub use slots::{Additions, Coordinates, Entry, Named, Pairs, Values};
