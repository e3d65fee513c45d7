//! When a replica ends: the stopping rules of both solvers.

use ferrocyte_base::Result;

use super::{Options, Solver, Step, Stop, Trace};

/// Iterations between two looks at the loss, where it is what stops them.
const LOOK: usize = 10;

/// A replica that is being iterated.
pub(super) struct Running {
    pub(super) job: usize,
    /// Its rank.
    pub(super) components: usize,
    pub(super) iterations: usize,
    /// The violation of the first iteration, or the root of twice the loss of the start.
    first: f64,
    /// The root of twice the loss at the last look.
    previous: f64,
    pub(super) trace: Trace,
}

impl Running {
    pub(super) fn new(job: usize, components: usize) -> Self {
        Self { job, components, iterations: 0, first: 0.0, previous: 0.0, trace: Trace::default() }
    }

    /// Takes note of the loss of the start.
    pub(super) fn starts_from(&mut self, loss: f64) {
        self.first = root(loss);
        self.previous = self.first;
    }

    /// Whether the loss after the next iteration is asked for.
    pub(super) fn looks(&self, options: &Options) -> bool {
        let next = self.iterations + 1;
        options.trace || next.is_multiple_of(LOOK) || next == options.max_iterations
    }

    /// Takes note of a step in lane `l`; why the replica ends with it, if it does.
    pub(super) fn judge<const L: usize>(&mut self, step: &Step<L>, l: usize, options: &Options) -> Option<Stop> {
        self.iterations += 1;
        if options.trace {
            self.trace.objective.extend(step.objective.map(|x| x[l]));
            self.trace.violation_w.push(step.violation_w[l]);
            self.trace.violation_h.push(step.violation_h[l]);
        }
        let rule = match options.solver {
            Solver::CoordinateDescent | Solver::Accelerated => {
                self.violation_rule(step.violation_w[l] + step.violation_h[l], options)
            }
            Solver::Multiplicative if self.iterations.is_multiple_of(LOOK) => {
                step.objective.and_then(|x| self.loss_rule(x[l], options))
            }
            Solver::Multiplicative => None,
        };
        rule.or((self.iterations >= options.max_iterations).then_some(Stop::Limit))
    }

    /// Ends when the violation has fallen to a share of the first.
    fn violation_rule(&mut self, violation: f64, options: &Options) -> Option<Stop> {
        if self.iterations == 1 {
            self.first = violation;
            if violation == 0.0 {
                return Some(Stop::Stationary);
            }
        }
        (violation / self.first <= options.tolerance).then_some(Stop::Converged)
    }

    /// Ends when the loss has nearly stopped falling; looked at every [`LOOK`] iterations.
    fn loss_rule(&mut self, loss: f64, options: &Options) -> Option<Stop> {
        let now = root(loss);
        if self.first == 0.0 {
            return Some(Stop::Stationary);
        }
        let fallen = (self.previous - now) / self.first;
        self.previous = now;
        (options.tolerance > 0.0 && fallen < options.tolerance).then_some(Stop::Converged)
    }
}

/// Iterates one replica from a start with this loss until it ends: iterations, loss, reason and trace.
pub(super) fn judge_refit(
    options: &Options,
    loss: f64,
    mut iterate: impl FnMut(bool) -> Result<Step<1>>,
) -> Result<(usize, f64, Stop, Trace)> {
    let mut running = Running::new(0, 0);
    running.starts_from(loss);
    loop {
        let step = iterate(running.looks(options))?;
        if let Some(stop) = running.judge(&step, 0, options) {
            let objective = step.objective.map_or(0.0, |x| x[0].max(0.0));
            return Ok((running.iterations, objective, stop, running.trace));
        }
    }
}

/// The root of twice a loss.
fn root(loss: f64) -> f64 {
    (2.0 * loss.max(0.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(violation: f64, objective: f64) -> Step<1> {
        Step { violation_w: [violation], violation_h: [0.0], objective: Some([objective]) }
    }

    #[test]
    fn descent_ends_by_its_violation_or_at_the_limit() {
        let options = Options { tolerance: 0.1, max_iterations: 4, ..Options::default() };
        let end = |violations: &[f64]| {
            let mut running = Running::new(0, 1);
            violations.iter().map(|&v| running.judge(&step(v, 1.0), 0, &options)).collect::<Vec<_>>()
        };
        assert_eq!(end(&[5.0, 1.0, 0.5]), [None, None, Some(Stop::Converged)]);
        assert_eq!(end(&[5.0, 1.0, 1.0, 1.0]), [None, None, None, Some(Stop::Limit)]);
        assert_eq!(end(&[0.0]), [Some(Stop::Stationary)]);
    }

    #[test]
    fn updates_end_by_their_loss_at_every_tenth() {
        let options = Options { solver: Solver::Multiplicative, tolerance: 1e-3, ..Options::default() };
        let mut running = Running::new(0, 1);
        running.starts_from(100.0);
        let ends: Vec<usize> = (1..=20)
            .filter(|&i| running.judge(&step(0.0, if i < 15 { 50.0 } else { 49.99 }), 0, &options).is_some())
            .collect();
        assert_eq!(ends, [20]);
    }
}
