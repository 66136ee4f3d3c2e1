//! Whose a socket is, and what becomes of one that is left behind.

use crate::support::*;

#[tokio::test]
async fn the_socket_is_the_users_alone() {
    let place = Place::new();
    let server = place.bind().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&place.path()), mode(&place.lock())), (0o600, 0o600));
    assert_eq!(server.url(), format!("local:{}", place.path().display()));
}

#[tokio::test]
async fn a_bare_name_is_in_a_folder_of_the_users() {
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
    assert_eq!(left.filter(|file| file.starts_with(&name.to_string())).count(), 0, "not even a lock");
}

#[tokio::test]
async fn a_live_server_is_not_displaced() {
    let place = Place::new();
    let mut server = place.bind().unwrap();
    for _ in 0..3 {
        assert_in_use(place.bind());
        assert_serves(&mut server, &place.name()).await;
    }
    // Nor after somebody cleaned up.
    fs::remove_file(place.lock()).unwrap();
    assert_in_use(place.bind());
    // It was asked whether it lives, by a connection that is gone.
    let _asked = soon(server.accept()).await.unwrap();
    assert_serves(&mut server, &place.name()).await;
}

#[tokio::test]
async fn a_live_server_that_knows_no_lock_is_not_displaced() {
    let place = Place::new();
    let stranger = StdListener::bind(place.path()).unwrap();
    assert_in_use(place.bind());
    // Not even while its backlog is full and it would not answer.
    rustix::net::listen(&stranger, 0).unwrap();
    let _waiting = fill(&place.path());
    assert_in_use(place.bind());
    assert!(place.path().exists());
}

#[tokio::test]
async fn a_stale_socket_is_reclaimed() {
    let place = Place::new();
    for _ in 0..2 {
        place.crash();
        let mut server = place.bind().unwrap();
        assert_serves(&mut server, &place.name()).await;
    }
}

