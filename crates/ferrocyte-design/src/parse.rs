//! The grammar of formulas.
//!
//! ```text
//! formula     = ["~"] sum
//! sum         = ["+" | "-"] product { ("+" | "-") product }
//! product     = interaction { ("*" | "/") interaction }
//! interaction = power { ":" power }
//! power       = primary [ "^" NUMBER ]
//! primary     = "0" | "1" | variable | "(" sum ")" | "(" bar ")"
//! bar         = sum ("|" | "||") interaction-of-variables { "/" interaction-of-variables }
//! variable    = NAME | "factor(" NAME ")" | FUNCTION "(" arithmetic ")"
//!             | ("poly" | "ns" | "bs") "(" arithmetic "," [("degree" | "df") "="] NUMBER ")"
//! ```
//!
//! `/` and `^` between fixed terms and `poly`, `ns`, `bs` are for designs of samples ([`Dialect::Samples`]).

use ferrocyte_base::{Fault, Kind, Result, listing};

use crate::arithmetic::{Arithmetic, Function, Operator};
use crate::basis::{Basis, Expansion};
use crate::refuse;
use crate::source::{MOST_DEPTH, Placed, Source, Token};

/// What a term is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Variable {
    /// A column: a factor or a covariate, as obs has it.
    Column(String),
    /// A column taken as a factor whatever its type: `factor(x)`.
    Factor(String),
    /// Arithmetic on columns: `log(libsize)`, `I(age^2)`.
    Expression(Arithmetic<String>),
    /// One column of several that a covariate is expanded to: `poly(age, 2)1`.
    Basis(Basis),
}

/// What a formula may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Dialect {
    /// What can be computed cell by cell.
    #[default]
    Cells,
    /// All that R has for fixed terms.
    Samples,
}

/// A product of variables: their positions, ascending, each once. The intercept is the empty term.
pub(crate) type Term = Vec<usize>;

/// A random term as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RandomTerm {
    /// `(slope | grouping)`; an empty slope is the intercept.
    Bar { slope: Term, grouping: Term },
    /// A term of an R formula, `~ 0 + sam:time`: its factors group, its numbers are slopes.
    Indicators(Term),
}

/// Terms in order, and what was said of the intercept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum {
    pub(crate) terms: Vec<Term>,
    pub(crate) intercept: Option<bool>,
    has_random: bool,
}

impl Sum {
    fn of(terms: Vec<Term>) -> Self {
        Self { terms, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        for term in other.terms {
            if !self.terms.contains(&term) {
                self.terms.push(term);
            }
        }
        self.intercept = other.intercept.or(self.intercept);
        self.has_random |= other.has_random;
    }

    fn remove(&mut self, other: &Self) {
        self.terms.retain(|term| !other.terms.contains(term));
        self.intercept = other.intercept.map(|there| !there).or(self.intercept);
    }
}

/// What a formula was parsed into.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) fixed: Sum,
    /// Variables of the fixed terms, in order of appearance.
    pub(crate) variables: Vec<Variable>,
    pub(crate) random: Vec<RandomTerm>,
    /// Variables of the random terms, in order of appearance.
    pub(crate) random_variables: Vec<Variable>,
    pub(crate) dialect: Dialect,
}

impl Parsed {
    /// Parses a formula of fixed and random terms.
    pub(crate) fn formula(&mut self, text: &str) -> Result<()> {
        let source = Source { what: "formula", text };
        let mut parser = Parser::new(source, self)?;
        parser.skip_symbol("~");
        let empty = parser.peek().is_none();
        let sum = if empty { Sum::default() } else { parser.sum()? };
        if empty {
            return Err(source.fault(text.chars().count(), "the formula is empty").hint("write `~ 1` for a mean only"));
        }
        parser.end()?;
        self.fixed.add(sum);
        Ok(())
    }

