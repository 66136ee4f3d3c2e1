//! Arguments: tuples at the caller, typed parameters in the handler.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::excerpt::cut;
use crate::wire::json::{deserialize_arguments, read_again, without_position};
use crate::wire::{Payload, PayloadError};

/// The arguments of a call or an event: a tuple with one value per argument.
///
/// `()` is no arguments, `(x,)` one, `(1, "two")` two. [`Rest`] forwards unparsed arguments, and a [`Payload`] that is
/// an array is passed unchanged. Values must be owned (`Send + Sync + 'static`), since they may be moved to a plugin in
/// another thread without being serialized.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of arguments",
    label = "arguments are a tuple: `()`, `(x,)`, `(1, \"two\")` …",
    note = "each value is `Serialize + Send + Sync + 'static`: give `text.to_owned()` rather than a borrowed `text`",
    note = "up to 8 of them; pass more in a struct, or unparsed as a `Rest`"
)]
pub trait IntoArgs: Send {
    /// The arguments as an array.
    fn into_args(self) -> Payload;
}

impl IntoArgs for () {
    fn into_args(self) -> Payload {
        Payload::no_args()
    }
}

impl IntoArgs for Payload {
    fn into_args(self) -> Payload {
        self
    }
}

impl IntoArgs for Rest {
    fn into_args(self) -> Payload {
        Payload::new(self)
    }
}

/// All remaining arguments, unparsed: the last parameter of a variadic method, like `...rest` in JavaScript.
#[derive(Debug, Clone, Default)]
pub struct Rest(pub Vec<Payload>);

impl Serialize for Rest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for payload in &self.0 {
            seq.serialize_element(payload)?;
        }
        seq.end()
    }
}

/// A parameter of a handler: any owned, deserializable type, or [`Rest`] in the last position.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter here",
    label = "its parameter of type `{Self}` cannot be read from a call's or an event's arguments",
    note = "parameters are `serde::de::DeserializeOwned`: `#[derive(serde::Deserialize)]` makes one of a type of your own",
    note = "a method's `Context` comes before all others, a `Rest` after them"
)]
pub trait Parameter: Sized + 'static {
    #[doc(hidden)]
    fn next<'de, S: SeqAccess<'de>>(seq: &mut S, place: usize) -> Result<Self, S::Error>;
}

// Makes compiler errors mention `Parameter` instead of its supertraits.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> Parameter for T {
    fn next<'de, S: SeqAccess<'de>>(seq: &mut S, place: usize) -> Result<T, S::Error> {
        let at_place = |error: String| S::Error::custom(format_args!("argument {place}: {error}"));
        match seq.next_element::<T>() {
            Ok(Some(value)) => Ok(value),
            // As in JavaScript, a missing argument is `null`, if the type accepts that.
            Ok(None) => serde_json::from_str("null").map_err(|error| {
                let error = without_position(&error);
                let expected = error.strip_prefix("invalid type: null, ").unwrap_or(&error);
                S::Error::custom(format_args!("missing argument {place}: {expected}"))
            }),
            Err(error) => Err(at_place(without_position(&error))),
        }
    }
}

impl Parameter for Rest {
    fn next<'de, S: SeqAccess<'de>>(seq: &mut S, _: usize) -> Result<Rest, S::Error> {
        let mut rest = Vec::new();
        while let Some(payload) = seq.next_element()? {
            rest.push(payload);
        }
        Ok(Rest(rest))
    }
}

/// The parameters of a handler, or the item type of an [`EventStream`](crate::EventStream): a tuple with a type for
/// each argument, or [`Rest`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of parameters",
    label = "parameters are a tuple of up to 8 types: `()`, `(String,)`, `(i64, String)` …, or a `Rest`"
)]
pub trait Parameters: Sized + 'static {
    #[doc(hidden)]
    fn from_seq<'de, S: SeqAccess<'de>>(seq: S) -> Result<Self, S::Error>;

    /// Reads the arguments: moves them if they were passed as this very tuple, and parses them once otherwise. Extra
    /// arguments are ignored. A missing one is `null`, which an `Option` reads as `None` and most types reject. An
    /// integer accepts any notation of a whole number in range, such as `3.0` and `1e3`.
    ///
    /// # Errors
    /// Contains the argument's position, counted from 1, what was expected, and whether the argument is missing.
    fn from_args(args: Payload) -> Result<Self, PayloadError> {
        match args.take_as::<Self>() {
            Ok(parameters) => Ok(parameters),
            Err(args) => Self::parse(&args),
        }
    }

    /// Like [`from_args`](Parameters::from_args), for shared arguments.
    ///
    /// # Errors
    /// Like [`from_args`](Parameters::from_args).
    fn parse(args: &Payload) -> Result<Self, PayloadError> {
        let text = args.text()?;
        let seed = Args(PhantomData);
        deserialize_arguments(text, seed)
            .or_else(|plain| read_again(text, plain, seed))
            .map_err(|error| PayloadError::Unexpected(cut(without_position(&error)).into_owned()))
    }
}

