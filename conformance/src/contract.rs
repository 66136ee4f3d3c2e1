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
        "a link that is not ready pushes back on its sender; it does not buffer without bound";
    FIFTY: "`poll_ready` and `send`",
        "It takes at least 50 small messages that the other end has not read";
    SIZE: "`send`",
        "a message that is too large to be sent is refused by `send`";
    FLUSH: "`poll_flush`",
        "once `poll_flush` is ready, what was taken is on its way; nothing more has to be asked of the sender";
    BOTH_WAYS: "`poll_ready` and `poll_message`",
        "receiving goes on while sending is not ready, and the other way round";
    WAKERS: "`poll_ready`, `poll_flush`, `poll_message` and `poll_disconnect`",
        "a method that is pending wakes the task that polled it last";
    TWO_WAKERS: "`poll_ready` and `poll_message`",
        "keeps another, since the two may be polled with different ones";
    SLEEP: "`poll_ready`, `poll_message` and `poll_disconnect`",
        "timers aside, it is woken only when something has changed";
    MEMORY: "`send` and `poll_message`",
        "a link keeps nothing of a message that has been sent and received";
    LIVES: "`poll_message` and the sending methods",
        "a link lives until one end closes it or it breaks";
    END: "`poll_message`, and of every other method,",
        "once any method has said how the link ended, so do all others, and nothing more arrives";
    BEFORE: "`poll_message` and `poll_disconnect`",
        "What arrived before the end is handed out first";
    CLOSED: "`poll_message` and `poll_disconnect`",
        "whatever was unread or unsent at either end";
    KINDS: "`LinkEnd`",
        "A broken link is [`LinkEnd::Lost`], a peer that stays silent is [`LinkEnd::Silent`]";
    TEXT: "`LinkEnd`",
        "The text of an end is never empty";
    DISCONNECT: "`poll_disconnect`",
        "flushes, closes in order and is ready within a bound of the transport's own, whatever the other end does";
    FINAL_MESSAGES: "`poll_disconnect`",
        "What this end has not read does not matter: it is discarded, and destroys nothing on its way out";
    SLOW: "`poll_disconnect`",
        "As long as the other end goes on taking something at least every 500 ms, all of it arrives";
    DROP: "`drop` of a link",
        "dropping the link closes it at once, without waiting";
    FLUSHED_DROP: "`drop` of a link",
        "What was flushed arrives even then";
    BAD_FRAMES: "`poll_message`",
        "are handed out as errors, in their place";
    PANICS: "`poll_message`",
        "on anything that comes in, and no unbounded allocation";
    TOO_SLOW: "`poll_ready` (the core ends a link that stops taking messages)",
        "it ends a link only if the other end has taken nothing for a while";
    ACCEPT: "`ClientConnector::accept`",
        "The next engine's link, as often as it is asked for";
    STRANGER: "`ClientConnector::accept`",
        "a connection that stays silent is left waiting while others are accepted";
    CONNECT: "`PluginConnector::connect`",
        "Bounded by the transport's own time limit";
    OWN_LINKS: "`PluginConnector::connect` and `ClientConnector::accept`",
        "Engines that dial at the same time get a link each, and both ends of a link are each other's";
    CANCEL: "`PluginConnector::connect`",
        "dropping the future drops what it had made, and leaves nothing open";
    UNREACHABLE: "`PluginConnector::connect`",
        "If the plugin cannot be reached, connecting fails within that limit";
    DIAL_TIMED_OUT: "`PluginConnector::connect`",
        "An attempt that is not answered in time is [`ConnectError::TimedOut`]";
}

/// The rule that a theme's failures cite by default.
pub(super) fn default_for(theme: &str) -> Rule {
    match theme {
        "pressure" => READY,
        "waking" | "threads" => WAKERS,
        "ending" | "cutting" | "loss" => END,
        "leaving" => CLOSED,
        "dialling" => CONNECT,
        "shutdown" => DISCONNECT,
        _ => ORDER,
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
