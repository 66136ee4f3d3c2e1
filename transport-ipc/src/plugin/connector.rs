//! The connector that starts a program as its plugin.

use std::sync::Arc;

use connector_core::{ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait};

use super::program::Program;
use super::restart::History;
use super::spawn::Start;

/// Starts a program and makes a link to it over [`Program::channel`].
///
/// The program runs in its own process group (a job on Windows). Deactivating the plugin ends it: end of file on its
/// channel, then `TERM`, then `KILL`, to the whole group, each after a timeout of [`Program`]. Dropping the engine kills it
/// at once. It is always reaped. When it ends on its own, calls in flight end with a [`LinkEnd::Lost`](connector_core::LinkEnd::Lost), from which
/// [`ChildEnd::of`](super::ChildEnd::of) reads how it ended and the last lines of its standard error, which the error's
/// text does not show. If it ends with exit code 0 and
/// has answered every request, the link was closed gracefully ([`LinkEnd::Closed`](connector_core::LinkEnd::Closed)). It is then started again according to
/// [`Program::restart`], within the bounds of [`Program::crash_budget`].
///
/// Its output (standard error, and standard output unless that is the channel) is traced at the level `info` with the
/// fields `plugin` and `output`, up to 40 lines a second of up to 500 characters
/// ([`Excerpt`](connector_core::Excerpt)); further lines are counted. `RUST_LOG=transport_ipc=info` shows it.
///
/// # What ends with it
/// When the plugin is deactivated, the program ends on its own, or the engine is dropped, and when the engine's process is
/// killed or crashes:
///
/// | | Linux | macOS, other Unix | Windows |
/// | --- | --- | --- | --- |
/// | the program, at its plugin's end | killed with its process group | killed with its process group | killed with its job |
/// | its descendants in its group | killed with the group | killed with the group | killed with the job |
/// | descendants that left the group (`setsid`, a daemon's double fork) | found by the variable `PLUGIN_FAMILY` in their environment, and killed | survive | killed with the job |
/// | the program, when the engine's process is killed | killed by the kernel (`PR_SET_PDEATHSIG`) | sees the end of its channel | killed: the job's handle closes |
/// | its descendants, when the engine's process is killed | killed by a watchdog, which looks for the variable | survive, unless they detect it | killed with the job |
///
/// Only Linux is tested. There, a descendant that leaves the group *and* removes the variable from its environment
/// (`env -i`), runs as another user or hides its environment is not found. A program can use this to start a process that
/// outlives it, for example `env -u PLUGIN_FAMILY setsid daemon`. The watchdog is a shell, `/bin/sh` with `grep`, started
/// along with the first program of the engine's process; if these are missing, or the watchdog is killed as well, the last
/// row does not hold. The host process itself is unchanged: it does not become a subreaper.
#[derive(Debug)]
pub struct ChildConnector {
    program: Program,
    history: History,
    /// The plugin's name, for traces.
    plugin: Arc<str>,
}

impl ChildConnector {
    /// A connector that starts `program`.
    pub fn new(program: Program) -> ChildConnector {
        let history = History::new(program.restart, program.crash_budget);
        let plugin = program.program.to_string_lossy().into();
        ChildConnector { program, history, plugin }
    }
}

#[async_trait]
impl PluginConnector for ChildConnector {
    /// Ignores the URL: the connector knows its program.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, ConnectError> {
        self.program.ipc.check_to_connect()?;
        self.history.may_start(self.program.script().is_some())?;
        Start { plugin: &self.plugin, program: &self.program, history: &self.history }.run().await
    }

    fn registered(&mut self, plugin: &str) {
        self.plugin = plugin.into();
    }

    fn activated(&mut self) {
        self.history.clear();
    }
}

/// A program as the plugin `profile` (or just its name), to be registered with an engine.
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
