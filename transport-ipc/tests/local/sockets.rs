//! Ownership of sockets, and what happens to those left behind.

use crate::support::*;

#[tokio::test]
async fn the_socket_is_private_to_the_user() {
    let dir = SocketDir::new();
    let server = dir.bind().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&dir.path()), mode(&dir.lock())), (0o600, 0o600));
    assert_eq!(server.url(), format!("local:{}", dir.path().display()));
}

#[tokio::test]
async fn a_bare_name_is_in_the_users_directory() {
    let name = LocalName::unique();
    let mut server = LocalServer::bind(&name, LocalConfig::default()).unwrap();
    let url = server.url();
    assert_serves(&mut server, &LocalName::parse(&url).unwrap()).await;
    let Err(BindError::InUse { at }) = LocalServer::bind(&name, LocalConfig::default()) else { panic!("bound twice") };
    let folder = Path::new(&at).parent().unwrap();
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(Path::new(&at).exists());
    drop(server);
    let left = fs::read_dir(folder).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert_eq!(left.filter(|file| file.starts_with(&name.to_string())).count(), 0, "not even a lock is left");
}

#[tokio::test]
async fn a_live_server_is_not_displaced() {
    let dir = SocketDir::new();
    let mut server = dir.bind().unwrap();
    for _ in 0..3 {
        assert_in_use(dir.bind());
        assert_serves(&mut server, &dir.name()).await;
    }
    // Not even after the lock file was removed.
    fs::remove_file(dir.lock()).unwrap();
    assert_in_use(dir.bind());
    // The check whether it is alive made a connection.
    let _asked = soon(server.accept()).await.unwrap();
    assert_serves(&mut server, &dir.name()).await;
}

#[tokio::test]
async fn a_live_server_without_a_lock_is_not_displaced() {
    let dir = SocketDir::new();
    let stranger = StdListener::bind(dir.path()).unwrap();
    assert_in_use(dir.bind());
    // Not even while its backlog is full.
    rustix::net::listen(&stranger, 0).unwrap();
    let _waiting = fill(&dir.path());
    assert_in_use(dir.bind());
    assert!(dir.path().exists());
}

#[tokio::test]
async fn a_stale_socket_is_reclaimed() {
    let dir = SocketDir::new();
    for _ in 0..2 {
        dir.crash();
        let mut server = dir.bind().unwrap();
        assert_serves(&mut server, &dir.name()).await;
    }
}

