//! Groups told apart by a logistic regression on all genes at once; the scores are its coefficients.
//!
//! Minimised is the mean of `ln(sum_k exp z_ik) - z_i,y(i)` over cells plus `|W|^2 / (2 C n)`, with `z_ik = x_i w_k + b_k`;
//! with two groups one linear form tells them apart, `ln(1 + exp z_i) - [y(i) = 1] z_i`. Constants are not penalised.
//! The optimum is unique, but the usual bounds on steps and gradient stop well before it: coefficients are
//! those of the stop, as users of the method know them, and it is said how it ended.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{OwnedCsr, RowBlock, RowChunks, rows_per_block};
use ferrocyte_math::lbfgs::{self, Stop};

use super::{Plan, Test};
use crate::by_gene::by_gene;

/// How the regression is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticOptions {
    /// C, the inverse of the penalty.
    pub c: f64,
    /// Steps at most.
    pub max_steps: usize,
    /// The fit ends where no entry of the gradient of the mean is larger, in size.
    pub tolerance: f64,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self { c: 1.0, max_steps: 100, tolerance: 1e-4 }
    }
}

/// Rows whose linear forms one thread computes.
const ROWS: usize = 256;

/// Marks cells that are in no class.
const NONE: u32 = u32::MAX;

/// Fits all compared groups, and the reference if it is a group, against each other: the score of a gene is its
/// coefficient in the linear form of the group. There are no p-values.
pub(super) fn compare(
    run: &Run,
    source: &mut dyn RowChunks,
    plan: &Plan,
    options: &LogisticOptions,
) -> Result<Vec<Test>> {
    let mut classes = plan.compared.clone();
    classes.extend(plan.reference);
    classes.sort_unstable();
    let n_genes = source.n_cols();
    let model = Model::new(plan, &classes, n_genes, options.c);
    // A file is read once: every step needs all cells.
    let mut held;
    let source = if source.reads_ahead() {
        held = OwnedCsr::collect(run, source)?;
        &mut held as &mut dyn RowChunks
    } else {
        source
    };
    let stop = Stop {
        gradient: options.tolerance,
        decrease: 64.0 * f64::EPSILON,
        steps: options.max_steps,
        evaluations: 50,
        ..Stop::default()
    };
    let start = vec![0.0; (n_genes + 1) * model.n_forms];
    run.reserve("the logistic regression", 8 * start.len() as u64 * (2 * stop.memory as u64 + 8))?;
    let task = run.task("logistic regression", options.max_steps as u64);
    let found = lbfgs::minimise(start, &stop, |w, gradient| {
        task.advance(1);
        model.evaluate(run, source, w, gradient)
    })?;
    if found.converged {
        run.info(&format!("the logistic regression converged in {} steps", found.steps));
    } else {
        run.warn(&format!(
            "the logistic regression stopped after {} steps with a gradient of {:.1e}: its coefficients are not those of \
             the optimum, ranks hardly change",
            found.steps, found.gradient
        ));
    }
    Ok(plan.compared.iter().map(|group| model.test(&found.point, &classes, *group)).collect())
}

/// The regression: classes of cells, and room for what an evaluation needs.
struct Model {
    /// The class of each cell.
    class: Vec<u32>,
    n_cells: f64,
    n_genes: usize,
    /// Linear forms: as many as classes, one if there are two.
    n_forms: usize,
    penalty: f64,
}

impl Model {
    fn new(plan: &Plan, classes: &[usize], n_genes: usize, c: f64) -> Self {
        let place = |row: usize| {
            let level = plan.labels.codes.get(row) as usize;
            classes.iter().position(|&class| class == level).map_or(NONE, |class| class as u32)
        };
        let class: Vec<u32> = (0..plan.labels.codes.len()).map(place).collect();
        let n_cells = class.iter().filter(|&&class| class != NONE).count() as f64;
        let n_forms = if classes.len() == 2 { 1 } else { classes.len() };
        Self { class, n_cells, n_genes, n_forms, penalty: 1.0 / (c * n_cells) }
    }

