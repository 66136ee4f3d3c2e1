//! The environment of a program: the variables of the host that it inherits.

use std::ffi::{OsStr, OsString};

use super::program::Program;

/// The variables of the host's environment that a program inherits.
///
/// The host's environment often holds secrets, such as the token of a cloud account, which are not meant for plugins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InheritedEnv {
    /// Those that programs commonly need and that by convention hold no secrets: `PATH`, `HOME`, `USER`, `LOGNAME`,
    /// `SHELL`, `TERM`, `LANG`, `LANGUAGE`, `LC_*`, `TZ`, `TMPDIR`, `TMP`, `TEMP`, `XDG_*`, `LD_LIBRARY_PATH`,
    /// `DYLD_LIBRARY_PATH`, `VIRTUAL_ENV`, `PYTHON*`, `NODE_PATH`, `NVM_*`, `SSL_CERT_*` and `RUST_*`. On Windows also
    /// `SystemRoot`, `SystemDrive`, `windir`, `ComSpec`, `PATHEXT`, `OS`, `APPDATA`, `LOCALAPPDATA`, `PROGRAMDATA`,
    /// `ALLUSERSPROFILE`, `PUBLIC`, `ProgramFiles*`, `ProgramW6432`, `CommonProgram*`, `USERPROFILE`, `USERNAME`,
    /// `USERDOMAIN`, `HOMEDRIVE`, `HOMEPATH`, `PROCESSOR_*` and `NUMBER_OF_PROCESSORS`.
    #[default]
    Common,
    /// All of them.
    All,
    /// Only those with these names.
    Only(Vec<OsString>),
}

/// A name, or the beginning of one before `*`.
const COMMON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TMP",
    "TEMP",
    "XDG_*",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "PYTHON*",
    "NODE_PATH",
    "NVM_*",
    "SSL_CERT_*",
    "RUST_*",
];
const WINDOWS: &[&str] = &[
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "OS",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "ALLUSERSPROFILE",
    "PUBLIC",
    "ProgramFiles*",
    "ProgramW6432",
    "CommonProgram*",
    "USERPROFILE",
    "USERNAME",
    "USERDOMAIN",
    "HOMEDRIVE",
    "HOMEPATH",
    "PROCESSOR_*",
    "NUMBER_OF_PROCESSORS",
];

impl InheritedEnv {
    /// Whether a program inherits the variable.
    pub(super) fn includes(&self, name: &OsStr) -> bool {
        match self {
            InheritedEnv::All => true,
            InheritedEnv::Only(names) => names.iter().any(|listed| is_same(listed, name)),
            InheritedEnv::Common => {
                let is_in = |list: &[&str]| list.iter().any(|pattern| matches(pattern, name));
                is_in(COMMON) || cfg!(windows) && is_in(WINDOWS)
            }
        }
    }
}

/// Whether two names are those of the same variable: on Windows, case does not matter.
pub(super) fn is_same(one: &OsStr, other: &OsStr) -> bool {
    if cfg!(windows) { one.eq_ignore_ascii_case(other) } else { one == other }
}

fn matches(pattern: &str, name: &OsStr) -> bool {
    let Some(beginning) = pattern.strip_suffix('*') else { return is_same(OsStr::new(pattern), name) };
    let name = name.as_encoded_bytes();
    name.get(..beginning.len()).is_some_and(|start| match cfg!(windows) {
        true => start.eq_ignore_ascii_case(beginning.as_bytes()),
        false => start == beginning.as_bytes(),
    })
}

/// The variables that a program inherits, and the number of those withheld from it although it did not say which ones
/// it needs.
pub(super) fn inherited(
    program: &Program,
    all: impl Iterator<Item = (OsString, OsString)>,
) -> (Vec<(OsString, OsString)>, usize) {
    let (inherited, withheld): (Vec<_>, Vec<_>) = all.partition(|(name, _)| program.inherit_env.includes(name));
    let is_set = |name: &OsString| program.env.iter().any(|(set, _)| is_same(set, name));
    let withheld = match program.inherit_env {
        InheritedEnv::Common => withheld.iter().filter(|(name, _)| !is_set(name)).count(),
        InheritedEnv::All | InheritedEnv::Only(_) => 0,
    };
    (inherited, withheld)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_variables_are_inherited_and_others_are_withheld() {
        let host = ["PATH", "LC_ALL", "PYTHONPATH", "RUST_LOG", "AWS_SECRET_ACCESS_KEY", "PATHS", "LC", "XPATH", "SET"];
        let inherited = |program: Program| {
            let all = host.iter().map(|name| (OsString::from(name), OsString::from("x")));
            let (inherited, withheld) = inherited(&program, all);
            (inherited.into_iter().map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>(), withheld)
        };
        let program = || Program::new("p").env("SET", "1");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(inherited(program()), (names(&host[..4]), 4));
        assert_eq!(inherited(program().inherit_all_env()), (names(&host), 0));
        assert_eq!(inherited(program().inherit_env(["LC", "HOME"])), (names(&["LC"]), 0));
    }

    #[test]
    fn the_documentation_lists_them() {
        let source = include_str!("environment.rs");
        let documented: String = source.lines().filter(|line| line.trim_start().starts_with("///")).collect();
        for name in COMMON.iter().chain(WINDOWS) {
            assert!(documented.contains(&format!("`{name}`")), "{name}");
        }
    }
}
