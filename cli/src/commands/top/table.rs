//! What `connector top` shows, and what keys do.

use ratatui::crossterm::event::KeyCode;
use serde_json::{Map, Value};

use crate::watch::{number, text};

/// The plugins, sorted, one of them selected.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    pub(super) order: Order,
    /// The name of the selected plugin: it stays selected where it moves to.
    selected: Option<String>,
    is_open: bool,
    /// Of the plugin that is open.
    pub(super) details: Option<Value>,
}

/// A plugin.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) link: String,
    /// As the inspector's protocol describes them; `null` if there were no calls.
    pub(super) statistics: Value,
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Order {
    #[default]
    Name,
    Rate,
    Calls,
    Errors,
    P99,
}

impl Order {
    const ALL: [Order; 5] = [Order::Name, Order::Rate, Order::Calls, Order::Errors, Order::P99];

    pub(super) fn name(self) -> &'static str {
        match self {
            Order::Name => "name",
            Order::Rate => "rate",
            Order::Calls => "calls",
            Order::Errors => "errors",
            Order::P99 => "p99",
        }
    }

    fn next(self) -> Order {
        let position = Order::ALL.iter().position(|order| *order == self).unwrap_or_default();
        Order::ALL[(position + 1) % Order::ALL.len()]
    }

    /// The largest first.
    fn key(self, row: &Row) -> f64 {
        match self {
            Order::Name => 0.0,
            Order::Rate => -row.statistics["rate"].as_f64().unwrap_or_default(),
            Order::Calls | Order::Errors | Order::P99 => -(number(&row.statistics, self.name()) as f64),
        }
    }
}

impl Table {
    pub(super) fn update<'a>(&mut self, plugins: impl Iterator<Item = (&'a str, &'a Map<String, Value>)>) {
        let rows = plugins.map(|(name, members)| {
            let member = |name: &str| members.get(name).cloned().unwrap_or_default();
            let link = match member("link") {
                Value::Null if member("active") == Value::Bool(true) => "local".to_owned(),
                Value::Null => "inactive".to_owned(),
                link => text(&link, "state").to_owned(),
            };
            let error = member("error").as_str().map(str::to_owned);
            Row { name: name.to_owned(), link, statistics: member("statistics"), error }
        });
        self.rows = rows.collect();
        self.sort();
    }

    fn sort(&mut self) {
        let order = self.order;
        self.rows
            .sort_by(|one, other| order.key(one).total_cmp(&order.key(other)).then_with(|| one.name.cmp(&other.name)));
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The index of the selected plugin.
    pub(super) fn selected(&self) -> usize {
        let selected = |name: &String| self.rows.iter().position(|row| row.name == *name);
        self.selected.as_ref().and_then(selected).unwrap_or_default()
    }

    /// The plugin whose methods are shown.
    pub(super) fn opened(&self) -> Option<String> {
        self.rows.get(self.selected()).filter(|_| self.is_open).map(|row| row.name.clone())
    }

    /// Returns whether the command continues.
    pub(super) fn press(&mut self, key: KeyCode) -> bool {
        let last = self.rows.len().saturating_sub(1);
        let selected = match key {
            KeyCode::Char('q') => return false,
            KeyCode::Esc if !self.is_open => return false,
            KeyCode::Esc => {
                self.is_open = false;
                return true;
            }
            KeyCode::Enter => {
                self.is_open = !self.is_open;
                return true;
            }
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.sort();
                return true;
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected().saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (self.selected() + 1).min(last),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => return true,
        };
        self.selected = self.rows.get(selected).map(|row| row.name.clone());
        true
    }
}
