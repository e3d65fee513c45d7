//! Ensembles: models of many draws, and what they agree on.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::prepare::Prepared;
use super::{Labels, Mode, Skipped, TrainOptions, eligible, select};
use crate::collate::{self, Index, collate};
use crate::expression::Expression;
use crate::model::{Feature, Model, Sign, margin};

/// How an ensemble is made of its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsembleOptions {
    /// The seed of each run.
    pub seeds: Vec<u64>,
    /// A gene marks a class if its weight is this much above the second largest.
    pub delta_threshold: f64,
    /// A mark counts if it is found in more than this share of the runs.
    pub min_model_fraction: f64,
    /// Whether the models of all runs are kept.
    pub keep_runs: bool,
}

impl Default for EnsembleOptions {
    /// Fifty runs with seeds from 2024 on, marks of more than 0.01 in more than half of the runs.
    fn default() -> Self {
        Self { seeds: (2024..2074).collect(), delta_threshold: 0.01, min_model_fraction: 0.5, keep_runs: false }
    }
}

/// What the models of one cell type agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Mean weights of the features kept: all positive parts, then all negative ones.
    pub model: Model,
    /// How many models there were.
    pub n_models: usize,
    /// The share of models in which the gene of a feature marks a class: features × classes.
    pub frequency: Matrix,
    /// Standard deviations of the weights over the models that have them, with n - 1; NaN of one: features × classes.
    pub sd: Matrix,
}

/// Models of many draws of the same cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// What the runs of each type agree on, types sorted.
    pub aggregates: Vec<Aggregate>,
    /// The models of each run, where they are kept: run after run, types sorted.
    pub runs: Vec<Vec<Model>>,
    /// Types without a model.
    pub skipped: Vec<Skipped>,
    /// What to know before believing the result.
    pub warnings: Vec<String>,
    /// Whether values were taken for counts, and logarithms taken.
    pub logged: bool,
}

/// Trains a model of each cell type for each seed, and finds what they agree on.
///
/// In exact mode means are over all runs: a feature that was not selected in a run still has its weight there. In
/// compat mode they are over the runs that selected it, as [`aggregate`] finds them.
pub fn train_ensemble(
    run: &Run,
    x: &mut Expression,
    labels: &Labels<'_>,
    auto_log: bool,
    options: &TrainOptions,
    ensemble: &EnsembleOptions,
) -> Result<Ensemble> {
    options.check()?;
    labels.check(x.n_cells())?;
    let logged = auto_log && x.auto_log();
    let (types, skipped) = eligible(labels, options.min_cells);
    let mut out = Ensemble::begin(skipped, logged, ensemble.seeds.len(), ensemble)?;
    for cell_type in types {
        // One type after the other, so that the runs of one are in memory.
        out.add(OfType::train(run, x, labels, &cell_type, options, &ensemble.seeds)?, options.mode, ensemble)?;
    }
    Ok(out)
}

/// The model of one run, all features in it, and the rows that were selected.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub(super) model: Model,
    pub(super) kept: Vec<usize>,
    pub(super) warning: Option<String>,
}

/// The runs of one cell type: models, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OfType {
    pub(super) cell_type: String,
    pub(super) made: Vec<std::result::Result<Made, String>>,
}

impl OfType {
    /// A run for each seed.
    pub(super) fn train(
        run: &Run,
        x: &Expression,
        labels: &Labels<'_>,
        cell_type: &str,
        options: &TrainOptions,
        seeds: &[u64],
    ) -> Result<Self> {
        let prepared = Prepared::new(x, labels, cell_type, options)?;
        let make = |seed| {
            prepared.fit(seed).map(|fit| {
                let model = prepared.model(x, &fit);
                Made { kept: select(&model, options.nfeature_per_se), warning: fit.warning(cell_type), model }
            })
        };
        let made = run.map_blocks("training", seeds.len(), 1, |i| Ok(make(seeds[i])))?;
        Ok(Self { cell_type: cell_type.to_owned(), made })
    }

    /// What to know before believing the models.
    pub(super) fn warnings(&self) -> Vec<String> {
        let found = self.made.iter().flatten().count();
        let first = self.made.iter().flatten().next().and_then(|made| made.warning.clone());
        let without = self.made.len() - found;
        let some = (without > 0 && found > 0)
            .then(|| format!("{without} of {} runs have no model of `{}`", self.made.len(), self.cell_type));
        first.into_iter().chain(some).collect()
    }
}

impl Ensemble {
    /// An ensemble before its first type.
    pub(super) fn begin(skipped: Vec<Skipped>, logged: bool, n_runs: usize, options: &EnsembleOptions) -> Result<Self> {
        check(n_runs, options)?;
        let runs = if options.keep_runs { vec![Vec::new(); n_runs] } else { Vec::new() };
        Ok(Self { aggregates: Vec::new(), runs, skipped, warnings: Vec::new(), logged })
    }

