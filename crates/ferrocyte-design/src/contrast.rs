//! Contrasts as text: linear expressions over the names of coefficients.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = signed { ("*" | "/") signed }
//! signed  = "-" signed | "+" signed | primary
//! primary = NAME | "`" NAME "`" | '"' NAME '"' | NUMBER | "(" sum ")"
//! ```
//!
//! A name is the longest known one at its place, so that `cell_typeCD14+ Monocytes:conditionstim` needs no quotes. A
//! level of a factor that stands in the model by itself may be written alone: `luminal - basal` is the difference of the
//! two means, whichever level is the reference.
//! What is not a linear combination (a product of names, a free constant, a division by a name) is refused.

use ferrocyte_base::{Fault, Kind, Result};

use crate::Coefficients;
use crate::coefficients::Known;
use crate::source::{MOST_DEPTH, Source, number_end};

/// A weight per coefficient and a constant.
struct Linear {
    weights: Vec<f64>,
    constant: f64,
    /// Weights of levels whose factor has a reference level, by factor: their means hold the intercept too, so that
    /// they must add to 0.
    means: Vec<f64>,
    /// Whether any name occurs.
    named: bool,
}

impl Linear {
    fn combine(mut self, sign: f64, other: &Self) -> Self {
        for (w, o) in self.weights.iter_mut().zip(&other.weights) {
            *w += sign * o;
        }
        for (m, o) in self.means.iter_mut().zip(&other.means) {
            *m += sign * o;
        }
        self.constant += sign * other.constant;
        self.named |= other.named;
        self
    }

    fn each(mut self, change: impl Fn(f64) -> f64) -> Self {
        for w in self.weights.iter_mut().chain(&mut self.means) {
            *w = change(*w);
        }
        self.constant = change(self.constant);
        self
    }
}

impl Coefficients {
    /// The contrast (one weight per coefficient) that a linear expression stands for: `A - (B + C)/2`.
    ///
    /// Faults point into the expression: unknown names come with near ones; products of names, free constants,
    /// divisions by names or by zero and contrasts that are zero throughout are refused.
    pub fn contrast(&self, expression: &str) -> Result<Vec<f64>> {
        let source = Source { what: "contrast", text: expression };
        let mut parser = Parser { source, coefficients: self, at: 0, depth: 0 };
        let linear = parser.sum()?;
        parser.skip_blanks();
        if parser.at < expression.len() {
            return Err(parser.unexpected_after(0));
        }
        if linear.constant != 0.0 {
            return Err(source
                .fault(0, format!("a contrast cannot hold the free constant {}", linear.constant))
                .hint("a contrast is a sum of coefficients times numbers, tested against 0"));
        }
        if let Some(factor) = linear.means.iter().position(|&m| m.abs() > 1e-12) {
            let (name, levels) = &self.factors[factor];
            return Err(source
                .fault(0, format!("the weights of the levels of `{name}` add to {}, not to 0", linear.means[factor]))
                .hint(format!(
                    "`{}` is the reference, so that only differences of levels are coefficients; `~ 0 + {name}` has a mean for each",
                    levels.first().map_or("", String::as_str)
                )));
        }
        if linear.weights.iter().any(|w| !w.is_finite()) {
            return Err(source.fault(0, "a weight of this contrast is not finite"));
        }
        if linear.weights.iter().all(|&w| w == 0.0) {
            return Err(source.fault(0, "every weight of this contrast is zero"));
        }
        Ok(linear.weights)
    }
}

