//! Dialling: refusals, time limits, other users, and engines at both ends.

use crate::support::*;

#[tokio::test]
async fn accept_is_cancel_safe() {
    let dir = SocketDir::new();
    let mut server = dir.bind().unwrap();
    let (mut dialled, mut ids) = (vec![], HashSet::new());
    assert!(poll!(server.accept()).is_pending());
    for id in 0..10 {
        let mut link = local::dial(&dir.name(), IpcConfig::default()).await.unwrap();
        send(&mut link, emit(id, Payload::null())).await.unwrap();
        dialled.push(link);
    }
    soon(async {
        while ids.len() < 10 {
            // Polled once and dropped.
            match poll!(server.accept()) {
                Poll::Ready(link) => drop(ids.insert(next_id(&mut link.unwrap()).await)),
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_dial_explains_the_fix() {
    let dir = SocketDir::new();
    let mut connector = LocalConnector::default();
    let mut refusal = async |url: &str| soon(connector.connect(url)).await.err().unwrap();
    let url = dir.name().to_url();
    for part in ["no socket exists", "start the program that serves", dir.path().to_str().unwrap()] {
        assert_refused(&refusal(&url).await, part);
    }
    dir.crash();
    assert_refused(&refusal(&url).await, "no server listens");
    for odd in ["", "local:", "ws://localhost", "a b", "local://calculator"] {
        assert_refused(&refusal(odd).await, "is not a name for a local socket");
    }
    assert_refused(&refusal("no-such-plugin").await, "no-such-plugin.sock");
    fs::remove_file(dir.path()).unwrap();
    fs::write(dir.path(), "").unwrap();
    assert_refused(&refusal(&url).await, "no server listens");
    assert_refused(&refusal(&format!("{url}/below")).await, "no socket exists");
}

#[tokio::test]
async fn a_dial_waits_for_a_busy_server_up_to_the_limit() {
    let dir = SocketDir::new();
    let listener = StdListener::bind(dir.path()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = fill(&dir.path());
    let limit = Duration::from_millis(50);
    let end = soon(local::dial(&dir.name(), IpcConfig::default().connect_timeout(limit))).await.err().unwrap();
    assert!(matches!(end, ConnectError::TimedOut(_)), "{end:?}");
    let name = dir.name();
    let mut dialling =
        std::pin::pin!(local::dial(&name, IpcConfig::default().connect_timeout(Duration::from_secs(60))));
    assert!(poll!(&mut dialling).is_pending());
    let accepting = tokio::task::spawn_blocking(move || {
        (0..=waiting.len()).map(|_| listener.accept().unwrap()).collect::<Vec<_>>()
    });
    let (dialled, accepted) = soon(async { tokio::join!(dialling, accepting) }).await;
    dialled.unwrap();
    accepted.unwrap();
}

/// This test starts itself again as another user, which requires root; otherwise it does nothing.
#[tokio::test]
async fn another_user_is_neither_served_nor_dialled() {
    const NOBODY: u32 = 65534;
    const SOCKET_PATH: &str = "LOCAL_SOCKET_OF_ANOTHER_USER";
    if let Ok(path) = std::env::var(SOCKET_PATH) {
        use std::io::Read;
        // The other user gets only an end of the stream, at once.
        let nothing = |mut stream: StdStream| {
            let read = stream.read(&mut [0]);
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        };
        nothing(StdStream::connect(&path).unwrap());
        let listener = StdListener::bind(format!("{path}.theirs")).unwrap();
        fs::set_permissions(format!("{path}.theirs"), Permissions::from_mode(0o666)).unwrap();
        nothing(listener.accept().unwrap().0);
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = SocketDir::new();
    // Removes every protection but the check of the peer's user.
    fs::set_permissions(dir.0.path(), Permissions::from_mode(0o777)).unwrap();
    let mut server = dir.bind().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o666)).unwrap();
    let program = dir.0.path().join("again");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut other = tokio::process::Command::new(program);
    other.args(["--exact", "dials::another_user_is_neither_served_nor_dialled"]).env(SOCKET_PATH, dir.path());
    let other = other.uid(NOBODY).kill_on_drop(true).output();
    let theirs = LocalName::parse(&format!("{}.theirs", dir.path().display())).unwrap();
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
            (output, ()) = async { tokio::join!(other, dialling) } => output.unwrap(),
        }
    })
    .await;
    assert!(output.status.success(), "{output:?}");
    // The other user's socket is not removed either.
    let error = LocalServer::bind(&theirs, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::NotPrivate { .. }), "{error:?}");
    assert_serves(&mut server, &dir.name()).await;
}

#[tokio::test]
async fn the_script_prints_the_published_lines() {
    let dir = SocketDir::new();
    let (url, serving) = local::serve(dir.path().to_str().unwrap(), probe).unwrap();
    let serving = tokio::spawn(serving);
    let engine = Engine::new();
    engine.register(local::plugin("probe", &url)).unwrap();
    let mut lines = vec![];
    soon(run_script(&engine, &Script::parse(SCRIPT).unwrap(), |line| lines.push(line))).await.unwrap();
    assert_eq!(lines, EXPECTED.lines().collect::<Vec<_>>());
    serving.abort();
}

#[tokio::test]
async fn a_plugin_outlives_its_engine() {
    let dir = SocketDir::new();
    let count = Arc::new(AtomicU32::new(0));
    let counter = Plugin::new("counter").method("next", move || {
        let count = count.clone();
        async move { count.fetch_add(1, Ordering::Relaxed) }
    });
    let (url, serving) = local::serve(dir.path().to_str().unwrap(), move || counter.clone()).unwrap();
    let serving = tokio::spawn(serving);
    for round in 0..3 {
        let engine = Engine::new();
        let host = engine.register(Plugin::new("host")).unwrap();
        engine.register(local::plugin("counter", &url)).unwrap();
        soon(engine.manager().activate("host")).await.unwrap();
        assert_eq!(soon(host.call::<u32>("counter", "next", ())).await.unwrap(), round);
    }
    assert!(!serving.is_finished());
    serving.abort();
    assert!(soon(serving).await.unwrap_err().is_cancelled());
    assert!(!dir.path().exists(), "the socket is removed with the server");
}

/// The engine's end of an existing link.
struct Once(Option<TestLink>);

#[async_trait]
impl PluginConnector for Once {
    async fn connect(&mut self, _: &str) -> Result<TestLink, ConnectError> {
        self.0.take().ok_or(ConnectError::given_up("there was only one link"))
    }
}

#[tokio::test]
async fn a_plugin_can_dial_its_engine() {
    let mut server = LocalServer::bind(&LocalName::unique(), LocalConfig::default()).unwrap();
    let url = server.url();
    let plugin = async {
        let link = local::dial(&LocalName::parse(&url).unwrap(), IpcConfig::default()).await.unwrap();
        let plugin = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
        connector_core::connect(link, plugin, ClientConfig::default())
    };
    let (link, (_client, session)) = soon(async { tokio::join!(server.accept_link(), plugin) }).await;
    tokio::spawn(session);
    let engine = Engine::new();
    let host = engine.register(Plugin::new("host")).unwrap();
    let profile = ExternalProfile::new("calculator", url.as_str());
    engine.register(Registration::behind(profile, Once(Some(link)))).unwrap();
    soon(engine.manager().activate("host")).await.unwrap();
    assert_eq!(soon(host.call::<i64>("calculator", "add", (1, 2))).await.unwrap(), 3);
}
