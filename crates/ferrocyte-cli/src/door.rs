//! The door through which commands open studies of any kind, and the options that say how.

use std::path::Path;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction};
use ferrocyte_base::Run;
use ferrocyte_io::{AnnotatedSource, GENE_EXPRESSION, OpenOptions, VarNames, join_obs, open_study, read_frame};

use crate::config::Settings;
use crate::faults::Failure;

/// The names of the options that say how a study is opened. They belong to files, not to a family.
pub(crate) const OPENING: [&str; 7] =
    ["obs", "modality", "genome", "feature_types", "var_names", "prefix", "transpose"];

/// Endings of studies; folders are studies too.
const STUDIES: [&str; 5] = [".h5ad", ".h5mu", ".h5", ".mtx", ".zarr.zip"];
/// The word for all types of features.
const ALL: &str = "all";

/// The options that say how a study is opened.
pub(crate) fn arguments() -> Vec<Arg> {
    let option = |name: &'static str, value: &'static str| {
        let long = name.replace('_', "-");
        Arg::new(name).long(long).value_name(value).help_heading("Options of files").action(ArgAction::Set)
    };
    vec![
        option("obs", "CELLS.tsv").help("a table with more columns of the cells, which are named in its first column"),
        option("modality", "NAME").help("the modality of an .h5mu file"),
        option("genome", "NAME").help("the genome of a 10x file that holds several"),
        option("feature_types", "TYPE")
            .default_value(GENE_EXPRESSION)
            .help("the type of 10x features that are the genes; `all` takes all"),
        option("var_names", "NAMES")
            .value_parser(PossibleValuesParser::new(VarNames::WORDS))
            .default_value("symbols")
            .help("by what genes of 10x files are called"),
        option("prefix", "PREFIX").help("what stands before the names of the files of a 10x folder"),
        option("transpose", "BOOL")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .num_args(0..=1)
            .default_missing_value("true")
            .default_value("false")
            .help("a MatrixMarket file or a table is genes x cells, not cells x genes"),
    ]
}

/// The options by which a study is opened, from the settings.
pub(crate) fn options(settings: &Settings) -> Result<OpenOptions, Failure> {
    let owned = |name: &str| settings.one(name).map(str::to_owned);
    Ok(OpenOptions {
        modality: owned("modality"),
        genome: owned("genome"),
        feature_type: owned("feature_types").filter(|kind| kind != ALL),
        var_names: VarNames::from_word(settings.word("var_names"))?,
        prefix: owned("prefix"),
        transpose: settings.word("transpose") == "true",
        delimiter: None,
    })
}

/// Opens a study, and joins the table of cells that the settings name.
pub(crate) fn open(run: &Run, path: &Path, settings: &Settings) -> Result<Arc<dyn AnnotatedSource>, Failure> {
    let study = open_study(run, path, &options(settings)?)?;
    match settings.one("obs") {
        Some(table) => {
            let (cells, frame) = read_frame(Path::new(table))?;
            Ok(join_obs(run, study, &cells, &frame)?)
        }
        None => Ok(study),
    }
}

/// Whether a name is that of a study of cells, rather than of a table of samples.
pub(crate) fn is_study(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    path.is_dir() || STUDIES.iter().any(|ending| stem.ends_with(ending))
}
