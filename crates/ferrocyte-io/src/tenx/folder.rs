//! 10x folders: `matrix.mtx`, `barcodes.tsv` and `features.tsv` (before Cell Ranger 3: `genes.tsv`), each plain or
//! compressed, with or without a prefix before their names.

use std::fs;
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result, listing};

use crate::element::FrameData;
use crate::study::OpenOptions;
use crate::study::text::TextStudy;
use crate::tenx::features::{Features, none_of, texts};
use crate::text::inflate::TextSource;
use crate::text::matrix_market::{Header, read_matrix_market};

/// The most bytes of names that are read.
const MOST_BYTES: usize = 4 << 30;
/// The name of the matrix.
const MATRIX: &str = "matrix.mtx";

/// The three files of a folder.
struct Files {
    matrix: PathBuf,
    barcodes: PathBuf,
    features: PathBuf,
}

/// Whether a folder holds a 10x matrix, itself or one folder down.
pub(crate) fn is_tenx(folder: &Path) -> bool {
    !prefixes(folder).is_empty() || !below(folder).is_empty()
}

/// The folder of a matrix whose file is named, and its prefix, if its barcodes lie beside it.
pub(crate) fn around(matrix: &Path) -> Option<(PathBuf, String)> {
    let prefix = prefix_of(&matrix.file_name()?.to_string_lossy())?.to_owned();
    let folder = matrix.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    find(folder, &prefix, &["barcodes.tsv"]).map(|_| (folder.to_owned(), prefix))
}

/// Opens a folder: names are read, and the matrix when it is asked for.
pub(crate) fn open(folder: &Path, options: &OpenOptions) -> Result<TextStudy> {
    let at = |fault: Fault| fault.at(folder.display().to_string());
    let (home, in_genome) = home(folder, options).map_err(at)?;
    let files = files(&home, options.prefix.as_deref()).map_err(at)?;
    let header = Header::read(&files.matrix)?;
    let barcodes: Vec<String> = first_fields(&files.barcodes)?;
    let features = features(&files.features)?;
    check(&header, &files, features.len(), barcodes.len()).map_err(at)?;
    let options = if in_genome { OpenOptions { genome: None, ..options.clone() } } else { options.clone() };
    let genes = features.genes(&options).map_err(at)?;
    let obs = FrameData { index_name: "_index".to_owned(), index: texts(barcodes), columns: Vec::new() };
    let (path, n_features) = (files.matrix, header.n_rows);
    let make = move |run: &ferrocyte_base::Run| read_matrix_market(run, &path, true);
    TextStudy::new(folder, "10x folder", obs, genes.var, Some(header.n_entries), make)
        .with_genes(genes.kept, n_features)
}

