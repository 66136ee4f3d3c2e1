//! Keeps web pages out.

use std::sync::Arc;

use http::Uri;
use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};

use crate::BindError;

/// The origins whose web pages may connect. Browsers send `Origin` and do not let pages change it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    /// Allows `origins`, in a browser's notation without a path: `https://remix.ethereum.org`.
    ///
    /// # Errors
    /// [`BindError::Origin`] for an entry that is not a scheme, a host and perhaps a port, for a wildcard, and for `null`,
    /// the origin of every sandboxed frame.
    pub fn new(origins: &[String]) -> Result<AllowedOrigins, BindError> {
        origins.iter().map(|origin| header_of(origin)).collect::<Result<_, _>>().map(AllowedOrigins)
    }

    /// Whether each origin of a request is allowed. A request without one does not come from a page on another site.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| self.0.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes())))
    }

    /// The allowed origins in lower case, for CORS.
    pub fn iter(&self) -> impl Iterator<Item = &HeaderValue> {
        self.0.iter()
    }
}

fn header_of(origin: &str) -> Result<HeaderValue, BindError> {
    let error = |why| BindError::Origin { origin: origin.chars().take(200).collect(), why };
    if origin.contains('*') {
        return Err(error("wildcards are not supported; list the origin of each page that may connect"));
    }
    if origin.eq_ignore_ascii_case("null") {
        return Err(error(
            "any website can open a sandboxed frame, whose origin is null; serve the page from an http or https origin, \
             and allow that one",
        ));
    }
    // Browsers write a scheme and a host in lower case.
    let lower = origin.to_ascii_lowercase();
    let (parsed, header) = (lower.parse::<Uri>().ok(), HeaderValue::from_str(&lower).ok());
    let exact = parsed.as_ref().and_then(|uri| Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?)));
    match (exact, header) {
        (Some(exact), Some(header)) if exact == lower && !lower.contains('@') => Ok(header),
        _ => Err(error(
            "write it as a browser sends it, without a path, as in https://page.example or http://localhost:8080",
        )),
    }
}

/// The beginning of a header's values, bounded for traces: four values and 200 characters.
pub fn header_excerpt(headers: &HeaderMap, name: HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().take(4).map(HeaderValue::as_bytes).collect();
    String::from_utf8_lossy(&values.join(&b", "[..])).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origins: &[&str]) -> HeaderMap {
        origins.iter().map(|origin| (ORIGIN, HeaderValue::from_str(origin).unwrap())).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        )
    }

    #[test]
    fn every_origin_must_be_listed() {
        let origins = AllowedOrigins::new(&["https://IDE.example".to_owned()]).unwrap();
        assert!(origins.allow(&headers(&[])));
        assert!(origins.allow(&headers(&["https://ide.example"])));
        assert!(origins.allow(&headers(&["https://Ide.example"])));
        for origin in ["https://evil.example", "https://ide.example.evil.example", "null", "", "http://ide.example"] {
            assert!(!origins.allow(&headers(&[origin])), "{origin}");
            assert!(!origins.allow(&headers(&["https://ide.example", origin])), "{origin}");
        }
        assert_eq!(origins.iter().collect::<Vec<_>>(), ["https://ide.example"]);
    }

    #[test]
    fn an_origin_that_no_page_or_every_page_has_is_an_error() {
        for good in ["http://localhost:8080", "https://ide.example", "chrome-extension://abc", "http://[::1]:80"] {
            AllowedOrigins::new(&[good.to_owned()]).unwrap();
        }
        for (bad, remedy) in [
            ("*", "list the origin of each page"),
            ("https://*.example", "list the origin of each page"),
            ("null", "serve the page from an http or https origin"),
            ("https://ide.example/", "without a path"),
            ("https://ide.example/x", "without a path"),
            ("https://user@ide.example", "without a path"),
            ("ide.example", "without a path"),
            ("https://", "without a path"),
            ("", "without a path"),
            ("not\na header", "without a path"),
        ] {
            let error = AllowedOrigins::new(&["https://ide.example".to_owned(), bad.to_owned()]).unwrap_err();
            assert!(error.to_string().contains(remedy), "{error}");
        }
    }

    #[test]
    fn an_excerpt_is_bounded() {
        assert_eq!(header_excerpt(&headers(&["a", "b", "c", "d", "e"]), ORIGIN), "a, b, c, d");
        assert_eq!(header_excerpt(&headers(&["x".repeat(1000).as_str()]), ORIGIN).len(), 200);
    }
}
