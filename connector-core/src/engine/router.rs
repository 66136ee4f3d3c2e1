//! Calls and cancels between plugins (docs/protocol.md, section 5.1).

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::access::Operation;
use super::attended::Attended;
use super::bounds::check_names;
use super::call::{QueuedCall, caller_deactivated, cannot_call};
use super::entry::{Entry, Status};
use super::lifecycle::Permission;
use super::location::Location;
use super::policy::decision;
use super::remote::{EngineCommand, RemotePlugin};
use super::{EngineState, current};
use crate::client::PluginClient;
use crate::error::{CallError, Refusal};
use crate::link::PendingCall;
use crate::plugin::{Context, Handler, MethodResult, Scope};
use crate::runtime::{self, BoxFuture, Instant};
use crate::session::HANDSHAKE;
use crate::sync::lock;
use crate::wire::{Name, Payload, RequestInfo};

// PERF: docs/performance.md, "Replicas": as its own function, 128 more instructions for a call in this process.
/// The rest of a call to a plugin or one of its replicas: waits in the target's queue, and runs.
macro_rules! queue_and_run {
    ($engine:expr, $caller:expr, $target:expr, $path:expr, $exposed:expr, $handler:expr, $args:expr, $attended:expr) => {{
        let (engine, caller): (&Arc<EngineState>, &Arc<Entry>) = ($engine, $caller);
        let on_behalf_of = engine.on_behalf_of(caller);
        let made_for = $attended.as_ref().and_then(|attended| attended.made_for());
        let queued = QueuedCall::enter(&engine.clock, caller, on_behalf_of, $target, $path, $exposed, made_for)?;
        let target = queued.target();
        if !queued.has_started() {
            if engine.chains.is_in_use() {
                engine.tell_lenders(queued.call());
            }
            match &mut $attended {
                None => poll_fn(|cx| queued.poll_started(cx)).await?,
                Some(attended) => attended.wait_for(poll_fn(|cx| queued.poll_started(cx))).await?,
            }
            // The caller may have been deactivated just before the call entered the queue.
            may_call(caller, queued.method(), &target.name)?;
        }
        let now = runtime::now();
        let scope = $attended.and_then(|attended| attended.start(now, &queued));
        // `queue_timeout` limits the run, not the wait in the queue; the published packages named it.
        let own_end = now.checked_add(target.options.queue_timeout);
        let end = match scope.as_ref().and_then(|scope| scope.deadline) {
            None => own_end,
            Some(callers) => Some(own_end.map_or(callers, |own| own.min(callers))),
        };
        let mut running = engine.start(&queued, $handler, $args, scope, end)?;
        let until_ended = poll_fn(|cx| match running.poll_ended(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => queued.poll_ended(cx).map(Err),
        });
        let outcome = runtime::timeout_at(end, until_ended).await;
        outcome.unwrap_or_else(|| Err(CallError::run_timeout(queued.method(), &caller.name)))
    }};
}

impl EngineState {
    /// Performs a call, which its caller ends ([`Attended::end`]) if it is attended. Dropping the future cancels it at any
    /// stage.
    pub(crate) async fn call(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        path: &str,
        method: &str,
        args: Payload,
        mut attended: Option<&mut Attended<'_>>,
    ) -> Result<Payload, CallError> {
        check_names(path, method)?;
        may_call(caller, method, path)?;
        let root = root_of(path);
        self.check_access(&caller.traces, &caller.name, root, Operation::Call { method, path })?;
        let target = self
            .find(root)
            .ok_or_else(|| Refusal::NotRegistered { target: root.to_owned(), caller: caller.name.to_string() })?;
        // PERF: docs/performance.md, "14 allocations per routed call": a pending call 2,071 → 1,014 bytes with others.
        // Boxed because it is rare, and would enlarge the future of every call.
        if !target.may_be_called_directly() {
            if target.replica_set().is_some() {
                return Box::pin(self.call_replica(caller, &target, path, method, args, attended)).await;
            }
            Box::pin(self.await_activation(caller, &target, path, method, attended.as_deref_mut())).await?;
        }
        let Some(exposed) = target.interface().exposed(method) else {
            return Err(not_exposed(caller, &target, method));
        };
        let handler = if path.len() == root.len() { exposed.handler } else { None };
        let path = called_path(path, &target);
        queue_and_run!(self, caller, target, path, exposed.name, handler, args, attended)
    }

