//! Arguments, results and event data, unparsed until they are read.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::guard;
use crate::wire::{Exceeds, JsonLimits, Name, PayloadError, display_json, is_falsy_in_javascript, json};

/// A JSON value that has not been parsed yet.
///
/// Holds either the JSON text received from a peer, or a value passed within the process that has not been serialized.
/// [`Payload::read`] converts both into a type: it parses the text once, or moves the value out if it already has that
/// type. Clones share the content; a shared value is serialized once for all clones.
///
/// ```
/// use connector_core::{Payload, PayloadError};
///
/// # fn main() -> Result<(), PayloadError> {
/// let received = Payload::from_json(r#"["a.txt", 5]"#)?;
/// assert_eq!(received.read::<(String, u64)>()?, ("a.txt".to_owned(), 5));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Payload(Repr);

#[derive(Clone)]
enum Repr {
    /// A constant.
    Static(&'static str),
    // PERF: docs/performance.md, "messages of 240 bytes moved nine times": behind a pointer, because payloads are moved often.
    /// A long JSON value as a slice of the frame it arrived in.
    Slice(Arc<ByteString>),
    /// A JSON value in its own allocation.
    Text(Arc<str>),
    Value(Arc<dyn Erased>),
}

/// A type-erased value.
trait Erased: Send + Sync {
    fn serialize_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    /// The length of the value's JSON, estimated.
    fn estimated_length(&self) -> usize;
    fn cached(&self) -> &OnceLock<Result<ByteString, PayloadError>>;
    fn cached_size(&self) -> &OnceLock<usize>;
    fn holds(&self) -> TypeId;
    /// Moves the value into an `Option` of its type if this is the only reference.
    fn take_into(self: Arc<Self>, slot: &mut dyn Any);
}

struct Typed<T> {
    value: T,
    // PERF: docs/performance.md, "Scaling": listeners behind links, serialized again 0 times.
    json: OnceLock<Result<ByteString, PayloadError>>,
    size: OnceLock<usize>,
}

impl<T: Serialize + Send + Sync + 'static> Erased for Typed<T> {
    fn serialize_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        // The caller, such as a link's task, must survive a panic of the value's `Serialize`.
        let written = guard::contained(|| json::write(out, &self.value));
        written.unwrap_or_else(|panic| Err(serde_json::Error::custom(format_args!("its Serialize panicked: {panic}"))))
    }

    fn estimated_length(&self) -> usize {
        // A panic is reported when it is sent.
        *self.size.get_or_init(|| guard::contained(|| json::estimated_length(&self.value)).unwrap_or(0))
    }

    fn cached(&self) -> &OnceLock<Result<ByteString, PayloadError>> {
        &self.json
    }

    fn cached_size(&self) -> &OnceLock<usize> {
        &self.size
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
    /// Stores `value` unserialized. It is serialized only if it must cross a link.
    ///
    /// A value that is already a `Payload` is returned unchanged.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Payload {
        let mut value = Some(value);
        if let Some(payload) = (&mut value as &mut dyn Any).downcast_mut::<Option<Payload>>().and_then(Option::take) {
            return payload;
        }
        match value {
            Some(value) => {
                Payload(Repr::Value(Arc::new(Typed { value, json: OnceLock::new(), size: OnceLock::new() })))
            }
            None => Payload::null(),
        }
    }

    /// A payload from JSON text.
    ///
    /// # Errors
    /// The text is not UTF-8 or not exactly one JSON value. Nesting is not limited here, and escapes such as a lone
    /// surrogate are accepted; both are checked when the text is parsed.
    pub fn from_json(text: impl Into<Bytes>) -> Result<Payload, PayloadError> {
        let text = ByteString::try_from(text.into()).map_err(|_| PayloadError::NotJson("not UTF-8".to_owned()))?;
        let _: &RawValue = serde_json::from_str(&text).map_err(PayloadError::not_json)?;
        Ok(Payload(Repr::Slice(Arc::new(text))))
    }

    /// `text` must be one valid JSON value: part of a parsed text, or a constant.
    pub(crate) fn from_valid_json(text: impl Into<Arc<str>>) -> Payload {
        Payload(Repr::Text(text.into()))
    }

    /// `text` must be one valid JSON value: part of a parsed frame, which it keeps alive.
    pub(crate) fn from_part(text: ByteString) -> Payload {
        Payload(Repr::Slice(Arc::new(text)))
    }

    /// JSON `null`.
    pub fn null() -> Payload {
        Payload(Repr::Static("null"))
    }

    /// An empty argument list: `[]`.
    pub fn no_args() -> Payload {
        Payload(Repr::Static("[]"))
    }

    /// Reads the payload as a `T`: moves the value out if it is a `T` without other references, and parses the JSON
    /// otherwise. Where `T` contains an integer, any notation of a whole number in range is accepted: `3.0`, `1e3`.
    ///
    /// # Errors
    /// The JSON does not fit `T`, is nested deeper than 128 levels where `T` recurses, or contains an escape that is
    /// not a character; or the stored value cannot be serialized.
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

    /// Moves a `T` out if the payload holds one and this is the only reference; otherwise returns the payload.
    pub(crate) fn take_as<T: 'static>(self) -> Result<T, Payload> {
        match self.0 {
            Repr::Value(value) if value.holds() == TypeId::of::<T>() && Arc::strong_count(&value) == 1 => {
                let mut slot: Option<T> = None;
                value.take_into(&mut slot);
                // `holds` has confirmed the type, and the only reference, owned here, cannot be cloned meanwhile.
                Ok(slot.expect("the only holder of a T"))
            }
            repr => Err(Payload(repr)),
        }
    }

    /// The payload as JSON text. A value is serialized at most once.
    ///
    /// # Errors
    /// The value cannot be serialized, for example a map whose keys are not strings.
    pub fn to_json(&self) -> Result<Bytes, PayloadError> {
        match &self.0 {
            Repr::Static(text) => Ok(Bytes::from_static(text.as_bytes())),
            Repr::Slice(text) => Ok(text.as_bytes().clone()),
            Repr::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Repr::Value(value) => written(&**value).map(|text| text.as_bytes().clone()),
        }
    }

    /// The JSON text if there is one already: of a received payload, or of a value that has been serialized. `None` for a
    /// value that has not been.
    pub fn json_text(&self) -> Option<&str> {
        match &self.0 {
            Repr::Static(text) => Some(text),
            Repr::Slice(text) => Some(text),
            Repr::Text(text) => Some(text),
            Repr::Value(value) => value.cached().get()?.as_deref().ok(),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, PayloadError> {
        match &self.0 {
            Repr::Static(text) => Ok(text),
            Repr::Slice(text) => Ok(text),
            Repr::Text(text) => Ok(text),
            Repr::Value(value) => written(&**value).map(|text| &**text),
        }
    }

    /// Appends the JSON text. A shared value is serialized into a cached copy for all its references.
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

    /// A string as a name. If it is not valid Unicode, its escapes are kept. `None` for any other value.
    pub(crate) fn read_name(self) -> Option<Name> {
        let text = self.text().ok()?;
        match serde_json::from_str::<String>(text) {
            Ok(name) => Some(name.into()),
            Err(_) => text.starts_with('"').then(|| display_json(text).into()),
        }
    }

    /// A list of names. Names that are not valid Unicode are skipped: they cannot be called.
    ///
    /// # Errors
    /// Not an array of strings.
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

    /// Whether this is JSON text that is falsy in JavaScript.
    pub(crate) fn is_false(&self) -> bool {
        !matches!(self.0, Repr::Value(_)) && self.text().is_ok_and(is_falsy_in_javascript)
    }

    /// Whether this is an array; `true` if unknown without serializing.
    pub(crate) fn may_be_array(&self) -> bool {
        match &self.0 {
            Repr::Static(text) => text.starts_with('['),
            Repr::Slice(text) => text.starts_with('['),
            Repr::Text(text) => text.starts_with('['),
            Repr::Value(_) => true,
        }
    }

    /// Whether this is the JSON text `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.0 {
            Repr::Static(text) => *text == "null",
            Repr::Slice(text) => **text == "null",
            Repr::Text(text) => &**text == "null",
            Repr::Value(_) => false,
        }
    }

    /// Checks JSON that a peer has sent. Values of this process are trusted.
    ///
    /// # Errors
    /// It exceeds a limit.
    pub(crate) fn check(&self, limits: &JsonLimits) -> Result<(), Exceeds> {
        match &self.0 {
            Repr::Static(_) => Ok(()),
            Repr::Slice(text) => limits.check(text),
            Repr::Text(text) => limits.check(text),
            Repr::Value(_) => Ok(()),
        }
    }

    /// The number of bytes held, as counted by memory limits; 0 for a value whose size is not known yet.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Repr::Static(text) => text.len(),
            Repr::Slice(text) => text.len(),
            Repr::Text(text) => text.len(),
            Repr::Value(value) => value.cached_size().get().copied().unwrap_or(0),
        }
    }

    /// Like [`weight`](Payload::weight), but a value is visited to estimate the length of its JSON, at most once.
    pub(crate) fn size(&self) -> usize {
        match &self.0 {
            Repr::Value(value) => value.estimated_length(),
            _ => self.weight(),
        }
    }

    /// The number of bytes held: the length of the JSON text, which is estimated for a value that is not serialized. If it
    /// `waits` behind others, such a value is visited once; otherwise it counts 0 until it has been.
    pub fn held_bytes(&self, waits: bool) -> usize {
        if waits { self.size() } else { self.weight() }
    }
}

/// The value's JSON text, serialized on first use.
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

/// Serializes as the JSON that the payload stands for.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text().map_err(S::Error::custom)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Accepts any JSON value, unparsed. Works only with `serde_json`.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // Takes over the text: a second copy of a large one would not be charged to the peer that sent it.
        Ok(Payload::from_part(Box::<str>::from(raw).into()))
    }
}

#[cfg(test)]
mod tests;
