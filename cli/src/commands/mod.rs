//! The commands, a module for each.

mod call;
mod export;
mod info;
mod listen;
mod ls;
mod open;
mod ping;
mod record;
mod replay;
mod run;
mod stats;
mod top;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    Ls(ls::Ls),
    Info(info::Info),
    Call(call::Call),
    Listen(listen::Listen),
    Open(open::Open),
    Ping(ping::Ping),
    Record(record::Record),
    Replay(replay::Replay),
    Export(export::Export),
    Run(run::Run),
    Stats(stats::Stats),
    Top(top::Top),
}

impl Command {
    /// Does what must be done before the program has threads.
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        match self {
            Command::Replay(command) => command.prepare(),
            _ => Ok(()),
        }
    }

    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        match self {
            Command::Ls(command) => command.run(json).await,
            Command::Info(command) => command.run(json).await,
            Command::Call(command) => command.run(json).await,
            Command::Listen(command) => command.run().await,
            Command::Open(command) => command.run(json).await,
            Command::Ping(command) => command.run(json).await,
            Command::Record(command) => command.run(json).await,
            Command::Replay(command) => command.run(json).await,
            Command::Export(command) => command.run(),
            Command::Run(command) => command.run(json).await,
            Command::Stats(command) => command.run(json).await,
            Command::Top(command) => command.run(json).await,
        }
    }
}
