//! Bounds of the names, lists and profiles that plugins choose. They bound what is stored for a plugin apart from its
//! [`memory_limit`](super::PluginOptions::memory_limit), and the length of errors.
//!
//! Constants, not settings: they are far above what plugins use, and together they cost less than 2 MiB for a plugin, so a
//! host gains nothing by lowering them. They also apply where no plugin's options do, such as to the name of a plugin that
//! is not registered.

use crate::error::{Refusal, UpdateError};

/// The length of a plugin's, method's or event's name, and of a path, in bytes.
pub(super) const MAX_NAME: usize = 1024;
/// The number of methods that a plugin may list.
const MAX_METHODS: usize = 10_000;
/// The bytes of their names together.
const MAX_METHOD_BYTES: usize = 256 << 10;
/// The bytes of a profile that a plugin updates, as JSON. An icon may be an image in a `data:` URL.
pub(super) const MAX_PROFILE: usize = 512 << 10;
/// The number of plugins that one request may activate or deactivate.
pub(super) const MAX_CHANGES: usize = 1000;
/// The bytes of a list in an error.
const MAX_QUOTED: usize = 8 << 10;

/// # Errors
/// One of the names is too long.
pub(super) fn check_names(one: &str, other: &str) -> Result<(), Refusal> {
    match one.len().max(other.len()) {
        ..=MAX_NAME => Ok(()),
        length => Err(Refusal::NameTooLong { length, limit: MAX_NAME }),
    }
}

/// # Errors
/// There are too many methods, or their names are too long.
pub(super) fn check_methods(methods: &[String]) -> Result<(), String> {
    let (number, bytes) = (methods.len(), methods.iter().map(String::len).sum::<usize>());
    match () {
        () if number > MAX_METHODS => Err(format!("it lists {number} methods, and may list at most {MAX_METHODS}")),
        () if methods.iter().any(|method| method.len() > MAX_NAME) => {
            Err(format!("it lists a method whose name is longer than {MAX_NAME} bytes"))
        }
        () if bytes > MAX_METHOD_BYTES => {
            Err(format!("the names of its methods have {bytes} bytes, and may have at most {MAX_METHOD_BYTES}"))
        }
        () => Ok(()),
    }
}

/// # Errors
/// A profile of this many bytes is too large.
pub(super) fn check_profile(bytes: usize) -> Result<(), UpdateError> {
    if bytes > MAX_PROFILE { Err(UpdateError::TooLarge { bytes, limit: MAX_PROFILE }) } else { Ok(()) }
}

/// A list of names for an error: `"a","b"`, and the number of those left out if it is long.
pub(super) fn quoted_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let (mut list, mut left_out) = (String::new(), 0_usize);
    for name in names {
        if left_out > 0 || list.len() + name.len() > MAX_QUOTED {
            left_out += 1;
            continue;
        }
        let comma = if list.is_empty() { "" } else { "," };
        list.extend([comma, "\"", name, "\""]);
    }
    if left_out > 0 {
        list.push_str(&format!(" … and {left_out} more"));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(quoted_list(["a", "b"].into_iter()), r#""a","b""#);
        let name = "x".repeat(1000);
        let list = quoted_list((0..1_000_000).map(|_| &*name));
        assert!(list.ends_with("\" … and 999992 more") && list.len() < MAX_QUOTED + 100, "{}", list.len());
    }
}
