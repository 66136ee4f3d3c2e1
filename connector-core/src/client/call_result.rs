//! What a call's result can be read as.

use serde::de::DeserializeOwned;

/// A type that a call's result can be read as: any owned, deserializable type.
#[diagnostic::on_unimplemented(
    message = "a call's result cannot be read as `{Self}`",
    label = "the result's type is `{Self}`, which is not `serde::de::DeserializeOwned`",
    note = "name the type that the method returns, as in `client.call::<i64>(…)`; it is `()` if the method returns nothing"
)]
pub trait CallResult: DeserializeOwned + 'static {}

// Makes compiler errors mention `CallResult` instead of its supertraits.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> CallResult for T {}
