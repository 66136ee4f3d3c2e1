//! The subjects of a plugin.

use std::fmt::Write;

use connector_core::Excerpt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

/// The scheme of a profile's `url`, which is otherwise the beginning of the plugin's subjects.
const SCHEME: &str = "nats:";
/// Longest token that stands for a plugin's name. Names of subjects appear twice in a line of NATS's protocol, which the
/// server limits to 4 KiB.
const MAX_TOKEN: usize = 255;
const MAX_PREFIX: usize = 128;
const MAX_REPLICA: usize = 64;
/// Everything else in a plugin's name is percent-encoded, in particular what separates tokens or is a wildcard.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Why a name cannot be part of a NATS subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The prefix is not usable.
    #[error(
        "NatsConfig::prefix is {0}: set up to {MAX_PREFIX} of the characters A-Z a-z 0-9 _ - and ., without a dot at the \
         beginning, at the end or beside another"
    )]
    Prefix(String),
    /// The plugin's name is empty or too long.
    #[error(
        "the plugin's name {0} cannot be part of a NATS subject: it must have from 1 to {MAX_TOKEN} bytes, and each \
         character other than A-Z a-z 0-9 _ - counts three for each of its bytes"
    )]
    Plugin(String),
    /// The replica's id is not usable.
    #[error("the replica's id is {0}: use from 1 to {MAX_REPLICA} of the characters A-Z a-z 0-9 _ -")]
    Replica(String),
    /// The URL does not name a plugin.
    #[error("not the url of a plugin behind NATS, such as nats:plugins.calculator")]
    Url,
}

fn quoted(text: &str) -> String {
    format!("{:?}", Excerpt::up_to(64, text))
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// As [`is_token`], and may be encoded.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_TOKEN
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'%'))
}

/// The subjects of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subjects {
    /// The prefix and the plugin's token.
    base: String,
}

impl Subjects {
    pub(crate) fn new(prefix: &str, plugin: &str) -> Result<Subjects, SubjectError> {
        if prefix.len() > MAX_PREFIX || !prefix.split('.').all(is_token) {
            return Err(SubjectError::Prefix(quoted(prefix)));
        }
        let token = utf8_percent_encode(plugin, ENCODED).to_string();
        match is_name(&token) {
            true => Ok(Subjects { base: format!("{prefix}.{token}") }),
            false => Err(SubjectError::Plugin(quoted(plugin))),
        }
    }

    /// Reads the `url` of a profile: the subjects, and the replica if it names one.
    #[cfg(feature = "plugin")]
    pub(crate) fn parse(url: &str) -> Result<(Subjects, Option<String>), SubjectError> {
        let path = url.strip_prefix(SCHEME).ok_or(SubjectError::Url)?;
        let (base, replica) = path.split_once('/').map_or((path, None), |(base, replica)| (base, Some(replica)));
        let (prefix, token) = base.rsplit_once('.').ok_or(SubjectError::Url)?;
        if prefix.len() > MAX_PREFIX || !prefix.split('.').all(is_token) || !is_name(token) {
            return Err(SubjectError::Url);
        }
        let replica = replica.map(|id| check_replica(id).map(str::to_owned)).transpose()?;
        Ok((Subjects { base: base.to_owned() }, replica))
    }

    pub(crate) fn url(&self) -> String {
        format!("{SCHEME}{}", self.base)
    }

    #[cfg(feature = "plugin")]
    pub(crate) fn replica_url(&self, replica: &str) -> String {
        format!("{SCHEME}{}/{replica}", self.base)
    }

