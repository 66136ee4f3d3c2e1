//! Plain functions as methods and listeners.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use serde::Serialize;
use tokio_util::sync::DropGuard;

use super::args::{Parameters, Rest};
use super::context::Context;
use super::signature::{Function, Signature};
use crate::client::PluginClient;
use crate::error::Fault;
use crate::excerpt::Excerpt;
use crate::guard::panic_text;
use crate::runtime::BoxFuture;
use crate::trace_limit::TraceLimit;
use crate::wire::{Name, Payload, PayloadError};

pub(crate) type MethodResult = Result<Payload, Fault>;

/// A method with its parameter types erased.
pub(crate) type Handler = Arc<dyn Fn(Context, Payload) -> BoxFuture<MethodResult> + Send + Sync>;

/// An event callback with its parameter types erased.
pub(crate) type Callback = Arc<dyn Fn(&Payload) -> Result<(), PayloadError> + Send + Sync>;

/// An async function with typed parameters, optionally preceded by the call's [`Context`]: `async fn add(a: f64, b:
/// f64) -> f64`, `|ctx: Context, text: String| async move { … }`.
///
/// It returns a [`Reply`]. Up to eight parameters in addition to the `Context`; the last may be a [`Rest`].
///
/// Parameters must be owned: `|name: String|`, not `|name: &str|`, for which compilers only report `lifetime may not
/// live long enough`, or that `Deserialize` is `not general enough`. The method's future must be `Send`, and so must
/// everything it holds across an await.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method",
    label = "not a method",
    note = "a method is an async function, or a closure that gives a future, of up to 8 parameters beside a `Context`"
)]
pub trait Method<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn invoke(&self, context: Context, args: Payload) -> BoxFuture<MethodResult>;
}

// The only implementation, with its requirements listed individually, so that compilers name the one that is violated.
impl<Func, Params> Method<Params> for Func
where
    Func: Function<Params> + Send + Sync + 'static,
    Params: Signature,
    Func::Output: Future + Send + 'static,
    <Func::Output as Future>::Output: Reply,
{
    fn invoke(&self, context: Context, args: Payload) -> BoxFuture<MethodResult> {
        match read::<Params::Args>(context.method(), args) {
            Ok(args) => {
                let (kept, owner, running) = Params::split(context);
                run(owner, || self.call(Params::gather(kept, args)), running)
            }
            Err(fault) => Box::pin(ready(Err(fault))),
        }
    }
}

/// A function with typed event arguments: see [`PluginClient::on`](crate::PluginClient::on). It runs where the event
/// arrives, so it must be quick and must not block; for longer work, use
/// [`PluginClient::events`](crate::PluginClient::events). Arguments that do not fit, and panics, are traced.
///
/// Up to eight owned parameters; the last may be a [`Rest`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a listener",
    label = "not a listener",
    note = "a listener is a function or a closure of up to 8 parameters, not async"
)]
pub trait Listener<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn deliver(&self, args: &Payload) -> Result<(), PayloadError>;
}

impl<Func, Params> Listener<Params> for Func
where
    Func: Function<Params> + Send + Sync + 'static,
    Params: Parameters,
    Func::Output: Nothing,
{
    fn deliver(&self, args: &Payload) -> Result<(), PayloadError> {
        self.call(Params::parse(args)?);
        Ok(())
    }
}

/// The return type of a listener.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a listener returns nothing, but this one returns `{Self}`",
    label = "this listener returns something",
    note = "a listener is not async: for work that waits, read the stream that `PluginClient::events` gives",
    note = "to discard a result, end the closure's body with `;`"
)]
pub trait Nothing {}

impl Nothing for () {}

/// A closure that only panics has the type `!`, which cannot be named on stable Rust.
#[diagnostic::do_not_recommend]
impl Nothing for <fn() -> ! as Returns>::Output {}

trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// The return type of a method.
///
/// Numbers, strings, `()`, options, vectors, maps, [`serde_json::Value`], [`Payload`]; any other serializable type as
/// [`Json`]`(value)`; and `Result<T, E>` with any serializable `T`.
///
/// # Errors of a method
/// - `Result<T, E>` with any `E: Display`: the caller gets the text of `{error:#}`, which for errors of anyhow and eyre
///   includes their causes. For your own type it is the output of its `Display`, so include a source there that users
///   should see.
/// - `Result<T, Json<E>>` with any `E: Serialize`: the caller gets the value, and reads it back with
///   [`CallError::plugin_error`](crate::CallError::plugin_error), wherever the two plugins run. `?` converts an `E`
///   into a `Json<E>`.
/// - A [`Fault`] or a [`serde_json::Value`] is passed on unchanged. So is the value that another plugin returned as its
///   error, if a method returns the [`CallError`](crate::CallError) of a call that it has made; if that plugin returned
///   a text, the text is passed on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a method",
    label = "this method returns something that is not a `Reply`",
    note = "numbers, strings, collections and `serde_json::Value` are replies; return another type that is `Serialize` as \
            `Json(value)`",
    note = "a method that can fail returns `Result<T, E>` with `T: Serialize` and `E: Display`, or `Result<T, Json<E>>` with \
            `E: Serialize`"
)]
pub trait Reply: Send + 'static {
    #[doc(hidden)]
    fn into_result(self) -> MethodResult;
}

