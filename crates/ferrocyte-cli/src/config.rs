//! [`Settings`]: every option as it was resolved: the command line wins over the config file, which wins over defaults.
//!
//! One config file serves all commands: keys that another command takes are allowed and passed over; a key that no
//! command takes is refused.

use std::fmt::Write as _;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ferrocyte_base::{Fault, Kind, listing, nearest};
use toml::{Table as Toml, Value};

use crate::args;
use crate::door::OPENING;
use crate::faults::Failure;

/// Where the value of an option came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    CommandLine,
    Config,
    Default,
}

#[derive(Debug)]
struct Setting {
    name: String,
    values: Vec<String>,
    source: Source,
    repeatable: bool,
    boolean: bool,
    /// Whether it is a whole number, as its default tells.
    number: bool,
}

/// The resolved options of one command, in the order of its help.
#[derive(Debug)]
pub(crate) struct Settings {
    settings: Vec<Setting>,
}

impl Settings {
    /// Resolves the options of `verb`, those of the whole program (`root`) included.
    pub(crate) fn resolve(
        root: &Command,
        verb: &Command,
        matches: &ArgMatches,
        config: Option<&Path>,
    ) -> Result<Self, Failure> {
        let file = match config {
            Some(path) => read(path, &args::config_keys(root)).map_err(|f| at_file(f, path))?,
            None => Toml::new(),
        };
        let mut settings = Vec::new();
        for arg in args::settable(verb).chain(args::settable(root)) {
            settings.push(setting(arg, matches, &file).map_err(|f| match config {
                Some(path) => at_file(f, path),
                None => f,
            })?);
        }
        Ok(Self { settings })
    }

    /// The value of an option; `None` where it is nothing.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The value of an option that has a default.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.one(name).unwrap_or_default()
    }

    /// All values of an option.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.settings.iter().find(|s| s.name == name).map_or(&[], |s| &s.values)
    }

    /// Those of the named options that were given on the command line, as they are written there.
    pub(crate) fn given<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let given = |name: &&str| self.settings.iter().any(|s| s.name == *name && s.source == Source::CommandLine);
        names.into_iter().filter(given).map(|name| format!("--{}", name.replace('_', "-"))).collect()
    }

    /// The value of an option, if the config file gives it.
    pub(crate) fn configured(&self, name: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|s| s.name == name && s.source == Source::Config)?;
        setting.values.last().map(String::as_str)
    }

    /// The options that decide the answer, as the text of a config file that asks for the same again. Those among
    /// `decided` are left out: they belong to what the command started from.
    pub(crate) fn to_toml(&self, command: &str, decided: &[&str]) -> String {
        let mut text = format!("# options of `ferrocyte {command}`\n");
        for setting in &self.settings {
            let name = setting.name.as_str();
            // How files are opened is said where it was asked for: for most it does not apply.
            let idle = OPENING.contains(&name) && setting.source == Source::Default;
            if idle || args::MEANS.contains(&name) || decided.contains(&name) || setting.values.is_empty() {
                continue;
            }
            let mut values = setting.values.iter().map(|v| match (v.parse(), v.parse()) {
                (Ok(truth), _) if setting.boolean => Value::Boolean(truth),
                (_, Ok(number)) if setting.number => Value::Integer(number),
                _ => Value::String(v.clone()),
            });
            let value = if setting.repeatable { Some(Value::Array(values.collect())) } else { values.next_back() };
            if let Some(value) = value {
                let _ = writeln!(text, "{name} = {value}");
            }
        }
        text
    }
}

fn at_file(failure: Failure, path: &Path) -> Failure {
    match failure {
        Failure::Usage(fault) => Failure::Usage(fault.at(path.display().to_string())),
        other => other,
    }
}

/// Reads a config file and refuses keys that no command takes.
fn read(path: &Path, keys: &[String]) -> Result<Toml, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let message = match e.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("cannot be read: {e}"),
        };
        Failure::Usage(Fault::bad_file(message).because(e))
    })?;
    let file: Toml = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Failure::Usage(Fault::bad_file(format!("not TOML: {}", e.message())).at(format!("line {line}")))
    })?;
    for key in file.keys() {
        if !keys.contains(key) {
            let near = nearest(key, keys, 3);
            let hint = if near.is_empty() {
                format!("keys are names of options: {}", listing(keys, 30))
            } else {
                format!("did you mean {}?", listing(&near, 3))
            };
            return Err(Failure::Usage(Fault::new(Kind::MissingKey, format!("there is no option `{key}`")).hint(hint)));
        }
    }
    Ok(file)
}

fn setting(arg: &Arg, matches: &ArgMatches, file: &Toml) -> Result<Setting, Failure> {
    let name = arg.get_id().as_str();
    let choices: Vec<String> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
    let repeatable = matches!(arg.get_action(), ArgAction::Append);
    let from_matches = || matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    let (values, source) = if matches.value_source(name) == Some(ValueSource::CommandLine) {
        (from_matches(), Source::CommandLine)
    } else if let Some(value) = file.get(name) {
        (texts(name, value, repeatable, &choices)?, Source::Config)
    } else {
        (from_matches(), Source::Default)
    };
    let boolean = choices.iter().all(|c| c == "true" || c == "false") && !choices.is_empty();
    let number = arg.get_default_values().iter().any(|v| v.to_string_lossy().parse::<i64>().is_ok());
    Ok(Setting { name: name.to_owned(), values, source, repeatable, boolean, number })
}

/// The values of a key, checked against the choices of the option.
fn texts(name: &str, value: &Value, repeatable: bool, choices: &[String]) -> Result<Vec<String>, Failure> {
    let items = match value {
        Value::Array(items) if repeatable => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items
        .iter()
        .map(|item| {
            let text = match item {
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                _ => {
                    return Err(Failure::usage(
                        name,
                        format!("`{item}` is not a single value"),
                        "give a text, a number, true or false",
                    ));
                }
            };
            if !choices.is_empty() && !text.is_empty() && !choices.contains(&text) {
                let hint = format!("it is one of {}", listing(choices, 9));
                return Err(Failure::usage(name, format!("there is no choice `{text}`"), hint));
            }
            Ok(text)
        })
        .collect()
}

/// A number of bytes: `500M`, `4G`, `1.5GiB`, `2000000`. Suffixes are powers of 1,024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let number = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, power) = match number.chars().last()? {
        'k' => (&number[..number.len() - 1], 1),
        'm' => (&number[..number.len() - 1], 2),
        'g' => (&number[..number.len() - 1], 3),
        't' => (&number[..number.len() - 1], 4),
        _ => (number, 0),
    };
    let size: f64 = digits.trim().parse().ok()?;
    let total = size * 1024_f64.powi(power);
    (total >= 1.0 && total < u64::MAX as f64).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        let cases =
            [("4G", 4 << 30), ("500M", 500 << 20), ("1.5GiB", 3 << 29), ("64kb", 64 << 10), ("2000000", 2_000_000)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "much", "-1G", "0", "4X", "NaN", "inf"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
