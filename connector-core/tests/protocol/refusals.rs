//! The typed refusal texts of section 4.

use connector_core::{ActivateError, Refusal, UpdateError};

/// All refusals, with their parts named as in the document.
pub(crate) fn all() -> Vec<String> {
    let s = str::to_owned;
    let (target, caller, method, exposed) = (s("<target>"), s("<caller>"), s("<method>"), s("<methods>"));
    /// A number that does not occur in any text otherwise.
    const N: u32 = 987_654;
    let refusals = [
        Refusal::NotRegistered { target: target.clone(), caller: caller.clone() },
        Refusal::NotActivated { target: target.clone(), caller: caller.clone(), method: method.clone() },
        Refusal::NotExposed {
            target: target.clone(),
            caller: caller.clone(),
            method: method.clone(),
            exposed: exposed.clone(),
        },
        Refusal::CancelNotRegistered { target: target.clone(), caller: caller.clone(), method: method.clone() },
        Refusal::CancelNotActivated { target: target.clone(), caller: caller.clone(), what: s("<what>") },
        Refusal::CancelNotExposed { target: target.clone(), caller: caller.clone(), method: method.clone(), exposed },
        Refusal::Reserved { target: target.clone(), caller: caller.clone() },
        Refusal::Deactivated { name: s("<name>"), what: s("<what>") },
        Refusal::Busy { target: target.clone(), caller: caller.clone(), method: method.clone(), waiting: N as usize },
        Refusal::OverBudget { target: target.clone(), caller: caller.clone(), method: method.clone(), why: s("<why>") },
        Refusal::TooComplex { target: target.clone(), caller: caller.clone(), method: method.clone(), why: s("<why>") },
        Refusal::NameTooLong { length: N as usize, limit: N as usize },
        Refusal::OverBudgetToListen {
            name: s("<name>"),
            event: s("<event>"),
            emitter: s("<emitter>"),
            why: s("<why>"),
        },
        Refusal::TooDeep { target, caller, method, limit: N },
        Refusal::TooManyListeners {
            name: s("<name>"),
            event: s("<event>"),
            emitter: s("<emitter>"),
            limit: N as usize,
        },
        Refusal::Denied { from: s("<from>"), what: s("<what>"), rule: s("<rule>") },
    ];
    let activations = [
        ActivateError::NotRegistered(s("<name>")),
        ActivateError::NoRight { caller: s("<caller>"), what: "activate", name: s("<name>") },
        ActivateError::NoRight { caller: s("<caller>"), what: "deactivate", name: s("<name>") },
        ActivateError::TooMany { plugins: N as usize, limit: N as usize },
        ActivateError::Handshake { name: s("<name>"), error: s("<error>") },
    ];
    let updates = [
        UpdateError::NotRegistered(s("<name>")),
        UpdateError::NotItsOwn,
        UpdateError::Url,
        UpdateError::TooLarge { bytes: N as usize, limit: N as usize },
    ];
    let texts = refusals.iter().map(Refusal::to_string);
    let texts = texts.chain(activations.iter().map(ActivateError::to_string));
    texts.chain(updates.iter().map(UpdateError::to_string)).map(|text| text.replace(&N.to_string(), "<n>")).collect()
}
