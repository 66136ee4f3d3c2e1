//! Completion in shells: of subcommands and options, and of the names of plugins, methods and events, for which the plugins
//! on the line are started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::exit;
use std::sync::mpsc;
use std::time::Duration;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Bash, EnvCompleter, Fish, Shells, Zsh};
use connector_core::Profile;

use crate::Cli;
use crate::host::Host;
use crate::target::Target;
use crate::viewer::Viewer;

/// How long a shell waits for the plugins, which may not start at all.
const LIMIT: Duration = Duration::from_secs(2);
/// Of it, for their start; the rest is for their end.
const START_LIMIT: Duration = Duration::from_millis(1500);

/// Completes a line, or prints what a shell has to source, if the variable `COMPLETE` names a shell, and ends the process.
pub(crate) fn run() {
    let is_line = !line_words().is_empty();
    let shells = Shells(&[&JoinedBash, &Fish, &Zsh]);
    let completed = CompleteEnv::with_factory(Cli::command)
        .shells(shells)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    match completed {
        Ok(false) => {}
        Ok(true) => exit(0),
        // It would appear within the line that is being typed.
        Err(_) if is_line => exit(1),
        Err(error) => error.exit(),
    }
}

/// The names of the plugins on the line.
pub(crate) fn plugins(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, || {
        let target = line()?.target()?;
        match &target.at {
            Some(url) => within_runtime(async {
                let mut viewer = Viewer::connect(url, START_LIMIT).await.ok()?;
                let plugins = viewer.plugins().await.ok()?;
                Some(plugins.map(|(name, _)| name.to_owned()).collect())
            }),
            None => target.plugins.names().ok(),
        }
    })
}

/// The methods of the plugin on the line.
pub(crate) fn methods(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, || profile()?.methods)
}

/// The events that the plugin on the line lists.
pub(crate) fn events(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, || profile()?.events)
}

/// Those names that begin as the current word. Without any if they cannot be found out within the limit.
fn candidates(
    current: &OsStr,
    names: impl FnOnce() -> Option<Vec<String>> + Send + 'static,
) -> Vec<CompletionCandidate> {
    let (sender, receiver) = mpsc::channel();
    // A thread: reading a file, or looking up a name, may block for longer. It ends with the process.
    std::thread::spawn(move || sender.send(names()));
    let names = receiver.recv_timeout(LIMIT).ok().flatten().unwrap_or_default();
    let current = current.to_string_lossy();
    let names = names.into_iter().filter(|name| is_plain(name) && name.starts_with(&*current));
    names.map(CompletionCandidate::new).collect()
}

/// Whether a shell takes a name as it is. The others come from plugins as well, and bash would run what is in them.
fn is_plain(name: &str) -> bool {
    let is_plain = |character: char| character.is_alphanumeric() || "._-:/@+,".contains(character);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
}

/// The arguments of the subcommand on the line, as far as they can be read.
struct Line(ArgMatches);

fn line() -> Option<Line> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(line_words()).ok()?;
    matches.subcommand().map(|(_, arguments)| Line(arguments.clone()))
}

impl Line {
    fn target(&self) -> Option<Target> {
        Target::from_arg_matches(&self.0).ok()
    }

    fn plugin(&self) -> Option<String> {
        self.0.try_get_one::<String>("plugin").ok()?.cloned()
    }
}

/// The profile of the plugin on the line, which is started for it.
fn profile() -> Option<Profile> {
    let line = line()?;
    let (target, plugin) = (line.target()?, line.plugin()?);
    within_runtime(async {
        if let Some(url) = target.at {
            let mut viewer = Viewer::connect(&url, START_LIMIT).await.ok()?;
            let mut details = viewer.details(&plugin, START_LIMIT).await.ok()?;
            return serde_json::from_value(details["profile"].take()).ok();
        }
        let host = Host::with_options(target.plugins, |options| options.activation_timeout(START_LIMIT)).await.ok()?;
        let activated = host.activate(&plugin).await;
        let profile = host.engine.manager().profile(&plugin);
        host.close().await;
        activated.ok().and(profile)
    })
}

