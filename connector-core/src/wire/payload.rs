//! Arguments, results and event data, opaque until somebody reads them.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::{Name, PayloadError, is_false_in_javascript, json, shown};

/// A JSON value that nobody has read yet.
///
/// It is either the very text that came off a wire, or a value that was handed over inside the process and has not been
/// serialized. [`Payload::read`] turns both into a type: the text by parsing it once, the value by moving it out when it
/// already is of that type. Cloning shares; a value that several hold is serialized once for all of them.
#[derive(Clone)]
pub struct Payload(Repr);

#[derive(Clone)]
enum Repr {
    /// One JSON value: a slice of the frame it came in.
    Slice(ByteString),
    /// One JSON value, on its own.
    Text(Arc<str>),
    Value(Arc<dyn Erased>),
}

/// A value whose type is forgotten until a reader names it again.
trait Erased: Send + Sync {
    fn serialize_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    fn cached(&self) -> &OnceLock<Result<ByteString, PayloadError>>;
    fn holds(&self) -> TypeId;
    /// Moves the value into an `Option` of its type, if this is its only holder.
    fn take_into(self: Arc<Self>, slot: &mut dyn Any);
}

struct Typed<T> {
    value: T,
    json: OnceLock<Result<ByteString, PayloadError>>,
}

impl<T: Serialize + Send + Sync + 'static> Erased for Typed<T> {
    fn serialize_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        json::write(out, &self.value)
    }

    fn cached(&self) -> &OnceLock<Result<ByteString, PayloadError>> {
        &self.json
    }

    fn holds(&self) -> TypeId {
        TypeId::of::<T>()
    }

    fn take_into(self: Arc<Self>, slot: &mut dyn Any) {
        if let Some(slot) = slot.downcast_mut::<Option<T>>() {
            *slot = Arc::into_inner(self).map(|typed| typed.value);
        }
    }
}