    /// Value and gradient at coefficients that are stored gene by gene, the constants last.
    fn evaluate(&self, run: &Run, source: &mut dyn RowChunks, w: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let n_forms = self.n_forms;
        let (slopes, constants) = w.split_at(self.n_genes * n_forms);
        gradient.fill(0.0);
        let (of_slopes, of_constants) = gradient.split_at_mut(self.n_genes * n_forms);
        let step = rows_per_block(run, source);
        let n_rows = source.n_rows();
        let mut loss = 0.0;
        for first in (0..n_rows).step_by(step) {
            run.check()?;
            let block = source.read(run, first..(first + step).min(n_rows))?;
            let parts =
                run.map_quietly(block.n_rows(), ROWS, |rows| Ok(self.residuals(&block, rows, slopes, constants)))?;
            let mut residuals = Vec::with_capacity(block.n_rows() * n_forms);
            for (part, losses) in parts {
                // Row by row, whatever the blocks are.
                losses.iter().for_each(|l| loss += l);
                residuals.extend(part);
            }
            for row in residuals.chunks_exact(n_forms) {
                of_constants.iter_mut().zip(row).for_each(|(g, r)| *g += r);
            }
            by_gene(run, &block, of_slopes, n_forms, |tile, piece| {
                let row = &residuals[piece.row * n_forms..][..n_forms];
                for (&column, &value) in piece.columns.iter().zip(piece.values) {
                    let gene = &mut tile[column as usize * n_forms..][..n_forms];
                    gene.iter_mut().zip(row).for_each(|(g, r)| *g += value * r);
                }
            })?;
        }
        let scale = 1.0 / self.n_cells;
        gradient.iter_mut().for_each(|g| *g *= scale);
        let mut squares = 0.0;
        for (g, w) in gradient.iter_mut().zip(slopes) {
            *g += self.penalty * w;
            squares += w * w;
        }
        Ok(loss * scale + 0.5 * self.penalty * squares)
    }

    /// Of some rows the derivatives of the loss by the linear forms, row after row, and the losses.
    fn residuals(
        &self,
        block: &RowBlock<'_>,
        rows: std::ops::Range<usize>,
        slopes: &[f64],
        constants: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let n_forms = self.n_forms;
        let (mut out, mut losses) = (vec![0.0; rows.len() * n_forms], Vec::with_capacity(rows.len()));
        for (row, z) in rows.zip(out.chunks_exact_mut(n_forms)) {
            let class = self.class[block.start() + row];
            if class == NONE {
                losses.push(0.0);
                continue;
            }
            z.copy_from_slice(constants);
            for (gene, value) in block.row(row) {
                z.iter_mut().zip(&slopes[gene * n_forms..][..n_forms]).for_each(|(z, w)| *z += value * w);
            }
            losses.push(if n_forms == 1 { binomial(z, class) } else { multinomial(z, class as usize) });
        }
        (out, losses)
    }

    /// The coefficients of a group; of two groups the second has the linear form, the first its opposite.
    fn test(&self, w: &[f64], classes: &[usize], group: usize) -> Test {
        let class = classes.iter().position(|&class| class == group).unwrap_or_default();
        let (form, sign) = match (self.n_forms, class) {
            (1, 0) => (0, -1.0),
            (1, _) => (0, 1.0),
            _ => (class, 1.0),
        };
        // Adding 0 turns -0 into 0.
        let scores = (0..self.n_genes).map(|gene| sign * w[gene * self.n_forms + form] + 0.0).collect();
        Test { scores, ln_p: vec![f64::NAN; self.n_genes] }
    }
}

/// Turns the linear forms of a cell into probabilities less 1 for its own class; the loss.
fn multinomial(z: &mut [f64], class: usize) -> f64 {
    let most = z.iter().fold(f64::NEG_INFINITY, |most, &z| most.max(z));
    let own = z[class] - most;
    let mut total = 0.0;
    for z in z.iter_mut() {
        *z = (*z - most).exp();
        total += *z;
    }
    z.iter_mut().for_each(|z| *z /= total);
    z[class] -= 1.0;
    total.ln() - own
}

