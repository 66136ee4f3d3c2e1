//! The files of the page.

/// Name, type and contents of each file besides the page itself.
#[rustfmt::skip]
const FILES: &[(&str, &str, &str)] = &[
    ("app.js", JS, include_str!("../../page/app.js")),
    ("beginnings.js", JS, include_str!("../../page/beginnings.js")),
    ("call.js", JS, include_str!("../../page/call.js")),
    ("charts.js", JS, include_str!("../../page/charts.js")),
    ("connection.js", JS, include_str!("../../page/connection.js")),
    ("details.js", JS, include_str!("../../page/details.js")),
    ("dom.js", JS, include_str!("../../page/dom.js")),
    ("events.js", JS, include_str!("../../page/events.js")),
    ("graph.js", JS, include_str!("../../page/graph.js")),
    ("json.js", JS, include_str!("../../page/json.js")),
    ("layers.js", JS, include_str!("../../page/layers.js")),
    ("list.js", JS, include_str!("../../page/list.js")),
    ("messages.js", JS, include_str!("../../page/messages.js")),
    ("overview.js", JS, include_str!("../../page/overview.js")),
    ("plugin.js", JS, include_str!("../../page/plugin.js")),
    ("plugins.js", JS, include_str!("../../page/plugins.js")),
    ("row.js", JS, include_str!("../../page/row.js")),
    ("store.js", JS, include_str!("../../page/store.js")),
    ("stream.js", JS, include_str!("../../page/stream.js")),
    ("style.css", CSS, include_str!("../../page/style.css")),
    ("table.js", JS, include_str!("../../page/table.js")),
    ("text.js", JS, include_str!("../../page/text.js")),
    ("uPlot.LICENSE", TEXT, include_str!("../../page/uPlot.LICENSE")),
    ("uPlot.iife.min.js", JS, include_str!("../../page/uPlot.iife.min.js")),
    ("uPlot.min.css", CSS, include_str!("../../page/uPlot.min.css")),
    ("views.css", CSS, include_str!("../../page/views.css")),
];

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

pub(super) const INDEX: &str = include_str!("../../page/index.html");

/// The type and contents of a file.
pub(super) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    FILES.iter().find(|(known, ..)| *known == name).map(|(_, kind, contents)| (*kind, *contents))
}
