//! What is done with a hostile file: everything is read that its reader can read. Faults are welcome; crashes, hangs and
//! huge allocations are not. Shared by the property test (`hostile.rs`) and by the targets under `fuzz/`.

use std::path::Path;

use ferrocyte_base::{Result, Run};
use ferrocyte_data::RowChunks;
use ferrocyte_io::{
    AnnotatedSource, H5ad, H5mu, Kind, OpenOptions, open_study, part_from_bytes, read_frame, read_matrix_market,
    read_matrix_tsv, read_value_table,
};

/// A reader and the ending that its files have.
pub struct Reader {
    /// What it is called: the name of its fuzz target too.
    pub name: &'static str,
    /// How names of its files end.
    pub ending: &'static str,
    /// Reads all of a file.
    pub read: fn(&Run, &Path) -> Result<()>,
}

/// All readers of files that come from elsewhere.
pub const READERS: &[Reader] = &[
    Reader { name: "h5ad", ending: ".h5ad", read: h5ad },
    Reader { name: "h5mu", ending: ".h5mu", read: h5mu },
    Reader { name: "tenx", ending: ".h5", read: study },
    Reader { name: "zarr", ending: ".zip", read: h5ad },
    Reader { name: "matrix_market", ending: ".mtx", read: matrix_market },
    Reader { name: "part", ending: ".npz", read: part },
    Reader { name: "text", ending: ".tsv", read: text },
];

/// Everything at once, and every column and block of rows by itself.
fn h5ad(run: &Run, path: &Path) -> Result<()> {
    let file = H5ad::open(path)?;
    let _ = file.tree(run);
    look_through(run, &file);
    Ok(())
}

fn h5mu(run: &Run, path: &Path) -> Result<()> {
    let file = H5mu::open(path)?;
    let _ = (file.tree(run), file.describe(run));
    for name in file.modalities() {
        look_through(run, &file.modality(name)?);
    }
    Ok(())
}

fn study(run: &Run, path: &Path) -> Result<()> {
    look_through(run, &*open_study(run, path, &OpenOptions::default())?);
    Ok(())
}

fn look_through(run: &Run, study: &dyn AnnotatedSource) {
    let _ = study.describe(run);
    let _ = (study.obs_names(), study.var_names("X"), study.var_names("raw"));
    for (name, _) in study.obs_columns() {
        let _ = study.obs_column(&name);
    }
    for (name, _) in study.var_columns() {
        let _ = study.var_column(&name);
    }
    for name in study.matrices() {
        let _ = read_all(run, study, &name);
    }
}

fn read_all(run: &Run, study: &dyn AnnotatedSource, name: &str) -> Result<()> {
    const ROWS: usize = 50;
    let mut matrix = study.matrix(name)?;
    // A damaged file may claim any number of rows; a few blocks of them tell enough.
    for start in (0..matrix.n_rows()).step_by(ROWS).take(20) {
        let end = (start + ROWS).min(matrix.n_rows());
        matrix.read(run, start..end)?;
    }
    Ok(())
}

fn matrix_market(run: &Run, path: &Path) -> Result<()> {
    let _ = Kind::of(path);
    let _ = read_matrix_market(run, path, true);
    study(run, path)
}

fn part(_: &Run, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).unwrap_or_default();
    part_from_bytes(&bytes).map(|_| ())
}

fn text(run: &Run, path: &Path) -> Result<()> {
    let _ = study(run, path);
    let _ = read_frame(path);
    let _ = read_matrix_tsv(path);
    read_value_table(path, None).map(|_| ())
}

/// Writes the bytes to a file and has the reader of that name read it.
#[allow(dead_code, reason = "for the targets under fuzz/")]
pub fn feed(name: &str, bytes: &[u8]) {
    let Some(reader) = READERS.iter().find(|reader| reader.name == name) else { return };
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join(format!("hostile{}", reader.ending));
    if std::fs::write(&path, bytes).is_ok() {
        let _ = (reader.read)(&Run::new().threads(1).memory(256 << 20), &path);
    }
}
