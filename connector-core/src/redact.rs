//! Hides the secret parts of URLs.

/// Maximum length of a host that is shown.
const MAX_HOST: usize = 200;
/// Replaces hidden parts.
const HIDDEN: &str = "…";

/// A URL for errors, traces and `Debug` output: shows scheme, host and port, and hides everything that may be a secret.
///
/// User name, password, query, fragment and path are removed; an ellipsis marks a removed path or query. The names of
/// local sockets, programs and subjects (`local:`, `exec:`, `worker:` and `nats:`, a bare name, an absolute path) are
/// unchanged. Of any other text, or a URL whose host is not clearly a host, only the scheme is shown: a URL with a typo
/// reveals no more than a correct one.
///
/// Connectors use this wherever they show the URL they were given.
///
/// ```
/// use connector_core::redacted_url;
///
/// assert_eq!(redacted_url("ws://user:s3cret@127.0.0.1:9/t0ken?a=b"), "ws://127.0.0.1:9/…");
/// assert_eq!(redacted_url("local:calculator"), "local:calculator");
/// assert_eq!(redacted_url("user:s3cret@127.0.0.1"), "…");
/// ```
pub fn redacted_url(url: &str) -> String {
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ if is_local_name(url) && (url.starts_with('/') || !url.contains('/')) => return url.to_owned(),
        _ => return HIDDEN.to_owned(),
    };
    if let Some(rest) = rest.strip_prefix("//") {
        return with_authority(scheme, rest).unwrap_or_else(|| format!("{scheme}://{HIDDEN}"));
    }
    match scheme {
        "local" | "exec" | "nats" | "worker" if is_local_name(rest) => url.to_owned(),
        "local" | "exec" | "nats" | "worker" => format!("{scheme}:{HIDDEN}"),
        // The scheme of a text such as `user:password@host` is the user.
        _ => HIDDEN.to_owned(),
    }
}

/// A URL as other plugins see it: of a page, user name, password, query and fragment are hidden; of a URL that a
/// transport dials, the path as well, because it may be a token.
pub(crate) fn url_without_secrets(url: &str) -> String {
    match url.strip_suffix("://") {
        Some(scheme) if is_scheme(scheme) => url.to_owned(),
        _ => page_url(url).unwrap_or_else(|| redacted_url(url)),
    }
}

fn page_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let shown = with_authority(scheme, rest)?;
    let origin = shown.strip_suffix("/…").unwrap_or(&shown);
    let page = rest.split(['?', '#']).next().unwrap_or_default();
    let path = &page[page.find(['/', '\\']).unwrap_or(page.len())..];
    Some(format!("{origin}{path}"))
}

