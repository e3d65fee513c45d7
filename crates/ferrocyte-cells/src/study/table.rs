//! [`SampleTable`]: which samples a study has, where their counts are, and what is known of them.

use std::collections::{HashMap, HashSet};

use ferrocyte_base::{Fault, Result, listing, nearest};

/// The columns that a table of samples has, in the order in which they are written.
pub const COLUMNS: [&str; 6] = ["location", "sample", "batch", "group", "modality", "taxa"];

/// The columns without which there is no sample. The others have a usual value.
const REQUIRED: [&str; 2] = ["location", "sample"];

/// What stands where nothing is known: batch, group and taxa.
pub const UNKNOWN: &str = ".";

/// What is measured, as far as it is supported.
pub const MODALITIES: [&str; 1] = ["rna"];

/// Names that cells get from elsewhere, so that no column of the table can have them.
const TAKEN: [&str; 2] = ["barcode", "ubc"];

/// One sample: a row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Where its counts are: a 10x folder, an .h5, an .h5ad, or a table of genes × cells.
    pub location: String,
    /// Its name, which no other sample of its modality has.
    pub name: String,
    /// The batch that integration removes; [`UNKNOWN`] if nothing is said.
    pub batch: String,
    /// The group of the design; [`UNKNOWN`] if nothing is said.
    pub group: String,
    /// What is measured: `rna`.
    pub modality: String,
    /// The species; [`UNKNOWN`] if nothing is said.
    pub taxa: String,
    /// The values of the user's own columns, in the order of [`SampleTable::more`].
    pub more: Vec<String>,
}

impl Sample {
    /// What every cell of the sample gets as columns of obs: all of the row but its location.
    pub fn obs<'a>(&'a self, table: &'a SampleTable) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("sample", &self.name),
            ("batch", &self.batch),
            ("group", &self.group),
            ("modality", &self.modality),
            ("taxa", &self.taxa),
        ];
        let own = own.into_iter().map(|(name, value)| (name, value.as_str()));
        own.chain(table.more.iter().map(String::as_str).zip(self.more.iter().map(String::as_str))).collect()
    }

    /// The name of its cell in row `i`, counted from 0: `SAMPLE:1` is the first.
    pub fn cell_name(&self, i: usize) -> String {
        format!("{}:{}", self.name, i + 1)
    }

    /// What a barcode is called among those of all samples: `SAMPLE:BARCODE`.
    pub fn barcode(&self, barcode: &str) -> String {
        format!("{}:{barcode}", self.name)
    }

    /// Whether the counts are a dense table in text, which has genes as rows.
    pub fn is_text(&self) -> bool {
        let name = self.location.to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        [".csv", ".tsv", ".ssv", ".txt"].iter().any(|ending| name.ends_with(ending))
    }
}

/// The table of samples of a study.
///
/// ```
/// use ferrocyte_cells::study::SampleTable;
/// let table = SampleTable::parse("sample\tlocation\tage\na\tcounts/a.h5ad\t61\nb\tcounts/b.h5\t48\n")?;
/// assert_eq!(table.names("rna"), ["a", "b"]);
/// assert_eq!((table.samples[1].batch.as_str(), table.samples[1].more[0].as_str()), (".", "48"));
/// assert!(SampleTable::parse("sample\tbatch\na\tb1\n").is_err_and(|f| f.to_string().contains("`location`")));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleTable {
    /// The samples, in the order of the table.
    pub samples: Vec<Sample>,
    /// The names of the user's own columns.
    pub more: Vec<String>,
    /// Samples of modalities that are not supported, which a study of elsewhere may list: kept in its table, never read.
    pub others: Vec<Sample>,
}

impl SampleTable {
    /// The table of a text: a line of names, then one line for each sample, fields between tabs. Empty lines and those
    /// that begin with `#` are passed over.
    ///
    /// # Errors
    /// A line with too few or too many fields, and all that [`SampleTable::from_rows`] refuses.
    pub fn parse(text: &str) -> Result<Self> {
        let (header, rows) = header_and_rows(text)?;
        Self::from_rows(&header, &rows)
    }

    /// The table of a study that is there already: samples of modalities that are not supported are kept apart, in
    /// [`SampleTable::others`].
    ///
    /// # Errors
    /// All else that [`SampleTable::parse`] refuses.
    pub fn parse_saved(text: &str) -> Result<Self> {
        let (header, rows) = header_and_rows(text)?;
        Self::of_rows(&header, &rows, true)
    }

