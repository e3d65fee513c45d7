//! Recovery: ecotypes of cells of many types, by the models of their types.

use ferrocyte_base::{Column, Fault, Result, Run, Table, listing, nearest};
use ferrocyte_math::linalg::Matrix;

use crate::collate;
use crate::expression::Expression;
use crate::model::{Model, arg_max, margin, of_type, some_models};
use crate::predict::stream::Scored;
use crate::predict::{FEWEST_GENES, PredictOptions, Reason, predict};
use crate::train::Mode;

/// The label of cells without an ecotype, as recovery writes it.
pub const NON_SE: &str = "NonSE";

/// How cells are labelled.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoverOptions {
    /// Exact or as the reference.
    pub mode: Mode,
    /// Whether genes are standardised over the cells of each type.
    pub scale: bool,
    /// In compat mode: the most cells of a chunk.
    pub cells_per_run: usize,
    /// Scores below this are no ecotype.
    pub min_score: f64,
    /// Types with fewer cells are not scored.
    pub min_cells: usize,
    /// The class of training that stands for no ecotype; in exact mode it is written [`NON_SE`], whatever its case.
    pub non_se_label: String,
}

impl Default for RecoverOptions {
    /// Exact, scaled, chunks of 1,000, any score above 0, at least 20 cells, `nonSE`.
    fn default() -> Self {
        Self {
            mode: Mode::Exact,
            scale: true,
            cells_per_run: 1000,
            min_score: 0.0,
            min_cells: 20,
            non_se_label: "nonSE".into(),
        }
    }
}

/// Labels and scores of cells, in the order of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The cells.
    pub cells: Vec<String>,
    /// Their types.
    pub cell_types: Vec<String>,
    /// All classes of the models, sorted.
    pub classes: Vec<String>,
    /// The best class, whatever its score; empty where a cell is not scored (in compat mode: the first class).
    pub best: Vec<String>,
    /// The label.
    pub label: Vec<String>,
    /// The score of the best class; 0 where a cell is not scored.
    pub score: Vec<f64>,
    /// By how much it is above the second.
    pub margin: Vec<f64>,
    /// Why the label is what it is.
    pub reason: Vec<Reason>,
    /// Cells × classes; 0 where a cell is not scored, or its model lacks the class.
    pub scores: Matrix,
    /// Cells whose scores are one of several optima.
    pub not_unique: usize,
    /// Updates of the chunks of each type, in compat mode.
    pub iterations: Vec<(String, Vec<usize>)>,
    /// Whether values were taken for counts, and logarithms taken.
    pub logged: bool,
}

impl Recovered {
    /// One row for each cell: `CID`, `CellType`, `InitSE`, `SE`, `PredScore`, `margin`, `reason`.
    pub fn table(&self) -> Table {
        let reasons = self.reason.iter().map(|reason| reason.word().to_owned()).collect();
        Table::new("recovered")
            .with(Column::text("CID", "the cell", self.cells.clone()))
            .with(Column::text("CellType", "its type", self.cell_types.clone()))
            .with(Column::text("InitSE", "the class with the largest score", self.best.clone()))
            .with(Column::text("SE", "the ecotype, NonSE for none", self.label.clone()))
            .with(Column::float("PredScore", "", "the largest score", self.score.clone()))
            .with(Column::float("margin", "", "the largest score less the second", self.margin.clone()))
            .with(Column::text("reason", "why the label is what it is", reasons))
    }
}

/// Labels the cells of `x` by the models of their types.
///
/// Genes that no model uses are left out first; what is left becomes `log2(x + 1)` where it looks like counts and
/// `auto_log` says so. Fails where no cell is of a type that has a model.
pub fn recover(
    run: &Run,
    x: &Expression,
    cell_types: &[String],
    models: &[Model],
    auto_log: bool,
    options: &RecoverOptions,
) -> Result<Recovered> {
    let mut out = begin(run, x.cells().to_vec(), cell_types, models)?;
    let mut x = x.take_genes(&genes_of_models(x.genes(), models));
    out.logged = auto_log && x.auto_log();
    for model in models {
        let cells: Vec<usize> = (0..x.n_cells()).filter(|&cell| cell_types[cell] == model.cell_type).collect();
        if cells.is_empty() || out.too_few(run, model, &cells, options) {
            continue;
        }
        let predicting = PredictOptions {
            mode: options.mode,
            scale: options.scale,
            sum_to_one: true,
            cells_per_run: options.cells_per_run,
        };
        let found = predict(run, &x.take_cells(&cells), model, &predicting)?;
        let scored = |(i, &cell): (usize, &usize)| {
            out.reason[cell] = found.reasons[i];
            let scores = (found.reasons[i] == Reason::Ok).then(|| found.values.row(i).to_vec());
            Scored { cell, scores, not_unique: found.not_unique[i] }
        };
        let scored: Vec<Scored> = cells.iter().enumerate().map(scored).collect();
        out.put(model, scored);
        // Of what is not scored there are no chunks.
        if found.shared_genes >= FEWEST_GENES {
            out.iterations.push((model.cell_type.clone(), found.iterations));
        }
    }
    out.label_cells(options);
    Ok(out)
}

