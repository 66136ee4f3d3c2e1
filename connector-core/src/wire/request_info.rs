//! The caller of a request, stamped by the engine.

use super::json::{self, Reader};
use super::{DecodeError, Name, is_falsy_in_javascript};

/// The caller of a request and the path called. Set by the engine; a value sent by a plugin is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The calling plugin.
    pub from: Name,
    /// The path called: the plugin's name followed by the services' names, for example `remixd.cmd.git`.
    pub path: Option<Name>,
    /// Whether the caller is native to the engine. Deprecated in the published packages; forwarded when present.
    pub is_from_native: Option<bool>,
}

impl RequestInfo {
    /// A request by the plugin `from`, without a path.
    pub fn new(from: impl Into<Name>) -> RequestInfo {
        RequestInfo { from: from.into(), path: None, is_from_native: None }
    }

    /// Reads the members that have the expected type. `raw_path` receives a path that cannot name a service.
    pub(super) fn read<'a>(
        json: &mut Reader<'a>,
        raw_path: &mut Option<&'a str>,
    ) -> Result<Option<RequestInfo>, DecodeError> {
        *raw_path = None;
        if !json.at_object() {
            return json.skip().map(|()| None);
        }
        let (mut from, mut path, mut is_from_native) = (Name::default(), None, None);
        json.object(|member, json| {
            match member {
                "from" => from = json.string(|text| Name::from(text))?.unwrap_or_else(escaped_name),
                "path" => {
                    (path, *raw_path) = match json.string(|text| Name::from(text))? {
                        Ok(path) => (Some(path), None),
                        Err(raw) => parse_unusual_path(raw),
                    }
                }
                "isFromNative" => is_from_native = serde_json::from_str(json.raw()?).ok(),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        Ok(Some(RequestInfo { from, path, is_from_native }))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"requestInfo\":{\"from\":");
        json::write_str(out, &self.from);
        if let Some(path) = &self.path {
            out.extend_from_slice(b",\"path\":");
            json::write_str(out, path);
        }
        match self.is_from_native {
            Some(true) => out.extend_from_slice(b",\"isFromNative\":true"),
            Some(false) => out.extend_from_slice(b",\"isFromNative\":false"),
            None => {}
        }
        out.push(b'}');
    }
}

/// The display form of a name that is not a Unicode string: its text with escapes unchanged, so that it equals no other
/// name. A value that is not a string has an empty name.
#[cold]
fn escaped_name(raw: &str) -> Name {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).map(Name::from).unwrap_or_default()
}

/// The path if it can name services, otherwise its text. The published plugin treats a falsy path as absent, and
/// ignores the first part of a path.
#[cold]
fn parse_unusual_path(raw: &str) -> (Option<Name>, Option<&str>) {
    let services = raw.split_once('.').map_or("", |(_, services)| services.strip_suffix('"').unwrap_or(services));
    match () {
        () if is_falsy_in_javascript(raw) => (None, None),
        () if raw.starts_with('"') && serde_json::from_str::<String>(&format!("\"{services}\"")).is_ok() => {
            (Some(escaped_name(raw)), None)
        }
        () => (None, Some(raw)),
    }
}
