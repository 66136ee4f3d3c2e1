use super::*;

/// However many names another engine makes up.
#[test]
fn the_callers_of_other_engines_leave_room_for_others() {
    let statistics = Statistics::new();
    let called = |from: &str, method: &str| {
        statistics.update([from, "p", method], |counters| counters.ended(Duration::ZERO, None, false, None));
    };
    for number in 0..2 * SHARDS * MAX_ENTRIES {
        called(&format!("away/{number}"), "m");
    }
    for number in 0..1000 {
        called("local", &number.to_string());
    }
    let edges = statistics.snapshot().edges;
    let calls: u64 = edges.iter().filter(|edge| &*edge.from == "local").map(|edge| edge.calls.calls).sum();
    let guests = edges.iter().filter(|edge| is_guest(&edge.from)).count();
    assert!(calls == 1000 && guests <= SHARDS * MAX_GUESTS, "{calls} {guests}");
}
