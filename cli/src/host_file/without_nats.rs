//! In place of `nats.rs`, without the feature `nats`.

use serde::Deserialize;

use super::source::Source;
use crate::failure::Failure;
use crate::nats::Nats;

/// Has any key: the plugin's URL is the error.
#[derive(Default, Deserialize)]
pub(super) struct NatsTable {}

impl NatsTable {
    pub(super) fn apply(&self, base: &Nats, _: &Source) -> Result<Nats, Failure> {
        Ok(base.clone())
    }

    pub(super) fn has_login(&self) -> bool {
        false
    }

    pub(super) fn has_prefix(&self) -> bool {
        false
    }
}