    /// Adds what the runs of a type agree on.
    pub(super) fn add(&mut self, of: OfType, mode: Mode, options: &EnsembleOptions) -> Result<()> {
        self.warnings.extend(of.warnings());
        let found: Vec<&Made> = of.made.iter().flatten().collect();
        if found.is_empty() {
            let reason = of.made.into_iter().find_map(std::result::Result::err).unwrap_or_default();
            self.skipped.push(Skipped { cell_type: of.cell_type, reason });
            return Ok(());
        }
        let aggregated = if mode == Mode::Compat {
            let models: Vec<Model> = found.iter().map(|made| made.model.take(&made.kept)).collect();
            of_type(&models.iter().map(|model| (model, None)).collect::<Vec<_>>(), options)
        } else {
            let masks: Vec<Vec<bool>> = found.iter().map(|made| mask(&made.model, &made.kept)).collect();
            let models = found.iter().zip(&masks).map(|(made, mask)| (&made.model, Some(&mask[..])));
            of_type(&models.collect::<Vec<_>>(), options)
        };
        self.aggregates.push(aggregated?);
        if options.keep_runs {
            for (list, made) in self.runs.iter_mut().zip(&of.made) {
                list.extend(made.as_ref().ok().map(|made| made.model.take(&made.kept)));
            }
        }
        Ok(())
    }
}

fn mask(model: &Model, rows: &[usize]) -> Vec<bool> {
    let mut mask = vec![false; model.features.len()];
    rows.iter().for_each(|&row| mask[row] = true);
    mask
}

fn check(n: usize, options: &EnsembleOptions) -> Result<()> {
    if n == 0 {
        return Err(Fault::bad_input("no models given").hint("an ensemble has at least one run"));
    }
    if !(0.0..1.0).contains(&options.min_model_fraction) {
        let message = format!("a share lies between 0 and 1, found {}", options.min_model_fraction);
        return Err(Fault::bad_input(message).at("min_model_fraction"));
    }
    Ok(())
}

/// What lists of models agree on, for each cell type of the first list; lists that lack a type are passed over for it.
pub fn aggregate(lists: &[Vec<Model>], options: &EnsembleOptions) -> Result<Vec<Aggregate>> {
    check(lists.len(), options)?;
    crate::model::some_models(&lists[0])?;
    lists[0]
        .iter()
        .map(|first| {
            let models: Vec<(&Model, Option<&[bool]>)> = lists
                .iter()
                .filter_map(|list| crate::model::of_type(list, &first.cell_type))
                .map(|m| (m, None))
                .collect();
            of_type(&models, options)
        })
        .collect()
}

/// What the models of one type agree on. Marks count where there is no mask, or where it is true.
fn of_type(models: &[(&Model, Option<&[bool]>)], options: &EnsembleOptions) -> Result<Aggregate> {
    let cell_type = &models[0].0.cell_type;
    let classes = Index::of(models.iter().flat_map(|(model, _)| &model.classes));
    let genes = Index::of(models.iter().flat_map(|(model, _)| model.features.iter().map(|f| &f.gene)));
    let (k, n) = (classes.len(), models.len() as f64);
    let places: Vec<Places> = models.iter().map(|(model, _)| Places::of(model, &genes, &classes)).collect();
    let mut marked = Matrix::zeros(genes.len(), k);
    for ((model, mask), places) in models.iter().zip(&places) {
        for (row, feature) in model.features.iter().enumerate() {
            let counts = feature.sign == Sign::Positive && mask.is_none_or(|mask| mask[row]);
            if let Some((best, delta)) = margin(model.weights.row(row)).filter(|_| counts)
                && delta > options.delta_threshold
            {
                marked[(places.gene[row], places.class[best])] += 1.0;
            }
        }
    }
    let kept = agreed(&marked, &classes, &genes, options.min_model_fraction * n);
    if kept.is_empty() {
        let signed = models.iter().any(|(model, _)| model.is_signed());
        let fault = Fault::bad_input(format!(
            "no gene marks a class in more than {} of the {} models",
            options.min_model_fraction,
            models.len()
        ))
        .at(format!("models of `{cell_type}`"));
        return Err(fault.hint(if signed {
            "lower delta_threshold or min_model_fraction"
        } else {
            "models of values that were not scaled have no positive parts to agree on: train with scale"
        }));
    }
    let mut out = Rows { features: Vec::new(), mean: Vec::new(), sd: Vec::new(), frequency: Vec::new() };
    for sign in [Sign::Positive, Sign::Negative] {
        for &gene in &kept {
            out.add(Feature { gene: genes.0[gene].clone(), sign }, models, &places, gene, k, |class| {
                marked[(gene, class)] / n
            });
        }
    }
    let rows = out.features.len();
    Ok(Aggregate {
        model: Model {
            cell_type: cell_type.clone(),
            classes: classes.0,
            features: out.features,
            weights: Matrix::from_rows(rows, k, out.mean),
        },
        n_models: models.len(),
        frequency: Matrix::from_rows(rows, k, out.frequency),
        sd: Matrix::from_rows(rows, k, out.sd),
    })
}

