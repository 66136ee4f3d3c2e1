//! Calls that follow each other without a pause.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connector_core::PluginClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::host::LIMIT;
use crate::replica::COUNTER;

/// The calls at any time.
const CALLERS: usize = 8;
/// The calls after which a replica that was started is back.
const ENOUGH: usize = 50;

pub(crate) struct Load {
    stop: watch::Sender<()>,
    callers: Vec<JoinHandle<()>>,
    results: Arc<Mutex<Results>>,
}

#[derive(Default)]
struct Results {
    answered: usize,
    failed: Vec<String>,
    /// Calls that each replica has answered, by its id.
    by_id: HashMap<String, usize>,
}

impl Load {
    pub(crate) fn start(local: &PluginClient) -> Load {
        let (stop, results) = (watch::Sender::new(()), Arc::<Mutex<Results>>::default());
        let callers = (0..CALLERS).map(|_| {
            let (local, stopped, results) = (local.clone(), stop.subscribe(), Arc::clone(&results));
            tokio::spawn(async move {
                while matches!(stopped.has_changed(), Ok(false)) {
                    let answer = local.call::<String>(COUNTER, "who", (2,)).await;
                    let mut results = lock(&results);
                    match answer {
                        Ok(id) => {
                            results.answered += 1;
                            *results.by_id.entry(id).or_default() += 1;
                        }
                        Err(error) => results.failed.push(error.to_string()),
                    }
                }
            })
        });
        Load { callers: callers.collect(), stop, results }
    }

    /// Waits until this replica answers calls from now on.
    pub(crate) async fn until_it_runs(&self, id: &str) -> Result<(), String> {
        lock(&self.results).by_id.remove(id);
        let runs = async {
            while lock(&self.results).by_id.get(id).is_none_or(|answered| *answered < ENOUGH) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, runs).await.map_err(|_| format!("the replica {id} gets no calls"))
    }

    /// Says how many calls have failed. That any has is an error.
    pub(crate) async fn stop(self) -> Result<String, String> {
        drop(self.stop);
        for caller in self.callers {
            timeout(LIMIT, caller).await.map_err(|_| "a call hangs")?.map_err(|error| error.to_string())?;
        }
        let results = lock(&self.results);
        let (failed, all) = (results.failed.len(), results.answered + results.failed.len());
        match results.failed.first() {
            None => Ok(format!("0 of {all} calls failed")),
            Some(first) => Err(format!("{failed} of {all} calls failed: {first}")),
        }
    }
}

fn lock(results: &Mutex<Results>) -> MutexGuard<'_, Results> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}
