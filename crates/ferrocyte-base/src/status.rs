//! [`Status`]: what became of one gene in one fit.

/// How much of an answer a gene has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A full answer.
    Ok,
    /// An answer with something to know about it.
    Note,
    /// No estimate; its numbers are NaN.
    NoEstimate,
}

impl Severity {
    /// The word that documentation has for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::NoEstimate => "no estimate",
        }
    }
}

/// A stable word, a sentence for people, and a severity.
///
/// Families define their own as constants in a `status.rs` and list them in a `STATUSES` slice, from which the
/// documentation page of words is made. Words never change their meaning between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// The stable word, as it stands in the column `status`.
    pub word: &'static str,
    /// One sentence, as it stands in the column `reason`.
    pub sentence: &'static str,
    /// How much of an answer there is.
    pub severity: Severity,
}

impl Status {
    /// A full answer. Its sentence is empty, so that the column `reason` is filled only where there is one.
    pub const OK: Self = Self { word: "ok", sentence: "", severity: Severity::Ok };

    /// An answer with a remark.
    pub const fn note(word: &'static str, sentence: &'static str) -> Self {
        Self { word, sentence, severity: Severity::Note }
    }

    /// No estimate, and why.
    pub const fn no_estimate(word: &'static str, sentence: &'static str) -> Self {
        Self { word, sentence, severity: Severity::NoEstimate }
    }
}
