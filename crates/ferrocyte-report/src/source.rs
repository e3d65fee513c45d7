//! [`open`]: the study that a name means: a file, or what a folder of `ferrocyte cells run` holds.

use std::fs;
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result};
use ferrocyte_io::{H5ad, H5mu, Kind};

/// The studies that `ferrocyte cells run` leaves in its folder.
const INTEGRATED: [&str; 2] = ["integrated.h5mu", "integrated.h5ad"];
/// The modality that is shown where an .h5mu file has several and none is named.
const USUAL: &str = "rna";

/// Opens a study for its page: an .h5ad or .h5mu file, a Zarr store, or the folder of `ferrocyte cells run`. Of several
/// modalities it takes the one that is named, else `rna`, else the first.
pub fn open(path: &Path, modality: Option<&str>) -> Result<(PathBuf, H5ad)> {
    let file = study_file(path)?;
    if !Kind::of(&file)?.has_modalities() {
        let study = H5ad::open(&file)?;
        return Ok((file, study));
    }
    let study = H5mu::open(&file)?;
    let names = study.modalities();
    let usual = || names.iter().find(|name| *name == USUAL).or_else(|| names.first()).map(String::as_str);
    let modality = study.modality(modality.or_else(usual).unwrap_or_default())?;
    Ok((file, modality))
}

fn study_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() || Kind::of(path).is_ok() {
        return Ok(path.to_owned());
    }
    INTEGRATED.iter().map(|name| path.join(name)).find(|file| file.exists()).ok_or_else(|| {
        Fault::missing(format!("the folder has none of {}", INTEGRATED.join(", ")))
            .at(path.display().to_string())
            .hint("name a study, .h5ad or .h5mu, or the folder that `ferrocyte cells run` has made")
    })
}

/// What lies beside a study and says how it was made: its name, and JSON.
pub fn records(file: &Path) -> Vec<(String, String)> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".run.json");
    let beside = PathBuf::from(beside);
    let name = beside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    fs::read_to_string(&beside).map(|text| (name, text)).into_iter().collect()
}