/// This test starts itself again as the server.
#[tokio::test]
async fn a_killed_servers_name_can_be_bound_again() {
    const SOCKET_PATH: &str = "LOCAL_SOCKET_OF_A_SERVER";
    if let Ok(path) = std::env::var(SOCKET_PATH) {
        let (_, serving) = local::serve(&path, probe).unwrap();
        drop(soon(serving).await);
        return;
    }
    let dir = SocketDir::new();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sockets::a_killed_servers_name_can_be_bound_again"])
        .env(SOCKET_PATH, dir.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut link = soon(async {
        loop {
            match local::dial(&dir.name(), IpcConfig::default()).await {
                Ok(link) => break link,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_in_use(dir.bind());
    soon(server.kill()).await.unwrap();
    while next(&mut link).await.is_ok() {}
    assert!(dir.path().exists());
    assert_serves(&mut dir.bind().unwrap(), &dir.name()).await;
}

/// This test starts itself again, because the limit applies to the whole process.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_without_free_descriptors_recovers() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const ALONE: &str = "LOCAL_SOCKET_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut again = tokio::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "sockets::a_server_without_free_descriptors_recovers"]).env(ALONE, "1");
        let output = soon(again.kill_on_drop(true).output()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let dir = SocketDir::new();
    let mut server = dir.bind().unwrap();
    let mut dialled = local::dial(&dir.name(), IpcConfig::default()).await.unwrap();
    send(&mut dialled, emit(1, Payload::null())).await.unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: limit.maximum }).unwrap();
    StdStream::connect(dir.path()).unwrap_err();
    // Often enough to hit the limit.
    for _ in 0..100 {
        assert!(poll!(server.accept()).is_pending());
        tokio::task::yield_now().await;
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut link = soon(server.accept()).await.unwrap();
    assert_eq!(next_id(&mut link).await, 1);
}

#[tokio::test]
async fn only_sockets_are_removed() {
    let dir = SocketDir::new();
    let assert_private = || {
        let error = dir.bind().unwrap_err();
        assert!(matches!(error, BindError::NotPrivate { .. }), "{error:?}");
    };
    fs::write(dir.path(), "precious").unwrap();
    assert_private();
    assert_eq!(fs::read(dir.path()).unwrap(), b"precious");
    fs::remove_file(dir.path()).unwrap();
    symlink("elsewhere", dir.path()).unwrap();
    assert_private();
    fs::remove_file(dir.path()).unwrap();
    // The lock must be a regular file, not a symbolic link.
    let elsewhere = dir.0.path().join("elsewhere");
    fs::remove_file(dir.lock()).unwrap();
    symlink(&elsewhere, dir.lock()).unwrap();
    assert!(matches!(dir.bind(), Err(BindError::Io { .. })));
    assert!(!elsewhere.exists());
    fs::remove_file(dir.lock()).unwrap();
    drop(StdListener::bind(dir.lock()).unwrap());
    assert!(matches!(dir.bind(), Err(BindError::Io { .. })));
}

#[tokio::test]
async fn an_impossible_path_is_not_bound() {
    let dir = SocketDir::new();
    let name = LocalName::parse(dir.0.path().join("no/s").to_str().unwrap()).unwrap();
    let error = LocalServer::bind(&name, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error:?}");
    let name = LocalName::parse(&format!("/{}", "x".repeat(200))).unwrap();
    let error = LocalServer::bind(&name, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::Name(_)), "{error:?}");
    assert_refused(&local::dial(&name, IpcConfig::default()).await.err().unwrap(), "choose a shorter name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_concurrent_reclaims_wins() {
    const RACERS: usize = 4;
    for round in 0..200 {
        let dir = SocketDir::new();
        dir.crash();
        let barrier = Arc::new(Barrier::new(RACERS));
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                let (barrier, name, runtime) = (barrier.clone(), dir.name(), tokio::runtime::Handle::current());
                std::thread::spawn(move || {
                    let _runtime = runtime.enter();
                    barrier.wait();
                    LocalServer::bind(&name, LocalConfig::default())
                })
            })
            .collect();
        let mut won = vec![];
        for racer in racers {
            match racer.join().unwrap() {
                Ok(server) => won.push(server),
                lost => assert_in_use(lost),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        assert_serves(&mut won[0], &dir.name()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_never_removes_its_successors_socket() {
    let dir = Arc::new(SocketDir::new());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (dir, runtime) = (dir.clone(), tokio::runtime::Handle::current());
            std::thread::spawn(move || {
                let _runtime = runtime.enter();
                for _ in 0..500 {
                    match dir.bind() {
                        // The owner of the name can be dialled while it has the name.
                        Ok(_server) => drop(StdStream::connect(dir.path()).unwrap()),
                        lost => assert_in_use(lost),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!dir.path().exists());
}

#[tokio::test]
async fn dropping_the_server_stops_listening_and_keeps_its_links() {
    let dir = SocketDir::new();
    let mut server = dir.bind().unwrap();
    let (mut served, mut dialled) = connected(&mut server, &dir.name(), IpcConfig::default()).await;
    drop(server);
    assert!(!dir.path().exists());
    assert!(dir.lock().exists(), "without it two servers could have the name");
    let end = local::dial(&dir.name(), IpcConfig::default()).await.err().unwrap();
    assert_refused(&end, "start the program");
    send(&mut served, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut dialled).await, 1);
    assert_serves(&mut dir.bind().unwrap(), &dir.name()).await;
}

#[tokio::test]
async fn another_socket_at_the_path_is_not_removed_on_drop() {
    let dir = SocketDir::new();
    let server = dir.bind().unwrap();
    fs::rename(dir.path(), dir.0.path().join("moved")).unwrap();
    let _other = StdListener::bind(dir.path()).unwrap();
    drop(server);
    assert!(dir.path().exists());
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_an_error_of_bind_and_of_connecting() {
    let dir = SocketDir::new();
    let none = IpcConfig::default().max_message(0);
    for (config, setting) in [
        (LocalConfig::default().max_connections(0), "LocalConfig::max_connections is 0"),
        (LocalConfig::default().ipc(none.clone()), "IpcConfig::max_message is 0"),
    ] {
        let error = LocalServer::bind(&dir.name(), config).unwrap_err();
        assert!(matches!(&error, BindError::Setting(bad) if bad.to_string().starts_with(setting)), "{error:?}");
    }
    let error = local::dial(&dir.name(), none).await.err().unwrap();
    assert!(matches!(&error, ConnectError::Refused(why) if why.contains("max_message is 0")), "{error:?}");
    let instant = IpcConfig::default().connect_timeout(Duration::ZERO);
    let error = local::dial(&dir.name(), instant).await.err().unwrap();
    assert!(matches!(&error, ConnectError::Refused(why) if why.contains("connect_timeout is 0ns")), "{error:?}");
}

#[tokio::test]
async fn connections_past_the_limit_are_closed() {
    let dir = SocketDir::new();
    let mut server = LocalServer::bind(&dir.name(), LocalConfig::default().max_connections(2)).unwrap();
    let mut links = vec![];
    for _ in 0..2 {
        links.push(connected(&mut server, &dir.name(), IpcConfig::default()).await);
    }
    let mut third = local::dial(&dir.name(), IpcConfig::default()).await.unwrap();
    soon(async {
        tokio::select! {
            _ = server.accept() => panic!("a third link"),
            end = poll_fn(|cx| third.poll_message(cx)) => drop(end.unwrap_err()),
        }
    })
    .await;
    for (served, dialled) in &mut links {
        send(dialled, emit(1, Payload::null())).await.unwrap();
        assert_eq!(next_id(served).await, 1);
    }
    // A dropped link frees a slot.
    drop(links.pop());
    assert_serves(&mut server, &dir.name()).await;
}
