//! Which replica runs a call. No I/O, no locks.

use serde_json::Value;

use crate::bad_setting::BadSetting;
use crate::wire::Payload;

/// Which replica of a plugin runs a call, of those that are up, do not drain and list the method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The one with the fewest calls, running and waiting. Of several, each in turn. The default.
    #[default]
    LeastBusy,
    /// The same for all calls of one caller, as long as it takes calls.
    Caller,
    /// The same for all calls with an equal argument, as long as it takes calls. The argument is named by a JSON pointer
    /// (RFC 6901) into the array of arguments: `/0` is the first, `/1/user` the member `user` of the second. A call
    /// without that argument goes to the replica with the fewest calls. Each call's arguments are parsed for this.
    Argument(String),
}

impl Choice {
    /// # Errors
    /// The text that names the argument is not a JSON pointer.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        match self {
            Choice::Argument(pointer) => BadSetting::json_pointer("Choice::Argument", pointer),
            Choice::LeastBusy | Choice::Caller => Ok(()),
        }
    }

    /// What calls that go to the same replica have in common; `None` if any may go to any.
    pub(super) fn key(&self, caller: &str, args: &Payload) -> Option<u64> {
        match self {
            Choice::LeastBusy => None,
            Choice::Caller => Some(hash(caller.as_bytes())),
            Choice::Argument(pointer) => {
                let args: Value = serde_json::from_slice(&args.to_json().ok()?).ok()?;
                Some(hash(args.pointer(pointer)?.to_string().as_bytes()))
            }
        }
    }
}

/// FNV-1a, which is the same in every engine: several of them choose the same replica.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Rendezvous hashing: the replica with the highest weight for a key runs its calls. If it goes, only its own keys move.
pub(super) fn weight(replica: u64, key: u64) -> u64 {
    // The finalizer of SplitMix64: each bit of the result depends on all bits of both.
    let mixed = (replica ^ key.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_equal_arguments_have_the_same_key() {
        let by_user = Choice::Argument("/1/user".to_owned());
        let key = |args: Value| by_user.key("app", &Payload::new(args));
        let ada = key(serde_json::json!(["a.txt", { "user": "ada" }]));
        assert!(ada.is_some());
        assert_eq!(ada, key(serde_json::json!(["b.txt", { "group": 7, "user": "ada" }])));
        assert_ne!(ada, key(serde_json::json!(["a.txt", { "user": "bob" }])));
        assert_eq!(key(serde_json::json!(["a.txt"])), None);
        assert_eq!(Choice::Caller.key("a", &Payload::null()), Choice::Caller.key("a", &Payload::no_args()));
        assert_ne!(Choice::Caller.key("a", &Payload::null()), Choice::Caller.key("b", &Payload::null()));
    }

    #[test]
    fn the_weights_of_keys_are_spread_evenly() {
        let replicas = ["a", "b", "c", "d"].map(|name| hash(name.as_bytes()));
        let mut shares = [0; 4];
        for key in 0..10_000_u32 {
            let key = hash(&key.to_le_bytes());
            let heaviest = (0..4).max_by_key(|at| weight(replicas[*at], key)).unwrap();
            shares[heaviest] += 1;
        }
        assert!(shares.iter().all(|share| (2_300..2_700).contains(share)), "{shares:?}");
    }
}
