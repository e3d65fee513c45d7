//! [`Fault`]: the one error type of ferrocyte.
//!
//! A fault says what was expected and what was found, where, and what to do about it. Fronts turn its
//! [`Kind`] into an exit code or an exception class, in one `match` each; nobody matches on messages.

use std::error::Error;
use std::fmt;

/// Shorthand for results whose error is a [`Fault`].
pub type Result<T> = std::result::Result<T, Fault>;

/// What sort of thing went wrong: decides exit codes and exception classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A value, shape or combination of options that cannot be worked with.
    BadInput,
    /// A column, gene, layer, coefficient or level that does not exist.
    MissingKey,
    /// A file that cannot be opened, read or written, or is damaged.
    BadFile,
    /// Something legitimate that this version does not do.
    Unsupported,
    /// A job that does not fit the memory it was given.
    TooLarge,
    /// The user asked to stop.
    Cancelled,
    /// A mistake of ours.
    Internal,
}

impl Kind {
    /// All kinds, in the order of their exit codes.
    pub const ALL: [Self; 7] = [
        Self::BadInput,
        Self::MissingKey,
        Self::BadFile,
        Self::Unsupported,
        Self::TooLarge,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The stable word of this kind (`bad_input`, ...), as it appears in `--json` output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::MissingKey => "missing_key",
            Self::BadFile => "bad_file",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// An error with its kind, its place and the way out.
///
/// ```
/// use ferrocyte_base::{Fault, Kind};
/// let fault = Fault::missing("no column `dnor`").at("obs of study.h5ad").hint("did you mean `donor`?");
/// assert_eq!(fault.kind(), Kind::MissingKey);
/// assert_eq!(fault.to_string(), "obs of study.h5ad: no column `dnor`");
/// assert_eq!(fault.way_out(), Some("did you mean `donor`?"));
/// ```
#[derive(Debug)]
pub struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    place: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), place: None, hint: None, source: None }))
    }

    /// A value, shape or combination that cannot be worked with.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, message)
    }

    /// A name that does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Kind::MissingKey, message)
    }

    /// A file that cannot be read or written.
    pub fn bad_file(message: impl Into<String>) -> Self {
        Self::new(Kind::BadFile, message)
    }

    /// Something legitimate that is not done here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// A job that does not fit.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// The user asked to stop.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "interrupted")
    }

    /// A mistake of ours: something that cannot happen did.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
            .hint("this is a bug in ferrocyte: please report it with the command that you ran")
    }

    /// Adds the place (file, element, column, gene). Called again on the way up, the outer place comes first.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        let outer = place.into();
        self.0.place = Some(match self.0.place.take() {
            Some(inner) => format!("{outer}: {inner}"),
            None => outer,
        });
        self
    }

    /// Adds the way out, unless there is one already.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of fault this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was expected and what was found, without place and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it happened.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// What to do about it.
    pub fn way_out(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_nest_from_the_outside_in() {
        let fault = Fault::bad_file("truncated").at("X/data").at("study.h5ad");
        assert_eq!(fault.to_string(), "study.h5ad: X/data: truncated");
    }

    #[test]
    fn the_first_hint_stays() {
        let fault = Fault::bad_input("x").hint("near").hint("far");
        assert_eq!(fault.way_out(), Some("near"));
    }
}