fn within_runtime<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::runtime::Runtime::new().ok()?.block_on(future)
}

/// The words of the line that a shell completes: the arguments after `--`.
fn line_words() -> Vec<OsString> {
    let words = std::env::args_os().skip_while(|arg| arg != "--").skip(1);
    let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let is_set = |name| std::env::var_os(name).is_some();
    let (words, _) = if is_set("_CLAP_COMPLETE_COMP_TYPE") { joined(words, 0) } else { (words, 0) };
    // Bash and zsh pass words as they are typed, fish without their quotes.
    let are_quoted = is_set("_CLAP_COMPLETE_INDEX");
    words.into_iter().map(|word| if are_quoted { unquoted(word) } else { word }.into()).collect()
}

fn unquoted(word: String) -> String {
    match shlex::split(&word) {
        Some(parts) if !parts.is_empty() => parts.join(" "),
        _ => word,
    }
}

/// Bash, which passes `a=ws://b` as five words: see `COMP_WORDBREAKS` in its manual.
struct JoinedBash;

const BREAKS: [char; 3] = ['=', ':', '@'];

impl EnvCompleter for JoinedBash {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        Bash.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn io::Write,
    ) -> Result<(), io::Error> {
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        let words = args.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let (words, index) = joined(words, index);
        // Bash replaces only what follows the last break.
        let kept = words.get(index).and_then(|word| word.rfind(BREAKS)).map_or(0, |at| at + 1);
        let words = words.into_iter().map(OsString::from).collect();
        let separator = std::env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".to_owned());
        let values = complete(cmd, words, index, current_dir)?.into_iter().map(|candidate| {
            let value = candidate.get_value().to_string_lossy();
            value.get(kept..).unwrap_or(&value).to_owned()
        });
        write!(buf, "{}", values.collect::<Vec<_>>().join(&separator))
    }
}

/// The words without the breaks that bash makes, and the index of the same word.
fn joined(words: Vec<String>, index: usize) -> (Vec<String>, usize) {
    let is_break = |word: &str| !word.is_empty() && word.chars().all(|character| BREAKS.contains(&character));
    let (mut whole, mut index_of_whole): (Vec<String>, usize) = (Vec::new(), index);
    let mut continues = false;
    for (position, word) in words.into_iter().enumerate() {
        let ends_a_part = is_break(&word);
        match whole.last_mut() {
            Some(last) if ends_a_part || continues => {
                last.push_str(&word);
                if position <= index {
                    index_of_whole -= 1;
                }
            }
            _ => whole.push(word),
        }
        continues = ends_a_part;
    }
    (whole, index_of_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_bash_breaks_are_joined() {
        let words = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        for (broken, index, whole, same) in [
            ("connector|call|", 2, "connector|call|", 2),
            ("c|call|--plugin|a|=|ws|:|//h|:|80/x|", 10, "c|call|--plugin|a=ws://h:80/x|", 4),
            ("c|ls|--channel|=|", 4, "c|ls|--channel=", 2),
            ("c|call|a|m|--plugin|a|=|'p q'", 3, "c|call|a|m|--plugin|a='p q'", 3),
        ] {
            assert_eq!(joined(words(broken), index), (words(whole), same), "{broken}");
        }
    }

    #[test]
    fn names_that_a_shell_would_interpret_are_not_offered() {
        let names = ["read", "cmd.git", "größe", "a;touch x;", "$(x)", "`x`", "a b", "*", "-rf", "x\ny", "~", ""];
        let offered = candidates(OsStr::new(""), move || Some(names.map(str::to_owned).to_vec()));
        let offered = offered.iter().map(|name| name.get_value().to_string_lossy().into_owned()).collect::<Vec<_>>();
        assert_eq!(offered, ["read", "cmd.git", "größe"]);
    }
}
