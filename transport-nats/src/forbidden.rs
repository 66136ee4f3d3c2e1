//! What the NATS server refuses to a connection.

use std::fmt;

use connector_core::Excerpt;

#[cfg(feature = "plugin")]
use crate::subjects::Subjects;

/// What the server refused: it says so only later, and not to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// The text names a subject.
    Subject(String),
    /// The connection, or its account, has too many subscriptions. The server does not say which it refused.
    Subscription(String),
}

impl Forbidden {
    /// Returns `None` if the error that the server reports does not refuse anything.
    pub(crate) fn read(text: String) -> Option<Forbidden> {
        match text.to_ascii_lowercase() {
            lower if lower.contains("permissions violation") => Some(Forbidden::Subject(text)),
            lower if lower.contains("maximum subscriptions") => Some(Forbidden::Subscription(text)),
            _ => None,
        }
    }

    fn subject(&self) -> Option<&str> {
        match self {
            Forbidden::Subject(text) => text.split('"').nth(1),
            Forbidden::Subscription(_) => None,
        }
    }

    /// Whether it concerns this subject.
    pub(crate) fn is_about(&self, subject: &str) -> bool {
        self.subject() == Some(subject)
    }

    /// Whether it concerns one of these subjects.
    #[cfg(feature = "plugin")]
    pub(crate) fn is_among(&self, subjects: &Subjects) -> bool {
        self.subject().is_some_and(|subject| subjects.contain(subject))
    }

    /// Whether it may concern a subscription that was just made.
    pub(crate) fn is_of_any_subscription(&self) -> bool {
        matches!(self, Forbidden::Subscription(_))
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forbidden::Subject(text) => write!(
                f,
                "the NATS server forbids it: {}. Give this program's user the permissions that the documentation of \
                 transport-nats lists",
                Excerpt::new(text)
            ),
            Forbidden::Subscription(text) => write!(
                f,
                "the NATS server accepts no further subscription: {}. Raise max_subscriptions in its configuration, or the \
                 limit of this program's account: a replica needs three and one for each session, a host one for each \
                 link and two for the replicas of each plugin",
                Excerpt::new(text)
            ),
        }
    }
}