    /// Waits until the target may be called, which activates it if necessary.
    pub(super) async fn await_activation(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        target: &Arc<Entry>,
        path: &str,
        method: &str,
        attended: Option<&mut Attended<'_>>,
    ) -> Result<(), CallError> {
        if target.may_be_called() {
            return Ok(());
        }
        let maker = attended.as_ref().and_then(|attended| attended.maker());
        // Boxed because it would be part of this future several times, and a call's stack has room for each.
        let activation = Box::pin(self.activate_on_demand(caller, maker, target, method, path));
        match attended {
            None => activation.await?,
            Some(attended) => attended.wait_for(activation).await?,
        }
        // It may have been deactivated since, or its activation may wait for this call.
        match target.may_be_called() {
            true => Ok(()),
            false => Err(not_activated(caller, target, method)),
        }
    }

    /// Performs a call at this replica.
    pub(super) async fn call_at(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        replica: &Arc<Entry>,
        path: Name,
        method: Name,
        args: Payload,
        mut attended: Option<&mut Attended<'_>>,
    ) -> Result<Payload, CallError> {
        queue_and_run!(self, caller, Arc::clone(replica), path, method, None, args, attended)
    }

    /// Starts a call that has passed the queue. `handler` runs its method, if that is known already; `end` is when its time
    /// is over.
    fn start<'a>(
        self: &Arc<Self>,
        queued: &'a QueuedCall<'_>,
        handler: Option<Handler>,
        args: Payload,
        scope: Option<Arc<Scope>>,
        end: Option<Instant>,
    ) -> Result<Running<'a>, CallError> {
        let (caller, target, method) = (queued.caller(), queued.target(), queued.method().clone());
        let path = queued.call().path.clone();
        match &target.location {
            Location::Local(_) if current::is_too_deep() => {
                let (target, caller) = (target.name.to_string(), caller.name.to_string());
                let (method, limit) = (method.to_string(), current::MAX_DEPTH);
                Err(Refusal::TooDeep { target, caller, method, limit }.into())
            }
            Location::Local(instance) => {
                let client = PluginClient::in_engine(target.name.clone(), Arc::downgrade(self), Arc::downgrade(target))
                    .for_call(scope);
                let context = Context::new(caller.name.clone(), path, method, client, end);
                let run = current::within(target.number, caller.number, || match handler {
                    Some(handler) => handler(context, args),
                    None => instance.invoke(context, args, |method, plugin| {
                        format!("Method {method} is not implemented by {plugin}")
                    }),
                });
                Ok(Running::Local(run, target.number, caller.number))
            }
            Location::Remote(_) if method == HANDSHAKE => {
                Err(Refusal::Reserved { target: target.name.to_string(), caller: caller.name.to_string() }.into())
            }
            // Its calls run at one of its replicas.
            Location::Replicated(_) => Err(Refusal::Stopping { target: target.name.to_string() }.into()),
            Location::Remote(remote) => {
                let info = RequestInfo { from: caller.name.clone(), path: Some(path), is_from_native: None };
                if remote.is_lent() {
                    return self.start_lent(queued, remote, method, args, Box::new(info), scope);
                }
                let scope = scope.map(|scope| scope.limited_to(target.options.queue_timeout));
                Ok(Running::Remote(remote, remote.call(method, args, Box::new(info), scope)?))
            }
        }
    }

    /// Starts a call to a plugin that another engine lends.
    #[cold]
    fn start_lent<'a>(
        &self,
        queued: &QueuedCall<'_>,
        remote: &'a RemotePlugin,
        method: Name,
        args: Payload,
        info: Box<RequestInfo>,
        scope: Option<Arc<Scope>>,
    ) -> Result<Running<'a>, CallError> {
        let call = queued.call();
        let scope = self.pass_to_lender(call, scope)?.limited_to(call.target.options.queue_timeout);
        let running = Running::Remote(remote, remote.call(method, args, info, Some(Arc::clone(&scope)))?);
        self.passed_to_lender(call, &scope);
        Ok(running)
    }

    async fn activate_on_demand(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        maker: Option<Arc<Entry>>,
        target: &Arc<Entry>,
        method: &str,
        path: &str,
    ) -> Result<(), CallError> {
        let requester = maker.or_else(|| self.on_behalf_of(caller)).unwrap_or_else(|| Arc::clone(caller));
        let activation = caller.activation();
        let may_still_call = || match caller.activation() == activation {
            true => may_call(caller, method, path),
            false => Err(caller_deactivated(caller, method, path)),
        };
        self.check_access(&caller.traces, &caller.name, &target.name, Operation::Activate)?;
        if self.is_shutting_down() {
            return Err(Refusal::NotActivatable(format!(
                "{} is not activated: the engine is shutting down",
                target.name
            ))
            .into());
        }
        let permission = Permission::new(target);
        let (from, to) = (caller.profile(), target.profile());
        let manager_allows = async { self.policy.can_activate(&from, &to, Some(method)).await };
        let mut allowed =
            decision(requester.number, target, "the policy's can_activate", manager_allows).await == Some(true);
        if allowed && let Some(rule) = target.instance().and_then(|instance| instance.plugin.can_activate.clone()) {
            let from = from.clone();
            let rule = async { rule(from, Some(method.to_owned())).await };
            allowed = decision(requester.number, target, "its can_activate rule", rule).await == Some(true);
        }
        if !allowed {
            return Err(not_activated(caller, target, method));
        }
        permission.still_wanted().map_err(|error| Refusal::NotActivatable(error.to_string()))?;
        may_still_call()?;
        drop(permission);
        let activated = self.activate_for(&requester, target).await;
        may_still_call()?;
        activated.map_err(|error| Refusal::NotActivatable(error.to_string()).into())
    }

    /// The plugin whose method runs on this thread, if that is not the caller. Such a plugin calls through another
    /// plugin's handle, and its own method is what waits for the result.
    fn on_behalf_of(&self, caller: &Entry) -> Option<Arc<Entry>> {
        match current::plugin() {
            0 => None,
            number if number == caller.number => None,
            number => self.by_number(number),
        }
    }

    /// Cancels a caller's calls to a plugin, or those of one method.
    pub(crate) fn cancel(&self, caller: &Arc<Entry>, path: &str, method: Option<&str>) -> Result<(), Refusal> {
        let named = method.unwrap_or("undefined");
        may_act(caller, || format!("It cannot cancel method {named} of plugin {path}."))?;
        let root = root_of(path);
        let (target_name, caller_name) = (root.to_owned(), caller.name.to_string());
        let Some(target) = self.find(root) else {
            return Err(Refusal::CancelNotRegistered {
                target: target_name,
                caller: caller_name,
                method: named.to_owned(),
            });
        };
        if !target.is_active() {
            let what = method.map_or("calls on".to_owned(), |method| format!("{method} of "));
            return Err(Refusal::CancelNotActivated { target: target_name, caller: caller_name, what });
        }
        if let Some(method) = method
            && target.interface().exposed(method).is_none()
        {
            let exposed = target.interface().exposed_list();
            let method = method.to_owned();
            return Err(Refusal::CancelNotExposed { target: target_name, caller: caller_name, method, exposed });
        }
        for target in target.replicas().iter().chain([&target]) {
            let matching = lock(&target.queue).matching(&caller.name, method);
            for call in matching.into_iter().filter(|call| Arc::ptr_eq(&call.caller, caller)) {
                call.cancel();
            }
        }
        Ok(())
    }
}

