//! The connector that starts a program as its plugin.

use std::sync::Arc;

use connector_core::{ExternalProfile, Link, LinkEnd, PluginConnector, Profile, Registration, async_trait};

use super::program::Program;
use super::restart::History;
use super::spawn::Start;

/// Starts a program and makes a link to it over the channel that [`Program::channel`] says.
///
/// The program is a process group (a job on Windows) of its own. It is ended when the plugin is deactivated: end of
/// file on its channel, then `TERM`, then `KILL`, to the whole group, each after a time that [`Program`] says. It is
/// killed at once when the engine is dropped, and it is always reaped. When it ends by itself, calls in flight end with
/// a [`LinkEnd::Lost`] whose source is a [`ChildEnd`]: how it ended and the last lines of its standard error. If it ends
/// with exit code 0 and has answered every request, the link was closed in order ([`LinkEnd::Closed`]). It is then
/// started again, as [`Program::restart`] says, within the bounds of [`Program::crash_budget`].
///
/// What it prints (standard error, and standard output where that is not the channel) is traced at the level `info`
/// with the fields `plugin` and `output`, up to 100 lines a second of up to 2 KiB; control characters are escaped, and
/// further lines are counted. `RUST_LOG=transport_ipc=info` shows them.
///
/// # What ends with it
/// When the plugin is deactivated, the program ends by itself, or the engine is dropped, and when the engine's process is
/// killed or crashes:
///
/// | | Linux | macOS, other Unix | Windows |
/// | --- | --- | --- | --- |
/// | the program, at its plugin's end | killed with its process group | killed with its process group | killed with its job |
/// | what it has started, in its group | killed with the group | killed with the group | killed with the job |
/// | what it has started and has left the group (`setsid`, a daemon's double fork) | found by the variable `PLUGIN_FAMILY` in its environment, and killed | lives on | killed with the job |
/// | the program, when the engine's process is killed | killed by the kernel (`PR_SET_PDEATHSIG`) | sees the end of its channel | killed: the job's handle closes |
/// | what it has started, when the engine's process is killed | killed by a guard, which looks for the variable | lives on, unless it notices by itself | killed with the job |
///
/// Linux alone is tested. There, what leaves the group *and* has removed the variable from its environment (`env -i`),
/// runs as another user or hides its environment is not found: that is also how a program starts something that is to
/// outlive it, for example `env -u PLUGIN_FAMILY setsid daemon`. The guard is a shell, `/bin/sh` with `grep`, that the
/// first program of a process starts along with it; where those are missing, or the guard is killed as well, the last
/// row does not hold. No setting of the host's own process is changed: it does not become a subreaper.
#[derive(Debug)]
pub struct ChildConnector {
    program: Program,
    history: History,
    /// The plugin's name, for traces.
    plugin: Arc<str>,
}

impl ChildConnector {
    /// For a program.
    pub fn new(program: Program) -> ChildConnector {
        let history = History::new(program.restart, program.crash_budget);
        let plugin = program.program.to_string_lossy().into();
        ChildConnector { program, history, plugin }
    }
}

#[async_trait]
impl PluginConnector for ChildConnector {
    /// The URL is not used: the program is the connector's own.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, LinkEnd> {
        self.history.may_start()?;
        Start { plugin: &self.plugin, program: &self.program, history: &self.history }.run().await
    }

    fn registered(&mut self, plugin: &str) {
        self.plugin = plugin.into();
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
