//! In place of `nats.rs`, without the feature `nats`.

use connector_core::{Plugin, Registration, Serving};

const NOT_BUILT: &str = "NATS: this `connector` was built without its feature `nats`";

#[derive(Debug, Clone, Default)]
pub(crate) struct Nats {}

impl Nats {
    /// # Errors
    /// Always.
    pub(crate) fn registration(&self, _: String, _: String, _: Option<&str>) -> Result<Registration, String> {
        Err(NOT_BUILT.to_owned())
    }

    /// # Errors
    /// Never.
    pub(crate) fn for_borrower(&self, _: &str) -> Result<Nats, String> {
        Ok(self.clone())
    }

    /// # Errors
    /// Always.
    pub(crate) async fn serve(&self, _: Plugin, _: String, _: Option<&str>) -> Result<(String, Serving), String> {
        Err(NOT_BUILT.to_owned())
    }
}
