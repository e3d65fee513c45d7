//! A study of several samples: its table, its folder, and what is decided about its cells, without a file being opened.
//!
//! ```text
//! STUDY/
//!   metadata.tsv            the table of samples ([`SampleTable`])
//!   spec.json               the version of this layout ([`Layout::sidecar`])
//!   rna/SAMPLE.h5ad         each sample by itself
//!   integrated.h5mu         all samples together
//!   subsets/NAME.h5mu       some of their cells
//! ```
//!
//! * [`table`]: what samples there are; [`layout`]: where they lie.
//! * [`quality`]: which cells and genes of a sample are good.
//! * [`select`]: samples and cells by what they are called; [`annotate`](mod@annotate): clusters that get names.
//! * [`summary`]: what a study holds, as text.
//!
//! Fronts open the files, `ferrocyte-io` puts samples one after the other, and the steps are those of this crate.

pub mod annotate;
pub mod layout;
pub mod quality;
pub mod select;
pub mod summary;
pub mod table;

pub use annotate::{Renamed, annotate, merge_levels, paste};
pub use layout::Layout;
pub use quality::{Bounds, CellRules, good_cells};
pub use select::{Chosen, chosen, samples};
pub use table::{Sample, SampleTable};
