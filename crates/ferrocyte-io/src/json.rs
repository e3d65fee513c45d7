//! [`Value`] as JSON and back.
//!
//! JSON has no NaN and no infinities: NaN becomes `null`, infinities become the texts `"inf"` and `"-inf"`. All
//! else survives a round trip, the order of maps and the last bit of numbers included.

use std::io::Write;
use std::path::Path;

use ferrocyte_base::{Fault, Result, Value};
use serde_json::{Map, Number, Value as Json};

use crate::atomic::{not_written, write_atomically};

/// A value as JSON data.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) => Json::from(*i),
        Value::Float(x) => float(*x),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(pairs) => Json::Object(pairs.iter().map(|(k, v)| (k.clone(), to_json(v))).collect::<Map<_, _>>()),
    }
}

/// JSON data as a value. Whole numbers beyond 64 bits become floats.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(i) => Value::Int(i),
            None => n.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), from_json(v))).collect()),
    }
}

/// A value as one line of JSON.
///
/// ```
/// use ferrocyte_base::Value;
/// let value = Value::map([("method", Value::from("REML")), ("tolerance", Value::from(1e-5))]);
/// let text = ferrocyte_io::json_text(&value);
/// assert_eq!(text, r#"{"method":"REML","tolerance":0.00001}"#);
/// assert_eq!(ferrocyte_io::parse_json(&text)?, value);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn json_text(value: &Value) -> String {
    to_json(value).to_string()
}

/// A value as JSON for people: indented, with a newline at the end.
pub fn json_pretty(value: &Value) -> String {
    format!("{:#}\n", to_json(value))
}

/// The value of a JSON text, or a fault with the line and column at which it breaks.
pub fn parse_json(text: &str) -> Result<Value> {
    let json: Json = serde_json::from_str(text).map_err(|e| Fault::bad_file(format!("not JSON: {e}")).because(e))?;
    Ok(from_json(&json))
}

/// Writes a value as an indented JSON file, in one piece.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_atomically(path, |file| file.write_all(json_pretty(value).as_bytes()).map_err(not_written))
}

fn float(x: f64) -> Json {
    match Number::from_f64(x) {
        Some(number) => Json::Number(number),
        None if x.is_nan() => Json::Null,
        None => Json::String(if x > 0.0 { "inf" } else { "-inf" }.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives() -> Result<()> {
        let value = Value::map([
            ("zeta", Value::Float(0.1 + 0.2)),
            ("alpha", Value::list([1_i64, i64::MIN])),
            ("whole", Value::Float(3.0)),
            ("tiny", Value::Float(5e-324)),
            ("text", Value::from("é \"quoted\"\n")),
            ("nothing", Value::Null),
            ("yes", Value::from(true)),
        ]);
        assert_eq!(parse_json(&json_text(&value))?, value);
        assert_eq!(parse_json(&json_pretty(&value))?, value);
        assert!(json_text(&value).starts_with(r#"{"zeta":"#));
        Ok(())
    }

    #[test]
    fn numbers_that_json_lacks_have_one_form() {
        assert_eq!(json_text(&Value::list([f64::NAN, f64::INFINITY, -f64::INFINITY])), r#"[null,"inf","-inf"]"#);
    }

    #[test]
    fn broken_text_is_a_fault() {
        assert!(parse_json("{\"a\": ").is_err_and(|f| f.to_string().contains("line 1")));
    }
}
