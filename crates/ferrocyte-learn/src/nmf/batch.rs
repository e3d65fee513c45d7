//! Many replicas at once: lanes that are refilled, batches that go to threads.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrocyte_base::{Fault, Result, Run, Task};
use ferrocyte_math::fused::{Level, Real};

use super::descent::Descent;
use super::input::Input;
use super::multiplicative::Multiplicative;
use super::replicas::Replicas;
use super::start::factors;
use super::tiles::Tiles;
use super::{Factorisation, Job, Options, Precision, Solver, Step, Stop, Trace};

/// From how many replicas of one rank they share their lanes.
const TOGETHER: usize = 3;

/// Iterations between two looks at the loss, where it is what stops them.
const LOOK: usize = 10;

/// Factorises a matrix from each of the given starts; results stand in the order of the jobs.
///
/// Replicas of one rank are iterated together; one that has stopped leaves its lane to the next. Batches go to the threads
/// of the run.
///
/// # Errors
/// Options, ranks or starts that cannot be, a matrix without rows or columns, and the wish to stop.
pub fn factorise(run: &Run, input: &Input, options: &Options, jobs: &[Job]) -> Result<Vec<Factorisation>> {
    let found: Vec<OnceLock<Factorisation>> = jobs.iter().map(|_| OnceLock::new()).collect();
    // Each job ends once.
    factorise_each(run, input, options, jobs, &|at, one| found[at].set(one).map_err(|_| lost()))?;
    found.into_iter().map(|one| one.into_inner().ok_or_else(lost)).collect()
}

fn lost() -> Fault {
    Fault::internal("a factorisation was lost")
}

/// [`factorise`], handing each factorisation on as it ends, with the number of its job, from any thread and in any order.
///
/// For many jobs on a large matrix, whose W would not all fit the memory. What `each` cannot do ends the work.
///
/// # Errors
/// As [`factorise`], and those of `each`.
pub fn factorise_each(
    run: &Run,
    input: &Input,
    options: &Options,
    jobs: &[Job],
    each: &(dyn Fn(usize, Factorisation) -> Result<()> + Sync),
) -> Result<()> {
    options.check(input)?;
    if let Some(at) = jobs.iter().position(|job| job.components == 0) {
        return Err(Fault::bad_input(format!("job {at} has no components, at least 1 is needed")).at("components"));
    }
    match options.precision {
        Precision::Double => of_ranks::<f64, 8>(run, input, options, jobs, each),
        Precision::Single => of_ranks::<f32, 8>(run, input, options, jobs, each),
    }
}

/// Rank by rank.
fn of_ranks<T: Real, const L: usize>(
    run: &Run,
    input: &Input,
    options: &Options,
    jobs: &[Job],
    each: &Each,
) -> Result<()> {
    let tiles = Tiles::<T>::new(input);
    let mut ranks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    jobs.iter().enumerate().for_each(|(at, job)| ranks.entry(job.components).or_default().push(at));
    let task = run.task("factorisations", jobs.len() as u64);
    for (k, which) in ranks {
        let next = AtomicUsize::new(0);
        let queue = Queue { run, task: &task, tiles: &tiles, options, jobs, which: &which, next, k, each };
        if which.len() < TOGETHER { queue.work::<1>()? } else { queue.work::<L>()? }
    }
    Ok(())
}

/// Who takes what has ended.
type Each<'a> = dyn Fn(usize, Factorisation) -> Result<()> + Sync + 'a;

/// The jobs of one rank, and who takes them.
struct Queue<'a, T> {
    run: &'a Run,
    task: &'a Task<'a>,
    tiles: &'a Tiles<T>,
    options: &'a Options,
    jobs: &'a [Job<'a>],
    which: &'a [usize],
    next: AtomicUsize,
    k: usize,
    each: &'a Each<'a>,
}

/// A job in its lane.
struct Running {
    job: usize,
    iterations: usize,
    /// The violation of the first iteration, or the root of twice the loss of the start.
    first: f64,
    /// The root of twice the loss at the last look.
    previous: f64,
    trace: Trace,
}

impl Running {
    /// Whether the loss after the next iteration is asked for.
    fn looks(&self, options: &Options) -> bool {
        let next = self.iterations + 1;
        options.trace || next.is_multiple_of(LOOK) || next == options.max_iterations
    }
}

