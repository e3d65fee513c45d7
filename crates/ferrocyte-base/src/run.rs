//! [`Run`]: with what means work is done. Never changes an answer.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::{Fault, Level, Monitor, Quiet, Result};

/// Threads, memory and a monitor: the first argument of everything that takes time.
///
/// Results never depend on it. It owns its thread pool, which is built when first needed and again after a
/// `fork` (a pool does not survive one); no global pool is used and no environment variable is read.
pub struct Run {
    threads: usize,
    memory: u64,
    monitor: Arc<dyn Monitor>,
    pool: Mutex<Option<(u32, Arc<rayon::ThreadPool>)>>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("threads", &self.threads).field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}

impl Run {
    /// All processors, 2 GiB, no monitor.
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, memory: 2 << 30, monitor: Arc::new(Quiet), pool: Mutex::new(None) }
    }

    /// Sets the number of threads; 0 means all processors. Changes time, never the answer.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        if threads > 0 {
            self.threads = threads;
        }
        self
    }

    /// Sets the memory for buffers and accumulators, in bytes. Changes time, never the answer.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets who is told of progress and may ask to stop.
    #[must_use]
    pub fn monitor(mut self, monitor: Arc<dyn Monitor>) -> Self {
        self.monitor = monitor;
        self
    }

    /// The number of threads.
    pub fn n_threads(&self) -> usize {
        self.threads
    }

    /// The memory budget in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory
    }

    /// Tells the user what was decided.
    pub fn info(&self, message: &str) {
        self.monitor.say(Level::Info, message);
    }

    /// Tells the user what to know before believing the result.
    pub fn warn(&self, message: &str) {
        self.monitor.say(Level::Warning, message);
    }

    /// Fails with [`crate::Kind::Cancelled`] once the user asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.monitor.cancelled() { Err(Fault::cancelled()) } else { Ok(()) }
    }

    /// Begins a task of `total` steps; the task ends when the returned value is dropped.
    pub fn task<'a>(&'a self, name: &str, total: u64) -> Task<'a> {
        self.monitor.begin(name, total);
        Task { run: self, done: AtomicU64::new(0) }
    }

    /// Fails before any work when `bytes` for `what` exceed the budget.
    pub fn reserve(&self, what: &str, bytes: u64) -> Result<()> {
        if bytes <= self.memory {
            return Ok(());
        }
        let mib = |b: u64| b.div_ceil(1 << 20);
        Err(Fault::too_large(format!("{what} need {} MiB, the budget is {} MiB", mib(bytes), mib(self.memory))).hint(
            format!("allow at least {} MiB (max_memory), or fit fewer groups or genes at once", mib(bytes + bytes / 4)),
        ))
    }

    /// Runs `work` inside the pool of this run, so that rayon's iterators use its threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        Ok(self.pool()?.install(work))
    }

    /// `f(0), .., f(n - 1)` in order, computed in parallel in blocks of `block` items.
    ///
    /// Ticks after each block and stops within a block's time when asked to. `f` must depend on its index
    /// only; then so does the result.
    pub fn map_blocks<T: Send>(
        &self,
        task: &str,
        n: usize,
        block: usize,
        f: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let parts = self.map_ranges(task, n, block, |range| range.map(&f).collect::<Result<Vec<T>>>())?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// `f(0..block), f(block..2 block), ..` in order, computed in parallel; the last range may be shorter.
    pub fn map_ranges<T: Send>(
        &self,
        task: &str,
        n: usize,
        block: usize,
        f: impl Fn(Range<usize>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let ticker = self.task(task, n as u64);
        self.map_quietly(n, block, |range| {
            let length = range.len() as u64;
            let result = f(range)?;
            ticker.advance(length);
            Ok(result)
        })
    }

    /// [`Run::map_ranges`] without a task of its own: for short steps within a longer one.
    pub fn map_quietly<T: Send>(
        &self,
        n: usize,
        block: usize,
        f: impl Fn(Range<usize>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let block = block.max(1);
        let results: Vec<Result<T>> = self.install(|| {
            (0..n.div_ceil(block))
                .into_par_iter()
                .with_max_len(1)
                .map(|b| {
                    self.check()?;
                    f(b * block..((b + 1) * block).min(n))
                })
                .collect()
        })?;
        results.into_iter().collect()
    }

    /// Calls `f(i, chunk)` for the `i`-th chunk of `chunk` items of `items`, in parallel.
    ///
    /// Each chunk is worked on by one thread, from start to end; `f` must depend on its chunk only.
    pub fn for_each_chunk<T: Send>(
        &self,
        items: &mut [T],
        chunk: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<()> {
        self.install(|| items.par_chunks_mut(chunk.max(1)).enumerate().for_each(|(i, part)| f(i, part)))
    }

    /// Does two pieces of work, side by side where there are threads for it, else one after the other.
    pub fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> Result<(A, B)> {
        if self.threads == 1 { Ok((a(), b())) } else { self.install(|| rayon::join(a, b)) }
    }

    fn pool(&self) -> Result<Arc<rayon::ThreadPool>> {
        let process = std::process::id();
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, pool)) = slot.as_ref() {
            if *owner == process {
                return Ok(Arc::clone(pool));
            }
            // After a fork the threads are gone; dropping the old pool would wait for them for ever.
            if let Some((_, dead)) = slot.take() {
                std::mem::forget(dead);
            }
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|i| format!("ferrocyte-{i}"))
            .build()
            .map_err(|e| Fault::internal(format!("cannot start {} threads", self.threads)).because(e))?;
        let pool = Arc::new(pool);
        *slot = Some((process, Arc::clone(&pool)));
        Ok(pool)
    }
}

/// A task in progress; tells the monitor when it is dropped.
#[derive(Debug)]
pub struct Task<'a> {
    run: &'a Run,
    done: AtomicU64,
}

impl Task<'_> {
    /// Reports `steps` more steps done.
    pub fn advance(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        self.run.monitor.tick(done);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.run.monitor.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    struct Impatient;
    impl Monitor for Impatient {
        fn cancelled(&self) -> bool {
            true
        }
    }

    #[test]
    fn keeps_order_for_any_number_of_threads() -> Result<()> {
        let expected: Vec<usize> = (0..1001).map(|i| i * 3).collect();
        for threads in [1, 2, 5] {
            for block in [1, 7, 5000] {
                assert_eq!(Run::new().threads(threads).map_blocks("t", 1001, block, |i| Ok(i * 3))?, expected);
            }
        }
        Ok(())
    }

    #[test]
    fn does_two_things_with_any_number_of_threads() -> Result<()> {
        for threads in [1, 3] {
            let run = Run::new().threads(threads);
            // Each of the two may use the pool.
            let squares = |n| run.map_blocks("t", n, 1, |i| Ok(i * i));
            let (a, b) = run.both(|| squares(4), || squares(3))?;
            assert_eq!((a?, b?), (vec![0, 1, 4, 9], vec![0, 1, 4]));
        }
        Ok(())
    }

    #[test]
    fn stops_when_asked_to() {
        let run = Run::new().monitor(Arc::new(Impatient));
        let outcome = run.map_blocks("t", 10, 1, Ok);
        assert!(outcome.is_err_and(|f| f.kind() == Kind::Cancelled));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let outcome = Run::new().memory(1 << 20).reserve("the sums", 5 << 20);
        assert!(outcome.is_err_and(|f| f.kind() == Kind::TooLarge && f.to_string().contains("5 MiB")));
    }
}
