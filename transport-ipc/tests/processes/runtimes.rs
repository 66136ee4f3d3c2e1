//! A runtime that ends before the engine, and vice versa.

use std::time::Duration;

use transport_ipc::child;

use crate::support::*;

fn until_reaped(pid: &str) {
    let since = std::time::Instant::now();
    while exists(pid) {
        assert!(since.elapsed() < LIMIT, "it was not reaped");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_is_killed_and_reaped_whichever_ends_first() {
    for runtime_first in [true, false] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (host, pid) = runtime.block_on(async {
            let host = Host::new().await;
            let script = format!("{HANDSHAKE}answer=$$; {ANSWER}exec sleep 1000");
            host.activate(child("p", shell(&script))).await.unwrap();
            let pid = host.call().await.unwrap();
            (host, pid)
        });
        assert!(exists(&pid));
        if runtime_first {
            drop(runtime);
            until_reaped(&pid);
            assert!(!host.engine.manager().is_active("p"), "nothing keeps it active");
            drop(host);
        } else {
            drop(host);
            drop(runtime);
            until_reaped(&pid);
        }
    }
}
