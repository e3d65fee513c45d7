//! When iterations stop: votes that stand still, or an objective that does.

/// No run goes on for longer.
pub(crate) const MOST_ITERATIONS: usize = 2000;

/// The rule of J.-P. Brunet and others (*PNAS* 101:4164, 2004): which columns share their largest factor is looked at
/// every ten iterations, and more than forty looks in a row must find the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connectivity {
    seen: Option<Vec<usize>>,
    unchanged: usize,
}

impl Connectivity {
    /// Iterations between two looks.
    pub(crate) const EVERY: usize = 10;

    /// How many looks may find the same before it is enough.
    const LOOKS: usize = 40;

    /// No fewer looks are ever enough: the first has none to compare with.
    pub(crate) const FEWEST: usize = Self::LOOKS + 2;

    /// Looks at the largest factor of each column; whether it is enough.
    pub(crate) fn met(&mut self, labels: impl Iterator<Item = usize>) -> bool {
        let groups = by_first_member(labels);
        if self.seen.as_ref() == Some(&groups) {
            self.unchanged += 1;
        } else {
            (self.seen, self.unchanged) = (Some(groups), 0);
        }
        self.unchanged > Self::LOOKS
    }
}

/// Labels renamed in the order of their first members, so that equal partitions are equal.
fn by_first_member(labels: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut names: Vec<Option<usize>> = Vec::new();
    let mut n = 0;
    labels
        .map(|label| {
            if label >= names.len() {
                names.resize(label + 1, None);
            }
            *names[label].get_or_insert_with(|| {
                n += 1;
                n - 1
            })
        })
        .collect()
}

/// The rule of an objective that stands still: it is collected over eleven iterations from every fiftieth on, and their
/// range over ten must not exceed the rounding unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stationary {
    collected: Vec<f64>,
}

impl Stationary {
    const EVERY: usize = 50;
    const WINDOW: usize = 11;

    /// Whether the objective is wanted at an iteration.
    pub(crate) fn wants(&self, iteration: usize) -> bool {
        !self.collected.is_empty() || iteration.is_multiple_of(Self::EVERY)
    }

    /// Takes the objective of an iteration; whether it is enough.
    pub(crate) fn met(&mut self, objective: f64) -> bool {
        self.collected.push(objective);
        if self.collected.len() < Self::WINDOW {
            return false;
        }
        let most = self.collected.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let least = self.collected.iter().fold(f64::INFINITY, |a, &b| a.min(b));
        self.collected.clear();
        (most - least) / 10.0 <= f64::EPSILON
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_one_equal_looks_after_the_first_are_enough() {
        let mut rule = Connectivity::default();
        // The same groups under other names.
        let looks = (0..60).position(|i| rule.met([i % 2, i % 2, 1 - i % 2].into_iter()));
        assert_eq!(looks, Some(41));
        let mut restless = Connectivity::default();
        assert!((0..200).all(|i| !restless.met([0, usize::from(i % 30 == 0), 1].into_iter())));
    }

    #[test]
    fn eleven_equal_objectives_are_enough() {
        let mut rule = Stationary::default();
        let stops = (0..200).find(|&i| rule.wants(i) && rule.met(if i < 60 { -(i as f64) } else { 3.0 }));
        assert_eq!(stops, Some(110));
    }
}
