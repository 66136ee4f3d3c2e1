//! The output of a tour, coloured only on a terminal.

use std::fmt::{Debug, Display};
use std::io::{IsTerminal, stdout};
use std::time::Instant;

use crate::report;
use comfy_table::{Table, presets};
use connector_core::Engine;

/// Prints the steps of a tour, with numbers.
#[derive(Debug)]
pub struct Show {
    began: Instant,
    colour: bool,
    steps: usize,
    errors: usize,
}

impl Default for Show {
    fn default() -> Show {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Show { began: Instant::now(), colour, steps: 0, errors: 0 }
    }
}

impl Show {
    /// Prints the connected plugins, their locations and their methods.
    pub fn connected<const N: usize>(&self, engine: &Engine, places: [(&str, String); N]) {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["plugin", "lives at", "methods"]);
        for (name, place) in places {
            let methods = engine.manager().profile(name).and_then(|profile| profile.methods).unwrap_or_default();
            table.add_row([name.to_owned(), place, methods.join(", ")]);
        }
        report(format_args!("{table}\n"));
    }

    /// Prints a step and its outcome, which may be an error.
    pub fn step<T: Debug, E: Display>(&mut self, what: &str, how: Result<T, E>) {
        self.steps += 1;
        let (mark, colour, text) = match how {
            Ok(value) => ("✓", "32", format!("{value:?}").trim_matches('"').to_owned()),
            Err(error) => {
                self.errors += 1;
                ("✗", "33", error.to_string())
            }
        };
        let number = self.steps;
        match self.colour {
            true => report(format_args!("{number:>2}  {what}\n    \x1b[{colour}m{mark} {text}\x1b[0m")),
            false => report(format_args!("{number:>2}  {what}\n    {mark} {text}")),
        }
    }

    /// How many steps had an error as their outcome.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Prints how long the steps took.
    pub fn end(&self) {
        report(format_args!("\n{} steps in {:.1} s", self.steps, self.began.elapsed().as_secs_f64()));
    }
}
