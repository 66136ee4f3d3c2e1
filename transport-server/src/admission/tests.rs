use super::*;

fn from(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

async fn ready(admission: &Admission) {
    let mut timer = None;
    poll_fn(|cx| admission.poll_ready(cx, &mut timer)).await;
}

fn is_ready(admission: &Admission) -> bool {
    admission.poll_ready(&mut Context::from_waker(std::task::Waker::noop()), &mut None).is_ready()
}

#[tokio::test(start_paused = true)]
async fn the_oldest_pending_connection_is_displaced_once_it_is_old_enough() {
    let admission = Admission::new(2, 0, None);
    let (one, two) = (admission.enter(None), admission.enter(None));
    let start = Instant::now();
    assert!(!is_ready(&admission));
    ready(&admission).await;
    assert_eq!(start.elapsed(), MIN_AGE);
    assert!(one.is_displaced() && !two.is_displaced());
    one.displaced().await;
    assert_eq!(admission.pending(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_or_is_admitted_makes_room_at_once() {
    let admission = Admission::new(1, 0, None);
    for admit in [true, false] {
        let ticket = admission.enter(None);
        let start = Instant::now();
        let freed = async {
            tokio::task::yield_now().await;
            if admit {
                ticket.admit();
            } else {
                drop(ticket);
            }
        };
        tokio::join!(ready(&admission), freed);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_with_many_pending_connections_displaces_its_own() {
    let admission = Admission::new(3, 0, None);
    let honest = admission.enter(from(1));
    let mut flood = vec![admission.enter(from(2)), admission.enter(from(2))];
    for _ in 0..100 {
        ready(&admission).await;
        flood.push(admission.enter(from(2)));
    }
    assert!(!honest.is_displaced());
    assert_eq!(flood.iter().filter(|ticket| ticket.is_displaced()).count(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_taken_over_from_a_pending_connection_but_not_from_an_admitted_one() {
    let admission = Admission::new(10, 1, None);
    let (one, two) = (admission.enter(None), admission.enter(None));
    assert!(one.take_place().is_ok() && two.take_place().is_err(), "the first is too young to be displaced");
    tokio::time::advance(MIN_AGE).await;
    assert!(two.take_place().is_ok() && one.is_displaced());
    two.admit();
    tokio::time::advance(MIN_AGE).await;
    let three = admission.enter(None);
    assert!(three.take_place() == Err(NoPlace::Full(1)) && !two.is_displaced());
    drop((one, two));
    three.take_place().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_learns_the_connections_fate() {
    let admission = Admission::new(1, 1, None);
    let displaced = admission.enter(None);
    assert!(displaced.take_place().is_ok() && displaced.take_place() == Err(NoPlace::NotPending));
    let fate = displaced.displacement();
    ready(&admission).await;
    assert!(fate.await);
    for admit in [true, false] {
        let kept = admission.enter(None);
        let fate = kept.displacement();
        kept.take_place().unwrap();
        if admit {
            kept.admit();
        } else {
            kept.leave();
        }
        assert!(!fate.await);
        // Its place is free again once it has left.
        kept.leave();
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_does_not_occupy_the_places_of_others() {
    let admission = Admission::new(100, 8, Some(2));
    let enter = |peer| {
        let ticket = admission.enter(peer);
        ticket.take_place().map(|()| ticket)
    };
    let (one, two) = (enter(from(1)).unwrap(), enter(from(1)).unwrap());
    one.admit();
    two.admit();
    tokio::time::advance(MIN_AGE).await;
    assert_eq!(enter(from(1)).unwrap_err(), NoPlace::FullForAddress(2));
    let others = [enter(from(2)).unwrap(), enter(from(2)).unwrap()];
    // Its own pending connections give way, also while the server has free places.
    tokio::time::advance(MIN_AGE).await;
    let third = enter(from(2)).unwrap();
    assert!(others[0].is_displaced() && !others[1].is_displaced());
    drop(one);
    enter(from(1)).unwrap();
    // No address is left behind.
    drop((two, others, third));
    assert!(admission.0.state().places_of.is_empty());
}

#[tokio::test(start_paused = true)]
async fn loopback_and_transports_without_addresses_have_no_limit_for_each_address() {
    let addresses = ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|address| Some(address.parse().unwrap()));
    for peer in addresses.into_iter().chain([None]) {
        let admission = Admission::new(100, 8, Some(1));
        let tickets: Vec<_> = (0..9).map(|_| admission.enter(peer)).collect();
        let placed = tickets.iter().filter(|ticket| ticket.take_place().is_ok()).count();
        assert_eq!(placed, 8, "{peer:?}");
    }
}