impl<T: Real> Queue<'_, T> {
    /// All jobs, on as many batches as there are threads and work for them.
    fn work<const L: usize>(&self) -> Result<()> {
        let workers = self.run.n_threads().min(self.which.len().div_ceil(L)).max(1);
        self.run.map_quietly(workers, 1, |_| self.batch::<L>()).map(|_| ())
    }

    /// One batch, until no job is left.
    fn batch<const L: usize>(&self) -> Result<()> {
        let mut replicas = Replicas::<T, L>::new(self.tiles, self.k);
        let mut solver = AnySolver::new(self.tiles, self.options);
        let mut lanes: [Option<Running>; L] = std::array::from_fn(|_| None);
        loop {
            self.refill(&mut replicas, &mut lanes, &mut solver)?;
            if lanes.iter().all(Option::is_none) {
                return Ok(());
            }
            self.run.check()?;
            let look = lanes.iter().flatten().any(|running| running.looks(self.options));
            let step = solver.iterate(self.run, &mut replicas, look)?;
            for l in 0..L {
                let Some(running) = lanes[l].as_mut() else { continue };
                if let Some(stop) = judge(running, &step, l, self.options)
                    && let Some(ended) = lanes[l].take()
                {
                    (self.each)(ended.job, self.result(ended, stop, &replicas, &step, l)?)?;
                    self.task.advance(1);
                }
            }
        }
    }

    /// Puts the next jobs into empty lanes.
    fn refill<const L: usize>(
        &self,
        replicas: &mut Replicas<T, L>,
        lanes: &mut [Option<Running>; L],
        solver: &mut AnySolver<T, L>,
    ) -> Result<()> {
        let mut fresh = Vec::new();
        for l in 0..L {
            if lanes[l].is_some() {
                continue;
            }
            let Some(&job) = self.which.get(self.next.fetch_add(1, Ordering::Relaxed)) else { break };
            let (w, h) = factors(self.run, self.tiles, self.k, self.jobs[job].start)?;
            replicas.put(l, &w, &h);
            lanes[l] = Some(Running { job, iterations: 0, first: 0.0, previous: 0.0, trace: Trace::default() });
            fresh.push(l);
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let losses = solver.look(self.run, replicas)?;
        for l in fresh {
            if let (Some(running), Some(losses)) = (lanes[l].as_mut(), losses) {
                running.first = root(losses[l]);
                running.previous = running.first;
            }
        }
        Ok(())
    }

    /// The result of a replica that has ended.
    fn result<const L: usize>(
        &self,
        ended: Running,
        stop: Stop,
        replicas: &Replicas<T, L>,
        step: &Step<L>,
        l: usize,
    ) -> Result<Factorisation> {
        let (w, h) = replicas.take(l);
        if let Some(x) = w.iter().chain(&h).find(|x| !x.is_finite()) {
            let message = format!("factors left the range of numbers after {} iterations: {x}", ended.iterations);
            return Err(Fault::bad_input(message).hint("scale the matrix, or take 64-bit precision"));
        }
        let objective = step.objective.map_or(0.0, |x| x[l].max(0.0));
        let Running { iterations, trace, .. } = ended;
        Ok(Factorisation { components: self.k, w, h, iterations, objective, stop, trace })
    }
}

/// Whether a replica has ended with this step.
fn judge<const L: usize>(running: &mut Running, step: &Step<L>, l: usize, options: &Options) -> Option<Stop> {
    running.iterations += 1;
    if options.trace {
        running.trace.objective.extend(step.objective.map(|x| x[l]));
        running.trace.violation_w.push(step.violation_w[l]);
        running.trace.violation_h.push(step.violation_h[l]);
    }
    let rule = match options.solver {
        Solver::CoordinateDescent => violation_rule(running, step.violation_w[l] + step.violation_h[l], options),
        Solver::Multiplicative if running.iterations.is_multiple_of(LOOK) => {
            step.objective.and_then(|x| loss_rule(running, x[l], options))
        }
        Solver::Multiplicative => None,
    };
    rule.or((running.iterations >= options.max_iterations).then_some(Stop::Limit))
}

/// Iterates one replica from a start with this loss until it ends: iterations, loss, reason and trace.
pub(super) fn judge_refit(
    options: &Options,
    loss: f64,
    mut iterate: impl FnMut(bool) -> Result<Step<1>>,
) -> Result<(usize, f64, Stop, Trace)> {
    let first = root(loss);
    let mut running = Running { job: 0, iterations: 0, first, previous: first, trace: Trace::default() };
    loop {
        let step = iterate(running.looks(options))?;
        if let Some(stop) = judge(&mut running, &step, 0, options) {
            let objective = step.objective.map_or(0.0, |x| x[0].max(0.0));
            return Ok((running.iterations, objective, stop, running.trace));
        }
    }
}

/// The root of twice a loss.
fn root(loss: f64) -> f64 {
    (2.0 * loss.max(0.0)).sqrt()
}

/// Ends when the violation has fallen to a share of the first.
fn violation_rule(running: &mut Running, violation: f64, options: &Options) -> Option<Stop> {
    if running.iterations == 1 {
        running.first = violation;
        if violation == 0.0 {
            return Some(Stop::Stationary);
        }
    }
    (violation / running.first <= options.tolerance).then_some(Stop::Converged)
}

/// Ends when the loss has nearly stopped falling; looked at every [`LOOK`] iterations.
fn loss_rule(running: &mut Running, loss: f64, options: &Options) -> Option<Stop> {
    let now = root(loss);
    if running.first == 0.0 {
        return Some(Stop::Stationary);
    }
    let fallen = (running.previous - now) / running.first;
    running.previous = now;
    (options.tolerance > 0.0 && fallen < options.tolerance).then_some(Stop::Converged)
}

/// Either solver.
enum AnySolver<'a, T, const L: usize> {
    Descent(Descent<'a, T, L>),
    Multiplicative(Multiplicative<'a, T, L>),
}

impl<'a, T: Real, const L: usize> AnySolver<'a, T, L> {
    fn new(tiles: &'a Tiles<T>, options: &Options) -> Self {
        let level = Level::widest();
        match options.solver {
            Solver::CoordinateDescent => Self::Descent(Descent::new(tiles, options, level)),
            Solver::Multiplicative => Self::Multiplicative(Multiplicative::new(tiles, options, level)),
        }
    }

    /// Looks at new factors; the losses of all, where the stopping rule needs them.
    fn look(&mut self, run: &Run, replicas: &mut Replicas<T, L>) -> Result<Option<[f64; L]>> {
        match self {
            Self::Descent(descent) => {
                descent.look(replicas);
                Ok(None)
            }
            Self::Multiplicative(updates) => updates.loss(run, replicas).map(Some),
        }
    }

    fn iterate(&mut self, run: &Run, replicas: &mut Replicas<T, L>, look: bool) -> Result<Step<L>> {
        match self {
            Self::Descent(descent) => descent.iterate(run, replicas),
            Self::Multiplicative(updates) => updates.iterate(run, replicas, look),
        }
    }
}
