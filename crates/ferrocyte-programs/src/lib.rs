//! Gene-expression programs: consensus of many non-negative factorisations, and new cells on known programs.
//!
//! Counts of `n x g` (cells × selected genes), each gene divided by its standard deviation, are taken for W H: how much
//! each cell uses each of k programs, and what a program consists of. One factorisation from a random start is not to
//! be trusted; the spectra of many are pooled, outliers dropped, the rest clustered, and the medians are the programs
//! (D. Kotliar et al., *eLife* 2019). Random numbers, iterates, clusters and order are those of the program `cnmf`, so
//! that the same seed gives the same answer.
//!
//! 1. [`prepare()`]: counts to the factorised matrix.
//! 2. [`ferrocyte_learn::nmf::replicates`]: the table of jobs; [`share`]: those of one worker; [`factorise`]: replicas.
//! 3. [`Pool`]: the spectra of one k. [`select`]: how well they agree. [`consensus()`]: programs.
//! 4. [`project()`]: usages of new cells.
//!
//! [`simulate()`] makes cells of which the programs are known.
//!
//! Cells are rows. No file is opened here, and nothing of the size cells × cells or cells × all genes is ever in memory
//! under the squared norm: expression passes as a stream ([`ferrocyte_data::RowChunks`]), and so may the matrix that is
//! factorised ([`Factorised`]). Other losses hold expression in the layout of refits, a few bytes for each value.

mod cluster;
mod consensus;
mod distances;
mod draws;
mod factorised;
mod kmeans;
mod linkage;
mod names;
mod options;
mod pool;
mod prepare;
mod project;
mod report;
mod selection;
mod simulate;
mod sparse;
mod stream;
mod variable;

pub use cluster::{ClusterOptions, Clusters, cluster};
pub use consensus::{Consensus, ConsensusOptions, Programs, Selection, consensus, programs, select};
pub use distances::UnitSpectra;
pub use factorised::{Factorised, ReadRows};
pub use kmeans::{PeerKmeans, peer_kmeans};
pub use names::Names;
pub use options::{Dialect, Init, Iterates, OPTIONS, SIMULATE_OPTIONS};
pub use pool::{FactoriseOptions, Pool, Replica, factorise, gaps, share};
pub use prepare::{Expression, PrepareOptions, Prepared, Scale, align, prepare, survey};
pub use project::{Projection, Reference, project};
pub use report::{ReplicaSummary, genes_table, programs_table, replicates_table, selection_table};
pub use selection::{SETTLED, STABLE, Threshold, WIDE, suggest_k, suggest_threshold};
pub use simulate::{SimulateOptions, Simulated, simulate};
pub use sparse::SparseRows;
pub use stream::{GeneStats, PerMillion};
pub use variable::{Genes, VariableGenes, variable_genes};
