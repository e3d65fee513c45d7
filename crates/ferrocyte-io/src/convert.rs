//! [`convert`]: any study that is read here, as .h5ad, .h5mu or .zarr, streaming.

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};

use crate::element::copy::survey;
use crate::element::write::Elements;
use crate::h5ad::H5ad;
use crate::h5ad::write::{Annotation, H5adOptions, H5adWriter, MatrixType};
use crate::h5mu::H5mu;
use crate::hdf5::write::NewHdf5;
use crate::kind::Kind;
use crate::store::Store;
use crate::store::open::open_store;
use crate::store::sink::{Sink, Storage};
use crate::study::{AnnotatedSource, OpenOptions, open_study};

/// How a study is converted.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// How arrays are stored.
    pub storage: Storage,
    /// The type of the values of `X` of studies that have none of their own: 10x files, MatrixMarket, text. If absent,
    /// 32-bit floats; a value that the type cannot hold exactly is refused.
    pub values: Option<MatrixType>,
    /// How the input is opened: its modality, genome, feature type, orientation.
    pub open: OpenOptions,
}

/// What a file says in words before its first byte of HDF5, if it is an .h5mu file of this program.
pub fn h5mu_words() -> String {
    format!("MuData (format-version=0.1.0;creator=ferrocyte;creator-version={})", ferrocyte_base::VERSION)
}

/// Begins the file or folder that the ending of a name asks for: .h5ad, .h5mu or .zarr.
pub fn create_sink(path: &Path) -> Result<Box<dyn Sink>> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("h5mu") => Ok(Box::new(NewHdf5::create(path, Some(&h5mu_words()))?)),
        Some("h5ad" | "h5") => Ok(Box::new(NewHdf5::create(path, None)?)),
        #[cfg(feature = "zarr")]
        Some("zarr") => Ok(Box::new(crate::zarr::write::NewZarr::create(path)?)),
        _ => Err(Fault::unsupported("its ending does not tell what to write")
            .at(path.display().to_string())
            .hint("end it in .h5ad, .h5mu or .zarr")),
    }
}

/// Writes the study at `input` to `output`, whose ending says as what. Memory does not grow with the study but for its
/// annotation.
///
/// Of annotated files everything is kept: elements that are understood are written in today's encoding, others are
/// taken over as they are. Of all other files `X` and the annotation of cells and genes.
pub fn convert(run: &Run, input: &Path, output: &Path, options: &ConvertOptions) -> Result<()> {
    let to_mudata = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("h5mu"));
    let kind = Kind::of(input)?;
    if to_mudata && !kind.has_modalities() {
        return Err(Fault::unsupported(format!("{} is no .h5mu file, and does not become one", kind.word()))
            .at(output.display().to_string())
            .hint("write .h5ad"));
    }
    match kind {
        Kind::H5ad | Kind::ZarrFolder | Kind::ZarrZip => {
            let store = open_store(input)?;
            // What is no annotated matrix is told before anything is written.
            H5ad::from_store(Arc::clone(&store))?;
            copy(run, &*store, output, options.storage, |elements| elements.copy_anndata(&*store, ""))
        }
        Kind::H5mu | Kind::ZarrMu => {
            let study = H5mu::open(input)?;
            if to_mudata {
                return copy(run, study.store(), output, options.storage, |elements| elements.copy_mudata(&study));
            }
            let name = match (&options.open.modality, study.modalities()) {
                (Some(name), _) => name,
                (None, [only]) => only,
                (None, several) => {
                    let message = format!("it has several modalities: {}", several.join(", "));
                    return Err(Fault::bad_input(message).at(study.place()).hint("choose one, or write .h5mu"));
                }
            };
            let modality = study.modality(name)?;
            let store = modality.store();
            copy(run, store, output, options.storage, |elements| elements.copy_anndata(store, ""))
        }
        _ => stream(run, &*open_study(run, input, &options.open)?, output, options),
    }
}

/// Makes a file of what one store holds.
fn copy(
    run: &Run,
    store: &dyn Store,
    output: &Path,
    storage: Storage,
    fill: impl FnOnce(&Elements<'_>) -> Result<()>,
) -> Result<()> {
    let bytes = survey(store)?;
    let sink = create_sink(output)?;
    let task = run.task("converting", bytes);
    fill(&Elements { run, sink: &*sink, storage, task: Some(&task) })?;
    run.check()?;
    sink.finish()
}

/// Writes `X` and the annotation of a study.
fn stream(run: &Run, study: &dyn AnnotatedSource, output: &Path, options: &ConvertOptions) -> Result<()> {
    let mut obs = Annotation::new(study.obs_names()?);
    for (name, _) in study.obs_columns() {
        obs = obs.with(name.clone(), study.obs_column(&name)?);
    }
    let mut var = Annotation::new(study.var_names("X")?);
    for (name, _) in study.var_columns() {
        var = var.with(name.clone(), study.var_column(&name)?);
    }
    let mut matrix = study.matrix("X")?;
    let values = options.values.unwrap_or_default();
    let sink = create_sink(output)?;
    let mut writer = H5adWriter::onto(run, sink, &obs, &var, H5adOptions { values, storage: options.storage })?;
    writer.append_all(run, &mut *matrix)?;
    writer.finish(run)
}

impl MatrixType {
    /// The type of a word: `float32`, `float64`, `int32`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::F32, Self::F64, Self::I32].into_iter().find(|known| known.dtype().name() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_words() {
        assert_eq!(MatrixType::from_word("int32").map(MatrixType::dtype), Some(crate::store::Dtype::I32));
        assert_eq!(MatrixType::from_word("int64"), None);
    }
}
