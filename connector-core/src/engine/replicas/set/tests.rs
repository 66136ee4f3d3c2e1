use proptest::prelude::*;

use super::super::choice::hash;
use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn methods(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn lost() -> LinkState {
    LinkState::Down { why: LinkEnd::lost("cut"), tries: 0 }
}

/// The first replicas of `NAMES`, which are up.
fn up(number: usize) -> Set<&'static str> {
    let mut set = Set::new();
    set.begin();
    for (id, name) in (0..).zip(&NAMES[..number]) {
        set.add(id, hash(name.as_bytes()), methods(&["m"]), *name);
        set.link_changed(id, &LinkState::Up);
    }
    set
}

fn picked(set: &mut Set<&'static str>) -> Option<&'static str> {
    set.pick("m", None).ok().map(|picked| picked.member)
}

#[test]
fn replicas_with_equally_many_calls_are_chosen_in_turn() {
    let mut set = up(3);
    let turns: Vec<_> = (0..6).filter_map(|_| picked(&mut set)).collect();
    assert_eq!(turns, ["b", "c", "a", "b", "c", "a"]);
    set.release(1, 1);
    assert_eq!(picked(&mut set), Some("b"), "it has fewer than the others");
    assert_eq!((set.in_flight(0), set.in_flight(1)), (2, 2));
}

#[test]
fn a_replica_that_is_down_or_drains_is_not_chosen() {
    let mut set = up(3);
    set.link_changed(0, &lost());
    set.drains(1);
    assert_eq!([picked(&mut set), picked(&mut set)], [Some("c"); 2]);
    set.retire(2, false);
    assert!(matches!(set.pick("m", None), Err(NoReplica::Draining)));
    set.link_changed(1, &lost());
    set.link_changed(1, &LinkState::Up);
    assert_eq!(picked(&mut set), Some("b"), "over a new link it does not drain");
    set.link_changed(1, &lost());
    set.link_changed(2, &lost());
    set.link_changed(2, &LinkState::Up);
    assert!(matches!(set.pick("m", None), Err(NoReplica::Draining)), "what was announced remains");
    set.link_changed(2, &lost());
    assert!(matches!(set.pick("m", None), Err(NoReplica::Down(LinkEnd::Lost(_)))));
}

#[test]
fn a_replica_that_is_gone_is_idle_once_its_calls_have_left() {
    let mut set = up(2);
    let one = set.pick("m", Some(1)).unwrap();
    let other = set.pick("m", Some(1)).unwrap();
    assert_eq!(one, other, "the same key");
    set.retire(one.id, true);
    assert!(!set.release(one.id, one.hint));
    assert!(set.is_gone(one.id) && set.release(other.id, other.hint));
    let before = 1 - one.id;
    assert_eq!((set.remove(one.id), set.members().len(), set.in_flight(before)), (Some(one.member), 1, 0));
    assert!(set.release(one.id, one.hint), "a call may outlive the replica");
}

#[test]
fn the_link_is_up_while_any_is() {
    let mut set = Set::new();
    assert!(matches!(set.link(), LinkState::Inactive));
    for (id, name) in (0..).zip(NAMES) {
        set.add(id, 0, methods(&[]), name);
    }
    set.link_changed(0, &LinkState::Connecting);
    assert!(matches!(set.link(), LinkState::Inactive), "not before the activation");
    set.begin();
    set.link_changed(0, &lost());
    assert!(matches!(set.link(), LinkState::Connecting));
    set.link_changed(1, &LinkState::Up);
    set.link_changed(2, &LinkState::Up);
    set.link_changed(1, &lost());
    assert!(matches!(set.link(), LinkState::Up));
    set.link_changed(2, &lost());
    assert!(matches!(set.link(), LinkState::Down { tries: 0, .. }));
    for (id, tries) in [(1, 1), (2, 1), (1, 2)] {
        set.link_changed(id, &LinkState::Down { why: LinkEnd::Disconnected, tries });
    }
    assert!(matches!(set.link(), LinkState::Down { why: LinkEnd::Disconnected, tries: 3 }));
    set.link_changed(2, &LinkState::Up);
    assert!(set.link().is_up());
    set.remove(2);
    assert!(set.link().to_string().contains("its last replica is gone"), "{}", set.link());
    set.end();
    set.link_changed(1, &LinkState::Up);
    assert!(matches!(set.link(), LinkState::Inactive));
}

#[test]
fn the_methods_are_those_of_all_versions() {
    let mut set = up(3);
    set.set_methods(0, methods(&["z", "m"]));
    assert_eq!(
        set.methods_with(1, &methods(&["a"])),
        ["m", "z", "a"].map(str::to_owned),
        "the first list is still that of another"
    );
    set.set_methods(1, methods(&["a"]));
    set.set_methods(2, methods(&["a"]));
    assert_eq!(set.versions.iter().filter(|version| version.replicas > 0).count(), 2);
    let mut all = set.methods();
    all.sort_unstable();
    assert_eq!(all, methods(&["a", "m", "z"]));
    assert!((0..9).all(|_| set.pick("m", None).unwrap().member == "a"));
    assert!((0..9).all(|_| set.pick("a", Some(7)).unwrap().member != "a"));
    assert!(set.pick(CAN_DEACTIVATE, None).is_ok(), "it may be called without being listed");
    set.link_changed(0, &lost());
    assert!(matches!(set.pick("m", None), Err(NoReplica::Down(LinkEnd::Lost(_)))), "the others do not have it");
    set.remove(0);
    assert_eq!(set.methods(), methods(&["a"]));
}

proptest! {
    /// Calls with a key go where they went before, unless their replica is lost; and back once it is there again.
    #[test]
    fn a_loss_moves_only_its_own_keys(keys in prop::collection::vec(any::<u64>(), 1..50), lost_id in 0_u64..4) {
        let mut set = up(4);
        let places = |set: &mut Set<&'static str>| -> Vec<u64> {
            keys.iter().map(|key| set.pick("m", Some(*key)).unwrap().id).collect()
        };
        let before = places(&mut set);
        set.link_changed(lost_id, &lost());
        for (before, after) in before.iter().zip(places(&mut set)) {
            prop_assert!(after != lost_id && (after == *before || *before == lost_id));
        }
        set.link_changed(lost_id, &LinkState::Up);
        prop_assert_eq!(places(&mut set), before);
    }

    /// Whatever happens, a chosen replica is up and has the fewest calls, and the calls are counted.
    #[test]
    fn the_least_busy_is_chosen(steps in prop::collection::vec((0_u8..5, 0_u64..4), 1..200)) {
        let mut set = up(4);
        let (mut is_up, mut calls) = ([true; 4], Vec::<Picked<&'static str>>::new());
        for (step, id) in steps {
            let count = |id: u64, calls: &[Picked<&'static str>]| calls.iter().filter(|call| call.id == id).count();
            match step {
                0 => {
                    set.link_changed(id, &lost());
                    is_up[id as usize] = false;
                }
                1 => {
                    set.link_changed(id, &LinkState::Up);
                    is_up[id as usize] = true;
                }
                2 => {
                    if let Some(at) = calls.iter().position(|call| call.id == id) {
                        let call = calls.swap_remove(at);
                        set.release(call.id, call.hint);
                    }
                }
                _ => {
                    let fewest = (0..4).filter(|id| is_up[*id as usize]).map(|id| count(id, &calls)).min();
                    let chosen = set.pick("m", None).ok();
                    prop_assert_eq!(chosen.as_ref().map(|chosen| count(chosen.id, &calls)), fewest);
                    prop_assert!(chosen.as_ref().is_none_or(|chosen| is_up[chosen.id as usize]));
                    calls.extend(chosen);
                }
            }
            for id in 0..4 {
                prop_assert_eq!(set.in_flight(id) as usize, count(id, &calls));
            }
            prop_assert_eq!(set.link().is_up(), is_up.contains(&true));
        }
    }
}
