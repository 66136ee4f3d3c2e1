use super::*;

/// However many names another engine makes up.
#[test]
fn the_callers_of_other_engines_leave_room_for_others() {
    made_up_names_leave_room(|number| [format!("away/{number}"), "m".to_owned()], true);
}

/// However many methods of an inactive plugin are called.
#[test]
fn methods_that_have_not_run_leave_room_for_others() {
    made_up_names_leave_room(|number| ["stranger".to_owned(), number.to_string()], false);
}

fn made_up_names_leave_room(names: impl Fn(usize) -> [String; 2], have_run: bool) {
    let statistics = Statistics::new();
    let called = |from: &str, method: &str, has_run| {
        statistics.update([from, "p", method], has_run, |counters| counters.ended(Duration::ZERO, None, false, None));
    };
    for number in 0..2 * SHARDS * MAX_ENTRIES {
        let [from, method] = names(number);
        called(&from, &method, have_run);
    }
    for number in 0..1000 {
        called("local", &number.to_string(), true);
    }
    let edges =
        || statistics.shards().flat_map(|shard| shard.edges.iter().map(|edge| edge.from.clone()).collect::<Vec<_>>());
    assert_eq!(edges().filter(|from| **from == *"local").count(), 1000);
    let made_up = edges().filter(|from| **from != *"local" && **from != *OTHER).count();
    assert!(made_up <= SHARDS * MAX_DOUBTFUL, "{made_up}");
}

#[test]
fn a_method_that_runs_later_is_no_longer_in_doubt() {
    let statistics = Statistics::new();
    for has_run in [false, true, true, false] {
        statistics.update(["a", "p", "m"], has_run, |_| {});
    }
    assert_eq!(statistics.shards().map(|shard| shard.doubtful).sum::<usize>(), 0);
}
