//! Many replicas at once: lanes that are refilled, batches that go to threads.
//!
//! Jobs wait in one queue, those of high rank first. A batch has the rank of its largest replica; where no more of that
//! rank are waiting, replicas of lower rank take the lanes that fall free, padded with components of 0, and the batch
//! gives up components when its last replica of high rank has ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use ferrocyte_base::{Fault, Result, Run, Task};
use ferrocyte_math::fused::{Level, Real};

use super::descent::Descent;
use super::judge::Running;
use super::multiplicative::Multiplicative;
use super::replicas::Replicas;
use super::start::factors;
use super::tiles::Tiles;
use super::{Factorisation, Job, Options, Solver, Step, Stop};

pub(super) use super::judge::judge_refit;

/// Up to how many replicas are iterated one by one.
const FEW: usize = 2;

/// Who takes finished replicas: number of the job, and its factors.
pub(super) type Done<'a> = dyn Fn(usize, Factorisation) -> Result<()> + Sync + 'a;

/// Factorises from all jobs, with `L` lanes, or one where they are few. `options` and ranks are checked.
pub(super) fn all<T: Real, const L: usize>(
    run: &Run,
    tiles: &Tiles<T>,
    options: &Options,
    jobs: &[Job],
    done: &Done,
) -> Result<()> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(jobs[at].components));
    let Some(&first) = order.first() else { return Ok(()) };
    let k = jobs[first].components;
    let task = run.task("factorisations", jobs.len() as u64);
    let queue = Queue { run, task: &task, tiles, options, jobs, order, next: AtomicUsize::new(0), done };
    // Fewer batches at a time, or fewer lanes, where memory is scarce: the bits are the same.
    let fit = (run.memory_bytes() / Replicas::<T, L>::bytes(tiles, k).max(1)) as usize;
    if jobs.len() <= FEW || fit == 0 {
        run.reserve("the factors of one replica", Replicas::<T, 1>::bytes(tiles, k))?;
        return queue.batch::<1>();
    }
    let workers = fit.min(run.n_threads()).min(jobs.len().div_ceil(L));
    run.map_quietly(workers, 1, |_| queue.batch::<L>()).map(drop)
}

/// The jobs, and who takes them.
struct Queue<'a, T> {
    run: &'a Run,
    task: &'a Task<'a>,
    tiles: &'a Tiles<T>,
    options: &'a Options,
    jobs: &'a [Job<'a>],
    /// The order in which jobs are taken.
    order: Vec<usize>,
    next: AtomicUsize,
    done: &'a Done<'a>,
}

/// Replicas that are iterated together, one in each lane that is at work.
struct Batch<'a, T, const L: usize> {
    replicas: Replicas<T, L>,
    solver: AnySolver<'a, T, L>,
    lanes: [Option<Running>; L],
}

impl<T: Real, const L: usize> Batch<'_, T, L> {
    /// The lanes that are at work.
    fn at_work(&self) -> Vec<usize> {
        (0..L).filter(|&l| self.lanes[l].is_some()).collect()
    }

    /// The highest rank that is at work.
    fn highest(&self) -> usize {
        self.lanes.iter().flatten().map(|running| running.components).max().unwrap_or(1)
    }
}

impl<'a, T: Real> Queue<'a, T> {
    /// One batch, until no job is left.
    fn batch<const L: usize>(&self) -> Result<()> {
        let Some(&first) = self.order.get(self.next.load(Ordering::Relaxed)) else { return Ok(()) };
        let mut batch = Batch::<T, L> {
            replicas: Replicas::new(self.tiles, self.jobs[first].components),
            solver: AnySolver::new(self.tiles, self.options),
            lanes: std::array::from_fn(|_| None),
        };
        loop {
            self.refill(&mut batch)?;
            let at_work = batch.at_work();
            if at_work.is_empty() {
                return Ok(());
            }
            self.run.check()?;
            let look = batch.lanes.iter().flatten().any(|running| running.looks(self.options));
            let step = batch.solver.iterate(self.run, &mut batch.replicas, look)?;
            for l in at_work {
                let stop = batch.lanes[l].as_mut().and_then(|running| running.judge(&step, l, self.options));
                if let Some(stop) = stop
                    && let Some(ended) = batch.lanes[l].take()
                {
                    let job = ended.job;
                    (self.done)(job, result(ended, stop, &batch.replicas, &step, l)?)?;
                    self.task.advance(1);
                }
            }
        }
    }

    /// Puts the next jobs into empty lanes, and gives up components that none needs.
    fn refill<const L: usize>(&self, batch: &mut Batch<'a, T, L>) -> Result<()> {
        let mut fresh = Vec::new();
        for l in 0..L {
            if batch.lanes[l].is_some() {
                continue;
            }
            let Some(&job) = self.order.get(self.next.fetch_add(1, Ordering::Relaxed)) else { break };
            let k = self.jobs[job].components;
            let (w, h) = factors(self.run, self.tiles, k, self.jobs[job].start)?;
            batch.replicas.put(l, k, &w, &h);
            batch.lanes[l] = Some(Running::new(job, k));
            fresh.push(l);
        }
        let k = batch.highest();
        if k + 1 < batch.replicas.k {
            let lanes: Vec<usize> = (0..L).collect();
            batch.replicas = batch.replicas.narrowed::<L>(self.tiles, &lanes, k);
        } else if fresh.is_empty() {
            return Ok(());
        }
        let losses = batch.solver.look(self.run, &mut batch.replicas)?;
        for l in fresh {
            if let (Some(running), Some(losses)) = (batch.lanes[l].as_mut(), losses) {
                running.starts_from(losses[l]);
            }
        }
        Ok(())
    }
}

/// The result of a replica that has ended.
fn result<T: Real, const L: usize>(
    ended: Running,
    stop: Stop,
    replicas: &Replicas<T, L>,
    step: &Step<L>,
    l: usize,
) -> Result<Factorisation> {
    let (w, h) = replicas.take(l, ended.components);
    if let Some(x) = w.iter().chain(&h).find(|x| !x.is_finite()) {
        let message = format!("factors left the range of numbers after {} iterations: {x}", ended.iterations);
        return Err(Fault::bad_input(message).hint("scale the matrix, or take 64-bit precision"));
    }
    let objective = step.objective.map_or(0.0, |x| x[l].max(0.0));
    let Running { components, iterations, trace, .. } = ended;
    Ok(Factorisation { components, w, h, iterations, objective, stop, trace })
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
            Solver::CoordinateDescent | Solver::Accelerated => Self::Descent(Descent::new(tiles, options, level)),
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