/// The same for one linear form, that of class 1.
fn binomial(z: &mut [f64], class: u32) -> f64 {
    let (form, own) = (z[0], f64::from(class));
    // exp of what is not positive.
    let small = (-form.abs()).exp();
    let probability = if form >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    z[0] = probability - own;
    form.max(0.0) + small.ln_1p() - own * form
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;
    use crate::markers::{MarkerOptions, Method, markers};
    use ferrocyte_data::{Dense, Factor};
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    #[test]
    fn losses_and_their_derivatives() {
        for class in 0..3 {
            let z = [0.3, -1.2, 2.0];
            let loss = |z: [f64; 3]| multinomial(&mut { z }, class);
            let mut derivative = z;
            let value = multinomial(&mut derivative, class);
            assert!((value - (z.iter().map(|z: &f64| z.exp()).sum::<f64>().ln() - z[class])).abs() < 1e-14);
            for k in 0..3 {
                let (mut up, mut down) = (z, z);
                up[k] += 1e-6;
                down[k] -= 1e-6;
                assert!((derivative[k] - (loss(up) - loss(down)) / 2e-6).abs() < 1e-9);
            }
        }
        for (form, class) in [(0.7, 0), (0.7, 1), (-40.0, 1), (800.0, 1), (-800.0, 0)] {
            let mut z = [form];
            let value = binomial(&mut z, class);
            assert!(value >= 0.0 && value.is_finite());
            let probability = 1.0 / (1.0 + (-form).exp());
            assert!((z[0] - (probability - f64::from(class))).abs() < 1e-14);
        }
    }

    /// At the optimum the gradient vanishes, and genes that only one group has get the largest coefficients.
    #[test]
    fn each_group_is_told_by_its_own_gene() -> Result<()> {
        let n = 90;
        let values: Vec<f64> = (0..n * 4)
            .map(|i| {
                let (cell, gene) = (i / 4, i % 4);
                if gene == cell % 3 { 1.0 + (cell % 7) as f64 / 7.0 } else { ((cell * gene) % 5) as f64 / 10.0 }
            })
            .collect();
        let words = ["a", "b", "c"];
        let labels = Factor::from_texts((0..n).map(|i| Some(words[i % 3])));
        let mut options = MarkerOptions::new(Method::Logistic);
        options.logistic = LogisticOptions { tolerance: 1e-9, max_steps: 1000, ..LogisticOptions::default() };
        let mut source = Dense::row_major(n, 4, &values)?;
        let found = markers(&Run::new(), &mut source, &Names::default(), &labels, &options)?;
        for (gene, group) in found.iter().enumerate() {
            assert_eq!(group.order(false)[0], gene);
            assert!(group.p.iter().chain(&group.q).chain(&group.ln_q).all(|p| p.is_nan()));
            assert!(group.fraction[gene] > 0.99);
        }
        // The penalty makes the coefficients of all groups sum to 0.
        for gene in 0..4 {
            assert!(found.iter().map(|g| g.scores[gene]).sum::<f64>().abs() < 1e-7);
        }
        let two = MarkerOptions { groups: Some(vec!["a".into(), "c".into()]), ..options };
        let found = markers(&Run::new(), &mut source, &Names::default(), &labels, &two)?;
        assert!(found[0].scores.iter().zip(&found[1].scores).all(|(a, b)| a + b == 0.0));
        assert!(found[0].scores[0] > 0.5 && found[1].scores[2] > 0.5);
        Ok(())
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(5, 600, 90, 0.3)?;
        let words = [Some("a"), Some("b"), None, Some("c")];
        let labels = Factor::from_texts((0..600).map(|i| words[i * i % 7 % 4]));
        let mut options = MarkerOptions::new(Method::Logistic);
        options.logistic.max_steps = 8;
        let work = |run: &Run| markers(run, &mut counts.source()?, &Names::default(), &labels, &options);
        assert_same_bits_over_runs(work, |groups| groups.iter().flat_map(|g| g.scores.clone()).collect())
    }
}
