//! [`Provenance`]: what was done to what, so that it can be done again.

use crate::Value;

/// One input of a result and its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What it is: `study.h5ad:X`, `AnnData.layers['counts']`, `sums`.
    pub name: String,
    /// A hash or a description of its content (shape, stored values, sums).
    pub fingerprint: String,
}

/// The stable part of how a result came about: no times, hosts, paths or thread counts, so that the same work
/// leaves the same bytes. (Those go into `OUT.run.json`, which the program writes beside its output.)
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The method: `lmm.fit`.
    pub method: String,
    /// The version of ferrocyte.
    pub version: String,
    /// Every option as it was resolved, defaults included.
    pub options: Vec<(String, Value)>,
    /// The seed, where there was a random step.
    pub seed: Option<u64>,
    /// What went in.
    pub inputs: Vec<Input>,
    /// What the user was warned of.
    pub warnings: Vec<String>,
}

impl Provenance {
    /// Provenance of `method`, this version, nothing else yet.
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            version: crate::VERSION.to_owned(),
            options: Vec::new(),
            seed: None,
            inputs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a resolved option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// As plain data, in a fixed order.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("method", Value::from(self.method.as_str())),
            ("version", Value::from(self.version.as_str())),
            ("options", Value::Map(self.options.clone())),
            ("seed", self.seed.map_or(Value::Null, |s| Value::Text(s.to_string()))),
            (
                "inputs",
                Value::list(self.inputs.iter().map(|i| {
                    Value::map([
                        ("name", Value::from(i.name.as_str())),
                        ("fingerprint", Value::from(i.fingerprint.as_str())),
                    ])
                })),
            ),
            ("warnings", Value::list(self.warnings.iter().map(String::as_str))),
        ])
    }

    /// Back from plain data; `None` if it is not a provenance.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let Value::Map(options) = value.get("options")?.clone() else { return None };
        let seed = match value.get("seed")? {
            Value::Null => None,
            other => Some(other.as_str()?.parse().ok()?),
        };
        let inputs = value
            .get("inputs")?
            .as_list()?
            .iter()
            .map(|i| {
                Some(Input {
                    name: i.get("name")?.as_str()?.to_owned(),
                    fingerprint: i.get("fingerprint")?.as_str()?.to_owned(),
                })
            })
            .collect::<Option<_>>()?;
        Some(Self {
            method: text("method")?,
            version: text("version")?,
            options,
            seed,
            inputs,
            warnings: value.get("warnings")?.as_texts()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip() {
        let mut provenance = Provenance::new("lmm.fit").option("method", "REML").option("max_iter", 50_usize);
        provenance.seed = Some(u64::MAX);
        provenance.inputs.push(Input { name: "X".into(), fingerprint: "3 x 4".into() });
        provenance.warnings.push("careful".into());
        assert_eq!(Provenance::from_value(&provenance.to_value()), Some(provenance));
    }
}
