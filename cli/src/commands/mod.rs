//! The commands, a module for each.

mod call;
mod info;
mod listen;
mod ls;
mod open;
mod ping;
mod run;

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
    Run(run::Run),
}

impl Command {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        match self {
            Command::Ls(command) => command.run(json).await,
            Command::Info(command) => command.run(json).await,
            Command::Call(command) => command.run(json).await,
            Command::Listen(command) => command.run().await,
            Command::Open(command) => command.run(json).await,
            Command::Ping(command) => command.run(json).await,
            Command::Run(command) => command.run(json).await,
        }
    }
}