    /// Parses one entry of `random`: `(1 | donor)`, `1 | donor`, `~ 0 + sam`.
    pub(crate) fn random_entry(&mut self, text: &str) -> Result<()> {
        let source = Source { what: "random", text };
        let mut parser = Parser::new(source, self)?;
        let one_sided = parser.skip_symbol("~");
        if parser.has_bar_outside_parentheses() {
            parser.bar()?;
            return parser.end();
        }
        if parser.has_bar() {
            let sum = parser.sum()?;
            parser.end()?;
            if !sum.terms.is_empty() || sum.intercept.is_some() {
                return Err(source
                    .fault(0, "`random` holds random terms only, and a term here is fixed")
                    .hint("move fixed terms to the formula"));
            }
            return Ok(());
        }
        parser.side = Side::Random;
        let sum = parser.sum()?;
        parser.end()?;
        if !one_sided || sum.intercept != Some(false) || sum.terms.is_empty() {
            return Err(source
                .fault(0, "expected a random term such as `(1 | sample)` or `~ 0 + sample`")
                .hint(format!("write `(1 | {})`", text.trim().trim_start_matches('~').trim())));
        }
        self.random.extend(sum.terms.into_iter().map(RandomTerm::Indicators));
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Fixed,
    Random,
}

struct Parser<'a> {
    source: Source<'a>,
    tokens: Vec<Placed>,
    at: usize,
    side: Side,
    /// How many parentheses and signs the position is inside of.
    depth: usize,
    out: &'a mut Parsed,
}

impl<'a> Parser<'a> {
    fn new(source: Source<'a>, out: &'a mut Parsed) -> Result<Self> {
        Ok(Self { source, tokens: source.tokens()?, at: 0, side: Side::Fixed, depth: 0, out })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    fn is_symbol(&self, at: usize, symbol: &str) -> bool {
        matches!(self.tokens.get(at), Some(Placed { token: Token::Symbol(s), .. }) if s == symbol)
    }

    fn skip_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(self.at, symbol);
        self.at += usize::from(found);
        found
    }

