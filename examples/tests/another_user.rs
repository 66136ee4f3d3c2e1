//! A local socket and another user: neither is served, and neither is dialled.
#![cfg(all(unix, feature = "ipc"))]

use std::env;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use conformance::links::{emit, next_id, send, soon};
use connector_core::{ClientConnector, ConnectError, Payload};
use transport_ipc::IpcConfig;
use transport_ipc::local::{self, BindError, LocalConfig, LocalName, LocalServer};

const NOBODY: u32 = 65534;
/// Set in the program of the other user: the path of the socket.
const SOCKET_PATH: &str = "LOCAL_SOCKET_OF_ANOTHER_USER";

/// Starts itself again as another user.
#[tokio::test]
#[cfg_attr(not(is_root), ignore = "needs root, to run a program as another user")]
async fn another_user_is_neither_served_nor_dialled() {
    if let Ok(path) = env::var(SOCKET_PATH) {
        return be_another_user(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let name = LocalName::parse(path.to_str().unwrap()).unwrap();
    // Removes every protection but the check of the peer's user.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let mut server = LocalServer::bind(&name, LocalConfig::default()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let program = folder.path().join("again");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut other = tokio::process::Command::new(program);
    other.args(["--exact", "another_user_is_neither_served_nor_dialled"]).env(SOCKET_PATH, &path);
    let other = other.uid(NOBODY).kill_on_drop(true).output();
    let theirs = LocalName::parse(&format!("{}.theirs", path.display())).unwrap();
    let dialling = async {
        loop {
            match local::dial(&theirs, IpcConfig::default()).await {
                Err(ConnectError::Refused(text)) if text.contains("runs as user 65534") => break,
                // It is not listening yet.
                Err(ConnectError::Refused(_)) => tokio::task::yield_now().await,
                other => panic!("{:?}", other.err()),
            }
        }
    };
    let output = soon(async {
        tokio::select! {
            _ = server.accept() => panic!("another user was served"),
            (output, ()) = async { tokio::join!(other, dialling) } => output.expect("it runs as root when it is built as root"),
        }
    })
    .await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
    // The other user's socket is not removed either.
    let error = LocalServer::bind(&theirs, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::NotPrivate { .. }), "{error:?}");
    // Its own user is still served.
    let dialled = local::dial(&name, IpcConfig::default());
    let (served, dialled) = soon(async { tokio::join!(server.accept(), dialled) }).await;
    let (mut served, mut dialled) = (served.unwrap(), dialled.unwrap());
    send(&mut dialled, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut served).await, 1);
}

/// Dials the server, and listens on another socket: gets only an end of each stream, at once.
fn be_another_user(path: &str) {
    let nothing = |mut stream: UnixStream| {
        let read = stream.read(&mut [0]);
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    };
    nothing(UnixStream::connect(path).unwrap());
    let theirs = format!("{path}.theirs");
    let listener = UnixListener::bind(&theirs).unwrap();
    fs::set_permissions(&theirs, Permissions::from_mode(0o666)).unwrap();
    nothing(listener.accept().unwrap().0);
}