    /// The table of names of columns, and rows with the place of each for messages.
    ///
    /// # Errors
    /// Columns that are missing or stand there twice, rows without location or name, names that cannot be those of
    /// files, names that two samples of a modality have, and modalities that are not supported.
    pub fn from_rows(header: &[String], rows: &[(String, Vec<String>)]) -> Result<Self> {
        Self::of_rows(header, rows, false)
    }

    fn of_rows(header: &[String], rows: &[(String, Vec<String>)], apart: bool) -> Result<Self> {
        check_header(header)?;
        let at = |name: &str| header.iter().position(|known| known == name);
        let places = COLUMNS.map(at);
        let own: Vec<usize> = (0..header.len()).filter(|i| !places.contains(&Some(*i))).collect();
        let (mut samples, mut lines, mut others) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
        for (place, row) in rows {
            let [location, name, batch, group, modality, taxa] = places
                .map(|column| column.and_then(|i| row.get(i)).map(|text| text.trim().to_owned()).unwrap_or_default());
            let or = |text: String, usual: &str| if text.is_empty() { usual.to_owned() } else { text };
            let sample = Sample {
                location,
                name,
                batch: or(batch, UNKNOWN),
                group: or(group, UNKNOWN),
                modality: or(modality, MODALITIES[0]),
                taxa: or(taxa, UNKNOWN),
                more: own.iter().map(|&i| row.get(i).cloned().unwrap_or_default()).collect(),
            };
            if apart && !MODALITIES.contains(&sample.modality.as_str()) {
                others.push(sample);
                continue;
            }
            check_sample(&sample).map_err(|fault| fault.at(place.as_str()))?;
            samples.push(sample);
            lines.push(place.as_str());
        }
        let table = Self { samples, more: own.iter().map(|&i| header[i].clone()).collect(), others };
        table.check_names(&lines)?;
        if table.samples.is_empty() {
            return Err(Fault::bad_input("the table has no sample").hint("give each sample a line below the names"));
        }
        Ok(table)
    }

    fn check_names(&self, places: &[&str]) -> Result<()> {
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        for (i, sample) in self.samples.iter().enumerate() {
            if let Some(before) = seen.insert((&sample.modality, &sample.name), i) {
                let message =
                    format!("sample `{}` stands there twice, in {} and {}", sample.name, places[before], places[i]);
                return Err(Fault::bad_input(message).at("sample").hint("give samples names that differ"));
            }
        }
        Ok(())
    }

    /// What is measured, in order of appearance.
    pub fn modalities(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !found.contains(&sample.modality.as_str()) {
                found.push(&sample.modality);
            }
        }
        found
    }

    /// The samples of a modality.
    pub fn of<'a>(&'a self, modality: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.modality == modality)
    }

    /// The names of the samples of a modality.
    pub fn names(&self, modality: &str) -> Vec<String> {
        self.samples.iter().filter(|s| s.modality == modality).map(|s| s.name.clone()).collect()
    }

    /// All names of columns, those of [`COLUMNS`] first.
    pub fn header(&self) -> Vec<&str> {
        COLUMNS.iter().copied().chain(self.more.iter().map(String::as_str)).collect()
    }

    /// The fields of a sample, in the order of [`SampleTable::header`].
    pub fn row<'a>(&'a self, sample: &'a Sample) -> Vec<&'a str> {
        let Sample { location, name, batch, group, modality, taxa, more } = sample;
        let own = [location, name, batch, group, modality, taxa];
        own.into_iter().chain(more).map(String::as_str).collect()
    }

    /// The table as text, which [`SampleTable::parse_saved`] reads as the same table.
    pub fn to_tsv(&self) -> String {
        let mut text = self.header().join("\t");
        text.push('\n');
        for sample in self.samples.iter().chain(&self.others) {
            let row: Vec<String> =
                self.row(sample).iter().map(|field| field.replace(['\t', '\n', '\r'], " ")).collect();
            text.push_str(&row.join("\t"));
            text.push('\n');
        }
        text
    }

    /// Refuses the table if a location does not exist; `exists` is asked for each, relative to where the front reads.
    ///
    /// # Errors
    /// Naming the first sample without counts, and how many there are.
    pub fn check_locations(&self, exists: impl Fn(&str) -> bool) -> Result<()> {
        let lost: Vec<&Sample> = self.samples.iter().filter(|sample| !exists(&sample.location)).collect();
        let Some(first) = lost.first() else { return Ok(()) };
        let message = if lost.len() == 1 {
            format!("there is nothing at `{}`", first.location)
        } else {
            format!(
                "there is nothing at {} of {} locations, the first is `{}`",
                lost.len(),
                self.samples.len(),
                first.location
            )
        };
        Err(Fault::bad_file(message)
            .at(format!("sample `{}`", first.name))
            .hint("a location is a 10x folder, an .h5, an .h5ad or a table; paths may be absolute"))
    }
}

