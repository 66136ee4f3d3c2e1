//! The output: a table, or lines of JSON.

use comfy_table::presets;
use examples::report;
use serde_json::json;

use crate::measure::round;

pub(super) struct Table {
    /// The theme's name on the command line.
    pub(super) theme: &'static str,
    /// What was measured, how, and the base of the ratios.
    pub(super) about: &'static str,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    what: String,
    unit: &'static str,
    /// One figure for each round.
    figures: Vec<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
    note: String,
}

/// The target of a row.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Figure(f64),
    Ratio(f64),
}

impl Row {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, figures: Vec<f64>) -> Row {
        Row { what: what.into(), unit, figures, ratio: None, target: None, note: String::new() }
    }

    /// The ratio to another row: the median of the rounds' ratios, because a disturbance of a round affects both.
    pub(super) fn ratio_to(mut self, other: &[f64]) -> Row {
        let ratios = self.figures.iter().zip(other).map(|(mine, other)| mine / other).collect();
        self.ratio = Some(spread(ratios)[1]);
        self
    }

    pub(super) fn target(mut self, target: Target) -> Row {
        self.target = Some(target);
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }

    /// The target, and whether it is met.
    fn judged(&self) -> Option<(f64, bool)> {
        let (max, is) = match self.target? {
            Target::Figure(max) => (max, spread(self.figures.clone())[1]),
            Target::Ratio(max) => (max, self.ratio?),
        };
        Some((max, is <= max))
    }
}

/// The minimum, the median and the maximum.
pub(super) fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    [at(0), at(figures.len() / 2), at(figures.len().saturating_sub(1))]
}

impl Table {
    pub(super) fn print(&self, json: bool) {
        if json {
            for row in &self.rows {
                let [min, median, max] = spread(row.figures.clone()).map(round);
                let judged = row.judged();
                report(json!({
                    "scale": self.theme,
                    "what": row.what,
                    "unit": row.unit,
                    "median": median,
                    "min": min,
                    "max": max,
                    "ratio": row.ratio.map(round),
                    "target": judged.map(|(max, _)| max),
                    "met": judged.map(|(_, met)| met),
                    "note": row.note,
                }));
            }
            return;
        }
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_header([self.theme, "", "median", "min", "max", "ratio", "target", ""]);
        for row in &self.rows {
            let [min, median, max] = spread(row.figures.clone()).map(shown);
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let target = row.judged().map(|(max, met)| format!("≤ {max}: {}", if met { "met" } else { "MISSED" }));
            let unit = row.unit.to_owned();
            table.add_row([
                row.what.clone(),
                unit,
                median,
                min,
                max,
                ratio,
                target.unwrap_or_default(),
                row.note.clone(),
            ]);
        }
        for place in 2..6 {
            if let Some(column) = table.column_mut(place) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        report(format_args!("{table}\n{}\n", self.about));
    }
}

/// At min three significant digits.
fn shown(figure: f64) -> String {
    match figure.abs() {
        size if size.fract() == 0.0 => format!("{figure}"),
        ..10.0 => format!("{figure:.2}"),
        ..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
