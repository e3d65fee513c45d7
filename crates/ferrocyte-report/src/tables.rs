//! Tables of tests: what a study keeps of markers, differential expression and other questions to its genes.
//!
//! A data frame that has genes and p-values is such a table, whoever has written it: the words of ferrocyte, limma,
//! scanpy, DESeq2 and edgeR for its columns are known.

use std::collections::BTreeMap;

use ferrocyte_base::Result;
use ferrocyte_io::{ColumnData, Entries, FrameData, Item, Numbers};
use serde_json::{Value as Json, json};

use crate::pack::Blobs;

/// What a column of a table is for, and the names by which it goes.
const ROLES: &[(&str, &[&str])] = &[
    ("gene", &["gene", "genes", "names", "gene_name", "symbol"]),
    ("group", &["group", "cell_type", "cluster"]),
    ("contrast", &["contrast", "coefficient", "comparison", "test"]),
    ("effect", &["log_fc", "estimate", "logFC", "logfoldchanges", "lfc", "log2FoldChange", "effect"]),
    ("p", &["p_value", "P.Value", "pvals", "pvalue", "PValue", "p"]),
    ("adjusted", &["adj_p_value", "adj.P.Val", "pvals_adj", "padj", "FDR", "q"]),
    ("log_p", &["log10_p_value"]),
    ("status", &["status"]),
    ("reason", &["reason"]),
];

/// The roles that are numbers; columns of all others are texts, also where their values are written as numbers
/// (cluster 0, 1, ...).
const MEASURED: &[&str] = &["effect", "p", "adjusted", "log_p"];

/// How deep data frames are looked for below uns.
const DEPTH: usize = 4;

/// A table that was found.
#[derive(Debug)]
pub(crate) struct TestTable {
    /// Where it stands: `uns/lmm/tests`.
    pub(crate) path: String,
    /// Whether it tells clusters apart, rather than answering a question to all cells.
    pub(crate) markers: bool,
    columns: Vec<(String, Cells)>,
    roles: BTreeMap<&'static str, usize>,
    n_rows: usize,
}

/// The values of a column.
#[derive(Debug, Clone)]
enum Cells {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// All tables of tests below uns, in the order of their places.
pub(crate) fn find(uns: &[(String, Item)]) -> Vec<TestTable> {
    let mut found = Vec::new();
    for (name, item) in uns {
        look("uns", name, item, DEPTH, &mut found);
    }
    found
}

fn look(place: &str, name: &str, item: &Item, depth: usize, found: &mut Vec<TestTable>) {
    let path = format!("{place}/{name}");
    match item {
        Item::Frame(frame) => found.extend(TestTable::of_frame(path, frame)),
        Item::Dict(items) => {
            if let Some(markers) = ranked(&path, items).or_else(|| differential(&path, items)) {
                found.push(markers);
            } else if depth > 0 {
                for (name, item) in items {
                    look(&path, name, item, depth - 1, found);
                }
            }
        }
        _ => {}
    }
}

impl TestTable {
    fn new(path: String, markers: bool, mut columns: Vec<(String, Cells)>) -> Option<Self> {
        let place = |role: &str, names: &[&str]| {
            let fits = |cells: &Cells| matches!(cells, Cells::Numbers(_)) || !MEASURED.contains(&role);
            names.iter().find_map(|name| columns.iter().position(|(found, cells)| found == name && fits(cells)))
        };
        let roles: BTreeMap<&str, usize> =
            ROLES.iter().filter_map(|(role, names)| Some((*role, place(role, names)?))).collect();
        for (role, &at) in &roles {
            if !MEASURED.contains(role) {
                let cells = &mut columns[at].1;
                *cells = Cells::Texts(cells.as_texts());
            }
        }
        let n_rows = columns.first().map_or(0, |(_, cells)| cells.len());
        let tests = roles.contains_key("gene") && (roles.contains_key("p") || roles.contains_key("adjusted"));
        tests.then_some(Self { path, markers, columns, roles, n_rows })
    }

    fn of_frame(path: String, frame: &FrameData) -> Option<Self> {
        let mut columns: Vec<(String, Cells)> =
            frame.columns.iter().map(|(name, column)| (name.clone(), Cells::of(column))).collect();
        let genes = ROLES.iter().find(|(role, _)| *role == "gene").map(|(_, names)| *names).unwrap_or_default();
        if !columns.iter().any(|(name, _)| genes.contains(&name.as_str())) {
            // Tables of limma and DESeq2 are named by their genes.
            columns.insert(0, ("gene".to_owned(), Cells::of(&frame.index)));
        }
        Self::new(path, false, columns)
    }

    fn role(&self, role: &str) -> Option<&Cells> {
        self.roles.get(role).map(|&place| &self.columns[place].1)
    }

