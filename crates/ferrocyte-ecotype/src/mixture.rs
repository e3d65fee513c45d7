//! Mixtures of cells, as bulk samples and spots are: weights from known fractions, and fractions from weights.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use crate::draws::Draws;
use crate::expression::Expression;
use crate::model::{EPS, Feature, Model, Sign};
use crate::nmf::stop::Connectivity;
use crate::predict::{PredictOptions, Problem, Scores, Updates, Workspace, predict};
use crate::scale::{Moments, scale};
use crate::train::{Mode, select};

/// Updates of the reference: with fixed coefficients its stopping rule is met here.
const UPDATES: usize = 420;

/// How weights are found from fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixtureOptions {
    /// The optimum, or 420 updates from a random start.
    pub mode: Mode,
    /// Whether genes are standardised over the samples.
    pub scale: bool,
    /// How many genes, those that vary most.
    pub nfeature: usize,
    /// How many features mark a class; `None` is all.
    pub nfeature_per_se: Option<usize>,
}

impl Default for MixtureOptions {
    /// Exact, scaled, 300 genes, 50 features a class.
    fn default() -> Self {
        Self { mode: Mode::Exact, scale: true, nfeature: 300, nfeature_per_se: Some(50) }
    }
}

/// Finds the weights of genes in classes from samples of known composition.
///
/// `fractions` is samples × classes, samples in the order of `x` (samples × genes). In compat mode the start is drawn from
/// `draws`, class after class, unless `start` gives it: features × classes by the names of its features.
#[expect(clippy::too_many_arguments, reason = "the front gathers them by name")]
pub fn train_w(
    run: &Run,
    x: &mut Expression,
    fractions: &Matrix,
    classes: &[String],
    auto_log: bool,
    start: Option<&Model>,
    draws: &mut Draws,
    options: &MixtureOptions,
) -> Result<Model> {
    check(x, fractions, classes, options)?;
    if auto_log {
        x.auto_log();
    }
    let (features, values) = features(x, options);
    let n = x.n_cells();
    let k = classes.len();
    let w0 = match start {
        Some(given) => start_of(given, &features, classes)?,
        None => {
            let mut drawn = Matrix::zeros(features.len(), k);
            if options.mode == Mode::Compat {
                for class in 0..k {
                    (0..features.len()).for_each(|row| drawn[(row, class)] = draws.uniform());
                }
            }
            drawn
        }
    };
    let rows: Vec<Vec<f64>> =
        (0..n).map(|sample| fractions.row(sample).iter().map(|fraction| fraction + EPS).collect()).collect();
    let sums: Vec<f64> = (0..k).map(|class| rows.iter().map(|row| row[class]).sum()).collect();
    let fitted = run.map_blocks("weights", features.len(), 8, |feature| {
        let v = &values[feature];
        let known = v.iter().zip(&rows).filter(|(v, _)| **v > 0.0).map(|(v, row)| (*v, &row[..]));
        let mut w = w0.row(feature).to_vec();
        if options.mode == Mode::Exact {
            let mut problem = Problem::new(sums.clone());
            problem.set(known);
            problem.solve(&mut Workspace::default(), &mut w);
        } else {
            let mut updates = Updates::new(sums.clone());
            updates.set(known);
            for _ in 0..UPDATES / Connectivity::EVERY {
                updates.update(&mut w, Connectivity::EVERY);
                w.iter_mut().for_each(|w| *w = w.max(EPS));
            }
        }
        Ok(w)
    })?;
    let weights = Matrix::from_rows(features.len(), k, fitted.concat());
    let full = Model { cell_type: "mixture".into(), classes: classes.to_vec(), features, weights };
    Ok(full.take(&select(&full, options.nfeature_per_se)))
}

