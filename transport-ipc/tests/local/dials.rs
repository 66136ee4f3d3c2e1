//! Dialling: refusals, time limits, and engines at both ends.

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
