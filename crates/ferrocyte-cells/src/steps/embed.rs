//! From logarithms to coordinates: variable genes, components, batches brought together.

use ferrocyte_base::{Fault, Result, Run, Table};
use ferrocyte_data::{Factor, RowChunks, SelectGenes};
use ferrocyte_learn::Points;

use super::slots::{Additions, Coordinates, Entry, Values};
use crate::Names;
use crate::harmony::{HarmonyOptions, Ridge, harmony};
use crate::hvg::{Hvg, HvgOptions, highly_variable_genes};
use crate::keys::{Key, Style, translated};
use crate::pca::{PcaOptions, pca};
use crate::scale::ScaleOptions;

/// Coordinates of cells under a name, as those who read them find them.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The name, in obsm.
    pub name: String,
    /// Columns.
    pub width: usize,
    /// Cells × columns, as they are stored.
    pub values: Vec<f64>,
}

impl Basis {
    /// The coordinates as points.
    ///
    /// # Errors
    /// No point.
    pub fn points(&self) -> Result<Points<'_>> {
        Points::new(&self.values, self.values.len() / self.width.max(1), self.width)
    }

    /// Its first columns.
    ///
    /// # Errors
    /// More columns than there are.
    pub fn first(&self, width: usize) -> Result<Self> {
        if width > self.width {
            let message = format!("{width} components are asked for, there are {}", self.width);
            return Err(Fault::bad_input(message).at("n_pcs").hint("compute more of them: n_comps"));
        }
        let values = self.values.chunks(self.width).flat_map(|row| row[..width].to_vec()).collect();
        Ok(Self { name: self.name.clone(), width, values })
    }
}

/// Finds variable genes ([`highly_variable_genes`]) and names what was measured.
///
/// # Errors
/// Those of [`highly_variable_genes`].
pub fn variable_genes(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    batches: Option<&Factor>,
    options: &HvgOptions,
    style: Style,
) -> Result<(Hvg, Additions)> {
    let found = highly_variable_genes(run, source, names, batches, options)?;
    let var = columns(&found.table()).into_iter().map(|(name, values)| (translated(&name, style), values)).collect();
    let uns = vec![("hvg".to_owned(), Entry::dict([("flavor", Entry::Text(options.flavor.word().to_owned()))]))];
    Ok((found, Additions { var, uns, ..Additions::default() }))
}

/// The columns of a table of genes, ranks in 32 bits as elsewhere.
fn columns(table: &Table) -> Vec<(String, Values)> {
    use ferrocyte_base::Cells;
    let values = |name: &str, cells: &Cells| match cells {
        Cells::Float(v) => Some(Values::floats(v.clone(), name == "highly_variable_rank")),
        Cells::Int(v) => Some(Values::I64(v.clone())),
        Cells::Bool(v) => Some(Values::Bool(v.clone())),
        Cells::Text(_) | Cells::Level { .. } => None,
    };
    table.columns().iter().filter_map(|c| Some((c.name.clone(), values(&c.name, &c.cells)?))).collect()
}

/// How components are found and stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentOptions {
    /// How many; `None` is 50, or one less than there are cells or genes.
    pub n_comps: Option<usize>,
    /// Whether genes are standardised first.
    pub scale: bool,
    /// Where standardised values are clipped.
    pub max_value: Option<f64>,
    /// The dialect: exprmat's standardises by population deviations and stores 64 bits.
    pub style: Style,
}

