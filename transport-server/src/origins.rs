//! Keeps web pages out.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};

/// The origins whose web pages may connect. Browsers send `Origin` and do not let pages change it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    /// Allows `origins`, in a browser's notation without a path: `https://remix.ethereum.org`. Entries that no request
    /// can have match nothing.
    pub fn new(origins: &[String]) -> AllowedOrigins {
        // A scheme, a host and a port are all case-insensitive. Browsers write them in lower case.
        let origins = origins.iter().map(|origin| origin.to_ascii_lowercase());
        AllowedOrigins(origins.filter_map(|origin| HeaderValue::from_str(&origin).ok()).collect())
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
        let origins = AllowedOrigins::new(&["https://IDE.example".to_owned(), "not\na header".to_owned()]);
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
    fn an_excerpt_is_bounded() {
        assert_eq!(header_excerpt(&headers(&["a", "b", "c", "d", "e"]), ORIGIN), "a, b, c, d");
        assert_eq!(header_excerpt(&headers(&["x".repeat(1000).as_str()]), ORIGIN).len(), 200);
    }
}
