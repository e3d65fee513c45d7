//! What may become of a gene in a count model; several things may be true of one.

use ferrocyte_base::Status;

/// One thing that may be true of a gene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing else is: the maximum lies inside.
    Ok,
    /// tau is zero.
    Poisson,
    /// s2 is zero.
    NoDonorVariance,
    /// A coefficient has no finite maximum.
    Separated,
    /// No cell has a count.
    AllZero,
    /// Fewer counts than `min_count`.
    FewCounts,
    /// All counts are in one donor.
    SingleDonor,
    /// tau ended at its upper bound.
    TauAtBound,
    /// s2 ended at its upper bound.
    S2AtBound,
    /// The iterations were used up.
    MaxIter,
    /// Fewer than two donors in an arm of the contrast.
    NoReplication,
    /// The whole group was not fitted; the reason stands with the group.
    GroupNotFitted,
    /// The contrast cannot be formed in this group, or not estimated for this gene.
    NotEstimable,
}

impl Outcome {
    /// All outcomes, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Poisson,
        Self::NoDonorVariance,
        Self::Separated,
        Self::AllZero,
        Self::FewCounts,
        Self::SingleDonor,
        Self::TauAtBound,
        Self::S2AtBound,
        Self::MaxIter,
        Self::NoReplication,
        Self::GroupNotFitted,
        Self::NotEstimable,
    ];

    /// The status that tables carry.
    pub const fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::Poisson => {
                Status::note("poisson", "the cells of a donor vary no more than chance would give: tau is zero")
            }
            Self::NoDonorVariance => {
                Status::note("no_donor_variance", "the donors vary no more than chance would give: s2 is zero")
            }
            Self::Separated => Status::note(
                "separated",
                "counts are missing where a coefficient could tell them: it has no finite maximum, and its test is a likelihood ratio",
            ),
            Self::AllZero => Status::no_estimate("all_zero", "no cell has a count"),
            Self::FewCounts => Status::note(
                "few_counts",
                "fewer counts than `min_count`: fitted, but with little to say, and without say in the priors",
            ),
            Self::SingleDonor => Status::note("single_donor", "all counts are in one donor"),
            Self::TauAtBound => Status::note("tau_at_bound", "the overdispersion ended at its upper bound, 1000"),
            Self::S2AtBound => Status::note("s2_at_bound", "the donor variance ended at its upper bound, 10"),
            Self::MaxIter => Status::note("max_iter", "the iterations were used up before the estimate settled"),
            Self::NoReplication => Status::no_estimate(
                "no_replication",
                "fewer than two donors in an arm of the contrast: nothing tells how donors vary",
            ),
            Self::GroupNotFitted => Status::no_estimate("group_not_fitted", "the model cannot be fitted to this group"),
            Self::NotEstimable => Status::no_estimate("not_estimable", "the contrast cannot be estimated"),
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// All that is true of a gene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes(u16);

impl Outcomes {
    /// One thing.
    pub const fn one(outcome: Outcome) -> Self {
        Self(outcome.bit())
    }

    /// These and one more, if it is so.
    #[must_use]
    pub const fn with(self, outcome: Outcome, so: bool) -> Self {
        if so { Self(self.0 | outcome.bit()) } else { self }
    }

    /// Whether this is among them; `Ok` where nothing else is.
    pub const fn has(self, outcome: Outcome) -> bool {
        if matches!(outcome, Outcome::Ok) { self.0 & !Outcome::Ok.bit() == 0 } else { self.0 & outcome.bit() != 0 }
    }

    /// Those that are true, in the order of the documentation: `Ok` where there is none.
    pub fn list(self) -> impl Iterator<Item = Outcome> {
        Outcome::ALL.into_iter().filter(move |&o| self.has(o))
    }

    /// Their words, joined by `+`.
    pub fn word(self) -> String {
        self.list().map(|o| o.status().word).collect::<Vec<_>>().join("+")
    }

    /// Their sentences.
    pub fn sentence(self) -> String {
        self.list().map(|o| o.status().sentence).collect::<Vec<_>>().join("; ")
    }

    /// Whether there are estimates.
    pub const fn has_estimate(self) -> bool {
        !self.has(Outcome::AllZero) && !self.has(Outcome::GroupNotFitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_join_and_ok_stands_alone() {
        assert_eq!(Outcomes::default().word(), "ok");
        let both = Outcomes::one(Outcome::Separated).with(Outcome::NoDonorVariance, true).with(Outcome::Poisson, false);
        assert_eq!(both.word(), "no_donor_variance+separated");
        assert!(both.has(Outcome::Separated) && !both.has(Outcome::Ok) && both.has_estimate());
        assert!(!Outcomes::one(Outcome::AllZero).has_estimate());
        let mut words: Vec<&str> = Outcome::ALL.iter().map(|o| o.status().word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Outcome::ALL.len());
    }
}
