//! Plain functions as methods and listeners.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use serde::Serialize;
use tokio_util::sync::DropGuard;

use super::args::{Parameters, Rest};
use super::context::Context;
use super::signature::{Function, Signature};
use crate::client::PluginClient;
use crate::error::Fault;
use crate::guard::panic_text;
use crate::runtime::BoxFuture;
use crate::wire::{Name, Payload, PayloadError};

pub(crate) type Outcome = Result<Payload, Fault>;

/// A method, its parameter types forgotten.
pub(crate) type Handler = Arc<dyn Fn(Context, Payload) -> BoxFuture<Outcome> + Send + Sync>;

/// An event's callback, its parameter types forgotten.
pub(crate) type Callback = Arc<dyn Fn(&Payload) -> Result<(), PayloadError> + Send + Sync>;

/// A plain async function over typed arguments, maybe with the call's [`Context`] before them:
/// `async fn add(a: f64, b: f64) -> f64`, `|ctx: Context, text: String| async move { … }`.
///
/// It returns a [`Reply`]. Up to eight parameters beside the `Context`; the last may be a [`Rest`].
///
/// Parameters own what they hold: `|name: String|`, not `|name: &str|`, for which compilers only say
/// `lifetime may not live long enough`, or that `Deserialize` is `not general enough`. The method's future is `Send`,
/// so what it holds while it waits is, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method",
    label = "not a method",
    note = "a method is an async function, or a closure that gives a future, of up to 8 parameters beside a `Context`"
)]
pub trait Method<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn invoke(&self, context: Context, args: Payload) -> BoxFuture<Outcome>;
}

// The one implementation, its requirements one by one, so that compilers name the one that is missed.
impl<Func, Params> Method<Params> for Func
where
    Func: Function<Params> + Send + Sync + 'static,
    Params: Signature,
    Func::Output: Future + Send + 'static,
    <Func::Output as Future>::Output: Reply,
{
    fn invoke(&self, context: Context, args: Payload) -> BoxFuture<Outcome> {
        match read::<Params::Args>(context.method(), args) {
            Ok(args) => {
                let (kept, of, running) = Params::keep(context);
                run(of, || self.call(Params::gather(kept, args)), running)
            }
            Err(fault) => Box::pin(ready(Err(fault))),
        }
    }
}

/// A plain function over an event's typed arguments: see [`PluginClient::on`](crate::PluginClient::on). It runs where
/// the event arrives, so it must be quick and must not block; for work that takes time, use
/// [`PluginClient::events`](crate::PluginClient::events). An event whose arguments do not fit, and a panic, are traced.
///
/// Up to eight parameters, which own what they hold; the last may be a [`Rest`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a listener",
    label = "not a listener",
    note = "a listener is a function or a closure of up to 8 parameters, not async"
)]
pub trait Listener<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn hear(&self, args: &Payload) -> Result<(), PayloadError>;
}

impl<Func, Params> Listener<Params> for Func
where
    Func: Function<Params> + Send + Sync + 'static,
    Params: Parameters,
    Func::Output: Nothing,
{
    fn hear(&self, args: &Payload) -> Result<(), PayloadError> {
        self.call(Params::parse(args)?);
        Ok(())
    }
}

/// What a listener returns.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a listener returns nothing, but this one returns `{Self}`",
    label = "this listener returns something",
    note = "a listener is not async: for work that waits, read the stream that `PluginClient::events` gives",
    note = "of a result that does not matter, `;` makes nothing"
)]
pub trait Nothing {}

impl Nothing for () {}

/// One that only panics has the type `!`, which has no name of its own on stable compilers.
#[diagnostic::do_not_recommend]
impl Nothing for <fn() -> ! as Returns>::Output {}

trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// What a method returns.
///
/// Numbers, strings, `()`, options, vectors, maps, [`serde_json::Value`], [`Payload`]; any other type that serializes
/// as [`Json`]`(value)`; and `Result<T, E>` with any `T` that serializes.
///
/// # Errors of a method
/// - `Result<T, E>` with any `E: Display`: the caller gets the text of `{error:#}`, which for errors of anyhow and eyre
///   includes their causes. For your own type it is what its `Display` says, so name a source there that people should
///   see.
/// - `Result<T, Json<E>>` with any `E: Serialize`: the caller gets the value, and reads it back with
///   [`CallError::plugin_error`](crate::CallError::plugin_error), wherever the two plugins are. `?` turns an `E` into a
///   `Json<E>`.
/// - A [`Fault`] or a [`serde_json::Value`] is passed on as it is. So is the value that another plugin threw, if a
///   method returns the [`CallError`](crate::CallError) of a call that it has made; if that plugin threw a text, the
///   text is passed on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a method",
    label = "this method returns something that is not a `Reply`",
    note = "numbers, strings, collections and `serde_json::Value` are replies; return another type that is `Serialize` as \
            `Json(value)`",
    note = "what may fail returns `Result<T, E>` with `T: Serialize` and `E: Display`, or `Result<T, Json<E>>` with \
            `E: Serialize`"
)]
pub trait Reply: Send + 'static {
    #[doc(hidden)]
    fn into_outcome(self) -> Outcome;
}

/// A reply of any type that serializes; as a method's error, one that its caller can read back as that type: see
/// [`Reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// So that `?` makes one of an error.
impl<T> From<T> for Json<T> {
    fn from(value: T) -> Json<T> {
        Json(value)
    }
}

impl<T: Serialize + Send + Sync + 'static> Reply for Json<T> {
    fn into_outcome(self) -> Outcome {
        Ok(Payload::new(self.0))
    }
}

impl<T: Serialize + Send + Sync + 'static, E: Display + Send + 'static> Reply for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        self.map(Payload::new).map_err(Fault::of)
    }
}

impl<T: Serialize + Send + Sync + 'static, E: Serialize + Send + Sync + 'static> Reply for Result<T, Json<E>> {
    fn into_outcome(self) -> Outcome {
        self.map(Payload::new).map_err(|Json(error)| Fault::typed(error))
    }
}

macro_rules! replies {
    ($([$($G:ident),*] $T:ty;)*) => {$(
        impl <$($G: Serialize + Send + Sync + 'static),*> Reply for $T {
            fn into_outcome(self) -> Outcome {
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

/// Starts a handler; whatever it returns or throws becomes the call's outcome. `running` lives as long as it runs.
fn run<Fut>(
    (client, method): (PluginClient, Name),
    start: impl FnOnce() -> Fut,
    running: Option<DropGuard>,
) -> BoxFuture<Outcome>
where
    Fut: Future<Output: Reply> + Send + 'static,
{
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(work) => Box::pin(async move {
            // The reply is made within, since an error's `Display` may panic too.
            let outcome = AssertUnwindSafe(async { work.await.into_outcome() }).catch_unwind().await;
            drop(running);
            outcome.unwrap_or_else(|panic| Err(panicked(&client, &method, &*panic)))
        }),
        Err(panic) => Box::pin(ready(Err(panicked(&client, &method, &*panic)))),
    }
}

/// A panic is that call's error; the panic hook has had its say by then.
fn panicked(client: &PluginClient, method: &str, panic: &(dyn Any + Send)) -> Fault {
    let what = panic_text(panic);
    tracing::error!(plugin = %client.name(), method, panic = what, "a method panicked");
    Fault::new(format_args!("{method} panicked: {what}"))
}

/// Runs a callback; what it cannot read or a panic is traced and harms nobody else.
pub(crate) fn run_callback(callback: &Callback, listener: &str, emitter: &str, event: &str, args: &Payload) {
    match catch_unwind(AssertUnwindSafe(|| callback(args))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(listener, emitter, event, %error, "the listener cannot take this event"),
        Err(panic) => tracing::error!(listener, emitter, event, panic = panic_text(&*panic), "a listener panicked"),
    }
}

pub(crate) fn handler<M>(method: impl Method<M>) -> Handler {
    Arc::new(move |context, args| method.invoke(context, args))
}

pub(crate) fn callback<M>(listener: impl Listener<M>) -> Callback {
    Arc::new(move |args| listener.hear(args))
}