/// A reply of any serializable type. As a method's error, the caller can read it back as that type: see [`Reply`].
///
/// ```
/// use connector_core::{Json, Plugin};
///
/// #[derive(serde::Serialize)]
/// struct Size {
///     width: u32,
///     height: u32,
/// }
///
/// let plugin = Plugin::new("view").method("size", || async { Json(Size { width: 640, height: 480 }) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// Lets `?` convert an error.
impl<T> From<T> for Json<T> {
    fn from(value: T) -> Json<T> {
        Json(value)
    }
}

impl<T: Serialize + Send + Sync + 'static> Reply for Json<T> {
    fn into_result(self) -> MethodResult {
        Ok(Payload::new(self.0))
    }
}

/// An error with a text: anything that is `Display`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method",
    label = "the error of this method has no text",
    note = "implement `std::fmt::Display` for `{Self}`, by hand or with `thiserror`",
    note = "or, if it is `Serialize`, return `Result<T, Json<{Self}>>`, which the caller reads back as its type"
)]
pub trait MethodError: Display {}

#[diagnostic::do_not_recommend]
impl<E: Display> MethodError for E {}

impl<T: Serialize + Send + Sync + 'static, E: MethodError + Send + 'static> Reply for Result<T, E> {
    fn into_result(self) -> MethodResult {
        self.map(Payload::new).map_err(Fault::of)
    }
}

impl<T: Serialize + Send + Sync + 'static, E: Serialize + Send + Sync + 'static> Reply for Result<T, Json<E>> {
    fn into_result(self) -> MethodResult {
        self.map(Payload::new).map_err(|Json(error)| Fault::typed(error))
    }
}

macro_rules! replies {
    ($([$($G:ident),*] $T:ty;)*) => {$(
        impl <$($G: Serialize + Send + Sync + 'static),*> Reply for $T {
            fn into_result(self) -> MethodResult {
                Ok(Payload::new(self))
            }
        }
    )*};
}
replies! {
    [] (); [] bool; [] char; [] String; [] &'static str; [] serde_json::Value; [] Payload; [] Rest;
    [] i8; [] i16; [] i32; [] i64; [] i128; [] isize; [] u8; [] u16; [] u32; [] u64; [] u128; [] usize; [] f32; [] f64;
    [T] Vec<T>; [T] Option<T>; [T] Box<T>; [K, V] HashMap<K, V>; [K, V] BTreeMap<K, V>;
    [T, U] (T, U); [T, U, V] (T, U, V);
}

fn read<P: Parameters>(method: &str, args: Payload) -> Result<P, Fault> {
    P::from_args(args).map_err(|error| Fault::bad_arguments(method, &error))
}

/// Starts a handler and converts its result or panic into the call's outcome. `running` is dropped when the handler
/// completes.
fn run<Fut>(
    (client, method): (PluginClient, Name),
    start: impl FnOnce() -> Fut,
    running: Option<DropGuard>,
) -> BoxFuture<MethodResult>
where
    Fut: Future<Output: Reply> + Send + 'static,
{
    match catch_unwind(AssertUnwindSafe(start)) {
        // A chain of calls polls each of these inside the one before, so `work` is not moved into further futures: without
        // optimization, each would take its size on the stack once more.
        Ok(work) => Box::pin(async move {
            let outcome = {
                let mut work = pin!(work);
                poll_fn(|cx| {
                    // Converted inside the guard, because an error's `Display` may panic as well.
                    let polled = AssertUnwindSafe(|| work.as_mut().poll(cx).map(Reply::into_result));
                    catch_unwind(polled).map_or_else(|panic| Poll::Ready(Err(panic)), |outcome| outcome.map(Ok))
                })
                .await
            };
            drop(running);
            outcome.unwrap_or_else(|panic| Err(panicked(&client, &method, &*panic)))
        }),
        Err(panic) => Box::pin(ready(Err(panicked(&client, &method, &*panic)))),
    }
}

/// A panic becomes the call's error; the panic hook has already run.
fn panicked(client: &PluginClient, method: &str, panic: &(dyn Any + Send)) -> Fault {
    let what = panic_text(panic);
    client.warn(|plugin, left_out| {
        let (method, panic) = (Excerpt::new(method), Excerpt::new(what));
        tracing::error!(plugin = ?Excerpt::new(plugin), ?method, left_out, %panic, "a method panicked");
    });
    Fault::new(format_args!("{method} panicked: {what}"))
}

/// Runs a callback. Argument mismatches and panics are traced and do not affect the caller.
pub(crate) fn run_callback(
    callback: &Callback,
    traces: &TraceLimit,
    listener: &str,
    emitter: &str,
    event: &str,
    args: &Payload,
) {
    let outcome = catch_unwind(AssertUnwindSafe(|| callback(args)));
    if let Ok(Ok(())) = outcome {
        return;
    }
    let Some(left_out) = traces.pass() else { return };
    let (listener, emitter, event) = (Excerpt::new(listener), Excerpt::new(emitter), Excerpt::new(event));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = Excerpt::new(error);
            tracing::warn!(?listener, ?emitter, ?event, left_out, %error, "the arguments of an event do not fit the listener");
        }
        Err(panic) => {
            let panic = Excerpt::new(panic_text(&*panic));
            tracing::error!(?listener, ?emitter, ?event, left_out, %panic, "a listener panicked");
        }
    }
}

pub(crate) fn handler<M>(method: impl Method<M>) -> Handler {
    Arc::new(move |context, args| method.invoke(context, args))
}

pub(crate) fn callback<M>(listener: impl Listener<M>) -> Callback {
    Arc::new(move |args| listener.deliver(args))
}