    fn numbers(&self, role: &str) -> Option<&[f64]> {
        match self.role(role)? {
            Cells::Numbers(values) => Some(values),
            Cells::Texts(_) => None,
        }
    }

    fn texts(&self, role: &str) -> Option<&[String]> {
        match self.role(role)? {
            Cells::Texts(values) => Some(values),
            Cells::Numbers(_) => None,
        }
    }

    /// The rows with the smallest p-values, at most so many, in their order in the table.
    fn kept(&self, most: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.n_rows).collect();
        if rows.len() > most {
            let by = self.numbers("log_p").or_else(|| self.numbers("p")).or_else(|| self.numbers("adjusted"));
            if let Some(by) = by {
                // NaN, which is larger than all numbers here, stands for rows without a test.
                rows.sort_by(|&a, &b| by[a].is_nan().cmp(&by[b].is_nan()).then(by[a].total_cmp(&by[b])));
            }
            rows.truncate(most);
            rows.sort_unstable();
        }
        rows
    }

    /// The first genes of each group, at most so many: those with the smallest p-values whose effect is above zero.
    pub(crate) fn first_genes(&self, most: usize) -> Vec<(String, Vec<String>)> {
        let Some(genes) = self.texts("gene") else { return Vec::new() };
        let by = self.numbers("log_p").or_else(|| self.numbers("p")).or_else(|| self.numbers("adjusted"));
        let Some(by) = by else { return Vec::new() };
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for row in 0..self.n_rows {
            let above = self.numbers("effect").is_none_or(|effect| effect[row] > 0.0);
            if by[row].is_nan() || !above {
                continue;
            }
            let group = self.texts("group").map_or("", |groups| groups[row].as_str());
            match groups.iter_mut().find(|(name, _)| name == group) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((group.to_owned(), vec![row])),
            }
        }
        let first = |mut rows: Vec<usize>| {
            rows.sort_by(|&a, &b| by[a].total_cmp(&by[b]));
            rows.truncate(most);
            rows.into_iter().map(|row| genes[row].clone()).collect()
        };
        groups.into_iter().map(|(name, rows)| (name, first(rows))).collect()
    }

    /// The table as the page has it.
    pub(crate) fn to_json(&self, blobs: &mut Blobs, most: usize) -> Result<Json> {
        let rows = self.kept(most);
        let mut columns = Vec::new();
        for (place, (name, cells)) in self.columns.iter().enumerate() {
            let role = self.roles.iter().find(|(_, found)| **found == place).map(|(role, _)| *role);
            // The logarithm of p says what p says, and more.
            if role == Some("log_p") && self.roles.contains_key("p") {
                continue;
            }
            columns.push(match cells {
                Cells::Texts(texts) => text_column(name, role, rows.iter().map(|&row| texts[row].as_str()), blobs)?,
                Cells::Numbers(values) => {
                    let logs = self.numbers("log_p").filter(|_| role == Some("p"));
                    let log10 = matches!(role, Some("p" | "adjusted" | "log_p"));
                    let value = |&row: &usize| match (logs, role) {
                        (Some(logs), _) => logs[row],
                        (None, Some("p" | "adjusted")) => values[row].log10(),
                        _ => values[row],
                    };
                    json!({
                        "name": name,
                        "role": role,
                        "log10": log10 && role != Some("log_p"),
                        "values": blobs.floats(rows.iter().map(value))?,
                    })
                }
            });
        }
        Ok(json!({
            "path": self.path,
            "rows": rows.len(),
            "of": self.n_rows,
            "markers": self.markers,
            "columns": columns,
            "statuses": self.statuses(),
        }))
    }

    /// How many rows of the whole table have each status, with the reason of the first of them.
    fn statuses(&self) -> Vec<Json> {
        let Some(words) = self.texts("status") else { return Vec::new() };
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (row, word) in words.iter().enumerate() {
            counts.entry(word).or_insert((0, row)).0 += 1;
        }
        let reason = |row: usize| self.texts("reason").map_or("", |reasons| reasons[row].as_str());
        counts.iter().map(|(word, &(n, row))| json!({"status": word, "rows": n, "reason": reason(row)})).collect()
    }
}

/// A column of texts: its distinct values, and which of them each row has.
fn text_column<'a>(
    name: &str,
    role: Option<&str>,
    texts: impl Iterator<Item = &'a str>,
    blobs: &mut Blobs,
) -> Result<Json> {
    let mut places: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut levels, mut codes) = (Vec::new(), Vec::new());
    for text in texts {
        let next = levels.len() as u32;
        codes.push(*places.entry(text).or_insert_with(|| {
            levels.push(text);
            next
        }));
    }
    let n_levels = levels.len();
    Ok(json!({
        "name": name,
        "role": role,
        "levels": blobs.json(&json!(levels))?,
        "values": blobs.codes(codes, n_levels)?,
    }))
}

