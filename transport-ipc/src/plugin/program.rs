//! The program to start, and its settings.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::InheritedEnv;
use super::restart::Restart;
use crate::config::IpcConfig;

/// The extensions of scripts that error messages show.
const SCRIPTS: &[&str] = &["py", "js", "mjs", "cjs", "ts", "rb", "pl", "php", "lua", "sh", "jar"];

/// The channel between an engine and the program it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ChannelKind {
    /// Lines on standard input and output, which carry nothing else: for any language.
    #[default]
    Stdio,
    /// Node's IPC channel, as `fork` makes it: standard input is empty, output is traced. Unix only.
    Node,
    /// A local socket that the engine serves, with its path (on Windows its name) in `PLUGIN_SOCKET`: standard input is
    /// empty, output is traced.
    Local,
}

/// A program to start as a plugin.
///
/// ```
/// use transport_ipc::{ChannelKind, Program};
///
/// let program = Program::new("node").arg("plugin.js").channel(ChannelKind::Node).env("NODE_ENV", "production");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Program {
    /// The program: a path, or a name that is looked up in `PATH`.
    ///
    /// It is resolved in the child's environment: the `PATH` is the child's, as set by [`env`](Program::env) and
    /// [`inherit_env`](Program::inherit_env), and relative paths, `./program` or an entry of the `PATH`, are relative to
    /// [`current_dir`](Program::current_dir). The file is looked up at each start and run by its absolute path; its argument
    /// 0 is this text. On Windows the extension `.exe` may be omitted, and a name that is not found this way is left to
    /// the system.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its channel. Default [`ChannelKind::Stdio`].
    pub channel: ChannelKind,
    /// Its working directory. Default the host's, which is the directory that the host was started in, and not that of
    /// its source or executable.
    pub current_dir: Option<PathBuf>,
    /// Variables to set in its environment.
    pub env: Vec<(OsString, OsString)>,
    /// The variables of the host's environment that it inherits. Default [`InheritedEnv::Common`]: none that are likely
    /// to hold secrets.
    pub inherit_env: InheritedEnv,
    /// If set, the SHA-256 digest of the program's file, in bytes. Before each start the file that will be run is read
    /// and checked. This protects against a replaced file, but not against a change between the check and the start by
    /// someone who may write to the file or its directory. A script's interpreter is not checked.
    pub sha256: Option<[u8; 32]>,
    /// When to restart it. Default [`Restart::OnFailure`].
    pub restart: Restart,
    /// The number of exits within a time span after which it stays down. Default 5 within 3 minutes.
    pub crash_budget: (u32, Duration),
    /// How long it may take to end once its channel is closed, before `TERM`. Default 2 s.
    pub exit_timeout: Duration,
    /// How long it may take to end after `TERM`, before `KILL`. Default 2 s.
    pub term_timeout: Duration,
    /// Limits of its channel.
    pub ipc: IpcConfig,
}

impl Program {
    /// A program without arguments.
    pub fn new(program: impl Into<OsString>) -> Program {
        Program {
            program: program.into(),
            args: Vec::new(),
            channel: ChannelKind::default(),
            current_dir: None,
            env: Vec::new(),
            inherit_env: InheritedEnv::default(),
            sha256: None,
            restart: Restart::default(),
            crash_budget: (5, Duration::from_secs(180)),
            exit_timeout: Duration::from_secs(2),
            term_timeout: Duration::from_secs(2),
            ipc: IpcConfig::default(),
        }
    }

    /// The program and its script, for error messages, which do not show other arguments: these may be secret.
    pub(super) fn described(&self) -> String {
        let program = self.program.to_string_lossy();
        match self.script() {
            Some(script) => format!("{program} {script}"),
            None => program.into_owned(),
        }
    }

    /// The script that the program, an interpreter, runs: the first argument that is not an option, if it has the
    /// extension of one.
    pub(super) fn script(&self) -> Option<Cow<'_, str>> {
        let script = self.args.iter().find(|arg| !arg.as_encoded_bytes().starts_with(b"-"))?;
        let extension = Path::new(script).extension()?.to_str()?;
        SCRIPTS.contains(&extension).then(|| script.to_string_lossy())
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets [`channel`](Program::channel).
    #[must_use]
    pub fn channel(mut self, channel: ChannelKind) -> Self {
        self.channel = channel;
        self
    }

    /// Sets [`current_dir`](Program::current_dir).
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// Sets a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets [`inherit_env`](Program::inherit_env) to [`InheritedEnv::Only`] these variables of the host.
    #[must_use]
    pub fn inherit_env<N: Into<OsString>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.inherit_env = InheritedEnv::Only(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets [`inherit_env`](Program::inherit_env) to [`InheritedEnv::All`]: the host's whole environment, with the
    /// secrets in it.
    #[must_use]
    pub fn inherit_all_env(mut self) -> Self {
        self.inherit_env = InheritedEnv::All;
        self
    }

    /// Sets [`sha256`](Program::sha256).
    #[must_use]
    pub fn sha256(mut self, digest: [u8; 32]) -> Self {
        self.sha256 = Some(digest);
        self
    }

    /// Sets [`restart`](Program::restart).
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets [`crash_budget`](Program::crash_budget).
    #[must_use]
    pub fn crash_budget(mut self, crashes: u32, within: Duration) -> Self {
        self.crash_budget = (crashes, within);
        self
    }

    /// Sets [`exit_timeout`](Program::exit_timeout).
    #[must_use]
    pub fn exit_timeout(mut self, limit: Duration) -> Self {
        self.exit_timeout = limit;
        self
    }

    /// Sets [`term_timeout`](Program::term_timeout).
    #[must_use]
    pub fn term_timeout(mut self, limit: Duration) -> Self {
        self.term_timeout = limit;
        self
    }

    /// Sets [`ipc`](Program::ipc).
    #[must_use]
    pub fn ipc(mut self, config: IpcConfig) -> Self {
        self.ipc = config;
        self
    }
}

/// Omits the environment and the arguments, which may contain secrets.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("channel", &self.channel)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_is_shown_of_the_arguments() {
        let described = |program: &str, args: &[&str]| Program::new(program).args(args).described();
        assert_eq!(described("python3", &["-u", "plugins/clock.py", "--token", "s3cret"]), "python3 plugins/clock.py");
        assert_eq!(described("./clock", &["s3cret", "clock.py"]), "./clock");
        assert_eq!(described("./clock", &["ey.s3.cret"]), "./clock");
        assert_eq!(described("./clock", &[]), "./clock");
    }
}
