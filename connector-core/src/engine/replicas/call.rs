//! Calls to a plugin with replicas.

use std::sync::Arc;

use super::set::NoReplica;
use crate::engine::EngineState;
use crate::engine::attended::Attended;
use crate::engine::entry::Entry;
use crate::engine::router::{called_path, may_call, not_activated, not_exposed};
use crate::error::{CallError, LinkLost, Refusal};
use crate::wire::Payload;

/// How often a call that was not sent goes to another replica.
const MAX_MOVES: usize = 32;
/// How often a call of an idempotent method runs again after a loss. Few, because the call itself may be what ends links.
const MAX_RERUNS: usize = 2;

impl EngineState {
    /// Performs a call at one of the replicas.
    pub(in crate::engine) async fn call_replica(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        target: &Arc<Entry>,
        path: &str,
        method: &str,
        args: Payload,
        mut attended: Option<&mut Attended<'_>>,
    ) -> Result<Payload, CallError> {
        let Some(set) = target.replica_set() else { return Err(not_activated(caller, target, method)) };
        self.await_activation(caller, target, path, method, attended.as_deref_mut()).await?;
        let Some(exposed) = target.interface().exposed(method) else {
            return Err(not_exposed(caller, target, method));
        };
        let method = exposed.name;
        let (path, key) = (called_path(path, target), set.key(&caller.name, &args));
        let (mut moves, mut reruns) = (0, 0);
        loop {
            may_call(caller, &method, &target.name)?;
            if !target.may_be_called() {
                return Err(not_activated(caller, target, &method));
            }
            let chosen = set.choose(&method, key).map_err(|none| match none {
                NoReplica::Down(end) => LinkLost::Observed { plugin: target.name.clone(), end }.into(),
                NoReplica::Draining => CallError::from(Refusal::Stopping { target: target.name.to_string() }),
            })?;
            let (path, args, attended) = (path.clone(), args.clone(), attended.as_deref_mut());
            let run = self.call_at(caller, chosen.replica(), path, method.clone(), args, attended);
            match run.await {
                Err(CallError::Refused(refusal))
                    if matches!(*refusal, Refusal::Stopping { .. }) && moves < MAX_MOVES =>
                {
                    moves += 1;
                }
                Err(CallError::LinkLost(_)) if reruns < MAX_RERUNS && set.is_idempotent(&method) => reruns += 1,
                outcome => return outcome,
            }
        }
    }
}