    /// The character at which the current token begins.
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.source.text.chars().count(), |t| t.start)
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.skip_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn end(&self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("`+`, `-`, `:` or `*`")) }
    }

    /// The fault for a token that does not belong here: refused by name where there is a way out.
    fn unexpected(&self, wanted: &str) -> Fault {
        let place = self.place();
        match self.peek() {
            None => self.source.fault(place, format!("expected {wanted}, found the end")),
            Some(Token::Symbol(symbol)) => match refuse::operator(symbol) {
                Some(instead) => self
                    .source
                    .fault_of(Kind::Unsupported, place, format!("`{symbol}` cannot stand here"))
                    .hint(instead),
                None => self.source.fault(place, format!("expected {wanted}, found `{symbol}`")),
            },
            Some(Token::Name(name)) => self.source.fault(place, format!("expected {wanted}, found `{name}`")),
            Some(Token::Number(_)) => self.source.fault(place, format!("expected {wanted}, found a number")),
        }
    }

    /// Parses what is one level deeper, unless that is too deep.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MOST_DEPTH {
            return Err(self.source.fault(self.place(), "this is nested too deeply"));
        }
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn sum(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut minus = self.skip_symbol("-");
        if !minus {
            self.skip_symbol("+");
        }
        loop {
            let place = self.place();
            let item = self.product()?;
            if minus {
                if item.has_random {
                    return Err(self.source.fault(place, "a random term cannot be taken away").hint("leave it out"));
                }
                sum.remove(&item);
            } else {
                sum.add(item);
            }
            minus = self.is_symbol(self.at, "-");
            if !minus && !self.is_symbol(self.at, "+") {
                return Ok(sum);
            }
            self.at += 1;
        }
    }

    fn product(&mut self) -> Result<Sum> {
        let place = self.place();
        let mut left = self.interaction()?;
        loop {
            if self.skip_symbol("*") {
                let right = self.interaction()?;
                let both = self.cross(&left, &right, place)?;
                left.add(right);
                left.add(both);
            } else if self.is_wide() && self.skip_symbol("/") {
                // `a/b` is a and b within a; `(a + b)/c` is a, b and c within both.
                let right = self.interaction()?;
                let all = left.terms.iter().fold(Term::new(), |all, term| joined(&all, term));
                let within = self.cross(&Sum::of(vec![all]), &right, place)?;
                left.add(within);
            } else {
                return Ok(left);
            }
        }
    }

    fn is_wide(&self) -> bool {
        self.out.dialect == Dialect::Samples && self.side == Side::Fixed
    }

    fn interaction(&mut self) -> Result<Sum> {
        let place = self.place();
        let mut left = self.power()?;
        while self.skip_symbol(":") {
            let right = self.power()?;
            left = self.cross(&left, &right, place)?;
        }
        Ok(left)
    }

    /// `(a + b + c)^2`: the terms and their products of two at most.
    fn power(&mut self) -> Result<Sum> {
        let place = self.place();
        let base = self.primary()?;
        if !self.is_wide() || !self.skip_symbol("^") {
            return Ok(base);
        }
        let Some(&Token::Number(exponent)) = self.peek() else { return Err(self.unexpected("a whole number")) };
        if !(1.0..=9.0).contains(&exponent) || exponent != exponent.trunc() {
            return Err(self.source.fault(self.place(), format!("`{exponent}` is no whole number from 1 to 9")));
        }
        self.at += 1;
        let mut sum = base.clone();
        for _ in 1..exponent as usize {
            let products = self.cross(&sum, &base, place)?;
            sum.add(products);
            // Columns of one expansion are no variables of their own.
            let apart = |term: &Term| !self.holds_twins(term);
            sum.terms.retain(apart);
        }
        Ok(sum)
    }

    /// Whether a term multiplies columns of the same expansion.
    fn holds_twins(&self, term: &[usize]) -> bool {
        let of = |v: usize| if let Variable::Basis(basis) = &self.out.variables[v] { Some(basis) } else { None };
        let twins = |(k, &v): (usize, &usize)| {
            of(v).is_some_and(|basis| term[..k].iter().filter_map(|&w| of(w)).any(|other| other.same(basis)))
        };
        term.iter().enumerate().any(twins)
    }

    /// `poly(age, 2)` and its like, as a sum of their columns; `None` where there is none.
    fn expansion(&mut self) -> Result<Option<Sum>> {
        let Some(Token::Name(name)) = self.peek() else { return Ok(None) };
        let quoted = self.source.text.chars().nth(self.place()) == Some('`');
        let Some(expansion) = Expansion::named(name).filter(|_| self.is_wide() && !quoted) else { return Ok(None) };
        if !self.is_symbol(self.at + 1, "(") {
            return Ok(None);
        }
        self.at += 2;
        let argument = self.arithmetic(Operator::Add)?;
        self.expect(",")?;
        let by_name = matches!(self.peek(), Some(Token::Name(name)) if name == expansion.argument());
        if by_name {
            self.at += 1;
            self.expect("=")?;
        }
        let Some(&Token::Number(size)) = self.peek() else { return Err(self.unexpected("a whole number")) };
        if !(1.0..=100.0).contains(&size) || size != size.trunc() {
            return Err(self.source.fault(self.place(), format!("`{size}` is no whole number from 1 to 100")));
        }
        self.at += 1;
        self.expect(")")?;
        let size = size as usize;
        let column = |column| Variable::Basis(Basis { expansion, argument: argument.clone(), size, by_name, column });
        let columns: Vec<Variable> = (0..size).map(column).collect();
        Ok(Some(Sum::of(columns.into_iter().map(|variable| vec![self.intern(variable)]).collect())))
    }

    /// Every term of one sum with every term of another.
    fn cross(&self, left: &Sum, right: &Sum, place: usize) -> Result<Sum> {
        if left.has_random || right.has_random {
            return Err(self.source.fault(place, "a random term cannot be part of an interaction"));
        }
        if left.intercept.is_some() || right.intercept.is_some() {
            return Err(self.source.fault(place, "`0` and `1` cannot be part of an interaction"));
        }
        let mut crossed = Sum::default();
        for a in &left.terms {
            crossed.add(Sum::of(right.terms.iter().map(|b| joined(a, b)).collect()));
        }
        Ok(crossed)
    }

    fn primary(&mut self) -> Result<Sum> {
        match self.peek().cloned() {
            Some(Token::Number(x)) if x == 0.0 || x == 1.0 => {
                self.at += 1;
                Ok(Sum { intercept: Some(x == 1.0), ..Sum::default() })
            }
            Some(Token::Number(_)) => Err(self
                .source
                .fault(self.place(), "the only numbers among the terms are `0` and `1`")
                .hint("arithmetic goes inside `I(...)`")),
            Some(Token::Symbol(symbol)) if symbol == "(" => {
                if self.is_random_group() {
                    return self.random_group();
                }
                self.at += 1;
                let inner = self.deeper(Self::sum)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Name(_)) => {
                if let Some(columns) = self.expansion()? {
                    return Ok(columns);
                }
                let variable = self.variable()?;
                let position = self.intern(variable);
                Ok(Sum::of(vec![vec![position]]))
            }
            _ => Err(self.unexpected("a term")),
        }
    }

    /// The position of a variable, which is kept once.
    fn intern(&mut self, variable: Variable) -> usize {
        let table = match self.side {
            Side::Fixed => &mut self.out.variables,
            Side::Random => &mut self.out.random_variables,
        };
        table.iter().position(|v| *v == variable).unwrap_or_else(|| {
            table.push(variable);
            table.len() - 1
        })
    }

    fn variable(&mut self) -> Result<Variable> {
        let place = self.place();
        let Some(Token::Name(name)) = self.peek().cloned() else { return Err(self.unexpected("a column")) };
        // A backquoted name is always a column.
        let quoted = self.source.text.chars().nth(place) == Some('`');
        if quoted || !self.is_symbol(self.at + 1, "(") {
            if name == "." && !quoted {
                return Err(self
                    .source
                    .fault_of(Kind::Unsupported, place, "`.` cannot stand for all columns")
                    .hint("name the columns"));
            }
            self.at += 1;
            return Ok(Variable::Column(name));
        }
        if name == "factor" {
            self.at += 2;
            let Some(Token::Name(column)) = self.peek().cloned() else { return Err(self.unexpected("a column")) };
            self.at += 1;
            self.expect(")")?;
            return Ok(Variable::Factor(column));
        }
        let expression = self.call()?;
        if expression.columns().is_empty() {
            return Err(self.source.fault(place, format!("`{expression}` names no column")));
        }
        Ok(Variable::Expression(expression))
    }

    fn call(&mut self) -> Result<Arithmetic<String>> {
        let place = self.place();
        let Some(Token::Name(name)) = self.peek().cloned() else { return Err(self.unexpected("a function")) };
        let Some(function) = Function::named(&name) else {
            let known = listing(&Function::ALL.map(Function::name), 9);
            let instead = refuse::function(&name).map_or_else(
                || format!("the functions are {known}, `factor`; compute anything else into a column of obs first"),
                str::to_owned,
            );
            return Err(self
                .source
                .fault_of(Kind::Unsupported, place, format!("`{name}()` is not a function of formulas"))
                .hint(instead));
        };
        self.at += 2;
        let inner = self.arithmetic(Operator::Add)?;
        self.expect(")")?;
        Ok(Arithmetic::Call(function, Box::new(inner)))
    }

    /// Left-associative levels of arithmetic: `+ -`, then `* /`.
    fn arithmetic(&mut self, level: Operator) -> Result<Arithmetic<String>> {
        let (operators, tighter): (&[(&str, Operator)], _) = match level {
            Operator::Add => (&[("+", Operator::Add), ("-", Operator::Subtract)], Some(Operator::Multiply)),
            _ => (&[("*", Operator::Multiply), ("/", Operator::Divide)], None),
        };
        let operand = |parser: &mut Self| match tighter {
            Some(level) => parser.arithmetic(level),
            None => parser.deeper(Self::signed),
        };
        let mut left = operand(self)?;
        while let Some((symbol, operator)) = operators.iter().find(|(s, _)| self.is_symbol(self.at, s)) {
            self.skip_symbol(symbol);
            left = Arithmetic::Binary(*operator, Box::new(left), Box::new(operand(self)?));
        }
        Ok(left)
    }

    /// A sign binds less tightly than a power: `-x^2` is `-(x^2)`.
    fn signed(&mut self) -> Result<Arithmetic<String>> {
        if self.skip_symbol("-") {
            return Ok(Arithmetic::Negative(Box::new(self.deeper(Self::signed)?)));
        }
        if self.skip_symbol("+") {
            return self.deeper(Self::signed);
        }
        let base = self.atom()?;
        if self.skip_symbol("^") {
            let exponent = self.deeper(Self::signed)?;
            return Ok(Arithmetic::Binary(Operator::Power, Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<Arithmetic<String>> {
        match self.peek().cloned() {
            Some(Token::Number(x)) => {
                self.at += 1;
                Ok(Arithmetic::Number(x))
            }
            Some(Token::Name(name)) => {
                let quoted = self.source.text.chars().nth(self.place()) == Some('`');
                if self.is_symbol(self.at + 1, "(") && !quoted {
                    return self.call();
                }
                self.at += 1;
                Ok(Arithmetic::Column(name))
            }
            Some(Token::Symbol(symbol)) if symbol == "(" => {
                self.at += 1;
                let inner = self.arithmetic(Operator::Add)?;
                self.expect(")")?;
                Ok(Arithmetic::Parentheses(Box::new(inner)))
            }
            _ => Err(self.unexpected("a number or a column")),
        }
    }

    // ---- random terms ------------------------------------------------------------------------------------------

    /// Whether the parenthesis at the current token closes over a `|` of its own.
    fn is_random_group(&self) -> bool {
        self.bar_at_depth(self.at, 1)
    }

    fn has_bar_outside_parentheses(&self) -> bool {
        self.bar_at_depth(self.at, 0)
    }

    fn has_bar(&self) -> bool {
        (self.at..self.tokens.len()).any(|i| self.is_symbol(i, "|") || self.is_symbol(i, "||"))
    }

    fn bar_at_depth(&self, from: usize, wanted: usize) -> bool {
        let mut depth = 0_usize;
        for i in from..self.tokens.len() {
            if self.is_symbol(i, "(") {
                depth += 1;
            } else if self.is_symbol(i, ")") {
                depth = depth.saturating_sub(1);
                if depth == 0 && wanted == 1 {
                    return false;
                }
            } else if depth == wanted && (self.is_symbol(i, "|") || self.is_symbol(i, "||")) {
                return true;
            }
        }
        false
    }

    fn random_group(&mut self) -> Result<Sum> {
        self.at += 1;
        self.bar()?;
        self.expect(")")?;
        Ok(Sum { has_random: true, ..Sum::default() })
    }

    /// `1 + time || sam`, without its parentheses: adds one random term per slope and grouping.
    fn bar(&mut self) -> Result<()> {
        let outside = std::mem::replace(&mut self.side, Side::Random);
        let place = self.place();
        let left = self.sum()?;
        let correlated = self.is_symbol(self.at, "|");
        if !correlated && !self.is_symbol(self.at, "||") {
            return Err(self.unexpected("`|`"));
        }
        self.at += 1;
        let groupings = self.groupings()?;
        self.side = outside;

        let mut slopes: Vec<Term> = Vec::new();
        if left.intercept != Some(false) {
            slopes.push(Vec::new());
        }
        slopes.extend(left.terms);
        if slopes.is_empty() {
            return Err(self.source.fault(place, "this random term has no effect").hint("write `(1 | sample)`"));
        }
        if correlated && slopes.len() > 1 {
            return Err(self.correlated(place, &slopes, &groupings));
        }
        for grouping in groupings {
            let terms = slopes.iter().map(|s| RandomTerm::Bar { slope: s.clone(), grouping: grouping.clone() });
            self.out.random.extend(terms);
        }
        Ok(())
    }

    /// Groupings from the outermost: `a/b` is `a` and `a:b`.
    fn groupings(&mut self) -> Result<Vec<Term>> {
        let mut groupings = vec![self.grouping()?];
        while self.skip_symbol("/") {
            let inner = self.grouping()?;
            let outer = groupings.last().cloned().unwrap_or_default();
            groupings.push(joined(&outer, &inner));
        }
        Ok(groupings)
    }

    fn grouping(&mut self) -> Result<Term> {
        let mut grouping = Term::new();
        loop {
            let place = self.place();
            if self.is_symbol(self.at, "(") {
                self.at += 1;
                let inner = self.deeper(Self::grouping)?;
                self.expect(")")?;
                grouping = joined(&grouping, &inner);
            } else {
                let variable = match self.variable()? {
                    // A grouping is a factor by its place.
                    Variable::Column(name) | Variable::Factor(name) => Variable::Factor(name),
                    Variable::Expression(e) => {
                        return Err(self.source.fault(place, format!("`{e}` is a number and cannot group cells")));
                    }
                    Variable::Basis(e) => {
                        return Err(self.source.fault(place, format!("`{e}` is a number and cannot group cells")));
                    }
                };
                let position = self.intern(variable);
                grouping = joined(&grouping, &[position]);
            }
            if !self.skip_symbol(":") {
                return Ok(grouping);
            }
        }
    }

    fn correlated(&self, place: usize, slopes: &[Term], groupings: &[Term]) -> Fault {
        let name = |term: &Term| term_text(term, &self.out.random_variables, ":");
        let slopes: Vec<String> = slopes.iter().map(|s| if s.is_empty() { "1".to_owned() } else { name(s) }).collect();
        let slopes = slopes.join(" + ");
        let way_out: Vec<String> = groupings
            .iter()
            .map(|g| format!("`({slopes} || {})`", grouping_text(g, &self.out.random_variables)))
            .collect();
        self.source
            .fault_of(Kind::Unsupported, place, "correlated random effects are not fitted")
            .hint(format!("write {} for uncorrelated ones", way_out.join(" + ")))
    }
}

/// The union of two terms.
fn joined(a: &[usize], b: &[usize]) -> Term {
    let mut all: Term = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A variable as a formula writes it.
pub(crate) fn variable_text(variable: &Variable) -> String {
    match variable {
        Variable::Column(name) => crate::source::written(name),
        Variable::Factor(name) => format!("factor({})", crate::source::written(name)),
        Variable::Expression(expression) => expression.to_string(),
        Variable::Basis(basis) => basis.to_string(),
    }
}

/// A term as a formula writes it.
pub(crate) fn term_text(term: &[usize], variables: &[Variable], between: &str) -> String {
    term.iter().map(|&v| variable_text(&variables[v])).collect::<Vec<_>>().join(between)
}

/// A grouping as a random term writes it: plain names, as every variable there is a factor.
pub(crate) fn grouping_text(term: &[usize], variables: &[Variable]) -> String {
    let plain = |v: &Variable| match v {
        Variable::Factor(name) => crate::source::written(name),
        other => variable_text(other),
    };
    term.iter().map(|&v| plain(&variables[v])).collect::<Vec<_>>().join(":")
}
