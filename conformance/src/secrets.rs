//! The secrets that tests put into URLs, tokens and headers.

/// Checks that a text, such as an error or a trace, contains none of the secrets `s3cret`, `t0ken`, `qu3ry`, `fr4gment` and
/// `hunter`, which a test has put into a URL such as `ws://hunter:s3cret@host/t0ken?a=qu3ry#fr4gment`. Returns the text.
///
/// # Panics
/// It contains one of them.
#[track_caller]
pub fn no_secret(text: &str) -> &str {
    for secret in ["s3cret", "t0ken", "qu3ry", "fr4gment", "hunter"] {
        assert!(!text.contains(secret), "{text}");
    }
    text
}