/// The names of columns of a text, and its rows with the place of each.
#[expect(clippy::type_complexity, reason = "what `from_rows` takes")]
fn header_and_rows(text: &str) -> Result<(Vec<String>, Vec<(String, Vec<String>)>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim_end_matches('\r')))
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((_, header)) = lines.next() else {
        return Err(Fault::bad_input("the table of samples is empty")
            .hint(format!("its first line has the names {}", listing(&COLUMNS, 6))));
    };
    let header: Vec<String> = fields(header).collect();
    if header.len() == 1 && header[0].contains([',', ';']) {
        return Err(Fault::bad_input("the line of names has no tab").hint("put tabs between the columns"));
    }
    let mut rows = Vec::new();
    for (line, content) in lines {
        let row: Vec<String> = fields(content).collect();
        if row.len() != header.len() {
            let message = format!("{} fields, but there are {} columns", row.len(), header.len());
            return Err(Fault::bad_input(message).at(format!("line {line}")).hint("put one tab between fields"));
        }
        rows.push((format!("line {line}"), row));
    }
    Ok((header, rows))
}

/// The fields of a line; quotes around one are taken away.
fn fields(line: &str) -> impl Iterator<Item = String> + '_ {
    line.split('\t').map(|field| {
        let field = field.trim();
        let inner = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.map_or_else(|| field.to_owned(), |inner| inner.replace("\"\"", "\""))
    })
}

fn check_header(header: &[String]) -> Result<()> {
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !header.iter().any(|known| known == name)).collect();
    if let Some(first) = missing.first() {
        let (word, verb) = if missing.len() == 1 { ("column", "is") } else { ("columns", "are") };
        let near = nearest(first, header, 1);
        let hint = match near.first() {
            Some(near) => format!("is `{near}` meant for `{first}`?"),
            None => format!("there are {}", listing(header, 20)),
        };
        return Err(Fault::missing(format!("the {word} {} {verb} missing", listing(&missing, 2)))
            .at("columns")
            .hint(hint));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = header.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(Fault::bad_input(format!("column `{twice}` stands there twice")).at("columns"));
    }
    if let Some(taken) = header.iter().find(|name| TAKEN.contains(&name.as_str())) {
        return Err(Fault::bad_input(format!("a column cannot be called `{taken}`, which cells have of their own"))
            .at("columns")
            .hint("rename it"));
    }
    match header.iter().find(|name| name.is_empty()) {
        Some(_) => Err(Fault::bad_input("a column has no name").at("columns")),
        None => Ok(()),
    }
}

fn check_sample(sample: &Sample) -> Result<()> {
    check_name(&sample.name)?;
    if sample.location.is_empty() {
        return Err(Fault::bad_input(format!("sample `{}` has no location", sample.name)));
    }
    if !MODALITIES.contains(&sample.modality.as_str()) {
        let message = format!("modality `{}` of sample `{}` is not supported", sample.modality, sample.name);
        return Err(Fault::unsupported(message).hint(format!("modalities are {}", listing(&MODALITIES, 5))));
    }
    Ok(())
}