/// Results before any cell is scored.
///
/// # Errors
/// No model, types that are not as many as cells, and no type that has a model.
pub(crate) fn begin(run: &Run, cells: Vec<String>, cell_types: &[String], models: &[Model]) -> Result<Recovered> {
    some_models(models)?;
    let n = cells.len();
    if cell_types.len() != n {
        return Err(Fault::bad_input(format!("{} types for {n} cells", cell_types.len())).at("cell_type"));
    }
    let present = collate::first_seen(cell_types);
    if !models.iter().any(|model| present.contains(&model.cell_type)) {
        let known: Vec<&str> = models.iter().map(|model| model.cell_type.as_str()).collect();
        return Err(Fault::bad_input(format!("no cell is of a type that has a model: found {}", listing(&present, 5)))
            .at("cell_type")
            .hint(format!("models are of {}", listing(&known, 30))));
    }
    warn_of_unknown(run, &present, models);
    let classes = collate::sorted(models.iter().flat_map(|model| &model.classes));
    Ok(Recovered {
        cells,
        cell_types: cell_types.to_vec(),
        best: vec![String::new(); n],
        label: vec![NON_SE.to_owned(); n],
        score: vec![0.0; n],
        margin: vec![0.0; n],
        reason: vec![Reason::UnknownType; n],
        scores: Matrix::zeros(n, classes.len()),
        not_unique: 0,
        iterations: Vec::new(),
        logged: false,
        classes,
    })
}

impl Recovered {
    /// Whether a type has too few cells to be scored, which is told.
    pub(crate) fn too_few(&mut self, run: &Run, model: &Model, cells: &[usize], options: &RecoverOptions) -> bool {
        let few = cells.len() < options.min_cells;
        if few {
            run.warn(&format!(
                "`{}` has {} cells, {} are needed to score them",
                model.cell_type,
                cells.len(),
                options.min_cells
            ));
            cells.iter().for_each(|&cell| self.reason[cell] = Reason::FewCells);
        }
        few
    }

    /// Takes the scores of cells in the classes of a model.
    pub(crate) fn put(&mut self, model: &Model, scored: Vec<Scored>) {
        let place = |class: &String| self.classes.iter().position(|known| known == class);
        let columns: Vec<usize> = model.classes.iter().filter_map(place).collect();
        for Scored { cell, scores, not_unique } in scored {
            if let Some(scores) = scores {
                let row = self.scores.row_mut(cell);
                columns.iter().zip(scores).for_each(|(&k, score)| row[k] = score);
                self.not_unique += usize::from(not_unique);
                self.reason[cell] = Reason::Ok;
            }
        }
    }

    /// Best classes, scores and labels from the scores.
    pub(crate) fn label_cells(&mut self, options: &RecoverOptions) {
        let is_none =
            |class: &str| options.mode == Mode::Exact && class.to_lowercase() == options.non_se_label.to_lowercase();
        for cell in 0..self.cells.len() {
            let scores = self.scores.row(cell);
            let best = arg_max(scores);
            let scored = self.reason[cell] == Reason::Ok;
            if scored || options.mode == Mode::Compat {
                self.best[cell].clone_from(&self.classes[best]);
            }
            if !scored {
                continue;
            }
            self.score[cell] = scores[best];
            self.margin[cell] = margin(scores).map_or(0.0, |(_, delta)| delta);
            if scores[best] < options.min_score || scores[best] == 0.0 {
                self.reason[cell] = Reason::LowScore;
            } else if !is_none(&self.classes[best]) {
                self.label[cell].clone_from(&self.classes[best]);
            }
        }
    }
}

/// The genes that any model uses, in the order of the matrix, by their places.
pub(crate) fn genes_of_models(genes: &[String], models: &[Model]) -> Vec<usize> {
    let used: std::collections::HashSet<&str> =
        models.iter().flat_map(|model| model.features.iter().map(|feature| feature.gene.as_str())).collect();
    (0..genes.len()).filter(|&gene| used.contains(genes[gene].as_str())).collect()
}

fn warn_of_unknown(run: &Run, present: &[String], models: &[Model]) {
    let unknown: Vec<&String> = present.iter().filter(|name| of_type(models, name).is_none()).collect();
    let Some(first) = unknown.first() else { return };
    let known: Vec<&str> = models.iter().map(|model| model.cell_type.as_str()).collect();
    let near = nearest(first, &known, 3);
    let hint = if near.is_empty() { String::new() } else { format!("; near `{first}`: {}", listing(&near, 3)) };
    run.warn(&format!("{} cell types have no model and are {NON_SE}: {}{hint}", unknown.len(), listing(&unknown, 5)));
}
