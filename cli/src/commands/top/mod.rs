//! `connector top`.

mod screen;
mod table;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use self::table::Table;
use crate::failure::Failure;
use crate::interrupt::interrupted;
use crate::target::Target;
use crate::watch::Watch;

/// Shows the calls to each plugin as they happen, until it is interrupted.
///
/// Of a running engine (--at), or of plugins that are given, which call each other.
#[derive(Args)]
pub(crate) struct Top {
    #[command(flatten)]
    target: Target,
}

/// How long the thread that reads keys takes to notice that they are not needed.
const KEY_INTERVAL: Duration = Duration::from_millis(100);

impl Top {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        if json || !std::io::stdout().is_terminal() {
            let hint = "connector top is for a terminal; connector stats prints the same, also as JSON";
            return Err(Failure::usage(hint));
        }
        let no_terminal = |error| Failure::usage(format!("the terminal cannot be used: {error}"));
        let limit = self.target.plugins.timeout;
        let mut interrupted =
            std::pin::pin!(interrupted().map_err(|error| Failure::usage(format!("cannot wait for Ctrl-C: {error}")))?);
        let mut watch = tokio::select! {
            biased;
            () = &mut interrupted => return Ok(()),
            watch = Watch::start(self.target) => watch?,
        };
        let mut terminal = ratatui::try_init().map_err(no_terminal)?;
        let _restored = Restored;
        let mut keys = keys();
        let mut table = Table::default();
        loop {
            table.update(watch.viewer.plugins().await?);
            if let Some(plugin) = table.opened() {
                table.details = watch.viewer.details(&plugin, limit).await.ok();
            }
            terminal.draw(|frame| screen::draw(frame, &table)).map_err(no_terminal)?;
            tokio::select! {
                () = &mut interrupted => break,
                changed = watch.viewer.changed() => changed?,
                key = keys.recv() => match key {
                    Some(Key::Pressed(key)) if table.press(key) => {}
                    Some(Key::Redraw) => {}
                    Some(Key::Pressed(_)) | None => break,
                },
            }
        }
        watch.close().await
    }
}

/// Gives the terminal back, however the command ends.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

enum Key {
    Pressed(KeyCode),
    /// The size of the terminal has changed.
    Redraw,
}

/// What is typed. The thread ends with the receiver.
fn keys() -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let key = match event::poll(KEY_INTERVAL).and_then(|is_ready| is_ready.then(event::read).transpose()) {
                Ok(None) => continue,
                Ok(Some(Event::Key(key))) if key.kind == KeyEventKind::Press => {
                    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    Key::Pressed(if is_interrupt { KeyCode::Char('q') } else { key.code })
                }
                Ok(Some(Event::Resize(..))) => Key::Redraw,
                Ok(Some(_)) => continue,
                Err(_) => break,
            };
            if sender.blocking_send(key).is_err() {
                break;
            }
        }
    });
    receiver
}
