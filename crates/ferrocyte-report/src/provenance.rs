//! What was done to a study, as its results tell: provenance of ferrocyte, commands of an experiment, parameters of
//! steps of scanpy.

use ferrocyte_io::{Entries, Item};
use serde_json::{Value as Json, json};

/// How deep provenance is looked for below uns.
const DEPTH: usize = 4;

/// What was done, in the order of the places where it is told.
pub(crate) fn steps(uns: &[(String, Item)]) -> Vec<Json> {
    let mut found = Vec::new();
    for (name, item) in uns {
        look(name, item, DEPTH, &mut found);
    }
    found
}

/// What a record of a run says, which lies beside the study: its provenance, command and times, and nothing of the
/// machine it ran on, since the page goes to others.
pub(crate) fn record(name: &str, text: &str) -> Json {
    let mut told = parsed(text);
    if let Some(Json::Object(mut provenance)) = told.get_mut("provenance").map(Json::take) {
        for key in ["command", "began", "seconds", "threads"] {
            provenance.insert(key.to_owned(), told[key].take());
        }
        told = Json::Object(provenance);
    }
    json!({"place": name, "told": told})
}

/// The warnings that provenance carries, with the place of each.
pub(crate) fn warnings(steps: &[Json]) -> Vec<Json> {
    let of = |step: &Json| {
        let place = step["place"].clone();
        let warnings = step["told"]["warnings"].as_array().cloned().unwrap_or_default();
        warnings.into_iter().map(move |warning| json!({"place": place, "warning": warning})).collect::<Vec<_>>()
    };
    steps.iter().flat_map(of).collect()
}

fn look(place: &str, item: &Item, depth: usize, found: &mut Vec<Json>) {
    let Item::Dict(items) = item else { return };
    if place == "commands" {
        let commands = items.iter().filter_map(|(_, item)| text(item));
        found.extend(commands.map(|command| json!({"place": "commands", "told": parsed(&command)})));
        return;
    }
    for (name, item) in items {
        match (name.as_str(), item) {
            ("provenance", item) => {
                found.extend(text(item).map(|told| json!({"place": place, "told": parsed(&told)})));
            }
            ("params", Item::Dict(_)) => found.push(json!({"place": place, "told": {"options": plain(item)}})),
            (_, Item::Dict(_)) if depth > 0 => look(&format!("{place}/{name}"), item, depth - 1, found),
            _ => {}
        }
    }
}

/// JSON where a text is such, else the text.
fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn text(item: &Item) -> Option<String> {
    let Item::Scalar(Entries::Texts(texts) | Entries::Fixed { texts, .. }) = item else { return None };
    texts.first().cloned()
}

/// Small things as JSON; large arrays by their extents.
fn plain(item: &Item) -> Json {
    const SMALL: usize = 20;
    let values = |entries: &Entries| match entries {
        Entries::Numbers(numbers) => match numbers.as_bools() {
            Some(bools) => bools.iter().map(|&b| json!(b)).collect::<Vec<_>>(),
            None => numbers.to_f64().into_iter().map(|x| json!(x)).collect(),
        },
        Entries::Texts(texts) | Entries::Fixed { texts, .. } => texts.iter().map(|t| json!(t)).collect(),
    };
    match item {
        Item::Scalar(entries) => values(entries).into_iter().next().unwrap_or(Json::Null),
        Item::Array(array) if array.cells.len() <= SMALL => Json::Array(values(&array.cells)),
        Item::Array(array) => json!(format!("array of {:?}", array.shape)),
        Item::Dict(items) => Json::Object(items.iter().map(|(name, item)| (name.clone(), plain(item))).collect()),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_io::Numbers;

    use super::*;

    fn said(text: &str) -> Item {
        Item::Scalar(Entries::Texts(vec![text.to_owned()]))
    }

    #[test]
    fn a_record_of_a_run_is_its_provenance_with_command_and_times() {
        let text = r#"{"command": ["ferrocyte"], "host": "here", "seconds": 2.5,
            "provenance": {"method": "cells.run", "warnings": ["careful"]}}"#;
        let record = record("run.json", text);
        assert_eq!((&record["told"]["method"], &record["told"]["seconds"]), (&json!("cells.run"), &json!(2.5)));
        assert!(record["told"].get("host").is_none());
        assert_eq!(warnings(&[record]), [json!({"place": "run.json", "warning": "careful"})]);
        assert_eq!(super::record("odd", "no JSON")["told"], "no JSON");
    }

    #[test]
    fn provenance_commands_and_parameters_are_found() {
        let number = Item::Scalar(Entries::Numbers(Numbers::F64(vec![1.5])));
        let uns = vec![
            ("lmm".to_owned(), Item::Dict(vec![("provenance".to_owned(), said(r#"{"warnings": ["careful"]}"#))])),
            ("commands".to_owned(), Item::Dict(vec![("a".to_owned(), said(r#"{"verb": "leiden"}"#))])),
            (
                "leiden".to_owned(),
                Item::Dict(vec![("params".to_owned(), Item::Dict(vec![("resolution".to_owned(), number)]))]),
            ),
        ];
        let steps = steps(&uns);
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[1]["told"]["verb"], "leiden");
        assert_eq!(steps[2]["told"]["options"]["resolution"], 1.5);
        assert_eq!(warnings(&steps), [json!({"place": "lmm", "warning": "careful"})]);
    }
}