/// Refuses what cannot be the name of a file in the folder of a study: of a sample or of a subset.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let odd = name.chars().find(|c| matches!(c, '/' | '\\' | ':' | '\0') || c.is_control());
    let why = if name.is_empty() {
        "a name is missing".to_owned()
    } else if let Some(odd) = odd {
        format!("the name `{name}` has {odd:?}, which cannot be part of a file name here")
    } else if name.starts_with('.') {
        format!("the name `{name}` begins with a dot")
    } else if name == super::select::INTEGRATED {
        format!("the name `{name}` stands for all samples together")
    } else {
        return Ok(());
    };
    Err(Fault::bad_input(why).hint("use letters, digits, `-`, `_` and dots within"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "location\tsample\tbatch\tgroup\tmodality\ttaxa\tage\n\
                        # a remark\n\
                        a.h5ad\ta\tb1\tctrl\trna\thsa\t61\n\
                        \n\
                        \"b counts.csv.gz\"\tb\t\t\t\t\t\n";

    fn message(text: &str) -> String {
        SampleTable::parse(text).err().map(|f| format!("{f}; {}", f.way_out().unwrap_or_default())).unwrap_or_default()
    }

    #[test]
    fn rows_have_their_usual_values() -> Result<()> {
        let table = SampleTable::parse(GOOD)?;
        let b = &table.samples[1];
        assert_eq!((b.batch.as_str(), b.group.as_str(), b.modality.as_str(), b.taxa.as_str()), (".", ".", "rna", "."));
        assert_eq!((b.location.as_str(), b.is_text(), table.samples[0].is_text()), ("b counts.csv.gz", true, false));
        let expected =
            [("sample", "a"), ("batch", "b1"), ("group", "ctrl"), ("modality", "rna"), ("taxa", "hsa"), ("age", "61")];
        assert_eq!(table.samples[0].obs(&table), expected);
        assert_eq!((b.cell_name(0), b.barcode("AAAC-1")), ("b:1".to_owned(), "b:AAAC-1".to_owned()));
        assert_eq!((table.modalities(), table.of("rna").count()), (vec!["rna"], 2));
        Ok(())
    }

    #[test]
    fn what_is_written_reads_back() -> Result<()> {
        let table = SampleTable::parse(GOOD)?;
        assert_eq!(SampleTable::parse(&table.to_tsv())?, table);
        assert_eq!(SampleTable::parse(&format!("\u{feff}{}", table.to_tsv().replace('\n', "\r\n")))?, table);
        Ok(())
    }

    #[test]
    fn samples_of_other_modalities_are_kept_apart() -> Result<()> {
        let text = format!("{GOOD}v.loom\ta\tb1\tctrl\trna.splicing\thsa\t61\n");
        assert!(message(&text).contains("line 6: modality `rna.splicing` of sample `a` is not supported"));
        let table = SampleTable::parse_saved(&text)?;
        assert_eq!((table.samples.len(), table.others.len()), (2, 1));
        assert_eq!(SampleTable::parse_saved(&table.to_tsv())?, table);
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", "empty"),
            ("location,sample\na,b\n", "no tab"),
            ("location\tname\na\tb\n", "column `sample` is missing"),
            ("x\ty\na\tb\n", "columns `location`, `sample` are missing"),
            ("locations\tsample\na\tb\n", "is `locations` meant for `location`?"),
            ("location\tsample\tage\tage\na\tb\t1\t2\n", "`age` stands there twice"),
            ("location\tsample\tbarcode\na\tb\tc\n", "cannot be called `barcode`"),
            ("location\tsample\n", "no sample"),
            ("location\tsample\na\n", "line 2: 1 fields, but there are 2 columns"),
            ("location\tsample\na\t\n", "a name is missing"),
            ("location\tsample\n\tb\n", "sample `b` has no location"),
            ("location\tsample\na\tx/y\n", "`x/y`"),
            ("location\tsample\na\tintegrated\n", "stands for all samples"),
            ("location\tsample\na\tx\nb\ty\nc\tx\n", "sample `x` stands there twice, in line 2 and line 4"),
            ("location\tsample\tmodality\na\tx\tatac\n", "modality `atac` of sample `x` is not supported"),
        ] {
            let found = message(text);
            assert!(found.contains(expected), "{text:?}: {found}");
        }
    }

    #[test]
    fn locations_are_asked_for() -> Result<()> {
        let table = SampleTable::parse(GOOD)?;
        assert!(table.check_locations(|_| true).is_ok());
        let fault = table.check_locations(|location| location == "a.h5ad");
        assert!(fault.is_err_and(|f| f.to_string() == "sample `b`: there is nothing at `b counts.csv.gz`"));
        assert!(table.check_locations(|_| false).is_err_and(|f| f.to_string().contains("2 of 2 locations")));
        Ok(())
    }
}