/// The folder that holds the files: the one that is named, or one below it, which then is that of a genome.
fn home(folder: &Path, options: &OpenOptions) -> Result<(PathBuf, bool)> {
    if !prefixes(folder).is_empty() {
        return Ok((folder.to_owned(), false));
    }
    let below = below(folder);
    match (&options.genome, below.as_slice()) {
        (_, []) => Err(Fault::bad_file(format!("a folder without `{MATRIX}` or `{MATRIX}.gz`"))
            .hint(format!("it holds {}", listing(&names(folder), 8)))),
        (Some(genome), _) if below.contains(genome) => Ok((folder.join(genome), true)),
        (_, [only]) => Ok((folder.join(only), false)),
        (Some(genome), _) => Err(none_of(genome, &below, "files of genome", "genome")),
        (None, [first, ..]) => {
            Err(Fault::bad_input(format!("{} folders below it hold a matrix: {}", below.len(), listing(&below, 20)))
                .hint(format!("name the folder of one of them, or genome `{first}`")))
        }
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The folders below one that hold a matrix.
fn below(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| !prefixes(&folder.join(name)).is_empty()).collect()
}

/// What stands before `matrix.mtx` or `matrix.mtx.gz` in the name of a file.
fn prefix_of(name: &str) -> Option<&str> {
    name.strip_suffix(".gz").unwrap_or(name).strip_suffix(MATRIX)
}

/// The prefixes of the matrices in a folder.
fn prefixes(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = names(folder).iter().filter_map(|name| prefix_of(name)).map(str::to_owned).collect();
    found.dedup();
    found
}

/// A file of one of several names, compressed or not.
fn find(folder: &Path, prefix: &str, stems: &[&str]) -> Option<PathBuf> {
    let candidates = stems.iter().flat_map(|stem| [format!("{prefix}{stem}.gz"), format!("{prefix}{stem}")]);
    candidates.map(|name| folder.join(name)).find(|path| path.is_file())
}

fn files(folder: &Path, wanted: Option<&str>) -> Result<Files> {
    let known = prefixes(folder);
    let prefix = match wanted {
        Some(wanted) if known.iter().any(|prefix| prefix == wanted) => wanted,
        Some(wanted) => return Err(none_of(wanted, &known, "files with prefix", "prefix")),
        // Files without a prefix come first.
        None if known.first().is_some_and(String::is_empty) || known.len() == 1 => &known[0],
        None => {
            return Err(Fault::bad_input(format!(
                "{} matrices, with the prefixes {}",
                known.len(),
                listing(&known, 20)
            ))
            .at("prefix")
            .hint(format!("name one of them, such as prefix `{}`", known.first().map_or("", String::as_str))));
        }
    };
    let need = |stems: &[&str]| {
        find(folder, prefix, stems).ok_or_else(|| {
            let wanted: Vec<String> = stems.iter().map(|stem| format!("{prefix}{stem}")).collect();
            Fault::bad_file(format!("there is no {} (or .gz) beside the matrix", wanted.join(" or ")))
                .hint(format!("the folder holds {}", listing(&names(folder), 8)))
        })
    };
    Ok(Files {
        matrix: need(&[MATRIX])?,
        barcodes: need(&["barcodes.tsv"])?,
        features: need(&["features.tsv", "genes.tsv"])?,
    })
}

/// The fields of each line of a small table without a header. Nothing is quoted in such files.
fn lines(path: &Path, mut take: impl FnMut(usize, &[&str]) -> Result<()>) -> Result<()> {
    let at = |fault: Fault| fault.at(path.display().to_string());
    let text = TextSource::open(path)?.whole(MOST_BYTES)?;
    let text = std::str::from_utf8(&text).map_err(|error| {
        let line = text[..error.valid_up_to()].split(|&b| b == b'\n').count();
        at(Fault::bad_file("not UTF-8 text").at(format!("line {line}")).because(error))
    })?;
    let mut fields: Vec<&str> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        fields.clear();
        fields.extend(line.split('\t'));
        take(i + 1, &fields).map_err(at)?;
    }
    Ok(())
}

fn first_fields(path: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    lines(path, |_, fields| {
        found.push(fields[0].to_owned());
        Ok(())
    })?;
    Ok(found)
}

/// Identifier, symbol and type; a file of Cell Ranger 2 has no types, some have identifiers only.
fn features(path: &Path) -> Result<Features> {
    let (mut ids, mut symbols, mut types) = (Vec::new(), Vec::new(), Vec::new());
    let mut width = None;
    lines(path, |line, fields| {
        let expected = *width.get_or_insert(fields.len());
        if fields.len() != expected {
            return Err(Fault::bad_file(format!("{} fields, but {expected} in the line before", fields.len()))
                .at(format!("line {line}")));
        }
        ids.push(fields[0].to_owned());
        symbols.push(fields.get(1).unwrap_or(&fields[0]).to_string());
        types.extend(fields.get(2).map(|&kind| kind.to_owned()));
        Ok(())
    })?;
    let types = (types.len() == ids.len() && !types.is_empty()).then_some(types);
    Ok(Features { ids, symbols, types, genomes: None, others: Vec::new() })
}

/// The matrix must have a row for each feature and a column for each barcode.
fn check(header: &Header, files: &Files, n_features: usize, n_barcodes: usize) -> Result<()> {
    let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let matrix = name(&files.matrix);
    let fault = |message: String| {
        let turned = (header.n_rows, header.n_columns) == (n_barcodes, n_features);
        let hint = if turned {
            "the matrix is cells x genes: read it with fe.io.read_mtx"
        } else {
            "the files do not belong together, or one is truncated"
        };
        Err(Fault::bad_file(message).hint(hint))
    };
    if header.n_rows != n_features {
        let message = format!("{matrix} has {} rows, but {} names {n_features}", header.n_rows, name(&files.features));
        return fault(message);
    }
    if header.n_columns != n_barcodes {
        let names = name(&files.barcodes);
        return fault(format!("{matrix} has {} columns, but {names} names {n_barcodes}", header.n_columns));
    }
    Ok(())
}
