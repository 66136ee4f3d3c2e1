//! Cookies, pending requests and deadlines, with time as a number.

use std::time::{Duration, Instant};

use connector_core::stp::{StpBusy, StpSession};

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn each_connection_has_its_own_cookies() {
    let now = Instant::now();
    let (mut one, mut two) = (StpSession::new(8), StpSession::new(8));
    assert_eq!(one.request("a", at(now, 30)), Ok(0));
    assert_eq!(one.request("b", at(now, 30)), Ok(1));
    assert_eq!(two.request("c", at(now, 30)), Ok(0));
    assert_eq!(two.answered(0), Some("c"));
    assert_eq!(one.answered(0), Some("a"), "an answer elsewhere changes nothing here");
}

#[test]
fn a_request_ends_once() {
    let now = Instant::now();
    let mut session = StpSession::new(8);
    for reply in ["answered", "timed out", "lost"] {
        session.request(reply, at(now, if reply == "timed out" { 1 } else { 30 })).unwrap();
    }
    assert_eq!(session.answered(0), Some("answered"));
    assert_eq!(session.answered(0), None, "it was answered before");
    assert_eq!(session.answered(7), None, "it was never asked");
    assert_eq!(session.answered(-1), None);
    assert_eq!(session.expire(at(now, 1)), Some("timed out"));
    assert_eq!(session.expire(at(now, 1)), None);
    assert_eq!(session.answered(1), None, "a late answer is dropped");
    assert_eq!(session.end(), ["lost"]);
    assert_eq!(session.end(), [""; 0]);
    assert_eq!((session.answered(2), session.expire(at(now, 99)), session.waiting()), (None, None, 0));
}

#[test]
fn deadlines_expire_in_order_and_not_early() {
    let now = Instant::now();
    let mut session = StpSession::new(8);
    for seconds in [3, 1, 2] {
        session.request(seconds, at(now, seconds)).unwrap();
    }
    assert_eq!(session.next_deadline(), Some(at(now, 1)));
    assert_eq!(session.expire(now), None);
    assert_eq!(session.answered(1), Some(1));
    assert_eq!(session.next_deadline(), Some(at(now, 2)), "one that was answered has no deadline");
    assert_eq!((session.expire(at(now, 9)), session.expire(at(now, 9))), (Some(2), Some(3)));
    assert_eq!((session.expire(at(now, 9)), session.next_deadline()), (None, None));
}

#[test]
fn pending_requests_are_bounded_and_abandoned_ones_free_capacity() {
    let now = Instant::now();
    let mut session = StpSession::new(2);
    assert_eq!((session.request("a", now), session.request("b", now)), (Ok(0), Ok(1)));
    assert_eq!(session.request("c", now), Err(StpBusy { waiting: 2 }));
    session.forget(|reply| *reply == "a");
    assert_eq!(session.request("c", now), Ok(2), "cookies are not used twice");
    assert_eq!(session.answered(0), None);
    assert_eq!((session.expire(now), session.expire(now), session.expire(now)), (Some("b"), Some("c"), None));
}

#[test]
fn a_lost_link_ends_pending_requests_in_order() {
    let now = Instant::now();
    let mut session = StpSession::new(64);
    for n in 0..50 {
        session.request(n, now).unwrap();
    }
    assert_eq!(session.end(), (0..50).collect::<Vec<_>>());
    assert_eq!(session.next_deadline(), None);
    assert_eq!(session.request(50, now), Ok(50));
}

#[test]
fn split_off_requests_are_no_longer_pending_and_their_cookies_are_not_used_again() {
    let now = Instant::now();
    let mut session = StpSession::new(2);
    assert_eq!((session.request("a", now), session.request("b", now)), (Ok(0), Ok(1)));
    let mut split = session.split_off();
    assert_eq!((session.answered(0), session.next_deadline(), session.waiting()), (None, None, 0));
    assert_eq!(session.request("c", now), Ok(2));
    assert_eq!((split.end(), session.end()), (vec!["a", "b"], vec!["c"]));
}
