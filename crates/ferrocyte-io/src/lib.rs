//! Files: .h5ad, 10x, MatrixMarket, part files, text tables.
//!
//! The only crate that knows file formats. What it reads becomes the types of `ferrocyte-data` (streams of row
//! blocks, frames, parts) and what it writes comes from those of `ferrocyte-base` (tables, values).
//!
//! * [`H5ad`]: an annotated matrix on disk. [`H5ad::obs`] reads the columns that are asked for, [`H5ad::matrix`]
//!   streams `X`, a layer or `raw/X` as [`ferrocyte_data::RowChunks`], sparse or dense, compressed or not.
//! * [`open_study`]: a study of any kind (.h5ad, 10x .h5 or folder, MatrixMarket, a table) as an [`AnnotatedSource`];
//!   [`concat()`]: several of them as one; [`join_obs`]: with more columns of cells; [`select_study`]: some of its cells
//!   and genes.
//! * [`AnnDataTree`], [`MuDataTree`]: all of a file in memory, as rich as it has it; [`read_item`]: any one element.
//! * [`H5mu`]: a file of several modalities, of which each opens as an [`H5ad`]; [`Kind`]: which of these a path is.
//! * [`H5adWriter`], [`write_h5ad`]: the way back, block by block, so that a study need not fit into memory.
//! * [`write_item`], [`write_borrowed`]: any element from memory, owned or borrowed; [`convert`]: any study as another
//!   file, streaming; [`rewrite`]: a file again with some elements changed and everything else untouched.
//! * [`write_part`], [`read_part`]: summaries and results as `.npz` files, which numpy opens too.
//! * [`read_matrix_market`]: sparse matrices in text.
//! * [`write_table`]: results as TSV, CSV or JSON lines; [`read_frame`], [`read_matrix_tsv`],
//!   [`read_value_table`]: text tables back.
//! * [`Plink`], [`read_kinship`]: genotypes and kinships of people; [`write_plink`]: genotypes back.
//! * [`write_json`], [`parse_json`]: options and provenance.
//! * [`scratch_file`]: room on a disk, for as long as it is needed.
//! * [`Store`], [`Sink`]: the narrow doors to a hierarchical format, in and out. HDF5 is one implementation ([`Hdf5`],
//!   [`NewHdf5`]); what an element of an .h5ad file looks like is written against the traits.
//!
//! The same content gives the same bytes: no output carries a time, a path or a host. Files are written beside
//! their place and renamed, so that they are complete or untouched. What is damaged or not understood is a
//! [`ferrocyte_base::Fault`] that names file, element and reason.
//!
//! ```
//! use ferrocyte_base::{Column, Run, Table};
//! use ferrocyte_data::RowChunks;
//! use ferrocyte_io::{H5ad, write_tsv};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io");
//! let study = H5ad::open(format!("{folder}/nocompress_ad012.h5ad"))?;
//! let mut counts = study.matrix("X")?;
//! let sums = counts.read(&Run::new(), 0..3)?.row_sums();
//! let table = Table::new("cells")
//!     .with(Column::text("cell", "its name", study.obs_names()?[..3].to_vec()))
//!     .with(Column::float("total", "counts", "sum over all genes", sums));
//! let mut text = Vec::new();
//! write_tsv(&table, &mut text)?;
//! assert_eq!(text, b"cell\ttotal\ncell_000\t31\ncell_001\t19\ncell_002\t37\n");
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod atomic;
#[cfg(feature = "codecs")]
mod codec;
mod convert;
mod element;
mod genetic;
mod h5ad;
mod h5mu;
mod hdf5;
mod json;
mod kind;
mod part;
mod scratch;
mod store;
mod study;
mod tenx;
mod text;
#[cfg(feature = "zarr")]
mod zarr;

pub use atomic::{is_closed_pipe, write_atomically};
pub use convert::{ConvertOptions, convert, create_sink, h5mu_words};
pub use element::borrowed::{
    Codes, ColumnRef, EntriesRef, Folder, FolderKind, FrameRef, ItemRef, SparseRef, Texts, TextsRef,
};
pub use element::columns::{ColumnData, ColumnKind, NaValue};
pub use element::copy::rewrite;
pub use element::read::read_item;
pub use element::tree::{AnnDataTree, Items, RawTree};
pub use element::write::{write_borrowed, write_item};
pub use element::{Entries, Field, FrameData, Item, NdArray, Records, Sparse};
pub use genetic::kinship::{NamedKinship, read_kinship};
pub use genetic::plink::{Plink, Variant, write_plink};
pub use h5ad::H5ad;
pub use h5ad::describe::Element;
pub use h5ad::matrix::{H5adMatrix, MatrixKind};
pub use h5ad::write::{Annotation, H5adOptions, H5adWriter, MatrixType, write_h5ad};
pub use h5mu::{H5mu, MuDataTree};
pub use hdf5::Hdf5;
pub use hdf5::write::NewHdf5;
pub use json::{from_json, json_pretty, json_text, parse_json, to_json, write_json};
pub use kind::Kind;
pub use part::named::{NamedForm, read_named_npz, write_named_npz};
pub use part::{part_from_bytes, part_to_bytes, read_part, write_part};
pub use scratch::scratch_file;
pub use store::numbers::{Numbers, NumbersRef};
pub use store::open::open_store;
pub use store::sink::{ArraySpec, Packing, Sink, SinkArray, Storage};
pub use store::{ArrayInfo, Attr, Dtype, FieldInfo, Node, Store, StoredArray};
pub use study::concat::{ConcatOptions, concat};
pub use study::merge::Rule;
pub use study::selected::select_study;
pub use study::with_obs::join_obs;
pub use study::{AnnotatedSource, GENE_EXPRESSION, OpenOptions, open_matrix_market, open_study, open_table};
pub use tenx::features::{VarNames, unique as unique_names};
pub use text::matrix_market::read_matrix_market;
pub use text::tables::{gzip, number_text, write_json_lines, write_matrix_tsv, write_table, write_tsv};
pub use text::value_table::{ValueTable, read_value_table};
pub use text::{NamedMatrix, read_frame, read_matrix_tsv};
#[cfg(feature = "zarr")]
pub use zarr::{Zarr, write::NewZarr};
