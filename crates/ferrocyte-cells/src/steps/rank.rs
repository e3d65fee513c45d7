//! Markers of groups, in the form in which a study keeps them.

use ferrocyte_base::{Column, Result, Run, Table};
use ferrocyte_data::{Factor, RowChunks};

use super::slots::{Additions, Entry, Named, Values};
use crate::Names;
use crate::keys::{Key, Style};
use crate::markers::{GroupMarkers, MarkerOptions, markers};

/// How markers are found and kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RankOptions {
    /// The comparison.
    pub markers: MarkerOptions,
    /// The column of obs with the groups.
    pub groupby: String,
    /// The layer whose values are compared; `None` is X.
    pub layer: Option<String>,
    /// How many genes are kept of each group; `None` is all.
    pub n_genes: Option<usize>,
    /// Whether genes are ranked by the size of their score.
    pub by_size: bool,
    /// Whether shares of cells that have a gene are kept.
    pub pts: bool,
    /// The dialect.
    pub style: Style,
}

/// Compares groups of cells ([`markers`]) and keeps the result under the names of a dialect.
///
/// # Errors
/// Those of [`markers`].
pub fn rank(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    labels: &Factor,
    options: &RankOptions,
) -> Result<(Vec<GroupMarkers>, Additions)> {
    let found = markers(run, source, names, labels, &options.markers)?;
    let orders: Vec<Vec<usize>> = found.iter().map(|one| first(one, options)).collect();
    let mut told = vec![("params".to_owned(), params(options))];
    let texts = |order: &[usize]| Values::Texts(order.iter().map(|&gene| names.genes[gene].clone()).collect());
    let records = |values: &dyn Fn(&GroupMarkers, &[usize]) -> Values| {
        let field = |(one, order): (&GroupMarkers, &Vec<usize>)| (one.group.clone(), values(one, order));
        Entry::Records(found.iter().zip(&orders).map(field).collect())
    };
    told.push(("names".to_owned(), records(&|_, order| texts(order))));
    match options.style {
        Style::Scanpy => {
            for field in FIELDS.iter().filter(|field| field.of(&found[0]).is_some()) {
                told.push((field.name.to_owned(), records(&|one, order| field.picked(one, order))));
            }
            if options.pts {
                told.extend(fractions(&found, names, options, labels));
            }
        }
        Style::Exprmat => {
            let tables = found.iter().zip(&orders).map(|(one, order)| {
                let rows = (0..order.len()).map(|i| i.to_string()).collect();
                let mut columns: Vec<Named<Values>> = vec![("names".to_owned(), texts(order))];
                columns.extend(FIELDS.iter().filter_map(|field| {
                    let name = field.exprmat?.to_owned();
                    Some((name, Values::F64(field.sorted(one, order))))
                }));
                (one.group.clone(), Entry::Frame(rows, columns))
            });
            told.push(("differential".to_owned(), Entry::Dict(tables.collect())));
        }
    }
    let uns = vec![(Key::Markers.word(options.style).to_owned(), Entry::Dict(told))];
    Ok((found, Additions { uns, ..Additions::default() }))
}

/// The genes of a group that are kept, in their order.
fn first(one: &GroupMarkers, options: &RankOptions) -> Vec<usize> {
    let mut order = one.order(options.by_size);
    order.truncate(options.n_genes.unwrap_or(usize::MAX));
    order
}

fn params(options: &RankOptions) -> Entry {
    let reference = options.markers.reference.clone().unwrap_or_else(|| "rest".to_owned());
    Entry::dict([
        ("groupby", Entry::Text(options.groupby.clone())),
        ("reference", Entry::Text(reference)),
        ("method", Entry::Text(options.markers.method.word().to_owned())),
        ("use_raw", Entry::Bool(false)),
        ("layer", options.layer.clone().map_or(Entry::Null, Entry::Text)),
        ("corr_method", Entry::Text(options.markers.correction.word().to_owned())),
    ])
}

/// A number that every gene of a group has.
struct Field {
    name: &'static str,
    exprmat: Option<&'static str>,
    values: fn(&GroupMarkers) -> Option<&[f64]>,
    /// Whether it is a natural logarithm that is kept as -log10.
    log: bool,
    /// Whether scanpy keeps 32 bits.
    single: bool,
}

const fn field(
    name: &'static str,
    exprmat: Option<&'static str>,
    values: fn(&GroupMarkers) -> Option<&[f64]>,
) -> Field {
    Field { name, exprmat, values, log: false, single: false }
}

const FIELDS: [Field; 9] = [
    Field { single: true, ..field("scores", Some("scores"), |one| Some(&one.scores)) },
    Field { single: true, ..field("logfoldchanges", Some("lfc"), |one| Some(&one.log2_fold_change)) },
    field("pvals", Some("p"), |one| Some(&one.p)),
    field("pvals_adj", Some("q"), |one| Some(&one.q)),
    field("", Some("pct"), |one| Some(&one.fraction)),
    field("", Some("pct.reference"), |one| Some(&one.fraction_reference)),
    Field { log: true, ..field("log10_p", Some("log10.p"), |one| Some(&one.ln_p)) },
    Field { log: true, ..field("log10_q", Some("log10.q"), |one| Some(&one.ln_q)) },
    field("log2fc_mean", None, |one| one.log2_fold_change_of_means.as_deref()),
];

