//! The engine's end: starts a program as its plugin and looks after it.

mod child;
mod digest;
mod history;
mod link;
mod output;
mod program;
mod spawn;
mod spawner;

use connector_core::{ExternalProfile, Link, LinkEnd, PluginConnector, Profile, Registration, async_trait};

pub use child::ChildEnd;
pub use history::Restart;
pub use program::{ChannelKind, Program};

use self::history::History;

/// Starts a program and makes a link to it over the channel that [`Program::channel`] says.
///
/// The program is a process group (a job on Windows) of its own. It is ended when the plugin is deactivated: end of
/// file on its channel, then `TERM`, then `KILL`, to the whole group, each after a time that [`Program`] says. It is
/// killed at once when the engine is dropped, and it is always reaped. When it ends by itself, calls in flight end with
/// a [`LinkEnd::Lost`] whose source is a [`ChildEnd`]: how it ended and the last lines of its standard error. It is then
/// started again, as [`Program::restart`] says, within the bounds of [`Program::crash_budget`].
///
/// If this process itself is killed, channels close: a program of this workspace ends then, and any other that reads
/// its input to the end. On Linux the kernel kills the program then in any case (`PR_SET_PDEATHSIG`).
#[derive(Debug)]
pub struct ChildConnector {
    program: Program,
    history: History,
}

impl ChildConnector {
    /// For a program.
    pub fn new(program: Program) -> ChildConnector {
        let history = History::new(program.restart, program.crash_budget);
        ChildConnector { program, history }
    }
}

#[async_trait]
impl PluginConnector for ChildConnector {
    /// The URL is not used: the program is the connector's own.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, LinkEnd> {
        self.history.may_start()?;
        digest::check(&self.program).await?;
        spawn::start(&self.program, &self.history).await
    }

    fn activated(&mut self) {
        self.history.clear();
    }
}

/// A program as the plugin `profile` (a name will do), to be registered with an engine.
///
/// ```no_run
/// use connector_core::Engine;
/// use transport_ipc::Program;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// engine.register(transport_ipc::child("calculator", Program::new("python3").arg("calculator.py")))?;
/// # Ok(()) }
/// ```
pub fn child(profile: impl Into<Profile>, program: Program) -> Registration {
    let url = format!("exec:{}", program.program.to_string_lossy());
    Registration::behind(ExternalProfile::new(profile, url), ChildConnector::new(program))
}
