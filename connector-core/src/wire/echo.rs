//! Members that a response echoes: the id, name and key of a request, unchanged even if they have an unusual type.

use super::DecodeError;
use super::id::{Id, integer};
use super::json::Reader;
use super::message::Name;

/// The JSON of the envelope members that do not have their usual type.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct RawMembers<T> {
    /// An id that is not an integer.
    pub(crate) id: Option<T>,
    /// A name, a key and a path that are not Unicode strings.
    pub(crate) name: Option<T>,
    pub(crate) key: Option<T>,
    pub(crate) path: Option<T>,
}

impl<T> RawMembers<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_none() && self.name.is_none() && self.key.is_none() && self.path.is_none()
    }
}

/// Writes what the peer has sent.
#[cold]
pub(super) fn echo(out: &mut Vec<u8>, raw: &RawMembers<Box<str>>) {
    for (name, json) in [("id", &raw.id), ("name", &raw.name), ("key", &raw.key)] {
        if let Some(json) = json {
            out.extend_from_slice(format!(",\"{name}\":{json}").as_bytes());
        }
    }
}

/// An integer as an id, any other value as its text.
pub(super) fn read_id<'a>(
    json: &mut Reader<'a>,
    id: &mut Option<Id>,
    raw: &mut Option<&'a str>,
) -> Result<(), DecodeError> {
    *raw = None;
    if let Some(number) = json.integer() {
        *id = Some(number.into());
        return Ok(());
    }
    let text = json.raw()?;
    *id = integer(text).map(Id::from);
    *raw = id.is_none().then_some(text);
    Ok(())
}

/// A Unicode string as a name, any other value as its text.
pub(super) fn read_name<'a>(
    json: &mut Reader<'a>,
    name: &mut Option<Name>,
    raw: &mut Option<&'a str>,
) -> Result<(), DecodeError> {
    (*name, *raw) = match json.string(|text| Name::from(text))? {
        Ok(read) => (Some(read), None),
        Err(raw) => (None, Some(raw)),
    };
    Ok(())
}
