//! Options of a family: their words, defaults and meanings, for all three fronts.

/// Declares an option with a closed set of words, for all three fronts.
///
/// ```
/// ferrocyte_base::choice! {
///     /// Which likelihood is maximised.
///     Method, "method" {
///         /// Restricted.
///         Reml = "REML",
///         /// Not restricted.
///         Ml = "ML",
///     }
/// }
/// assert_eq!(Method::from_word("ML")?.word(), "ML");
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident, $option:literal { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        impl $name {
            /// The words of the choices.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The choice of a word.
            pub fn from_word(word: &str) -> $crate::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::Fault::bad_input(format!("there is no choice `{other}`"))
                        .at($option)
                        .hint(format!("it is one of {}", $crate::listing(Self::WORDS, 9)))),
                }
            }

            /// The word of this choice.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

/// One option as fronts show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionInfo {
    /// Its name: a keyword argument in Python, `--name` (with dashes) in the program, a key of the config file.
    pub name: &'static str,
    /// The verbs of the family that take it.
    pub verbs: &'static [&'static str],
    /// Its default, as a word; `-` where there is none, empty where it is "nothing".
    pub default: &'static str,
    /// Its choices; empty where it is free.
    pub choices: &'static [&'static str],
    /// One line of meaning.
    pub meaning: &'static str,
}