/// Genes that mark a class in more than `least` models: by class, then by name, each once.
fn agreed(marked: &Matrix, classes: &Index, genes: &Index, least: f64) -> Vec<usize> {
    let mut by_class: Vec<usize> = (0..classes.len()).collect();
    by_class.sort_by(|&a, &b| collate(&classes.0[a], &classes.0[b]));
    let mut kept: Vec<usize> = Vec::new();
    let mut seen = vec![false; genes.len()];
    for class in by_class {
        let mut of_class: Vec<usize> = (0..genes.len()).filter(|&gene| marked[(gene, class)] > least).collect();
        of_class.sort_by(|&a, &b| collate::collate(&genes.0[a], &genes.0[b]));
        for gene in of_class {
            if !std::mem::replace(&mut seen[gene], true) {
                kept.push(gene);
            }
        }
    }
    kept
}

/// Where the rows and columns of a model stand among all genes and classes.
struct Places {
    gene: Vec<usize>,
    class: Vec<usize>,
    /// The row of each gene's positive and negative part.
    row: Vec<[Option<usize>; 2]>,
    /// The column of each class.
    column: Vec<Option<usize>>,
}

impl Places {
    fn of(model: &Model, genes: &Index, classes: &Index) -> Self {
        let gene: Vec<usize> = model.features.iter().filter_map(|f| genes.get(&f.gene)).collect();
        let class: Vec<usize> = model.classes.iter().filter_map(|c| classes.get(c)).collect();
        let (mut row, mut column) = (vec![[None; 2]; genes.len()], vec![None; classes.len()]);
        for (i, feature) in model.features.iter().enumerate().filter(|(_, f)| f.sign != Sign::None) {
            row[gene[i]][usize::from(feature.sign == Sign::Negative)] = Some(i);
        }
        class.iter().enumerate().for_each(|(i, &k)| column[k] = Some(i));
        Self { gene, class, row, column }
    }
}

/// Rows of an aggregate as they come.
struct Rows {
    features: Vec<Feature>,
    mean: Vec<f64>,
    sd: Vec<f64>,
    frequency: Vec<f64>,
}

impl Rows {
    /// Adds the row of a feature, unless no model has it.
    fn add(
        &mut self,
        feature: Feature,
        models: &[(&Model, Option<&[bool]>)],
        places: &[Places],
        gene: usize,
        n_classes: usize,
        frequency: impl Fn(usize) -> f64,
    ) {
        let side = usize::from(feature.sign == Sign::Negative);
        let rows: Vec<Option<usize>> = places.iter().map(|p| p.row[gene][side]).collect();
        if rows.iter().all(Option::is_none) {
            return;
        }
        for class in 0..n_classes {
            let weights: Vec<f64> = models
                .iter()
                .zip(places)
                .zip(&rows)
                .filter_map(|(((model, _), places), row)| Some(model.weights[((*row)?, places.column[class]?)]))
                .collect();
            // A class that the models with this feature lack has no weight there.
            let n = weights.len() as f64;
            let mean = if weights.is_empty() { 0.0 } else { weights.iter().sum::<f64>() / n };
            let squares: f64 = weights.iter().map(|w| (w - mean) * (w - mean)).sum();
            self.mean.push(mean);
            self.sd.push(if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { f64::NAN });
            self.frequency.push(frequency(class));
        }
        self.features.push(feature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(entries: [f64; 4], second: &str) -> Model {
        Model {
            cell_type: "B".into(),
            classes: vec!["SE1".into(), "SE2".into()],
            features: ["a__pos", second].map(Feature::parse).to_vec(),
            weights: Matrix::from_rows(2, 2, entries.to_vec()),
        }
    }

    #[test]
    fn means_are_over_the_models_that_have_a_feature() -> Result<()> {
        let lists = [
            vec![model([3.0, 1.0, 0.5, 0.5], "a__neg")],
            vec![model([5.0, 2.0, 1.0, 4.0], "b__pos")],
            vec![model([1.0, 1.0, 0.7, 0.5], "a__neg")],
        ];
        let found = &aggregate(&lists, &EnsembleOptions::default())?[0];
        // b marks SE2 in one of three models only.
        assert_eq!(found.model.features, ["a__pos", "a__neg"].map(Feature::parse));
        assert_eq!(found.model.weights.row(0), [3.0, 4.0 / 3.0]);
        assert_eq!(found.model.weights.row(1), [0.6, 0.5]);
        assert_eq!(found.frequency.row(0), [2.0 / 3.0, 0.0]);
        assert!((found.sd[(0, 0)] - 2.0).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn what_has_no_signs_cannot_agree() {
        let fault = aggregate(
            &[vec![model([3.0, 1.0, 0.5, 0.5], "c")]],
            &EnsembleOptions { delta_threshold: 9.0, ..EnsembleOptions::default() },
        );
        assert!(fault.is_err_and(|f| f.place() == Some("models of `B`")));
        assert!(aggregate(&[], &EnsembleOptions::default()).is_err());
    }
}