/// A running call.
enum Running<'a> {
    /// With the numbers of the target plugin and of the caller.
    Local(BoxFuture<MethodResult>, u64, u64),
    Remote(&'a RemotePlugin, PendingCall<'a, EngineCommand>),
}

impl Running<'_> {
    fn poll_ended(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<Payload, CallError>> {
        match self {
            Running::Local(run, plugin, caller) => {
                current::within(*plugin, *caller, || run.as_mut().poll(cx)).map_err(CallError::Plugin)
            }
            Running::Remote(remote, call) => {
                Pin::new(call).poll(cx).map(|ended| ended.unwrap_or_else(|end| Err(remote.lost(end))))
            }
        }
    }
}

/// The plugin's name in the path of a service.
fn root_of(path: &str) -> &str {
    match path.bytes().position(|byte| byte == b'.') {
        None => path,
        Some(dot) => &path[..dot],
    }
}

/// The path with which the target is called: of a plugin itself, its name as it is stored.
#[inline]
pub(super) fn called_path(path: &str, target: &Entry) -> Name {
    if path.len() == target.name.len() { target.name.clone() } else { path.into() }
}

pub(super) fn not_exposed(caller: &Entry, target: &Entry, method: &str) -> CallError {
    let (target_name, caller) = (target.name.to_string(), caller.name.to_string());
    let (method, exposed) = (method.to_owned(), target.interface().exposed_list());
    Refusal::NotExposed { target: target_name, caller, method, exposed }.into()
}

pub(super) fn not_activated(caller: &Entry, target: &Entry, method: &str) -> CallError {
    let (target, caller) = (target.name.to_string(), caller.name.to_string());
    Refusal::NotActivated { target, caller, method: method.to_owned() }.into()
}

pub(super) fn may_call(caller: &Entry, method: &str, path: &str) -> Result<(), Refusal> {
    may_act(caller, || cannot_call(method, path))
}

/// Refuses operations of an inactive plugin.
pub(super) fn may_act(entry: &Entry, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    match entry.status() {
        Status::Inactive => Err(Refusal::Deactivated { name: entry.name.to_string(), what: what() }),
        Status::Activating | Status::Active | Status::Deactivating => Ok(()),
    }
}