impl Payload {
    /// Holds `value` as it is; it is serialized when, and only when, it has to cross a wire.
    ///
    /// A `Payload` given as the value stays the payload it is.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Payload {
        let mut value = Some(value);
        if let Some(payload) = (&mut value as &mut dyn Any).downcast_mut::<Option<Payload>>().and_then(Option::take) {
            return payload;
        }
        match value {
            Some(value) => Payload(Repr::Value(Arc::new(Typed { value, json: OnceLock::new() }))),
            None => Payload::null(),
        }
    }

    /// Takes JSON text as it is.
    ///
    /// # Errors
    /// The text is not UTF-8 or not exactly one JSON value. Nesting has no limit here, and escapes such as a lone
    /// surrogate pass: both are judged where the text is parsed.
    pub fn from_json(text: impl Into<Bytes>) -> Result<Payload, PayloadError> {
        let text = ByteString::try_from(text.into()).map_err(|_| PayloadError::NotJson("not UTF-8".to_owned()))?;
        let _: &RawValue = serde_json::from_str(&text).map_err(PayloadError::not_json)?;
        Ok(Payload(Repr::Slice(text)))
    }

    /// `text` must be one JSON value: part of what was parsed before, or a constant.
    pub(crate) fn from_valid_json(text: impl Into<Arc<str>>) -> Payload {
        Payload(Repr::Text(text.into()))
    }

    /// `text` must be one JSON value: part of a frame that was parsed, and is kept with it.
    pub(crate) fn from_part(text: ByteString) -> Payload {
        Payload(Repr::Slice(text))
    }

    /// JSON's `null`.
    pub fn null() -> Payload {
        Payload(Repr::Slice(ByteString::from_static("null")))
    }

    /// No arguments: `[]`.
    pub fn no_args() -> Payload {
        Payload(Repr::Slice(ByteString::from_static("[]")))
    }

    /// The payload as a `T`: moved out if it was handed over as one and nobody else holds it, parsed otherwise. Where `T`
    /// has an integer, any whole number in its range will do, however it is written: `3.0`, `1e3`.
    ///
    /// # Errors
    /// The JSON does not fit `T`, nests deeper than 128 levels where `T` recurses, or holds an escape that is no
    /// character; or the value handed over cannot be serialized.
    pub fn read<T: DeserializeOwned + 'static>(self) -> Result<T, PayloadError> {
        let mut this = Some(self);
        if let Some(same) = (&mut this as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take) {
            return Ok(same); // T is Payload itself
        }
        let Some(this) = this else { return serde_json::from_str("null").map_err(PayloadError::unexpected) };
        match this.take_as::<T>() {
            Ok(value) => Ok(value),
            Err(other) => json::read(other.text()?).map_err(PayloadError::unexpected),
        }
    }

    /// Moves a `T` out, if that is what was handed over and this is its only holder; else gives the payload back.
    pub(crate) fn take_as<T: 'static>(self) -> Result<T, Payload> {
        match self.0 {
            Repr::Value(value) if value.holds() == TypeId::of::<T>() && Arc::strong_count(&value) == 1 => {
                let mut slot: Option<T> = None;
                value.take_into(&mut slot);
                // `holds` named the type, and a sole holder that is owned here cannot be cloned meanwhile.
                Ok(slot.expect("the only holder of a T"))
            }
            repr => Err(Payload(repr)),
        }
    }

    /// The payload as JSON text; a value is serialized once, however often this is called.
    ///
    /// # Errors
    /// The value cannot be serialized, for example a map whose keys are no strings.
    pub fn to_json(&self) -> Result<Bytes, PayloadError> {
        match &self.0 {
            Repr::Slice(text) => Ok(text.as_bytes().clone()),
            Repr::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Repr::Value(value) => written(&**value).map(|text| text.as_bytes().clone()),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, PayloadError> {
        match &self.0 {
            Repr::Slice(text) => Ok(text),
            Repr::Text(text) => Ok(text),
            Repr::Value(value) => written(&**value).map(|text| &**text),
        }
    }

    /// Appends the JSON text. A value that others hold too is serialized into a copy that they will share.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        match &self.0 {
            Repr::Value(value) if Arc::strong_count(value) == 1 && value.cached().get().is_none() => {
                value.serialize_into(out).map_err(PayloadError::not_serializable)
            }
            _ => {
                out.extend_from_slice(self.text()?.as_bytes());
                Ok(())
            }
        }
    }

    /// A string as a name, its escapes left as they are if it is no string of Unicode; `None` for anything else.
    pub(crate) fn read_name(self) -> Option<Name> {
        let text = self.text().ok()?;
        match serde_json::from_str::<String>(text) {
            Ok(name) => Some(name.into()),
            Err(_) => text.starts_with('"').then(|| shown(text).into()),
        }
    }

    /// A list of names. Those that are no strings of Unicode are left out: nobody can call them.
    ///
    /// # Errors
    /// It is no array of strings.
    pub(crate) fn read_names(self) -> Result<Vec<String>, PayloadError> {
        let names = match self.take_as::<Vec<String>>() {
            Ok(names) => return Ok(names),
            Err(this) => this.read::<Vec<Payload>>()?,
        };
        let half = |name: &Payload| name.text().is_ok_and(|text| text.starts_with('"'));
        let names = names.into_iter().filter_map(|name| match name.clone().read() {
            Err(_) if half(&name) => None,
            read => Some(read),
        });
        names.collect()
    }

    /// Whether it is JSON text that JavaScript takes for false.
    pub(crate) fn is_false(&self) -> bool {
        !matches!(self.0, Repr::Value(_)) && self.text().is_ok_and(is_false_in_javascript)
    }

    /// Whether it is an array, as far as is known without serializing it.
    pub(crate) fn may_be_array(&self) -> bool {
        match &self.0 {
            Repr::Slice(text) => text.starts_with('['),
            Repr::Text(text) => text.starts_with('['),
            Repr::Value(_) => true,
        }
    }

    /// Whether it is JSON text that says `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.0 {
            Repr::Slice(text) => text == "null",
            Repr::Text(text) => &**text == "null",
            Repr::Value(_) => false,
        }
    }

    /// The bytes held, as far as they are known: what bounds on memory count.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Repr::Slice(text) => text.len(),
            Repr::Text(text) => text.len(),
            Repr::Value(_) => 0,
        }
    }
}

