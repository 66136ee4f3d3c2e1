//! Function parameters as tuples.

use tokio_util::sync::DropGuard;

use super::args::{Parameter, Parameters};
use super::context::Context;
use crate::client::PluginClient;
use crate::wire::Name;

/// A function with parameters `Params`, unconstrained: the requirements on them are checked separately, so that
/// compilers can report which one is violated.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of up to 8 parameters",
    label = "not a function, or one of too many parameters",
    note = "methods and listeners take up to 8 parameters, methods a `Context` before them: pass more in a struct, or take a \
            `Rest` last",
    note = "the types of a closure's parameters have to be named: `|text: String, count: u32| …`"
)]
pub trait Function<Params> {
    type Output;

    fn call(&self, params: Params) -> Self::Output;
}

/// The parameters of a method.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be the parameters of a method")]
pub trait Signature: Sized {
    /// Parameters read from the call's arguments.
    type Args: Parameters;
    type Kept;

    /// Splits the call's context: the part passed to the method, the plugin's handle with the method's name, and a
    /// guard that lives as long as the method runs.
    fn split(context: Context) -> (Self::Kept, (PluginClient, Name), Option<DropGuard>);
    fn gather(kept: Self::Kept, args: Self::Args) -> Self;
}

impl Signature for () {
    type Args = ();
    type Kept = ();

    fn split(context: Context) -> ((), (PluginClient, Name), Option<DropGuard>) {
        ((), context.into_client_and_method(), None)
    }

    fn gather((): (), (): ()) {}
}

/// The first parameter of a method, before `Others`: a [`Context`] or an argument.
#[diagnostic::on_unimplemented(
    message = "a method takes up to 8 parameters, and a `Context` before them",
    label = "this method takes more",
    note = "pass more in a struct, or take a `Rest` last"
)]
pub trait First<Others>: Sized {
    type Args: Parameters;
    type Kept;

    fn split(context: Context) -> (Self::Kept, (PluginClient, Name), Option<DropGuard>);
    fn gather(kept: Self::Kept, args: Self::Args) -> (Self, Others);
}

macro_rules! signatures {
    ($($all:ident)*) => { signatures!(@ [] $($all)*); };
    (@ [$($done:ident)*]) => { signatures!(@function $($done)*); signatures!(@context $($done)*); };
    (@ [$($done:ident)*] $next:ident $($rest:ident)*) => {
        signatures!(@function $($done)*);
        signatures!(@context $($done)*);
        signatures!(@plain $($done)*);
        signatures!(@ [$($done)* $next] $($rest)*);
    };
    // Functions with a first parameter and these others.
    (@function $($T:ident)*) => {
        #[allow(non_snake_case)]
        impl<Func, Output, First, $($T),*> Function<(First, $($T,)*)> for Func
        where
            Func: Fn(First, $($T),*) -> Output,
        {
            type Output = Output;

            fn call(&self, (first, $($T,)*): (First, $($T,)*)) -> Output {
                self(first, $($T),*)
            }
        }

        #[allow(non_snake_case)]
        impl<A: First<($($T,)*)>, $($T),*> Signature for (A, $($T,)*) {
            type Args = A::Args;
            type Kept = A::Kept;

            fn split(context: Context) -> (A::Kept, (PluginClient, Name), Option<DropGuard>) {
                A::split(context)
            }

            fn gather(kept: A::Kept, args: A::Args) -> Self {
                let (first, ($($T,)*)) = A::gather(kept, args);
                (first, $($T,)*)
            }
        }
    };
    (@context $($T:ident)*) => {
        #[allow(clippy::unused_unit, reason = "expands to `()` without parameters")]
        impl<$($T: Parameter),*> First<($($T,)*)> for Context {
            type Args = ($($T,)*);
            type Kept = Context;

            fn split(mut context: Context) -> (Context, (PluginClient, Name), Option<DropGuard>) {
                let running = context.running();
                let owner = (context.client().clone(), context.method_name());
                (context, owner, Some(running))
            }

            fn gather(context: Context, args: ($($T,)*)) -> (Context, ($($T,)*)) {
                (context, args)
            }
        }
    };
    (@plain $($T:ident)*) => {
        #[allow(non_snake_case)]
        impl<A: Parameter, $($T: Parameter),*> First<($($T,)*)> for A {
            type Args = (A, $($T,)*);
            type Kept = ();

            fn split(context: Context) -> ((), (PluginClient, Name), Option<DropGuard>) {
                ((), context.into_client_and_method(), None)
            }

            fn gather((): (), (first, $($T,)*): (A, $($T,)*)) -> (A, ($($T,)*)) {
                (first, ($($T,)*))
            }
        }
    };
}
signatures!(B C D E F G H I);

impl<Func: Fn() -> Output, Output> Function<()> for Func {
    type Output = Output;

    fn call(&self, (): ()) -> Output {
        self()
    }
}