    /// Whether this is one of the plugin's subjects.
    #[cfg(feature = "plugin")]
    pub(crate) fn contain(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Where any replica of the plugin opens a session.
    pub(crate) fn open(&self) -> String {
        format!("{}.open", self.base)
    }

    /// Where one replica opens a session, and answers probes.
    pub(crate) fn replica(&self, replica: &str) -> String {
        format!("{}.replica.{replica}.open", self.base)
    }

    /// Where every replica answers.
    pub(crate) fn discover(&self) -> String {
        format!("{}.discover", self.base)
    }

    /// Where replicas say that they come and go.
    pub(crate) fn announce(&self) -> String {
        format!("{}.announce", self.base)
    }

    /// From the replica to the engine.
    pub(crate) fn up(&self, session: &str) -> String {
        format!("{}.session.{session}.up", self.base)
    }

    /// From the engine to the replica.
    pub(crate) fn down(&self, session: &str) -> String {
        format!("{}.session.{session}.down", self.base)
    }

    /// The group of a service's endpoints. Each method is one more token.
    #[cfg(feature = "service")]
    pub(crate) fn calls(&self) -> String {
        format!("{}.call", self.base)
    }

    /// The session to whose engine an answer to `reply` goes. Nothing else may be answered: it would be published with the
    /// permissions of this end.
    #[cfg(feature = "client")]
    pub(crate) fn session<'a>(&self, reply: &'a str) -> Option<&'a str> {
        let session = reply.strip_prefix(&self.base)?.strip_prefix(".session.")?.strip_suffix(".up")?;
        (is_token(session) && session.len() <= MAX_REPLICA).then_some(session)
    }
}

/// # Errors
/// It cannot be a token of a subject.
pub(crate) fn check_replica(id: &str) -> Result<&str, SubjectError> {
    match is_token(id) && id.len() <= MAX_REPLICA {
        true => Ok(id),
        false => Err(SubjectError::Replica(quoted(id))),
    }
}

/// A new id that nobody can guess.
pub(crate) fn unguessable() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let mut id = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

#[cfg(all(test, feature = "client", feature = "plugin"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_so_that_they_are_one_token_each() {
        for (name, token) in
            [("probe", "probe"), ("a.b", "a%2Eb"), ("*", "%2A"), (">", "%3E"), ("ä b\n", "%C3%A4%20b%0A")]
        {
            let subjects = Subjects::new("x.y", name).unwrap();
            assert_eq!(subjects.open(), format!("x.y.{token}.open"));
            assert_eq!(Subjects::parse(&subjects.url()), Ok((subjects.clone(), None)), "{name}");
            let replica = format!("{}/r-1", subjects.url());
            assert_eq!(Subjects::parse(&replica), Ok((subjects, Some("r-1".to_owned()))), "{name}");
        }
    }

    #[test]
    fn unusable_names_are_errors() {
        for prefix in ["", ".", "a.", ".a", "a..b", "a b", "*", "a.>", &"x".repeat(129)] {
            assert!(matches!(Subjects::new(prefix, "probe"), Err(SubjectError::Prefix(_))), "{prefix}");
        }
        for name in ["", &"x".repeat(256), &".".repeat(86)] {
            assert!(matches!(Subjects::new("plugins", name), Err(SubjectError::Plugin(_))), "{name}");
        }
        for url in ["", "nats:", "nats:probe", "nats:a b.probe", "ws://plugins.probe", "nats:a.*", "nats://host:4222"] {
            assert_eq!(Subjects::parse(url), Err(SubjectError::Url), "{url}");
        }
        assert!(matches!(Subjects::parse("nats:a.b/*"), Err(SubjectError::Replica(_))));
    }

    #[test]
    fn only_subjects_of_sessions_are_answered() {
        let subjects = Subjects::new("plugins", "probe").unwrap();
        assert_eq!(subjects.session("plugins.probe.session.a1.up"), Some("a1"));
        for reply in [
            "plugins.probe.session.a1.down",
            "plugins.other.session.a1.up",
            "plugins.probe.session.a.b.up",
            "plugins.probe.session.*.up",
            "plugins.probe.session..up",
            "_INBOX.a",
            "",
        ] {
            assert_eq!(subjects.session(reply), None, "{reply}");
        }
    }
}
