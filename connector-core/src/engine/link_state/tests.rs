use proptest::prelude::*;

use super::*;
use Failure::{Closed, Garbled, GivenUp, Lost, Refused};
use Step::{Activate, Ended, Fail, Leave, Load, Reset, Stop, TimedOut};

/// An event, without its activation.
#[derive(Debug, Clone, Copy)]
enum Step {
    Activate,
    Load,
    Fail(Failure),
    TimedOut,
    Stop,
    Leave,
    Ended,
    Reset,
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    Lost,
    Refused,
    Garbled,
    GivenUp,
    Closed,
}

impl Step {
    fn event(self, waiter: usize) -> ConnectionEvent<usize> {
        match self {
            Activate => ConnectionEvent::Activate(waiter),
            Load => ConnectionEvent::Loaded { listed: true },
            Fail(Lost) => ConnectionEvent::Failed(LinkEnd::lost("cut")),
            Fail(Refused) => ConnectionEvent::Failed(ConnectError::Refused("no".to_owned()).into()),
            Fail(Garbled) => ConnectionEvent::Failed(LinkEnd::BadFrame("odd".to_owned())),
            Fail(GivenUp) => ConnectionEvent::Failed(ConnectError::given_up("no").into()),
            Fail(Closed) => ConnectionEvent::Failed(LinkEnd::Disconnected),
            TimedOut => ConnectionEvent::TimedOut,
            Stop => ConnectionEvent::Stop,
            Leave => ConnectionEvent::Leave,
            Ended => ConnectionEvent::Ended,
            Reset => ConnectionEvent::Reset,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let failures = [Lost, Refused, Garbled, GivenUp, Closed].map(Fail);
    let others = [Activate, Load, Load, TimedOut, Stop, Leave, Ended, Reset];
    prop_oneof![prop::sample::select(failures.to_vec()), prop::sample::select(others.to_vec())]
}

#[test]
fn the_last_event_decides_what_the_supervisor_does() {
    let failed = |tries, activating, retry| Next::TraceFailure { tries, activating, retry };
    let lost = |retry| Next::AnnounceDown { retry };
    let cases: [(&[Step], &str, Next); _] = [
        (&[Activate], "connecting", Next::Nothing),
        (&[Activate, Fail(Lost), Fail(Lost)], "connecting", failed(2, true, true)),
        (&[Activate, Fail(Garbled), Fail(Lost), Fail(Garbled)], "connecting", failed(3, true, true)),
        (&[Activate, Fail(Garbled), Fail(Garbled)], "inactive", failed(2, true, false)),
        (&[Activate, Fail(Refused)], "inactive", failed(1, true, false)),
        (&[Activate, TimedOut], "inactive", Next::Nothing),
        (&[Activate, Reset, Load], "inactive", Next::Nothing),
        (&[Activate, Reset, Fail(Lost)], "inactive", Next::Nothing),
        (&[Activate, Load], "up", Next::Nothing),
        (&[Activate, Load, TimedOut], "up", Next::Nothing),
        (&[Activate, Load, Fail(Lost)], "down", lost(true)),
        (&[Activate, Load, Fail(GivenUp)], "down", lost(false)),
        (&[Activate, Load, Fail(Lost), Fail(Refused)], "down", failed(1, false, true)),
        (&[Activate, Load, Fail(Lost), Load], "up", Next::AnnounceUp),
        (&[Activate, Load, Fail(Lost), Fail(GivenUp)], "down", failed(1, false, false)),
        (&[Activate, Load, Fail(Lost), Fail(GivenUp), Ended], "down", Next::Nothing),
        (&[Activate, Load, Fail(Lost), Fail(GivenUp), Ended, Stop, Reset], "inactive", Next::Nothing),
        (&[Activate, Load, Stop], "up", Next::Nothing),
        (&[Activate, Load, Stop, Fail(Closed)], "inactive", Next::Nothing),
        (&[Activate, Load, Stop, Fail(Closed), Ended], "inactive", Next::Nothing),
        (&[Activate, Load, Leave, Fail(Closed)], "inactive", Next::AnnounceLeft),
        (&[Activate, Load, Leave, Fail(Closed), Ended], "inactive", Next::Nothing),
        (&[Activate, Load, Fail(Lost), Leave, Fail(Closed)], "inactive", Next::Nothing),
        (&[Activate, Load, Leave, Fail(Closed), Activate, Load, Stop, Fail(Closed)], "inactive", Next::Nothing),
        (&[Activate, Load, Ended], "inactive", Next::Deactivate),
        (&[Activate, Load, Stop, Ended, Activate, Load, Ended], "inactive", Next::Deactivate),
    ];
    for (steps, state, next) in cases {
        let mut connection = Connection::new();
        let last = steps.iter().map(|step| connection.transition(step.event(0))).last().unwrap();
        let now = connection.link_state().to_string();
        assert_eq!((now.split(' ').next(), last.next), (Some(state), next), "{steps:?}: {now}");
    }
}

#[test]
fn an_activation_ends_with_its_last_failure() {
    let mut connection = Connection::new();
    let outcome = |effects: Effects<usize>| effects.activated.map(|(_, outcome)| format!("{outcome:?}"));
    connection.transition(ConnectionEvent::Activate(1));
    assert_eq!(outcome(connection.transition(ConnectionEvent::TimedOut)).unwrap(), "Failed(None)");
    connection.transition(ConnectionEvent::Activate(2));
    connection.transition(ConnectionEvent::Failed(LinkEnd::BadFrame("odd".to_owned())));
    assert_eq!(outcome(connection.transition(ConnectionEvent::TimedOut)).unwrap(), "Failed(Some(BadFrame(\"odd\")))");
    connection.transition(ConnectionEvent::Activate(3));
    assert_eq!(outcome(connection.transition(ConnectionEvent::Ended)).unwrap(), "Gone");
}

proptest! {
    /// In whatever order events arrive, as an abort may from another thread.
    #[test]
    fn each_activation_ends_once(steps in prop::collection::vec(step(), 0..60)) {
        let mut connection = Connection::new();
        let (mut published, mut waiting) = (LinkState::Inactive, None);
        for (number, step) in steps.into_iter().enumerate() {
            let Effects { published: changed, activated, next } = connection.transition(step.event(number));
            published = changed.unwrap_or(published);
            prop_assert_eq!(published.to_string(), connection.link_state().to_string());
            if let Some((waiter, outcome)) = activated {
                prop_assert_eq!(waiting.take(), Some(waiter));
                prop_assert_eq!(matches!(outcome, Activated::Connected { .. }), published.is_up());
            }
            if matches!(step, Activate) {
                waiting = Some(number);
            }
            prop_assert_eq!(waiting.is_some(), matches!(published, LinkState::Connecting));
            if let Next::AnnounceDown { retry: true } | Next::TraceFailure { retry: true, .. } = next {
                let without_link = matches!(published, LinkState::Connecting | LinkState::Down { .. });
                prop_assert!(without_link, "{}", published);
            }
        }
    }
}