struct Parser<'a> {
    source: Source<'a>,
    coefficients: &'a Coefficients,
    /// Position in bytes.
    at: usize,
    /// How many signs and parentheses the position is inside of.
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.source.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn skip(&mut self, symbol: char) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(symbol);
        self.at += if found { symbol.len_utf8() } else { 0 };
        found
    }

    fn fault(&self, kind: Kind, at: usize, message: impl AsRef<str>) -> Fault {
        self.source.fault_of(kind, self.source.text[..at].chars().count(), message)
    }

    fn sum(&mut self) -> Result<Linear> {
        let mut left = self.product()?;
        loop {
            let sign = if self.skip('+') {
                1.0
            } else if self.skip('-') {
                -1.0
            } else {
                return Ok(left);
            };
            left = left.combine(sign, &self.product()?);
        }
    }

    fn product(&mut self) -> Result<Linear> {
        let mut left = self.signed()?;
        loop {
            self.skip_blanks();
            let place = self.at;
            if self.skip('*') {
                let right = self.signed()?;
                left = match (left.named, right.named) {
                    (true, true) => {
                        return Err(self.fault(
                            Kind::BadInput,
                            place,
                            "a contrast cannot hold a product of coefficients",
                        ));
                    }
                    (false, true) => right.each(|x| x * left.constant),
                    _ => left.each(|x| x * right.constant),
                };
            } else if self.skip('/') {
                let right = self.signed()?;
                if right.named {
                    return Err(self.fault(Kind::BadInput, place, "a contrast cannot divide by a coefficient"));
                }
                if right.constant == 0.0 {
                    return Err(self.fault(Kind::BadInput, place, "division by zero"));
                }
                left = left.each(|x| x / right.constant);
            } else {
                return Ok(left);
            }
        }
    }

    fn signed(&mut self) -> Result<Linear> {
        if self.depth == MOST_DEPTH {
            return Err(self.fault(Kind::BadInput, self.at, "this is nested too deeply"));
        }
        self.depth += 1;
        let value = self.signed_at_this_depth();
        self.depth -= 1;
        value
    }

    fn signed_at_this_depth(&mut self) -> Result<Linear> {
        if self.skip('-') {
            return Ok(self.signed()?.each(|x| -x));
        }
        if self.skip('+') {
            return self.signed();
        }
        let start = self.at;
        let operand = self.primary()?;
        self.skip_blanks();
        if !self.rest().is_empty() && !self.rest().starts_with(['+', '-', '*', '/', ')']) {
            return Err(self.unexpected_after(start));
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Result<Linear> {
        self.skip_blanks();
        let start = self.at;
        if let Some((who, length)) = self.coefficients.prefix(self.rest()) {
            self.at += length;
            return match who {
                Known::Kept(j) => Ok(self.unit(j)),
                Known::Dropped(dropped) => Err(dropped.fault().at("contrast")),
            };
        }
        if let Some((factor, level, length)) = self.coefficients.bare_level(self.rest()) {
            self.at += length;
            return self.mean(factor, level, start);
        }
        let Some(first) = self.rest().chars().next() else {
            return Err(self.fault(Kind::BadInput, start, "expected a coefficient, found the end"));
        };
        match first {
            '`' | '"' => self.quoted(first),
            '(' => {
                self.at += 1;
                let inner = self.sum()?;
                if self.skip(')') {
                    Ok(inner)
                } else {
                    Err(self.fault(Kind::BadInput, start, "this parenthesis has no partner"))
                }
            }
            '0'..='9' | '.' => self.number(),
            _ => Err(self.unexpected_after(start)),
        }
    }

    fn unit(&self, coefficient: usize) -> Linear {
        let mut weights = vec![0.0; self.coefficients.len()];
        weights[coefficient] = 1.0;
        Linear { weights, constant: 0.0, means: self.no_means(), named: true }
    }

    fn no_means(&self) -> Vec<f64> {
        vec![0.0; self.coefficients.factors.len()]
    }

    /// The mean of a level, up to what all levels of its factor share.
    fn mean(&self, factor: usize, level: usize, start: usize) -> Result<Linear> {
        let (variable, levels) = &self.coefficients.factors[factor];
        let text = &levels[level];
        match self.coefficients.columns_of_levels(factor) {
            Some((columns, None)) => Ok(self.unit(columns[level])),
            Some((columns, Some(reference))) => {
                let mut linear = match (level, reference) {
                    (a, b) if a == b => Linear { named: true, ..self.zero() },
                    _ => self.unit(columns[level]),
                };
                linear.means[factor] = 1.0;
                Ok(linear)
            }
            None => Err(self
                .fault(Kind::BadInput, start, format!("`{text}` alone is no mean: `{variable}` interacts with others"))
                .hint(format!("write its coefficients: {}", self.coefficients.near(&format!("{variable}{text}"))))),
        }
    }

    fn zero(&self) -> Linear {
        Linear { weights: vec![0.0; self.coefficients.len()], constant: 0.0, means: self.no_means(), named: false }
    }

    fn quoted(&mut self, quote: char) -> Result<Linear> {
        let start = self.at;
        let inner = &self.rest()[1..];
        let Some(length) = inner.find(quote) else {
            return Err(self.fault(Kind::BadInput, start, "this quote has no partner"));
        };
        let name = inner[..length].to_owned();
        self.at += length + 2;
        let is_level = |(_, level, length): (usize, usize, usize)| (length == name.len()).then_some(level);
        match (self.coefficients.resolve(&name), self.coefficients.bare_level(&name)) {
            (Ok(j), _) => Ok(self.unit(j)),
            (Err(_), Some(found)) if is_level(found).is_some() => self.mean(found.0, found.1, start),
            (Err(fault), _) => Err(fault.at("contrast")),
        }
    }

    fn number(&mut self) -> Result<Linear> {
        let start = self.at;
        let chars: Vec<char> = self.rest().chars().collect();
        // The characters of a number have one byte each.
        let length = number_end(&chars, 0);
        self.at += length;
        let constant: f64 = self.source.text[start..self.at].parse().map_err(|_| self.unexpected_after(start))?;
        Ok(Linear { constant, ..self.zero() })
    }

    /// The fault for text that is no coefficient, number or operator. `start` is where the operand began: what
    /// follows a known name without an operator (`conditionstim2`, `A:B`) is reported together with it.
    fn unexpected_after(&self, start: usize) -> Fault {
        let rest = self.rest();
        let found = rest.chars().next().unwrap_or(' ');
        if found == '=' {
            return self
                .fault(Kind::BadInput, self.at, "a contrast has no `=`")
                .hint("leave `= 0` out: contrasts are tested against 0");
        }
        if matches!(found, ')' | '^' | ',' | '+' | '*' | '/') {
            return self.fault(Kind::BadInput, self.at, format!("`{found}` cannot stand here"));
        }
        let stop = |c: char| c.is_whitespace() || "+-*/()=,".contains(c);
        let end = self.at + rest.char_indices().find(|&(i, c)| i > 0 && stop(c)).map_or(rest.len(), |(i, _)| i);
        let wanted = self.source.text[start.min(end)..end].trim();
        self.fault(Kind::MissingKey, start, format!("`{wanted}` is not a coefficient"))
            .hint(self.coefficients.near(wanted))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Part;
    use crate::coefficients::tests::example;
    use proptest::prelude::*;

    fn plain(names: &[&str]) -> Coefficients {
        Coefficients::from_names(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn expressions_become_weights() {
        let table = plain(&["A", "B", "C", "D"]);
        assert_eq!(table.contrast("A-(B+C+D)/3").unwrap(), [1.0, -1.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0]);
        assert_eq!(table.contrast("-2*(A - B)*.5e0 + 0*C").unwrap(), [-1.0, 1.0, 0.0, 0.0]);
        assert_eq!(table.contrast("--A + 1 - 1").unwrap(), [1.0, 0.0, 0.0, 0.0]);
        let odd = plain(&["a b", "c+d", "e", "2nd", "I(age^2)", "log(x)", "log(x):b", "(Intercept)", "7"]);
        let weights = |text: &str| odd.contrast(text).unwrap();
        assert_eq!(weights("a b - c+d"), [1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(weights("2nd*2 - I(age^2)/4"), [0.0, 0.0, 0.0, 2.0, -0.25, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(weights("log(x)-log(x):b"), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0]);
        assert_eq!(weights("7*`7` + (Intercept)"), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 7.0]);
        assert_eq!(weights("\"c+d\" + `e`"), [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn bracket_spellings_work_inside_expressions() {
        let text = "cell_type[CD14+ Monocytes]:condition[stim] - condition[T.stim]:cell_type[B cells]";
        assert_eq!(example().contrast(text).unwrap(), [0.0, 0.0, 0.0, -1.0, 1.0]);
        let names = "cell_typeCD14+ Monocytes:conditionstim-cell_typeB cells:conditionstim";
        assert_eq!(example().contrast(names).unwrap(), [0.0, 0.0, 0.0, -1.0, 1.0]);
    }

    /// `~ 0 + group` or `~ group`, and `~ group * sex`.
    fn of_levels(with_intercept: bool, interaction: bool) -> Coefficients {
        use crate::coefficients::tests::level;
        let mut parts = if with_intercept { vec![vec![]] } else { vec![vec![level("group", "basal")]] };
        parts.extend(["luminal", "T-cell"].map(|l| vec![level("group", l)]));
        if interaction {
            parts.push(vec![level("group", "luminal"), level("sex", "M")]);
        }
        let names = parts
            .iter()
            .map(|p| {
                if p.is_empty() {
                    "(Intercept)".to_owned()
                } else {
                    p.iter().map(Part::name).collect::<Vec<_>>().join(":")
                }
            })
            .collect();
        let group = ["basal", "luminal", "T-cell"].map(str::to_owned).to_vec();
        let sex = ["F", "M"].map(str::to_owned).to_vec();
        let factors = vec![("group".to_owned(), group), ("sex".to_owned(), sex)];
        Coefficients { names, parts: Some(parts), factors, dropped: vec![] }
    }

    #[test]
    fn levels_alone_are_means() {
        for (with_intercept, expected) in [(false, [-1.0, 1.0, 0.0]), (true, [0.0, 1.0, 0.0])] {
            let table = of_levels(with_intercept, false);
            assert_eq!(table.contrast("luminal - basal").unwrap(), expected);
            assert_eq!(table.contrast("`luminal` - groupbasal").is_ok(), !with_intercept);
        }
        let means = of_levels(false, false);
        assert_eq!(means.contrast("(luminal + T-cell)/2 - basal").unwrap(), [-1.0, 0.5, 0.5]);
        assert_eq!(means.contrast("T-cell").unwrap(), [0.0, 0.0, 1.0]);
        let differences = of_levels(true, false);
        assert_eq!(differences.contrast("(luminal + `T-cell`)/2 - basal").unwrap(), [0.0, 0.5, 0.5]);
        let fault = differences.contrast("luminal").unwrap_err();
        assert!(fault.to_string().contains("the weights of the levels of `group` add to 1, not to 0"), "{fault}");
        let fault = of_levels(true, true).contrast("luminal - basal").unwrap_err();
        assert!(fault.to_string().contains("`group` interacts with others"), "{fault}");
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |n: usize| format!("{}A{}", "(".repeat(n), ")".repeat(n));
        let table = plain(&["A"]);
        assert_eq!(table.contrast(&deep(100)).unwrap(), [1.0]);
        for text in [deep(100_000), "-".repeat(100_000)] {
            assert!(table.contrast(&text).unwrap_err().message().starts_with("this is nested too deeply"));
        }
    }

    #[test]
    fn what_is_not_a_contrast_is_refused_where_it_stands() {
        let table = plain(&["A", "B", "cls1", "cls1:trtB"]);
        let cases = [
            ("A-E", "contrast: `E` is not a coefficient\n    A-E\n      ^"),
            ("A*B", "contrast: a contrast cannot hold a product of coefficients\n    A*B\n     ^"),
            ("A/B", "contrast: a contrast cannot divide by a coefficient\n    A/B\n     ^"),
            ("A/(1-1)", "contrast: division by zero\n    A/(1-1)\n     ^"),
            ("A-B+1", "contrast: a contrast cannot hold the free constant 1\n    A-B+1\n    ^"),
            ("A - A", "contrast: every weight of this contrast is zero\n    A - A\n    ^"),
            ("cls10", "contrast: `cls10` is not a coefficient\n    cls10\n    ^"),
            ("A + cls1:trtC", "contrast: `cls1:trtC` is not a coefficient\n    A + cls1:trtC\n        ^"),
            ("A = 0", "contrast: a contrast has no `=`\n    A = 0\n      ^"),
            ("(A - B", "contrast: this parenthesis has no partner\n    (A - B\n    ^"),
            ("A - B)", "contrast: `)` cannot stand here\n    A - B)\n         ^"),
            ("A -", "contrast: expected a coefficient, found the end\n    A -\n       ^"),
            ("", "contrast: expected a coefficient, found the end\n    \n    ^"),
            ("`A", "contrast: this quote has no partner\n    `A\n    ^"),
            ("A B", "contrast: `A B` is not a coefficient\n    A B\n    ^"),
            ("`X`", "contrast: there is no coefficient `X`"),
        ];
        for (text, expected) in cases {
            assert_eq!(table.contrast(text).unwrap_err().to_string(), expected, "{text}");
        }
        let fault = table.contrast("A - cls1:trtC").unwrap_err();
        assert_eq!(fault.kind(), Kind::MissingKey);
        assert_eq!(fault.way_out(), Some("did you mean `cls1` or `cls1:trtB`?"));
    }

    proptest! {
        #[test]
        fn a_written_combination_parses_to_its_weights(
            weights in proptest::collection::vec(-1000..1000_i32, 6),
            style in proptest::collection::vec(0..4_u8, 6),
        ) {
            let names = ["(Intercept)", "log(libsize)", "cls1", "cls1:trtB", "x+ y-z", "2nd"];
            let table = plain(&names);
            let terms = names.iter().zip(&weights).zip(style).map(|((name, &weight), style)| match style {
                0 => format!(" + {weight}*{name}"),
                1 => format!("- ({name}*-{weight}/-1*-1)*-1*-1"),
                2 => format!("+ {}*(`{name}`/2)", 2 * weight),
                _ => format!("+(\"{name}\" * {weight})"),
            });
            let text = format!("0{}", terms.collect::<Vec<_>>().concat());
            let expected: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
            match table.contrast(&text) {
                Ok(found) => prop_assert_eq!(found, expected),
                Err(fault) => prop_assert!(weights.iter().all(|&w| w == 0), "{}", fault),
            }
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in ".{0,40}") {
            let _ = example().contrast(&text);
        }
    }
}
