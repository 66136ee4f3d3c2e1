//! What every transport is tried with: the plugin [`probe`], the plugin [`local`], a runner of scripts that calls one
//! from the other, and a transport in memory to compare with.

mod memory;
mod probe;
mod script;

pub use memory::{MemoryClient, MemoryPlugin, Switch, memory, memory_pair};
pub use probe::{local, probe};
pub use script::{EXPECTED, SCRIPT, Script, ScriptError, run_script};
