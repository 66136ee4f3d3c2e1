//! The results of the storm for each transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use examples::report;

use super::request::{Op, Outcome};
use super::subject::{Links, TRANSPORTS, Transport};

#[derive(Default)]
pub(crate) struct Tally {
    rows: Vec<(Transport, Row)>,
    /// Succeeded, failed, dropped.
    shutdowns: [usize; 3],
    programs: Arc<AtomicUsize>,
    /// Faults that do not belong to a plugin.
    pub(crate) elsewhere: usize,
}

#[derive(Default)]
struct Row {
    plugins: usize,
    requests: [[usize; 3]; Op::OF_A_PLUGIN.len()],
    links: Arc<AtomicUsize>,
    losses: usize,
    hangs: usize,
    violations: usize,
}

impl Tally {
    pub(crate) fn new(plugins: usize) -> Tally {
        let mut tally = Tally::default();
        for number in 0..plugins {
            tally.row(TRANSPORTS[number % TRANSPORTS.len()]).plugins += 1;
        }
        tally
    }

    fn row(&mut self, transport: Transport) -> &mut Row {
        let at = self.rows.iter().position(|(of, _)| *of == transport);
        let at = at.unwrap_or_else(|| {
            self.rows.push((transport, Row::default()));
            self.rows.len() - 1
        });
        &mut self.rows[at].1
    }

    /// The counters of links over a transport, where no more than `max` programs may be started.
    pub(crate) fn links(&mut self, transport: Transport, max: usize) -> Links {
        let programs = transport.is_child().then(|| (Arc::clone(&self.programs), max));
        Links { of_transport: Arc::clone(&self.row(transport).links), programs }
    }

    /// Programs started so far.
    pub(crate) fn programs(&self) -> usize {
        self.programs.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&mut self, transport: Transport, op: Op, outcome: &Outcome) {
        let row = self.row(transport);
        let place = match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Dropped => 2,
            Outcome::Hangs => {
                row.hangs += 1;
                return;
            }
            Outcome::Surprise(_) => {
                row.violations += 1;
                1
            }
        };
        match Op::OF_A_PLUGIN.iter().position(|of| *of == op) {
            Some(at) => row.requests[at][place] += 1,
            None => self.shutdowns[place] += 1,
        }
    }

    pub(crate) fn lost(&mut self, transport: Transport) {
        self.row(transport).losses += 1;
    }

    pub(crate) fn violated(&mut self, transport: Transport) {
        self.row(transport).violations += 1;
    }

    /// Faults found so far.
    pub(crate) fn faults(&self) -> usize {
        self.elsewhere + self.rows.iter().map(|(_, row)| row.hangs + row.violations).sum::<usize>()
    }

    pub(crate) fn print(&self) {
        let cell = |[done, failed, dropped]: [usize; 3]| format!("{done} / {failed} / {dropped}");
        let requests = Op::OF_A_PLUGIN.map(|op| op.name().to_owned());
        let header = ["transport", "plugins"].map(str::to_owned).into_iter().chain(requests);
        let last = ["links", "losses", "hangs", "violations"].map(str::to_owned);
        let mut table = crate::table(header.chain(last));
        for (transport, row) in &self.rows {
            let links = row.links.load(Ordering::Relaxed);
            let last = [links, row.losses, row.hangs, row.violations].map(|number| number.to_string());
            let first = [transport.name().to_owned(), row.plugins.to_string()];
            table.add_row(first.into_iter().chain(row.requests.map(cell)).chain(last));
        }
        let (shutdowns, programs) = (cell(self.shutdowns), self.programs());
        report(format_args!("{table}\nrequests: done / failed / future dropped; shutdowns of all: {shutdowns}"));
        report(format_args!("children started: {programs}; found wrong elsewhere: {}", self.elsewhere));
    }
}
