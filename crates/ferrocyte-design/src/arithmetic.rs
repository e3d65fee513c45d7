//! Arithmetic on columns: what may stand inside `log(...)`, `I(...)` and the other functions of a formula.

use std::fmt;

/// A function that a formula may apply to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Log,
    Log2,
    Log10,
    Log1p,
    Sqrt,
    Exp,
    /// `I(...)`: the value as it is; makes arithmetic out of what would be formula operators.
    Identity,
}

impl Function {
    pub(crate) const ALL: [Self; 7] =
        [Self::Log, Self::Log2, Self::Log10, Self::Log1p, Self::Sqrt, Self::Exp, Self::Identity];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Log2 => "log2",
            Self::Log10 => "log10",
            Self::Log1p => "log1p",
            Self::Sqrt => "sqrt",
            Self::Exp => "exp",
            Self::Identity => "I",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    fn value(self, x: f64) -> f64 {
        match self {
            Self::Log => x.ln(),
            Self::Log2 => x.log2(),
            Self::Log10 => x.log10(),
            Self::Log1p => x.ln_1p(),
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Identity => x,
        }
    }
}

/// An operator of arithmetic, from loosest to tightest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Operator {
    fn value(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Power => a.powf(b),
        }
    }

    /// As R writes it: blanks around `+`, `-`, `*`, none around `/`, `^`.
    fn text(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => "/",
            Self::Power => "^",
        }
    }
}

/// Arithmetic over columns `C`: names as parsed, positions once bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arithmetic<C> {
    Number(f64),
    Column(C),
    Negative(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Call(Function, Box<Self>),
    /// Kept, so that the text is as written.
    Parentheses(Box<Self>),
}

impl<C> Arithmetic<C> {
    /// The value, given the value of each column.
    pub(crate) fn value(&self, column: &impl Fn(&C) -> f64) -> f64 {
        match self {
            Self::Number(x) => *x,
            Self::Column(c) => column(c),
            Self::Negative(inner) => -inner.value(column),
            Self::Binary(operator, a, b) => operator.value(a.value(column), b.value(column)),
            Self::Call(function, inner) => function.value(inner.value(column)),
            Self::Parentheses(inner) => inner.value(column),
        }
    }

    /// The same arithmetic over other columns.
    pub(crate) fn map<D>(&self, column: &mut impl FnMut(&C) -> D) -> Arithmetic<D> {
        match self {
            Self::Number(x) => Arithmetic::Number(*x),
            Self::Column(c) => Arithmetic::Column(column(c)),
            Self::Negative(inner) => Arithmetic::Negative(Box::new(inner.map(column))),
            Self::Binary(operator, a, b) => {
                Arithmetic::Binary(*operator, Box::new(a.map(column)), Box::new(b.map(column)))
            }
            Self::Call(function, inner) => Arithmetic::Call(*function, Box::new(inner.map(column))),
            Self::Parentheses(inner) => Arithmetic::Parentheses(Box::new(inner.map(column))),
        }
    }

    /// The columns, in order of appearance, each once.
    pub(crate) fn columns(&self) -> Vec<&C>
    where
        C: PartialEq,
    {
        let mut found = Vec::new();
        self.gather(&mut found);
        found
    }

    fn gather<'a>(&'a self, found: &mut Vec<&'a C>)
    where
        C: PartialEq,
    {
        match self {
            Self::Number(_) => {}
            Self::Column(c) => {
                if !found.contains(&c) {
                    found.push(c);
                }
            }
            Self::Negative(inner) | Self::Call(_, inner) | Self::Parentheses(inner) => inner.gather(found),
            Self::Binary(_, a, b) => {
                a.gather(found);
                b.gather(found);
            }
        }
    }
}

impl fmt::Display for Arithmetic<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(x) => f.write_str(&number_text(*x)),
            Self::Column(name) => f.write_str(&crate::source::written(name)),
            Self::Negative(inner) => write!(f, "-{inner}"),
            Self::Binary(operator, a, b) => write!(f, "{a}{}{b}", operator.text()),
            Self::Call(function, inner) => write!(f, "{}({inner})", function.name()),
            Self::Parentheses(inner) => write!(f, "({inner})"),
        }
    }
}

/// A number as R prints it in a formula: 15 significant digits at most, and the shorter of the plain and the
/// scientific form (`10000`, `1e+05`, `0.001`, `1e-04`).
pub(crate) fn number_text(x: f64) -> String {
    if !x.is_finite() || x == 0.0 {
        return format!("{x}");
    }
    let (mantissa, exponent) = fifteen_digits(x);
    let mark = if exponent < 0 { '-' } else { '+' };
    let scientific = format!("{mantissa}e{mark}{:02}", exponent.abs());
    let places = (mantissa.trim_start_matches('-').len().saturating_sub(2) as i32 - exponent).max(0);
    let plain = format!("{x:.0$}", places as usize);
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// A number rounded to 15 significant digits as mantissa (`1.25`, no trailing zeros) and exponent of ten.
fn fifteen_digits(x: f64) -> (String, i32) {
    let text = format!("{x:.14e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.trim_end_matches('0').trim_end_matches('.').to_owned(), exponent.parse().unwrap_or(0))
}

/// A number as the name of a level: whole numbers in full (`100000`), others as in a formula.
pub(crate) fn level_text(x: f64) -> String {
    if x == x.trunc() && x.abs() < 1e15 { format!("{}", x as i64) } else { number_text(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_r() {
        let cases = [
            (10000.0, "10000"),
            (1e5, "1e+05"),
            (123456.0, "123456"),
            (0.1, "0.1"),
            (0.0001, "1e-04"),
            (0.00012, "0.00012"),
            (1.0 / 3.0, "0.333333333333333"),
            (-2.5, "-2.5"),
            (1e-300, "1e-300"),
        ];
        for (x, text) in cases {
            assert_eq!(number_text(x), text);
        }
        assert_eq!(level_text(1e5), "100000");
        assert_eq!(level_text(0.5), "0.5");
    }
}
