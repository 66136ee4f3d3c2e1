//! Draws `connector top`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{self, Block, Borders, Paragraph, TableState};
use serde_json::Value;

use super::table::{Row, Table};
use crate::output::line;
use crate::watch::{duration, number, text};

const COUNTS: [&str; 4] = ["calls", "errors", "waiting", "running"];
const DURATIONS: [&str; 4] = ["mean", "p50", "p99", "max"];

pub(super) fn draw(frame: &mut Frame<'_>, table: &Table) {
    let is_open = table.opened().is_some();
    let lower = if is_open { Constraint::Percentage(50) } else { Constraint::Length(0) };
    let [upper, lower, error, keys] =
        Layout::vertical([Constraint::Min(3), lower, Constraint::Length(1), Constraint::Length(1)]).areas(frame.area());
    draw_plugins(frame, upper, table);
    if is_open {
        draw_methods(frame, lower, table.details.as_ref().unwrap_or(&Value::Null));
    }
    if let Some(text) = table.rows().get(table.selected()).and_then(last_error) {
        frame.render_widget(Paragraph::new(text).red(), error);
    }
    let help = format!("q quit   ↑↓ select   Enter methods   s sorted by {}", table.order.name());
    frame.render_widget(Paragraph::new(help).dim(), keys);
}

fn last_error(row: &Row) -> Option<String> {
    let error = &row.statistics["lastError"];
    match &row.error {
        Some(error) => Some(line(error)),
        None => error["text"].as_str().map(|reason| {
            format!("{}, called by {}: {}", line(text(error, "method")), line(text(error, "from")), line(reason))
        }),
    }
}

fn draw_plugins(frame: &mut Frame<'_>, area: Rect, table: &Table) {
    let rows = table.rows().iter().map(|row| {
        let rate = format!("{:.1}", row.statistics["rate"].as_f64().unwrap_or_default());
        [line(&row.name), line(&row.link), rate].into_iter().chain(figures(&row.statistics))
    });
    let mut state = TableState::new().with_selected(table.selected());
    let widget = widget(&["plugin", "link", "calls/s"], rows).row_highlight_style(Style::new().reversed());
    frame.render_stateful_widget(widget, area, &mut state);
}

fn draw_methods(frame: &mut Frame<'_>, area: Rect, details: &Value) {
    let methods = details["methods"].as_array().into_iter().flatten();
    let rows = methods
        .map(|method| [line(text(method, "name")), String::new(), String::new()].into_iter().chain(figures(method)));
    let title = format!("methods of {}", line(text(details, "name")));
    frame.render_widget(widget(&["method", "", ""], rows).block(Block::new().borders(Borders::TOP).title(title)), area);
}

fn figures(statistics: &Value) -> impl Iterator<Item = String> {
    let counts = COUNTS.map(|count| number(statistics, count).to_string());
    counts.into_iter().chain(DURATIONS.map(|time| duration(number(statistics, time))))
}

/// A table whose first column takes the space that the figures leave.
fn widget<'a>(first: &[&'a str], rows: impl Iterator<Item = impl Iterator<Item = String>>) -> widgets::Table<'a> {
    let header = first.iter().chain(&COUNTS).chain(&DURATIONS).copied();
    let header = widgets::Row::new(header.enumerate().map(|(column, name)| cell(column, name.to_owned())));
    let rows = rows.map(|cells| widgets::Row::new(cells.enumerate().map(|(column, text)| cell(column, text))));
    let widths = [Constraint::Fill(1), Constraint::Length(10)].into_iter().chain([Constraint::Length(9); 9]);
    widgets::Table::new(rows, widths).header(header.add_modifier(Modifier::BOLD))
}

/// Figures are aligned to the right.
fn cell(column: usize, text: String) -> Text<'static> {
    let line = Line::from(text);
    if column < 2 { line.into() } else { line.right_aligned().into() }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;
    use serde_json::{Map, json};

    use super::*;

    fn plugins() -> Vec<(&'static str, Map<String, Value>)> {
        let plugin = |value: Value| value.as_object().cloned().unwrap_or_default();
        vec![
            (
                "calc",
                plugin(json!({ "active": true, "link": { "state": "up" }, "statistics": {
                    "calls": 12, "errors": 1, "waiting": 0, "running": 2, "rate": 2.5, "mean": 240, "p50": 210, "p99": 9900,
                    "max": 1_200_000, "lastError": { "from": "app", "method": "divide", "text": "cannot\u{1b}[31m divide" },
                } })),
            ),
            ("broken", plugin(json!({ "active": false, "link": { "state": "inactive" }, "error": "no such program" }))),
            ("app", plugin(json!({ "active": true, "link": null }))),
        ]
    }

    fn table() -> Table {
        let (mut table, plugins) = (Table::default(), plugins());
        table.update(plugins.iter().map(|(name, members)| (*name, members)));
        table
    }

    fn screen(table: &Table) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 12)).unwrap();
        terminal.draw(|frame| draw(frame, table)).unwrap();
        let lines = terminal.backend().buffer().content().chunks(110);
        let lines = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn plugins_are_shown_with_their_figures() {
        let mut table = table();
        let text = screen(&table);
        let row = |name: &str| {
            text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(row("calc"), "calc up 2.5 12 1 0 2 240 µs 210 µs 9.9 ms 1.20 s".split(' ').collect::<Vec<_>>());
        assert_eq!(row("app")[..3], ["app", "local", "0.0"]);
        assert!(text.ends_with("q quit   ↑↓ select   Enter methods   s sorted by name"), "{text}");
        table.press(KeyCode::Down);
        assert!(screen(&table).contains("no such program"));
        table.press(KeyCode::End);
        assert!(screen(&table).contains("divide, called by app: cannot\\u001b[31m divide"), "{}", screen(&table));
    }

    #[test]
    fn the_order_changes_and_the_selection_stays() {
        let mut table = table();
        let names = |table: &Table| table.rows().iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&table), ["app", "broken", "calc"]);
        table.press(KeyCode::Down);
        table.press(KeyCode::Char('s'));
        assert_eq!(names(&table), ["calc", "app", "broken"]);
        assert_eq!(table.rows()[table.selected()].name, "broken");
    }

    #[test]
    fn methods_are_shown_and_escape_ends_first_them_and_then_the_command() {
        let mut table = table();
        assert!(table.press(KeyCode::End) && table.press(KeyCode::Enter));
        assert_eq!(table.opened().as_deref(), Some("calc"));
        table.details = Some(json!({ "name": "calc", "methods": [{ "name": "divide", "calls": 7, "errors": 1 }] }));
        let text = screen(&table);
        assert!(text.contains("methods of calc") && text.contains("divide"), "{text}");
        assert!(table.press(KeyCode::Esc));
        assert_eq!(table.opened(), None);
        assert!(!table.press(KeyCode::Esc));
    }
}