fn check(x: &Expression, fractions: &Matrix, classes: &[String], options: &MixtureOptions) -> Result<()> {
    crate::expression::check_names("classes", classes, fractions.n_cols())?;
    if fractions.n_rows() != x.n_cells() {
        let message = format!("fractions of {} samples, expression of {}", fractions.n_rows(), x.n_cells());
        return Err(Fault::bad_input(message).at("fractions"));
    }
    if let Some(k) = fractions.entries().iter().position(|f| !(0.0..f64::INFINITY).contains(f)) {
        let (sample, class, found) = (k / classes.len(), k % classes.len(), fractions.entries()[k]);
        return Err(Fault::bad_input(format!(
            "fractions are >= 0, sample `{}` has {found} of `{}`",
            x.cells()[sample],
            classes[class]
        ))
        .at("fractions"));
    }
    if options.nfeature == 0 || options.nfeature_per_se == Some(0) || classes.len() < 2 {
        return Err(Fault::bad_input("weights need two classes, and at least one feature of each"));
    }
    Ok(())
}

/// The features that vary, and the values of each over the samples.
fn features(x: &Expression, options: &MixtureOptions) -> (Vec<Feature>, Vec<Vec<f64>>) {
    let all: Vec<usize> = (0..x.n_cells()).collect();
    let variances = Moments::of(x, &all).variances();
    let mut genes: Vec<usize> = (0..x.n_genes()).collect();
    if genes.len() > options.nfeature {
        genes.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
        genes.truncate(options.nfeature);
    }
    let x = x.take_genes(&genes);
    let dense = if options.scale { scale(&x) } else { plain(&x) };
    let signs: &[Sign] =
        if dense.entries().iter().any(|&z| z < 0.0) { &[Sign::Positive, Sign::Negative] } else { &[Sign::None] };
    let (mut features, mut values) = (Vec::new(), Vec::new());
    for &sign in signs {
        for (gene, name) in x.genes().iter().enumerate() {
            let part = |z: f64| if sign == Sign::Negative { (-z).max(0.0) } else { z.max(0.0) };
            let row: Vec<f64> = (0..x.n_cells()).map(|sample| part(dense[(sample, gene)])).collect();
            if row.iter().any(|v| *v != row[0]) {
                features.push(Feature { gene: name.clone(), sign });
                values.push(row);
            }
        }
    }
    (features, values)
}

fn plain(x: &Expression) -> Matrix {
    let mut dense = Matrix::zeros(x.n_cells(), x.n_genes());
    for cell in 0..x.n_cells() {
        let (genes, values) = x.cell(cell);
        genes.iter().zip(values).for_each(|(&gene, &value)| dense[(cell, gene as usize)] = value);
    }
    dense
}

/// The rows and columns of a given start, in the order needed.
fn start_of(given: &Model, features: &[Feature], classes: &[String]) -> Result<Matrix> {
    let columns: Vec<Option<usize>> = classes.iter().map(|c| given.classes.iter().position(|g| g == c)).collect();
    let rows: std::collections::HashMap<&Feature, usize> =
        given.features.iter().enumerate().map(|(row, feature)| (feature, row)).collect();
    let mut start = Matrix::zeros(features.len(), classes.len());
    for (row, feature) in features.iter().enumerate() {
        for (k, column) in columns.iter().enumerate() {
            let (Some(&from), Some(column)) = (rows.get(feature), column) else {
                let message = format!("the start has no weight of `{feature}` in `{}`", classes[k]);
                return Err(Fault::bad_input(message).at("W0"));
            };
            start[(row, k)] = given.weights[(from, *column)];
        }
    }
    Ok(start)
}

/// Scores of mixtures in the classes of a model: samples × classes.
///
/// Only the genes of the model take part; values that look like counts become `log2(x + 1)` if `auto_log` says so, and
/// genes are standardised over all samples if `options.scale` does.
pub fn deconvolute(
    run: &Run,
    x: &Expression,
    model: &Model,
    auto_log: bool,
    options: &PredictOptions,
) -> Result<Scores> {
    let places = x.gene_places();
    let mut kept: Vec<usize> = model.genes().iter().filter_map(|gene| places.get(gene.as_str()).copied()).collect();
    kept.sort_unstable();
    let mut x = x.take_genes(&kept);
    if auto_log {
        x.auto_log();
    }
    if options.scale && x.n_cells() > 0 && x.n_genes() > 0 {
        let scaled = scale(&x);
        let rows: Vec<Vec<f64>> = (0..x.n_cells()).map(|sample| scaled.row(sample).to_vec()).collect();
        x = Expression::from_rows(x.cells().to_vec(), x.genes().to_vec(), &rows)?;
    }
    predict(run, &x, model, &PredictOptions { scale: false, ..*options })
}
