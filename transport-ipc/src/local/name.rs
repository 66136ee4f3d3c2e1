//! Names of local sockets.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::path::Path;
use std::str::FromStr;

use connector_core::redacted_url;
use thiserror::Error;

/// The scheme of a local socket's URL.
const SCHEME: &str = "local:";
/// The longest bare name, in bytes.
const MAX_NAME: usize = 64;

/// The name of a local socket.
///
/// A bare name has up to 64 of the characters `A-Z a-z 0-9 . _ -`, does not begin with a dot, and is private to the user:
/// on Unix the socket `plugin-connectors/NAME.sock` in `$XDG_RUNTIME_DIR` if the user owns that directory, else
/// `plugin-connectors-UID/NAME.sock` in the directory for temporary files; on Windows the pipe
/// `plugin-connectors-NAME`. On Unix it may also be an absolute path, which is used unchanged.
///
/// ```
/// use transport_ipc::local::LocalName;
///
/// let name = LocalName::parse("local:calculator")?;
/// assert_eq!((name.to_string(), name.to_url()), ("calculator".to_owned(), "local:calculator".to_owned()));
/// # Ok::<(), transport_ipc::local::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LocalName {
    text: String,
    fresh: bool,
}

/// Why a text is not the name of a local socket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is neither a name nor a path. Only its [redacted](redacted_url) form is kept.
    #[error(
        "\"{0}\" is not a name for a local socket: use up to {MAX_NAME} of the characters A-Z a-z 0-9 . _ - (no leading dot) \
        or, on Unix, an absolute path; a URL has the prefix local:"
    )]
    Invalid(String),
    /// It is too long for a socket address of the system.
    #[error("the socket path {path:?} exceeds the limit of {limit} bytes: choose a shorter name or directory")]
    TooLong {
        /// The socket's path.
        path: String,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl LocalName {
    /// Reads a bare name, an absolute path, or either after `local:`.
    ///
    /// # Errors
    /// [`NameError::Invalid`].
    pub fn parse(text: &str) -> Result<LocalName, NameError> {
        let name = text.strip_prefix(SCHEME).unwrap_or(text);
        match is_bare(name) || (cfg!(unix) && is_path(name)) {
            true => Ok(LocalName { text: name.to_owned(), fresh: false }),
            false => Err(NameError::Invalid(redacted_url(text))),
        }
    }

    /// A new bare name that is not in use, for an engine that serves one plugin.
    pub fn unique() -> LocalName {
        let random = RandomState::new().hash_one(std::process::id());
        LocalName { text: format!("{:x}-{random:016x}", std::process::id()), fresh: true }
    }

    /// The name as a profile's `url`: `local:NAME`.
    pub fn to_url(&self) -> String {
        format!("{SCHEME}{}", self.text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether [`unique`](LocalName::unique) made it.
    #[cfg_attr(not(unix), allow(dead_code))]
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }
}

/// Two names are equal if they name the same socket.
impl PartialEq for LocalName {
    fn eq(&self, other: &LocalName) -> bool {
        self.text == other.text
    }
}

impl Eq for LocalName {}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for LocalName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<LocalName, NameError> {
        LocalName::parse(text)
    }
}

fn is_bare(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Two leading slashes are more likely part of a URL.
fn is_path(name: &str) -> bool {
    name.starts_with('/')
        && !name.starts_with("//")
        && !name.ends_with('/')
        && !name.ends_with("/.")
        && Path::new(name).file_name().is_some()
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_as_urls() {
        for good in ["calculator", "a", "A-1_b.c", &"x".repeat(64)] {
            let name = LocalName::parse(good).unwrap();
            assert_eq!(name.to_string(), good);
            assert_eq!(LocalName::parse(&name.to_url()).unwrap(), name);
        }
        for bad in ["", ".", "..", ".hidden", "a b", "a/b", "../a", "ä", "a\0", "a\\b", &"x".repeat(65), "local:"] {
            assert!(matches!(LocalName::parse(bad), Err(NameError::Invalid(_))), "{bad:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_round_trip_as_urls() {
        for good in ["/a", "/run/a b/ä.sock"] {
            let name = LocalName::parse(good).unwrap();
            assert_eq!(LocalName::parse(&name.to_url()).unwrap().to_string(), good);
        }
        for bad in ["/", "/a/", "/a/..", "/a/.", "//a", "local://a", "local:///a", "/a\0b", "/a\nb"] {
            assert!(matches!(LocalName::parse(bad), Err(NameError::Invalid(_))), "{bad:?}");
        }
    }

    #[test]
    fn unique_names_are_valid_and_differ() {
        let names: std::collections::HashSet<String> = (0..1000).map(|_| LocalName::unique().to_string()).collect();
        assert_eq!(names.len(), 1000);
        for name in names {
            LocalName::parse(&name).unwrap();
        }
    }
}
