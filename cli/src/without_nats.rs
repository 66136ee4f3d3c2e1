//! In place of `nats.rs`, without the feature `nats`.

use connector_core::Registration;

#[derive(Debug, Clone, Default)]
pub(crate) struct Nats {}

impl Nats {
    /// # Errors
    /// Always.
    pub(crate) fn registration(&self, _: String, _: String, _: Option<&str>) -> Result<Registration, String> {
        Err("NATS: this `connector` was built without its feature `nats`".to_owned())
    }
}
