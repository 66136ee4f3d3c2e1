//! The calls that run in an engine, for its observers.

use std::fmt;
use std::sync::Weak;

use super::EngineState;
use crate::sync::lock;

/// The calls that run in an engine, for an [observer](crate::Observer::attached). Keeps neither of them alive; shows no calls
/// once the observer is detached.
pub struct RunningCalls {
    engine: Weak<EngineState>,
    is_attached: Weak<()>,
}

/// A call that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningCall<'a> {
    /// The caller.
    pub from: &'a str,
    /// As the caller named it: a plugin or the path of a service.
    pub to: &'a str,
    /// The method.
    pub method: &'a str,
}

impl RunningCalls {
    pub(super) fn new(engine: Weak<EngineState>, is_attached: Weak<()>) -> RunningCalls {
        RunningCalls { engine, is_attached }
    }

    /// Whether there will be no more calls: the observer is detached, or the engine has ended.
    pub fn has_ended(&self) -> bool {
        self.is_attached.strong_count() == 0 || self.engine.strong_count() == 0
    }

    /// Visits the calls that run now, those of each plugin together, in no particular order. Locks each plugin's queue
    /// while it copies a list of the plugin's running calls, so it costs about as much as a call for every few plugins.
    pub fn for_each(&self, mut visit: impl FnMut(RunningCall<'_>)) {
        let Some(engine) = self.engine.upgrade().filter(|_| !self.has_ended()) else { return };
        for entry in engine.registry.load().values() {
            for target in entry.replicas().iter().chain([entry]) {
                let running = lock(&target.queue).running();
                for call in running {
                    visit(RunningCall { from: &call.caller.name, to: &call.path, method: &call.method });
                }
            }
        }
    }
}

impl fmt::Debug for RunningCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCalls").field("has_ended", &self.has_ended()).finish_non_exhaustive()
    }
}
