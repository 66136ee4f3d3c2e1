//! Lines over any byte stream as a [`Link`](connector_core::Link).

#[cfg(all(test, feature = "client", feature = "plugin"))]
mod conformance;
mod stream;

pub(crate) use stream::{LineLink, limited_line_link, line_link};