impl Cells {
    fn of(column: &ColumnData) -> Self {
        match column {
            ColumnData::Numbers(numbers) if numbers.as_bools().is_none() => Self::Numbers(numbers.to_f64()),
            ColumnData::NullableNumbers { values, missing } if values.as_bools().is_none() => {
                let present = |(value, &gone): (f64, &bool)| if gone { f64::NAN } else { value };
                Self::Numbers(values.to_f64().into_iter().zip(missing).map(present).collect())
            }
            other => Self::Texts(other.to_texts().into_iter().map(Option::unwrap_or_default).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Numbers(these), Self::Numbers(more)) => these.extend(more),
            (Self::Texts(these), Self::Texts(more)) => these.extend(more),
            // Columns of one name and two kinds do not come from one step; texts can say both.
            (these, more) => *these = Self::Texts(these.as_texts().into_iter().chain(more.as_texts()).collect()),
        }
    }

    fn as_texts(&self) -> Vec<String> {
        match self {
            Self::Numbers(values) => Numbers::F64(values.clone()).to_texts(),
            Self::Texts(values) => values.clone(),
        }
    }
}

/// Markers in the form of scanpy: records with a field for each group, one for each thing that is measured.
fn ranked(path: &str, items: &[(String, Item)]) -> Option<TestTable> {
    const FIELDS: [(&str, &str); 5] = [
        ("names", "gene"),
        ("scores", "score"),
        ("logfoldchanges", "log_fc"),
        ("pvals", "p_value"),
        ("pvals_adj", "adj_p_value"),
    ];
    let of = |name: &str| items.iter().find(|(found, _)| found == name).map(|(_, item)| item);
    let Some(Item::Records(names)) = of("names") else { return None };
    let groups = names.fields.iter().map(|(group, _)| std::iter::repeat_n(group.clone(), names.n_rows));
    let mut columns = vec![("group".to_owned(), Cells::Texts(groups.flatten().collect()))];
    for (field, name) in FIELDS {
        let Some(Item::Records(records)) = of(field) else { continue };
        let mut cells: Option<Cells> = None;
        for (group, _) in &names.fields {
            let (_, values) = records.fields.iter().find(|(found, _)| found == group)?;
            let values = match &values.cells {
                Entries::Numbers(numbers) => Cells::Numbers(numbers.to_f64()),
                Entries::Texts(texts) | Entries::Fixed { texts, .. } => Cells::Texts(texts.clone()),
            };
            match &mut cells {
                Some(cells) => cells.append(values),
                none => *none = Some(values),
            }
        }
        columns.push((name.to_owned(), cells?));
    }
    let n_rows = columns[0].1.len();
    if columns.iter().any(|(_, cells)| cells.len() != n_rows) {
        return None;
    }
    // -log10 of p, where p itself is too small for a number; ours says it so.
    if let Some(Item::Records(logs)) = of("log10_p") {
        let values: Option<Vec<f64>> =
            names.fields.iter().try_fold(Vec::with_capacity(n_rows), |mut all, (group, _)| {
                let (_, field) = logs.fields.iter().find(|(found, _)| found == group)?;
                let Entries::Numbers(numbers) = &field.cells else { return None };
                all.extend(numbers.to_f64().into_iter().map(|x| -x));
                Some(all)
            });
        columns.extend(values.filter(|v| v.len() == n_rows).map(|v| ("log10_p_value".to_owned(), Cells::Numbers(v))));
    }
    TestTable::new(path.to_owned(), true, columns)
}

/// Markers in the form of exprmat: a data frame for each group.
fn differential(path: &str, items: &[(String, Item)]) -> Option<TestTable> {
    let Some((_, Item::Dict(groups))) = items.iter().find(|(name, _)| name == "differential") else { return None };
    let mut columns: Vec<(String, Cells)> = Vec::new();
    for (group, item) in groups {
        let Item::Frame(frame) = item else { return None };
        let names = Cells::Texts(vec![group.clone(); frame.n_rows()]);
        let mut more = vec![("group".to_owned(), names)];
        more.extend(frame.columns.iter().map(|(name, column)| (name.clone(), Cells::of(column))));
        if columns.is_empty() {
            columns = more;
        } else if columns.iter().map(|(name, _)| name).eq(more.iter().map(|(name, _)| name)) {
            columns.iter_mut().zip(more).for_each(|((_, cells), (_, more))| cells.append(more));
        } else {
            return None;
        }
    }
    // exprmat keeps -log10 of p and of adjusted p.
    columns.retain(|(name, _)| name != "log10.q");
    for (name, cells) in &mut columns {
        if let ("log10.p", Cells::Numbers(values)) = (name.as_str(), cells) {
            values.iter_mut().for_each(|value| *value = -*value);
            "log10_p_value".clone_into(name);
        }
    }
    TestTable::new(path.to_owned(), true, columns)
}
