//! Names and numbers as they are shown.

use std::time::Duration;

/// The first `max` bytes of a text, or a few less if a character would be split.
pub(crate) fn beginning(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The plugin of a path such as `plugin.service`.
pub(crate) fn plugin_of(path: &str) -> &str {
    path.split_once('.').map_or(path, |(plugin, _)| plugin)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into())
}