/// All arguments, unparsed.
impl Parameters for Rest {
    fn from_seq<'de, S: SeqAccess<'de>>(mut seq: S) -> Result<Rest, S::Error> {
        Rest::next(&mut seq, 1)
    }
}

struct Args<P>(PhantomData<P>);

impl<P> Clone for Args<P> {
    fn clone(&self) -> Args<P> {
        *self
    }
}

impl<P> Copy for Args<P> {}

impl<'de, P: Parameters> DeserializeSeed<'de> for Args<P> {
    type Value = P;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, P: Parameters> Visitor<'de> for Args<P> {
    type Value = P;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<P, S::Error> {
        let parameters = P::from_seq(&mut seq)?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(parameters)
    }
}

macro_rules! tuples {
    ($($all:ident)*) => { tuples!(@ [] $($all)*); };
    (@ [$($done:ident)*]) => { tuples!(# $($done)*); };
    (@ [$($done:ident)*] $next:ident $($rest:ident)*) => {
        tuples!(# $($done)*);
        tuples!(@ [$($done)* $next] $($rest)*);
    };
    (# $($T:ident)*) => {
        #[allow(non_snake_case, unused_mut, unused_variables, unused_assignments)]
        impl<$($T: Parameter),*> Parameters for ($($T,)*) {
            fn from_seq<'de, Seq: SeqAccess<'de>>(mut seq: Seq) -> Result<Self, Seq::Error> {
                let mut place = 0;
                $(place += 1; let $T = $T::next(&mut seq, place)?;)*
                Ok(($($T,)*))
            }
        }
        tuples!(! $($T)*);
    };
    (!) => {};
    (! $($T:ident)+) => {
        impl<$($T: Serialize + Send + Sync + 'static),+> IntoArgs for ($($T,)+) {
            fn into_args(self) -> Payload {
                Payload::new(self)
            }
        }
    };
}
tuples!(A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::*;

    fn read<P: Parameters>(json: &str) -> Result<P, String> {
        P::from_args(Payload::from_json(json.to_owned()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn extra_arguments_are_ignored_and_missing_ones_are_null() {
        assert_eq!(read::<(i64,)>(r#"[1, "more", {"a": 2}]"#).unwrap(), (1,));
        assert_eq!(read::<(i64, Option<String>)>("[1]").unwrap(), (1, None));
        assert_eq!(read::<(serde_json::Value, ())>("[]").unwrap(), (serde_json::Value::Null, ()));
        assert_eq!(read::<()>("[1]").unwrap(), ());
    }

    #[test]
    fn errors_name_the_position_and_the_expected_type() {
        assert_eq!(
            read::<(i64, i64)>(r#"[1, "x"]"#).unwrap_err(),
            r#"argument 2: invalid type: string "x", expected i64"#
        );
        assert_eq!(read::<(i64, i64)>("[1]").unwrap_err(), "missing argument 2: expected i64");
        assert_eq!(read::<(i64, i64)>("[1, null]").unwrap_err(), "argument 2: invalid type: null, expected i64");
        assert_eq!(read::<(i64, String)>("[1.0]").unwrap_err(), "missing argument 2: expected a string");
        assert_eq!(read::<(i64,)>(r#"{"a":1}"#).unwrap_err(), "invalid type: map, expected an array of arguments");
        assert!(read::<(String,)>(r#"["\ud800"]"#).unwrap_err().starts_with("argument 1: "));
    }

    #[test]
    fn whole_numbers_in_any_notation_are_integers() {
        assert_eq!(read::<(i64, Option<u8>)>("[3.0, 1e2]").unwrap(), (3, Some(100)));
        assert_eq!(
            read::<(i64, i64)>("[3.0, 3.5]").unwrap_err(),
            "argument 2: invalid type: floating point `3.5`, expected i64"
        );
        assert_eq!(
            read::<(i64, u8)>("[3.0, 256.0]").unwrap_err(),
            "argument 2: invalid value: integer `256`, expected u8"
        );
        // A value of another type is converted through JSON.
        assert_eq!(<(i64,)>::from_args((3.0,).into_args()).unwrap(), (3,));
        let (first, Rest(rest)) = read::<(u8, Rest)>("[3.0, 4.0]").unwrap();
        assert_eq!((first, &rest[0].to_json().unwrap()[..]), (3, &b"4.0"[..]));
    }

    #[test]
    fn rest_takes_the_remaining_arguments_unparsed() {
        let (first, Rest(rest)) = read::<(String, Rest)>(r#"["a", 1, "\ud800"]"#).unwrap();
        assert_eq!(first, "a");
        let back = Rest(rest).into_args().to_json().unwrap();
        assert_eq!(&back[..], br#"[1,"\ud800"]"#);
    }

    #[test]
    fn a_tuple_of_the_same_type_is_moved() {
        let text = "x".repeat(1000);
        let place = text.as_ptr();
        let (back,) = <(String,)>::from_args((text,).into_args()).unwrap();
        assert_eq!(back.as_ptr(), place);
        // Another type of the same shape is converted through JSON.
        assert_eq!(<(String,)>::from_args(("two",).into_args()).unwrap().0, "two");
    }
}
