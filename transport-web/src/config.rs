//! Limits of a link.

/// Limits of one link. Both ends use the same type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkConfig {
    /// The largest message, in UTF-16 code units of its JSON when it is received and in bytes when it is sent. Default:
    /// 16 Mi.
    ///
    /// Sending a larger message fails locally and leaves the link open; receiving one ends the link as
    /// [`LinkEnd::TooLarge`](connector_core::LinkEnd::TooLarge).
    pub max_message: usize,
}

impl Default for LinkConfig {
    fn default() -> LinkConfig {
        LinkConfig { max_message: 16 << 20 }
    }
}

impl LinkConfig {
    /// Sets [`max_message`](LinkConfig#structfield.max_message). Default: 16 Mi.
    #[must_use]
    pub fn max_message(mut self, units: usize) -> LinkConfig {
        self.max_message = units;
        self
    }
}
