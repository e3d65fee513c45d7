//! [`Layout`]: where the files of a study lie in its folder.

use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result, VERSION, Value};

use super::table::check_name;

/// The version of the layout that is written.
pub const SPEC: i64 = 1;

/// The folder of a study. It is asked for paths and touches none of them.
///
/// ```
/// use std::path::Path;
/// let layout = ferrocyte_cells::study::Layout::new("study");
/// assert_eq!(layout.sample("rna", "a")?, Path::new("study/rna/a.h5ad"));
/// assert_eq!(layout.subset("t cells")?, Path::new("study/subsets/t cells.h5mu"));
/// assert!(layout.subset("../elsewhere").is_err());
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The table of samples.
    pub fn table(&self) -> PathBuf {
        self.root.join("metadata.tsv")
    }

    /// What says of which version the layout is.
    pub fn spec(&self) -> PathBuf {
        self.root.join("spec.json")
    }

    /// The folder of the samples of a modality.
    pub fn modality(&self, modality: &str) -> PathBuf {
        self.root.join(modality)
    }

    /// A sample.
    ///
    /// # Errors
    /// A name that cannot be that of a file.
    pub fn sample(&self, modality: &str, sample: &str) -> Result<PathBuf> {
        check_name(sample).map_err(|fault| fault.at("sample"))?;
        Ok(self.modality(modality).join(format!("{sample}.h5ad")))
    }

    /// All samples together.
    pub fn integrated(&self) -> PathBuf {
        self.root.join("integrated.h5mu")
    }

    /// The folder of the subsets.
    pub fn subsets(&self) -> PathBuf {
        self.root.join("subsets")
    }

    /// Some of the cells, under a name.
    ///
    /// # Errors
    /// A name that cannot be that of a file.
    pub fn subset(&self, name: &str) -> Result<PathBuf> {
        check_name(name).map_err(|fault| fault.at("subset_name"))?;
        Ok(self.subsets().join(format!("{name}.h5mu")))
    }

    /// The content of [`Layout::spec`].
    pub fn sidecar() -> Value {
        Value::map([("spec", Value::Int(SPEC)), ("ferrocyte", Value::from(VERSION))])
    }

    /// Refuses a study that a later version has written. Without a sidecar, as other packages leave it, it is of the
    /// first.
    ///
    /// # Errors
    /// A version that is not known, naming it.
    pub fn check(sidecar: Option<&Value>) -> Result<()> {
        let Some(found) = sidecar.and_then(|sidecar| sidecar.get("spec")) else { return Ok(()) };
        match found.as_i64() {
            Some(version) if (1..=SPEC).contains(&version) => Ok(()),
            _ => Err(Fault::unsupported(format!("the study has layout {found:?}, known are 1 to {SPEC}"))
                .at("spec.json")
                .hint("a later ferrocyte has written it: update this one")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layouts_are_refused() {
        assert!(Layout::check(None).is_ok() && Layout::check(Some(&Layout::sidecar())).is_ok());
        let later = Value::map([("spec", Value::Int(SPEC + 1))]);
        assert!(Layout::check(Some(&later)).is_err_and(|f| f.to_string().contains("layout Int(2)")));
    }

    #[test]
    fn files_have_their_places() {
        let layout = Layout::new("s");
        assert_eq!(layout.table(), Path::new("s/metadata.tsv"));
        assert_eq!(
            (layout.integrated(), layout.spec()),
            (PathBuf::from("s/integrated.h5mu"), PathBuf::from("s/spec.json"))
        );
        assert!(layout.sample("rna", "a:b").is_err_and(|f| f.to_string().starts_with("sample: ")));
    }
}