/// Finds the principal components of some genes (all if `chosen` is nothing) of `source`; `single` says whether it has
/// 32-bit floats.
///
/// # Errors
/// Those of [`pca`]; no gene chosen; a clip without standardising.
pub fn components(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    chosen: Option<&[bool]>,
    options: &ComponentOptions,
    single: bool,
) -> Result<(Basis, Additions)> {
    if options.max_value.is_some() && !options.scale {
        return Err(Fault::bad_input("values are clipped after they are standardised, and scale is false")
            .at("max_value")
            .hint("give scale true too"));
    }
    let style = options.style;
    let genes: Vec<usize> = (0..source.n_cols()).filter(|&gene| chosen.is_none_or(|chosen| chosen[gene])).collect();
    if genes.is_empty() {
        return Err(Fault::bad_input("no gene is variable").at("pca").hint("ask for a number of them: n_top_genes"));
    }
    let ddof = usize::from(style == Style::Scanpy);
    let scale = options.scale.then_some(ScaleOptions { ddof, zero_center: true, max_value: options.max_value });
    let n_genes = source.n_cols();
    let labels: Vec<String> = genes.iter().filter_map(|&gene| names.genes.get(gene).cloned()).collect();
    let names = Names { cells: names.cells, genes: &labels };
    let mut few = SelectGenes::new(source, &genes)?;
    let found = pca(run, &mut few, &names, &PcaOptions { n_comps: options.n_comps, scale })?;
    let width = found.variance.len();
    let narrow = style == Style::Scanpy;
    let scores = Values::floats(found.scores.into_entries(), narrow);
    let mut loadings = vec![0.0; n_genes * width];
    for (column, &gene) in genes.iter().enumerate() {
        for component in 0..width {
            loadings[gene * width + component] = found.loadings.row(component)[column];
        }
    }
    let mask = chosen.map(|_| Entry::Text(Key::HighlyVariable.word(style).to_owned()));
    let mut params = vec![
        ("zero_center".to_owned(), Entry::Bool(true)),
        ("use_highly_variable".to_owned(), Entry::Bool(mask.is_some())),
        ("mask_var".to_owned(), mask.unwrap_or(Entry::Null)),
    ];
    if options.scale {
        params.push(("scale".to_owned(), Entry::Bool(true)));
        params.push(("max_value".to_owned(), Entry::of(options.max_value)));
    }
    let variances = |values: Vec<f64>| Entry::Array(vec![values.len()], Values::floats(values, narrow && single));
    let mut told = vec![
        ("params".to_owned(), Entry::Dict(params)),
        ("variance".to_owned(), variances(found.variance)),
        (Key::VarianceRatio.word(style).to_owned(), variances(found.variance_ratio)),
    ];
    if let Some(name) = Key::Singular.name(style) {
        told.push((name.to_owned(), Entry::array(found.singular_values)));
    }
    let name = Key::Pca.word(style).to_owned();
    let basis = Basis { name: name.clone(), width, values: scores.to_f64() };
    let additions = Additions {
        obsm: vec![(name, Coordinates { width, values: scores })],
        varm: vec![(Key::Loadings.word(style).to_owned(), Coordinates { width, values: Values::F64(loadings) })],
        uns: vec![("pca".to_owned(), Entry::Dict(told))],
        ..Additions::default()
    };
    Ok((basis, additions))
}

/// Brings batches together in the space of a basis; `key` is the column that tells them.
///
/// # Errors
/// Those of [`harmony`].
pub fn integrate(
    run: &Run,
    basis: &Basis,
    (key, batches): (&str, &Factor),
    options: &HarmonyOptions,
    style: Style,
) -> Result<(Basis, Additions)> {
    let found = harmony(run, basis.points()?, &[batches], options)?;
    let lambda = match options.ridge {
        Ridge::Fixed(lambda) => Entry::Float(lambda),
        Ridge::Expected { .. } => Entry::Text("auto".to_owned()),
    };
    let told = match &lambda {
        Entry::Float(value) => value.to_string(),
        _ => "auto".to_owned(),
    };
    let rounds = found.rounds.len();
    run.info(&format!("Harmony: lambda is {told}, {rounds} iterations, converged: {}", found.converged));
    let params = Entry::dict([
        ("key", Entry::Array(vec![1], Values::Texts(vec![key.to_owned()]))),
        ("basis", Entry::Text(basis.name.clone())),
        ("theta", Entry::Float(options.theta)),
        ("lambda", lambda),
        ("sigma", Entry::Float(options.sigma)),
        ("tau", Entry::Float(options.tau)),
        ("n_clusters", Entry::Int(found.observed.n_rows() as i64)),
        ("random_state", Entry::Int(options.seed as i64)),
    ]);
    let told = Entry::dict([
        ("params", params),
        ("objective", Entry::array(found.objective)),
        ("rounds", Entry::Array(vec![rounds], Values::I64(found.rounds.iter().map(|&n| n as i64).collect()))),
        ("converged", Entry::Bool(found.converged)),
    ]);
    let name = Key::Harmony.word(style).to_owned();
    let basis = Basis { name: name.clone(), width: basis.width, values: found.corrected.into_entries() };
    let corrected = Coordinates { width: basis.width, values: Values::F64(basis.values.clone()) };
    let additions =
        Additions { obsm: vec![(name, corrected)], uns: vec![("harmony".to_owned(), told)], ..Additions::default() };
    Ok((basis, additions))
}
