//! The cases, grouped by theme. Each takes a fixture and returns the promise that was broken, if any.

pub mod calls;
pub mod cancel;
pub mod cutting;
pub mod dialling;
pub mod ending;
pub mod events;
pub mod frames;
pub mod handshake;
pub mod leaving;
pub mod loss;
pub mod order;
pub mod payloads;
pub mod pressure;
pub mod shutdown;
pub mod threads;
pub mod traces;
pub mod waking;
