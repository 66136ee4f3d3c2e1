//! The rules that the cases check, quoted from the documentation of the connector traits.

/// A sentence of the contract, and the methods it applies to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) subject: &'static str,
    pub(super) text: &'static str,
}

macro_rules! rules {
    ($($name:ident: $subject:literal, $text:literal;)*) => {
        $(pub(super) const $name: Rule = Rule { subject: $subject, text: $text };)*

        #[cfg(test)]
        const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    ORDER: "`send` and `poll_message`",
        "messages arrive in the order they were sent, each once, whole or not at all";
    READY: "`poll_ready`",
        "a link that is not ready blocks its sender and does not buffer without bound";
    FIFTY: "`poll_ready` and `send`",
        "It accepts at least 50 small messages that the peer has not read";
    SIZE: "`send`",
        "`send` rejects a message that exceeds the size limit";
    FLUSH: "`poll_flush`",
        "once `poll_flush` is ready, all accepted messages are on their way without further calls by the sender";
    BOTH_WAYS: "`poll_ready` and `poll_message`",
        "receiving continues while sending is not ready, and vice versa";
    WAKERS: "`poll_ready`, `poll_flush`, `poll_message` and `poll_disconnect`",
        "a pending method wakes the task that polled it last";
    TWO_WAKERS: "`poll_ready` and `poll_message`",
        "keeps a separate one, since the two may be polled with different wakers";
    SLEEP: "`poll_ready`, `poll_message` and `poll_disconnect`",
        "apart from timers, it wakes the task only when something has changed";
    MEMORY: "`send` and `poll_message`",
        "a link retains nothing of a message that has been sent and received";
    LIVES: "`poll_message` and the sending methods",
        "a link lives until one end closes it or it breaks";
    END: "`poll_message`, and of every other method,",
        "Once any method has reported the end, all others report the same end, and nothing more arrives";
    BEFORE: "`poll_message` and `poll_disconnect`",
        "Messages that arrived before the end are delivered first";
    CLOSED: "`poll_message` and `poll_disconnect`",
        "even with unread or unsent messages at either end";
    KINDS: "`LinkEnd`",
        "A broken link is [`LinkEnd::Lost`], a silent peer is [`LinkEnd::Silent`]";
    TEXT: "`LinkEnd`",
        "The text of an end is never empty";
    DISCONNECT: "`poll_disconnect`",
        "flushes, closes gracefully and is ready within a time limit of the transport, whatever the peer does";
    FINAL_MESSAGES: "`poll_disconnect`",
        "Unread messages at this end are discarded and do not destroy outgoing ones";
    SLOW: "`poll_disconnect`",
        "As long as the peer keeps reading at least every 500 ms, everything arrives";
    DROP: "`drop` of a link",
        "dropping the link closes it at once, without waiting";
    FLUSHED_DROP: "`drop` of a link",
        "Flushed messages still arrive";
    BAD_FRAMES: "`poll_message`",
        "are delivered as errors, in order";
    PANICS: "`poll_message`",
        "on any input, and no unbounded allocation";
    DROPPED: "`drop` of a link",
        "The other end reports `Closed` or `Lost`";
    PROGRESS: "`poll_ready` and `poll_flush` (the core ends a link that makes no progress)",
        "Accepted messages and completed flushes are progress";
    ACCEPT: "`ClientConnector::accept`",
        "Returns the next engine's link, without waiting for a message from the engine";
    IDLE: "`ClientConnector::accept`",
        "a silent connection stays pending while others are accepted";
    CONNECT: "`PluginConnector::connect`",
        "Bounded by the transport's own time limit, and completes without a message from the plugin";
    OWN_LINKS: "`PluginConnector::connect` and `ClientConnector::accept`",
        "Engines that connect concurrently get separate links, each with a matching pair of ends";
    CANCEL: "`PluginConnector::connect`",
        "dropping the future releases everything it has opened";
    UNREACHABLE: "`PluginConnector::connect`",
        "If no peer is reachable, connecting fails within that limit";
    DIAL_TIMED_OUT: "`PluginConnector::connect`",
        "A connection attempt without an answer in time is [`ConnectError::TimedOut`]";
}

/// The rule that a theme's failures cite by default, and where to look.
pub(super) fn default_for(theme: &str) -> (Rule, &'static str) {
    match theme {
        "pressure" => (READY, "poll_ready, and how much the transport buffers"),
        "waking" | "threads" => (WAKERS, "wakers: which task each method stores, and when that task is woken"),
        "ending" | "cutting" | "loss" => (END, "how the end of a link is detected, stored and reported"),
        "leaving" => (CLOSED, "poll_disconnect: what it writes, reads and discards before it closes"),
        "dialling" => (CONNECT, "connect and accept"),
        "shutdown" => (DISCONNECT, "poll_disconnect, and tasks that outlive their link"),
        _ => (ORDER, "send and poll_message: each message arrives once, in order and unchanged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_sentence_of_the_documentation() {
        let lines = include_str!("../../connector-core/src/connector.rs")
            .lines()
            .map(|line| line.trim().trim_start_matches("///").trim());
        let text = lines.collect::<Vec<_>>().join(" ");
        for Rule { text: rule, .. } in ALL {
            assert!(text.contains(rule), "the documentation does not say: {rule}");
        }
    }
}