/// This test starts itself again as the server.
#[tokio::test]
async fn a_server_that_was_killed_is_succeeded() {
    const PLACE: &str = "LOCAL_SOCKET_OF_A_SERVER";
    if let Ok(path) = std::env::var(PLACE) {
        let (_, serving) = local::serve(&path, probe).unwrap();
        drop(soon(serving).await);
        return;
    }
    let place = Place::new();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sockets::a_server_that_was_killed_is_succeeded"])
        .env(PLACE, place.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut link = soon(async {
        loop {
            match local::dial(&place.name(), IpcConfig::default()).await {
                Ok(link) => break link,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_in_use(place.bind());
    soon(server.kill()).await.unwrap();
    while next(&mut link).await.is_ok() {}
    assert!(place.path().exists());
    assert_serves(&mut place.bind().unwrap(), &place.name()).await;
}

/// This test starts itself again, as the limit is the whole process's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_without_a_free_descriptor_goes_on_when_there_is_one() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const ALONE: &str = "LOCAL_SOCKET_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut again = tokio::process::Command::new(std::env::current_exe().unwrap());
        again
            .args(["--exact", "sockets::a_server_without_a_free_descriptor_goes_on_when_there_is_one"])
            .env(ALONE, "1");
        let output = soon(again.kill_on_drop(true).output()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let place = Place::new();
    let mut server = place.bind().unwrap();
    let mut dialled = local::dial(&place.name(), IpcConfig::default()).await.unwrap();
    send(&mut dialled, emit(1, Payload::null())).await.unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: limit.maximum }).unwrap();
    StdStream::connect(place.path()).unwrap_err();
    // Often enough to have met the limit.
    for _ in 0..100 {
        assert!(poll!(server.accept()).is_pending());
        tokio::task::yield_now().await;
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut link = soon(server.accept()).await.unwrap();
    assert_eq!(next_id(&mut link).await, 1);
}

#[tokio::test]
async fn nothing_but_a_socket_is_removed() {
    let place = Place::new();
    let assert_private = || {
        let error = place.bind().unwrap_err();
        assert!(matches!(error, BindError::NotPrivate { .. }), "{error:?}");
    };
    fs::write(place.path(), "precious").unwrap();
    assert_private();
    assert_eq!(fs::read(place.path()).unwrap(), b"precious");
    fs::remove_file(place.path()).unwrap();
    symlink("elsewhere", place.path()).unwrap();
    assert_private();
    fs::remove_file(place.path()).unwrap();
    // Nor is the lock looked for behind a link, or in what is no file.
    let elsewhere = place.0.path().join("elsewhere");
    fs::remove_file(place.lock()).unwrap();
    symlink(&elsewhere, place.lock()).unwrap();
    assert!(matches!(place.bind(), Err(BindError::Io { .. })));
    assert!(!elsewhere.exists());
    fs::remove_file(place.lock()).unwrap();
    drop(StdListener::bind(place.lock()).unwrap());
    assert!(matches!(place.bind(), Err(BindError::Io { .. })));
}

#[tokio::test]
async fn a_path_that_cannot_be_is_not_bound() {
    let place = Place::new();
    let name = LocalName::parse(place.0.path().join("no/s").to_str().unwrap()).unwrap();
    let error = LocalServer::bind(&name, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error:?}");
    let name = LocalName::parse(&format!("/{}", "x".repeat(200))).unwrap();
    let error = LocalServer::bind(&name, LocalConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::Name(_)), "{error:?}");
    assert_refused(&local::dial(&name, IpcConfig::default()).await.err().unwrap(), "choose a shorter name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_reclaim_at_once_one_wins() {
    const RACERS: usize = 4;
    for round in 0..200 {
        let place = Place::new();
        place.crash();
        let barrier = Arc::new(Barrier::new(RACERS));
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                let (barrier, name, runtime) = (barrier.clone(), place.name(), tokio::runtime::Handle::current());
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
        assert_serves(&mut won[0], &place.name()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_removes_the_socket_of_the_next() {
    let place = Arc::new(Place::new());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (place, runtime) = (place.clone(), tokio::runtime::Handle::current());
            std::thread::spawn(move || {
                let _runtime = runtime.enter();
                for _ in 0..500 {
                    match place.bind() {
                        // Whoever has the name can be dialled for as long as it has it.
                        Ok(_server) => drop(StdStream::connect(place.path()).unwrap()),
                        lost => assert_in_use(lost),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!place.path().exists());
}

#[tokio::test]
async fn dropping_the_server_stops_listening_and_links_live_on() {
    let place = Place::new();
    let mut server = place.bind().unwrap();
    let (mut served, mut dialled) = connected(&mut server, &place.name(), IpcConfig::default()).await;
    drop(server);
    assert!(!place.path().exists());
    assert!(place.lock().exists(), "were it removed, two servers could have the name");
    let end = local::dial(&place.name(), IpcConfig::default()).await.err().unwrap();
    assert_refused(&end, "start the program");
    send(&mut served, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut dialled).await, 1);
    assert_serves(&mut place.bind().unwrap(), &place.name()).await;
}

#[tokio::test]
async fn another_socket_at_the_path_is_not_removed_on_drop() {
    let place = Place::new();
    let server = place.bind().unwrap();
    fs::rename(place.path(), place.0.path().join("moved")).unwrap();
    let _other = StdListener::bind(place.path()).unwrap();
    drop(server);
    assert!(place.path().exists());
}

#[tokio::test]
async fn connections_past_the_limit_are_closed() {
    let place = Place::new();
    let mut server = LocalServer::bind(&place.name(), LocalConfig::default().max_connections(2)).unwrap();
    let mut links = vec![];
    for _ in 0..2 {
        links.push(connected(&mut server, &place.name(), IpcConfig::default()).await);
    }
    let mut third = local::dial(&place.name(), IpcConfig::default()).await.unwrap();
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
    // One that goes makes room.
    drop(links.pop());
    assert_serves(&mut server, &place.name()).await;
}
