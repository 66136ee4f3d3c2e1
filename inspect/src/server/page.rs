//! The files of the page.

/// Name, type and contents of each file besides the page itself.
const FILES: &[(&str, &str, &str)] = &[];

pub(super) const INDEX: &str = include_str!("../../page/index.html");

/// The type and contents of a file.
pub(super) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    FILES.iter().find(|(known, ..)| *known == name).map(|(_, kind, contents)| (*kind, *contents))
}