/// The value's text, which is made once.
fn written(value: &dyn Erased) -> Result<&ByteString, PayloadError> {
    let serialize = || {
        let mut out = Vec::with_capacity(128);
        value.serialize_into(&mut out).map_err(PayloadError::not_serializable)?;
        ByteString::try_from(out).map_err(|error| PayloadError::NotSerializable(error.to_string()))
    };
    value.cached().get_or_init(serialize).as_ref().map_err(PayloadError::clone)
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) if text.len() > 200 => {
                write!(f, "{}… ({} bytes)", String::from_utf8_lossy(&text.as_bytes()[..200]), text.len())
            }
            Ok(text) => f.write_str(text),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

/// Inside another value a payload is written as the JSON it stands for.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text().map_err(S::Error::custom)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Any JSON value fits, unread. Works with `serde_json` alone.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Payload(Repr::Text(Box::<str>::from(raw).into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_moved_to_a_reader_of_its_type() {
        let text = "x".repeat(1 << 16);
        let place = text.as_ptr();
        let back: (String,) = Payload::new((text,)).read().unwrap();
        assert_eq!(back.0.as_ptr(), place, "moved, not copied");
    }

    #[test]
    fn a_value_that_others_hold_is_copied_for_a_reader() {
        let payload = Payload::new((1, "two".to_owned()));
        let kept = payload.clone();
        assert_eq!(payload.read::<(i64, String)>().unwrap(), (1, "two".to_owned()));
        assert_eq!(kept.read::<serde_json::Value>().unwrap(), serde_json::json!([1, "two"]));
    }

    #[test]
    fn shared_values_are_serialized_once() {
        let payload = Payload::new(vec![1, 2, 3]);
        let other = payload.clone();
        assert_eq!(payload.to_json().unwrap().as_ptr(), other.to_json().unwrap().as_ptr());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "what two threads do at once")]
    fn a_value_shared_by_two_threads_is_serialized_once() {
        use std::sync::{Mutex, mpsc};
        use std::time::Duration;

        /// The first to serialize it says so, and watches whether a second begins.
        struct Watched {
            begins: mpsc::SyncSender<()>,
            first: Mutex<Option<mpsc::Receiver<()>>>,
            tell: mpsc::SyncSender<()>,
        }
        impl Serialize for Watched {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.first.lock().unwrap().take() {
                    Some(begins) => {
                        self.tell.send(()).unwrap();
                        assert!(begins.recv_timeout(Duration::from_millis(100)).is_err(), "serialized twice");
                    }
                    None => self.begins.send(()).unwrap(),
                }
                serializer.serialize_unit()
            }
        }

        let ((begins, others), (tell, begun)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        let payload = Payload::new(Watched { begins, first: Mutex::new(Some(others)), tell });
        let other = payload.clone();
        let first = std::thread::spawn(move || other.to_json().unwrap());
        begun.recv().unwrap();
        assert_eq!(payload.to_json().unwrap(), first.join().unwrap());
    }

    #[test]
    fn odd_text_passes_unread_and_fails_where_it_is_parsed() {
        for odd in [r#""\ud800""#.to_owned(), format!("{}{}", "[".repeat(1000), "]".repeat(1000))] {
            let payload = Payload::from_json(odd.clone()).unwrap();
            assert_eq!(&payload.to_json().unwrap()[..], odd.as_bytes());
            payload.read::<serde_json::Value>().unwrap_err();
        }
        Payload::from_json("1 2").unwrap_err();
        Payload::from_json("").unwrap_err();
        Payload::from_json(&b"\"\xff\""[..]).unwrap_err();
    }
}