impl Field {
    fn of<'a>(&self, one: &'a GroupMarkers) -> Option<&'a [f64]> {
        if self.name.is_empty() { None } else { (self.values)(one) }
    }

    fn sorted(&self, one: &GroupMarkers, order: &[usize]) -> Vec<f64> {
        let values = (self.values)(one).unwrap_or_default();
        // Adding 0 turns -0 into 0.
        let kept = |value: f64| if self.log { -value / std::f64::consts::LN_10 + 0.0 } else { value };
        order.iter().map(|&gene| kept(values[gene])).collect()
    }

    fn picked(&self, one: &GroupMarkers, order: &[usize]) -> Values {
        Values::floats(self.sorted(one, order), self.single)
    }
}

/// Shares of cells that have a gene, genes × groups; the reference stands among them if it is a group.
fn fractions(found: &[GroupMarkers], names: &Names<'_>, options: &RankOptions, labels: &Factor) -> Vec<Named<Entry>> {
    let frame = |columns: Vec<Named<Values>>| Entry::Frame(names.genes.to_vec(), columns);
    let column = |name: &str, values: &[f64]| (name.to_owned(), Values::F64(values.to_vec()));
    let mut own: Vec<_> = found.iter().map(|one| column(&one.group, &one.fraction)).collect();
    match &options.markers.reference {
        Some(reference) => {
            own.push(column(reference, &found[0].fraction_reference));
            if options.markers.groups.is_none() {
                own.sort_by_key(|(name, _)| labels.levels.iter().position(|level| level == name));
            }
            vec![("pts".to_owned(), frame(own))]
        }
        None => {
            let rest = found.iter().map(|one| column(&one.group, &one.fraction_reference)).collect();
            vec![("pts".to_owned(), frame(own)), ("pts_rest".to_owned(), frame(rest))]
        }
    }
}

/// The markers of all groups as one table, a row for each group and gene that is kept.
///
/// # Errors
/// None where `found` is not empty.
pub fn marker_table(found: &[GroupMarkers], names: &Names<'_>, options: &RankOptions) -> Result<Table> {
    let parts: Vec<Table> = found.iter().map(|one| one.table(names, &first(one, options))).collect();
    let codes = parts.iter().enumerate().flat_map(|(i, part)| vec![i as u32; part.n_rows()]).collect();
    let levels = found.iter().map(|one| one.group.clone()).collect();
    let mut table = Table::new("markers").with(Column::level("group", "the group of cells", codes, levels));
    let Some(head) = parts.first() else { return Ok(table) };
    for column in head.columns() {
        let mut cells = column.cells.clone();
        for part in &parts[1..] {
            extend(&mut cells, &part.column(&column.name)?.cells);
        }
        table = table.with(Column { cells, ..column.clone() });
    }
    Ok(table)
}

fn extend(cells: &mut ferrocyte_base::Cells, more: &ferrocyte_base::Cells) {
    use ferrocyte_base::Cells;
    match (cells, more) {
        (Cells::Text(these), Cells::Text(more)) => these.extend_from_slice(more),
        (Cells::Float(these), Cells::Float(more)) => these.extend_from_slice(more),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markers::Method;
    use ferrocyte_data::Dense;

    fn options(style: Style) -> RankOptions {
        RankOptions {
            markers: MarkerOptions::new(Method::from_word("t-test").unwrap_or_else(|_| unreachable!())),
            groupby: "leiden".into(),
            layer: None,
            n_genes: Some(2),
            by_size: false,
            pts: true,
            style,
        }
    }

    #[test]
    fn both_dialects_keep_the_same_numbers() -> Result<()> {
        let values = [1.0, 0.0, 2.0, 1.1, 0.1, 2.2, 0.0, 3.0, 2.1, 0.2, 3.3, 2.0];
        let labels = Factor::from_texts(["0", "0", "1", "1"].map(Some));
        let genes: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let names = Names { cells: &[], genes: &genes };
        let find = |style| rank(&Run::new(), &mut Dense::row_major(4, 3, &values)?, &names, &labels, &options(style));
        let (found, scanpy) = find(Style::Scanpy)?;
        let (same, exprmat) = find(Style::Exprmat)?;
        assert_eq!(found, same);
        let entry = |added: &Additions, name: &str| match &added.uns[0].1 {
            Entry::Dict(entries) => entries.iter().find(|(known, _)| known == name).map(|(_, entry)| entry.clone()),
            _ => None,
        };
        assert_eq!(entry(&scanpy, "names"), entry(&exprmat, "names"));
        assert!(entry(&scanpy, "pts_rest").is_some() && entry(&scanpy, "log2fc_mean").is_none());
        let Some(Entry::Records(p)) = entry(&scanpy, "pvals") else { unreachable!("records were expected") };
        let Some(Entry::Dict(tables)) = entry(&exprmat, "differential") else { unreachable!("tables were expected") };
        let Entry::Frame(rows, columns) = &tables[0].1 else { unreachable!("a table was expected") };
        assert_eq!((rows.len(), columns.len()), (2, 9));
        assert!(columns.iter().any(|(name, values)| name == "p" && *values == p[0].1));
        let table = marker_table(&found, &names, &options(Style::Scanpy))?;
        assert_eq!((table.n_rows(), table.columns()[0].name.as_str()), (4, "group"));
        Ok(())
    }
}