/// `None` if the host is not clearly a host name or address.
fn with_authority(scheme: &str, rest: &str) -> Option<String> {
    // Browsers treat a backslash as a slash.
    let (authority, after) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let path = after.split(['?', '#']).next().unwrap_or_default();
    // A password that contains a slash: the apparent host and port are its beginning.
    if path.contains('@') {
        return None;
    }
    let host = authority.rsplit('@').next().unwrap_or_default();
    let hidden = if matches!(after, "" | "/") { "" } else { "/…" };
    is_host(host).then(|| format!("{scheme}://{host}{hidden}"))
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A host name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let is_address = |inner: &str| inner.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
    let is_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let is_valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => is_address(inner),
        None => host.chars().all(is_name),
    };
    is_valid
        && (1..=MAX_HOST).contains(&host.len())
        && port.len() <= 5
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of a local socket or program, or a path.
fn is_local_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 4096
        && !text.starts_with("//")
        && !text.contains(['?', '#', '='])
        && !text.chars().any(char::is_control)
        // `python@3.11` is a directory name; a user with a password also contains a colon.
        && !(text.contains('@') && (text.contains(':') || !text.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_are_shown() {
        for (url, shown) in [
            ("ws://localhost", "ws://localhost"),
            ("ws://localhost:80/", "ws://localhost:80"),
            ("wss://example.org:443/a/b", "wss://example.org:443/…"),
            ("http://[::1]:9?token=x", "http://[::1]:9/…"),
            ("http://[::1]", "http://[::1]"),
            ("ws://h#x", "ws://h/…"),
            ("ws://h:1/path?mail=a@b", "ws://h:1/…"),
            ("ws://bücher.example/x", "ws://bücher.example/…"),
            ("stp+ws://h:1", "stp+ws://h:1"),
            ("nats://user:pw@h:4222", "nats://h:4222"),
            ("nats:plugins.calculator/replica-1", "nats:plugins.calculator/replica-1"),
        ] {
            assert_eq!(redacted_url(url), shown);
        }
    }

    #[test]
    fn plugins_see_the_path_of_a_page_only() {
        for (url, shown) in [
            (
                "https://user:s3cret@h.example:8/plugin/index.html?t=s3cret#s3cret",
                "https://h.example:8/plugin/index.html",
            ),
            ("http://h", "http://h"),
            ("http://h/", "http://h/"),
            ("https://h?s3cret", "https://h"),
            ("https://user:s3/cret@h/x", "https://…"),
            ("ws://user:s3cret@h:1/t0ken", "ws://h:1/…"),
            ("local:calculator", "local:calculator"),
            ("memory://", "memory://"),
        ] {
            assert_eq!(url_without_secrets(url), shown);
        }
    }

    #[test]
    fn local_names_are_shown() {
        for text in [
            "local:calculator",
            "local:/run/user/1000/a b.sock",
            "calculator",
            "/run/s",
            "exec:/usr/bin/python3",
            "exec:./x",
            "exec:/opt/python@3.11/bin/python",
            "worker:p",
        ] {
            assert_eq!(redacted_url(text), text);
        }
    }

    #[test]
    fn no_secret_is_shown_in_malformed_urls() {
        let secrets = [
            "ws://user:s3cret@127.0.0.1:9/t0ken",
            "ws://s3cret@host",
            "ws://user:s3cret@@host",
            "ws://user:s3/cret@host/t0ken",
            "ws://user:1/s3cret@host",
            "ws://user:s3cret",
            "ws://user:s3cret@127.0.0.1:99999999/t0ken",
            "ws://user:s3cret@ho st/t0ken",
            "ws://user:s3cret@/t0ken",
            "ws://host:9\\t0ken",
            "ws:///user:s3cret@host",
            "ws:/user:s3cret@host/t0ken",
            "ws:user:s3cret@host/t0ken",
            "ws:\\\\user:s3cret@host",
            "ws//user:s3cret@host",
            "user:s3cret@host:9/t0ken",
            "s3cret@host",
            "host:9/t0ken",
            "host/t0ken",
            "//s3cret@host/t0ken",
            "http://host/a?token=s3cret",
            "?token=s3cret",
            "token=s3cret",
            "/path?token=s3cret",
            "local:name?token=s3cret",
            "local:user:s3cret@host",
            "local://user:s3cret@host/t0ken",
            "exec:user:s3cret@host",
            "data:s3cret",
            " ws://user:s3cret@host",
            "ws://user:s3cret\n@host/t0ken",
            "ws://%73:s3cret%40host/t0ken",
        ];
        for text in secrets {
            let shown = redacted_url(text);
            for secret in ["s3", "cret", "t0ken", "user", "%73"] {
                assert!(!shown.contains(secret), "{text:?} is shown as {shown:?}");
            }
        }
    }

    #[test]
    fn long_and_unprintable_texts_are_hidden() {
        let long = "x".repeat(1 << 20);
        for text in [format!("ws://{long}"), format!("{long}://h"), long.clone(), "local:\x1b[31m".to_owned()] {
            let shown = redacted_url(&text);
            assert!(shown.len() <= 2 * MAX_HOST && !shown.contains('\x1b'), "{}", &shown[..shown.len().min(100)]);
        }
    }
}
