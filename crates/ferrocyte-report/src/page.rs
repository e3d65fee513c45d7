//! The page itself: one file of HTML with its style, its scripts, the chart library and the data.

use std::borrow::Cow;
use std::fmt::Write as _;

use ferrocyte_base::{Result, VERSION};
use serde_json::Value as Json;

use crate::pack::Blobs;

const SHELL: &str = include_str!("../page/page.html");
const STYLE: &str = include_str!("../page/page.css");
const SCRIPT: &str = concat!(
    include_str!("../page/data.js"),
    include_str!("../page/theme.js"),
    include_str!("../page/table.js"),
    include_str!("../page/cells.js"),
    include_str!("../page/tests.js"),
    include_str!("../page/study.js"),
    include_str!("../page/main.js"),
);

/// Letters of everything but the data: what stands on every page.
pub(crate) fn frame_size() -> u64 {
    (SHELL.len() + STYLE.len() + SCRIPT.len() + charts().len()) as u64
}

/// Fills the page. The description of the data travels compressed as the arrays do.
pub(crate) fn page(title: &str, about: &Json, mut blobs: Blobs) -> Result<String> {
    let about = blobs.bytes(about.to_string().as_bytes())?;
    let mut data = String::with_capacity(blobs.size() as usize);
    for (i, text) in blobs.texts().iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = writeln!(data, "<script type=\"application/octet-stream\" id=\"blob-{i}\">{text}</script>");
    }
    // Pieces of the shell and what goes between them: what is put in is never searched for places again.
    let filled = |place: &str| -> Cow<'_, str> {
        match place {
            "title" => escaped(title).into(),
            "version" => VERSION.into(),
            "style" => STYLE.into(),
            "charts" => charts().into(),
            "data" => data.as_str().into(),
            "about" => about.to_string().into(),
            "script" => SCRIPT.into(),
            _ => "".into(),
        }
    };
    let mut pieces = SHELL.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (place, rest) = piece.split_once("}}").unwrap_or(("", piece));
        out.push_str(&filled(place));
        out.push_str(rest);
    }
    Ok(out)
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The chart library as its package carries it, without the typesetting of formulas, which no figure here has.
#[cfg(feature = "charts")]
fn charts() -> String {
    let sources = plotly::Plot::offline_js_sources();
    let scripts = sources.split_inclusive("</script>");
    scripts.filter(|script| script.contains("plotly.js v")).collect()
}

#[cfg(not(feature = "charts"))]
fn charts() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_text() {
        assert_eq!(escaped("<b>\"x\" & 'y'"), "&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;");
        let page = page("{{script}} </title>", &Json::Null, Blobs::default()).unwrap_or_default();
        assert!(page.contains("<title>{{script}} &lt;/title&gt;</title>"));
    }

    #[cfg(feature = "charts")]
    #[test]
    fn the_chart_library_is_there_and_nothing_else() {
        let charts = charts();
        assert!(charts.len() > 3_000_000 && charts.len() < 6_000_000, "{}", charts.len());
        assert_eq!(charts.matches("<script").count(), charts.matches("</script>").count());
        assert!(!charts.contains("MathJax.loader"), "formulas are not typeset");
    }
}
