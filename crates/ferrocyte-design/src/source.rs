//! A formula or expression as text: its tokens, and faults that point into it.

use ferrocyte_base::{Fault, Kind, Result};

/// A token of a formula.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name, without its backquotes.
    Name(String),
    /// A number.
    Number(f64),
    /// Anything else: operators, brackets, and whatever a formula cannot hold (refused later, by name).
    Symbol(String),
}

/// A token and where it begins (in characters).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) start: usize,
}

/// Symbols of more than one character.
const LONG_SYMBOLS: [&str; 8] = ["||", "**", "==", "<=", ">=", "!=", "&&", "->"];

/// The most tokens of a formula, and the most parentheses and signs inside each other: far beyond any that is meant,
/// and safe for a parser that calls itself.
const MOST_TOKENS: usize = 10_000;
pub(crate) const MOST_DEPTH: usize = 200;

/// A text and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) what: &'static str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// A fault of bad input that shows the text with a mark under character `at`.
    pub(crate) fn fault(&self, at: usize, message: impl AsRef<str>) -> Fault {
        self.fault_of(Kind::BadInput, at, message)
    }

    /// A fault of the given kind that shows the text with a mark under character `at`.
    pub(crate) fn fault_of(&self, kind: Kind, at: usize, message: impl AsRef<str>) -> Fault {
        let shown: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mark = " ".repeat(at.min(shown.chars().count()));
        Fault::new(kind, format!("{}\n    {shown}\n    {mark}^", message.as_ref())).at(self.what)
    }

    /// Cuts the text into tokens.
    pub(crate) fn tokens(&self) -> Result<Vec<Placed>> {
        let chars: Vec<char> = self.text.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            if chars[at].is_whitespace() {
                at += 1;
                continue;
            }
            if tokens.len() == MOST_TOKENS {
                return Err(self.fault(at, format!("there are more than {MOST_TOKENS} tokens")));
            }
            let (token, end) = self.token(&chars, at)?;
            tokens.push(Placed { token, start: at });
            at = end;
        }
        Ok(tokens)
    }

    fn token(&self, chars: &[char], start: usize) -> Result<(Token, usize)> {
        let first = chars[start];
        let next = chars.get(start + 1).copied();
        if first == '`' {
            return self.backquoted(chars, start);
        }
        if first.is_ascii_digit() || (first == '.' && next.is_some_and(|c| c.is_ascii_digit())) {
            let end = number_end(chars, start);
            let text: String = chars[start..end].iter().collect();
            let value = text.parse().map_err(|_| self.fault(start, format!("`{text}` is not a number")))?;
            return Ok((Token::Number(value), end));
        }
        if starts_name(first) {
            let end = (start..chars.len()).find(|&i| !continues_name(chars[i])).unwrap_or(chars.len());
            return Ok((Token::Name(chars[start..end].iter().collect()), end));
        }
        if first == '%'
            && let Some(close) = (start + 1..chars.len()).find(|&i| chars[i] == '%')
        {
            return Ok((Token::Symbol(chars[start..=close].iter().collect()), close + 1));
        }
        let two: String = chars[start..chars.len().min(start + 2)].iter().collect();
        if LONG_SYMBOLS.contains(&two.as_str()) {
            return Ok((Token::Symbol(two), start + 2));
        }
        Ok((Token::Symbol(first.to_string()), start + 1))
    }

    fn backquoted(&self, chars: &[char], start: usize) -> Result<(Token, usize)> {
        let close = (start + 1..chars.len())
            .find(|&i| chars[i] == '`')
            .ok_or_else(|| self.fault(start, "this backquote has no partner"))?;
        if close == start + 1 {
            return Err(self.fault(start, "there is no name between these backquotes"));
        }
        Ok((Token::Name(chars[start + 1..close].iter().collect()), close + 1))
    }
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '.' || c == '_'
}

/// Whether a character may stand inside a name without backquotes.
pub(crate) fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '.' || c == '_'
}

/// Where the number that starts at `start` ends: digits, a point, digits, an exponent.
pub(crate) fn number_end(chars: &[char], start: usize) -> usize {
    let digits = |from: usize| (from..chars.len()).find(|&i| !chars[i].is_ascii_digit()).unwrap_or(chars.len());
    let mut end = digits(start);
    if chars.get(end) == Some(&'.') {
        end = digits(end + 1);
    }
    if matches!(chars.get(end), Some('e' | 'E')) {
        let sign = usize::from(matches!(chars.get(end + 1), Some('+' | '-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

/// A column's name as a formula writes it: in backquotes unless it is an ordinary name.
pub(crate) fn written(name: &str) -> String {
    let ordinary = name.chars().next().is_some_and(starts_name) && name.chars().all(continues_name) && name != ".";
    // A point followed by a digit would be read as a number.
    let number = name.starts_with('.') && name.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    if ordinary && !number { name.to_owned() } else { format!("`{name}`") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        Source { what: "formula", text }.tokens().unwrap().into_iter().map(|t| t.token).collect()
    }

    #[test]
    fn names_numbers_and_symbols_are_told_apart() {
        let symbol = |s: &str| Token::Symbol(s.to_owned());
        let name = |s: &str| Token::Name(s.to_owned());
        assert_eq!(tokens("a.b_1||`cell type`"), [name("a.b_1"), symbol("||"), name("cell type")]);
        assert_eq!(
            tokens("1e+06 .5 2.e"),
            [1e6, 0.5, 2.0].map(Token::Number).into_iter().chain([name("e")]).collect::<Vec<_>>()
        );
        assert_eq!(tokens("b %in% a ** 2"), [name("b"), symbol("%in%"), name("a"), symbol("**"), Token::Number(2.0)]);
    }

    #[test]
    fn faults_point_at_the_character() {
        let fault = Source { what: "formula", text: "~ `donor" }.tokens().unwrap_err();
        assert_eq!(fault.to_string(), "formula: this backquote has no partner\n    ~ `donor\n      ^");
    }

    #[test]
    fn only_odd_names_are_backquoted() {
        assert_eq!(
            ["cell_type", "cell type", ".5", "2nd", "Alter.Größe"].map(written),
            ["cell_type", "`cell type`", "`.5`", "`2nd`", "Alter.Größe"]
        );
    }
}
