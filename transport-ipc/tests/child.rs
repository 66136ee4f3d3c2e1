//! Misbehaving programs, written as shell scripts. An engine's first handshake always has the id -2, so that even a shell
//! can answer it.
#![cfg(all(unix, feature = "plugin"))]

use std::time::Duration;

use conformance::{engine_with, traces};
use connector_core::{
    ActivateError, CallError, Engine, Event, LinkEnd, LinkLost, LinkState, Plugin, PluginClient, PluginOptions,
    QueueLimits, Registration, Rest,
};
use tokio::time::timeout;
use tracing::Level;
use transport_ipc::{ChannelKind, ChildEnd, Program, Restart, child};

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(30);
const HANDSHAKE: &str = r#"printf '{"action":"response","id":-2,"key":"handshake","payload":["echo","other"]}\n'; "#;

struct Host {
    engine: Engine,
    local: PluginClient,
}

impl Host {
    async fn new() -> Host {
        let (engine, local) = engine_with(Plugin::new("local")).await;
        Host { engine, local }
    }

    async fn activate(&self, registration: Registration) -> Result<(), ActivateError> {
        self.engine.register(registration).unwrap();
        timeout(LIMIT, self.engine.manager().activate("p")).await.expect("the activation hangs")
    }

    async fn call(&self) -> Result<String, CallError> {
        timeout(LIMIT, self.local.call("p", "echo", ("x",))).await.expect("the call hangs")
    }

    /// The error of a call during which the plugin's program, which answers the handshake and then runs this script, ends.
    async fn lose(&self, script: &str) -> CallError {
        self.activate(loaded(script)).await.unwrap();
        self.call().await.unwrap_err()
    }

    async fn until(&self, is: impl Fn(&LinkState) -> bool) -> LinkState {
        let mut state = self.engine.link_state("p").unwrap();
        let state = timeout(LIMIT, state.wait_for(|state| is(state))).await.expect("the state is never reached");
        state.unwrap().clone()
    }
}

fn shell(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script).restart(Restart::Never)
}

/// A plugin that answers the handshake and then runs the script.
fn loaded(script: &str) -> Registration {
    child("p", shell(&format!("{HANDSHAKE}{script}")))
}

/// How the program of a lost call ended.
fn child_end(error: &CallError) -> &ChildEnd {
    ChildEnd::of(error).unwrap_or_else(|| panic!("{error:?}"))
}

/// Whether a process exists and is not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

async fn until_gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, gone).await.unwrap_or_else(|_| panic!("process {pid} is still alive"));
}

#[tokio::test]
async fn a_missing_program_fails_the_activation() {
    let error = Host::new().await.activate(child("p", Program::new("/no/such/program"))).await.unwrap_err().to_string();
    assert!(
        error.contains("/no/such/program cannot be started") && error.contains("check that it is installed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_executable_fails_the_activation() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Host::new().await.activate(child("p", Program::new(file.path()))).await.unwrap_err().to_string();
    assert!(error.contains("check that it is executable"), "{error}");
}

#[tokio::test]
async fn a_program_with_another_digest_fails_the_activation() {
    let error = Host::new().await.activate(child("p", shell("").sha256([7; 32]))).await.unwrap_err().to_string();
    assert!(error.contains("its SHA-256 is"), "{error}");
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_restarted_within_its_budget() {
    let warnings = traces(Level::WARN);
    let program = shell("echo 'no database' >&2; exit 3").restart(Restart::OnFailure).crash_budget(3, LIMIT);
    let error = Host::new().await.activate(child("p", program)).await.unwrap_err().to_string();
    assert!(error.contains("ended 3 times within 30s") && error.contains("exit status: 3"), "{error}");
    // Other plugins see the error as well.
    assert!(!error.contains("no database"), "{error}");
    let traced = warnings.containing("no database");
    assert!(traced.len() == 3 && traced.iter().all(|line| line.contains("exit status: 3")), "{traced:?}");
}

#[tokio::test]
async fn a_program_that_is_not_a_plugin_is_reported() {
    let host = || async { Host::new().await };
    let error = host().await.activate(child("p", Program::new("/bin/true"))).await.unwrap_err().to_string();
    assert!(error.contains("gave up: the program /bin/true ended with exit status: 0 without having sent"), "{error}");
    assert!(error.contains("is it a plugin's program") && error.contains("Restart::OnFailure"), "{error}");
    let usage = Program::new("/bin/sh").arg("-c").arg("echo 'usage: x [-v] FILE' >&2; exit 2").crash_budget(2, LIMIT);
    for channel in [ChannelKind::Stdio, ChannelKind::Node, ChannelKind::Local] {
        let warnings = traces(Level::WARN);
        let program = usage.clone().channel(channel);
        let error = host().await.activate(child("p", program)).await.unwrap_err();
        let end = ChildEnd::of_activation(&error).expect("the host learns how it ended");
        assert_eq!(
            (end.stderr.as_slice(), end.status.unwrap().code()),
            (&["usage: x [-v] FILE".to_owned()][..], Some(2))
        );
        assert!(!format!("{error} {error:?}").contains("usage"), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("exit status: 2 without having sent") && error.contains("ended 2 times"), "{error}");
        assert!(error.contains("withheld: use Program::inherit_env"), "{error}");
        assert!(
            error.ends_with("; its last lines on standard error are in ChildEnd::stderr and in the traces"),
            "{error}"
        );
        assert_eq!(warnings.containing("usage: x [-v] FILE").len(), 2, "{channel:?}");
    }
}

/// An interpreter says on its standard error what is wrong with a script.
#[tokio::test]
async fn an_error_names_the_script_and_gives_no_hint_for_rust() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clock.sh"), "echo 'clock.sh: no battery' >&2; exit 1").unwrap();
    let program = Program::new("/bin/sh").args(["clock.sh", "s3cret"]).current_dir(folder.path());
    let error = Host::new().await.activate(child("p", program.restart(Restart::Never))).await.unwrap_err();
    assert_eq!(ChildEnd::of_activation(&error).unwrap().stderr, ["clock.sh: no battery"]);
    let error = error.to_string();
    assert!(error.contains("the program /bin/sh clock.sh ended with exit status: 1 without having sent"), "{error}");
    assert!(error.contains("is it a plugin's program") && !error.contains("Channel::find"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_program_without_a_handshake_fails_the_activation() {
    let options = PluginOptions::default()
        .activation_timeout(Duration::from_millis(600))
        .handshake_timeout(Duration::from_millis(200));
    let host = Host::new().await;
    let registration = child("p", shell("echo $$ >&2; exec sleep 1000").restart(Restart::Always)).options(options);
    let error = host.activate(registration).await.unwrap_err();
    assert!(matches!(error, ActivateError::NoHandshake { .. }), "{error:?}");
    assert!(!error.to_string().contains("url"), "{error}");
}

#[tokio::test]
async fn stray_prints_to_the_channel_are_skipped() {
    let host = Host::new().await;
    let echoes = r#"echo 'debug: starting'; echo '{"not":"a message"}'; read hello; read request; \
        printf '{"action":"response","id":0,"payload":"back"}\n'; exec sleep 1000"#;
    // Requests to the plugin are numbered from 0; the plugin need not send a hello.
    host.activate(loaded(echoes)).await.unwrap();
    assert_eq!(host.call().await.unwrap(), "back");
}

#[tokio::test]
async fn a_program_killed_within_a_line_loses_its_link() {
    let host = Host::new().await;
    let script = r#"read hello; read request; echo 'out of cheese' >&2; printf '{"action":"resp'; kill -9 $$"#;
    let error = host.lose(script).await;
    let end = child_end(&error);
    assert_eq!(end.status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)), Some(9));
    assert_eq!(end.stderr, ["out of cheese"]);
    let state = host.until(|state| matches!(state, LinkState::Down { tries: 1, .. })).await;
    let LinkState::Down { why, .. } = &state else { panic!("{state:?}") };
    assert_eq!(ChildEnd::of_link(why).unwrap().stderr, ["out of cheese"]);
    let state = state.to_string();
    assert!(state.contains("it is not restarted") && state.contains("signal: 9"), "{state}");
}

#[tokio::test]
async fn a_program_that_closes_its_output_without_ending_is_killed() {
    let host = Host::new().await;
    let error = host.lose("echo $$ >&2; read hello; read request; exec 1>&-; exec sleep 1000").await;
    let end = child_end(&error);
    assert!(end.status.is_none() && error.to_string().contains("did not end, and was killed"), "{error}");
    until_gone(&end.stderr[0]).await;
}

#[tokio::test]
async fn a_gigabyte_on_standard_error_does_not_block_the_program() {
    let host = Host::new().await;
    let script = r#"head -c 1000000000 /dev/zero >&2; echo >&2; read hello; read request; echo done >&2; \
        printf '{"action":"response","id":0,"payload":"back"}\n'; exec sleep 1000"#;
    // A busy machine may take long for a gigabyte.
    let long = Duration::from_secs(600);
    host.activate(loaded(script).options(PluginOptions::default().queue_timeout(long))).await.unwrap();
    let back = timeout(long, host.local.call::<String>("p", "echo", ())).await.expect("the call hangs");
    assert_eq!(back.unwrap(), "back");
    host.engine.shutdown().await;
}

#[tokio::test]
async fn a_program_that_ignores_end_of_file_and_term_is_killed() {
    let host = Host::new().await;
    let script = format!(
        "{HANDSHAKE}trap '' TERM; read hello; read request; echo $$ >&2; \
        printf '{{\"action\":\"response\",\"id\":0,\"payload\":\"'$$'\"}}\\n'; while :; do sleep 1; done"
    );
    let short = Duration::from_millis(100);
    host.activate(child("p", shell(&script).exit_timeout(short).term_timeout(short))).await.unwrap();
    let pid = host.call().await.unwrap();
    assert!(lives(&pid));
    timeout(LIMIT, host.engine.manager().deactivate("p")).await.expect("the deactivation hangs").unwrap();
    until_gone(&pid).await;
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_is_killed() {
    let host = Host::new().await;
    let error = host.lose("sleep 1000 & echo $! >&2; read hello; read request; exit 5").await;
    let end = child_end(&error);
    assert_eq!(end.status.and_then(|status| status.code()), Some(5));
    until_gone(&end.stderr[0]).await;
}

#[tokio::test]
async fn grandchildren_end_with_a_deactivation_and_with_the_engine() {
    for drops in [false, true] {
        let host = Host::new().await;
        let script = "sleep 1000 & read hello; read request; \
            printf '{\"action\":\"response\",\"id\":0,\"payload\":\"'$!'\"}\\n'; exec sleep 1000";
        host.activate(loaded(script)).await.unwrap();
        let pid = host.call().await.unwrap();
        assert!(lives(&pid));
        match drops {
            true => drop(host),
            false => timeout(LIMIT, host.engine.manager().deactivate("p")).await.unwrap().unwrap(),
        }
        until_gone(&pid).await;
    }
}

#[tokio::test]
async fn a_program_stopped_under_load_loses_its_link() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue_timeout(Duration::from_millis(500));
    let script = format!(
        "{HANDSHAKE}printf '{{\"action\":\"on\",\"name\":\"local\",\"key\":\"tick\"}}\\n'; \
        echo $$ >&2; kill -STOP $$; exec sleep 1000"
    );
    host.activate(child("p", shell(&script)).options(options)).await.unwrap();
    let error = host.call().await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
    let events = async {
        let text = "x".repeat(1000);
        while host.engine.link_state("p").unwrap().borrow().is_up() {
            host.local.emit("tick", (text.clone(),)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, events).await.expect("a plugin that does not read keeps its link");
    let state = host.until(|state| matches!(state, LinkState::Down { .. })).await.to_string();
    assert!(state.contains("too slow") || state.contains("gave up"), "{state}");
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_link() {
    let host = Host::new().await;
    let script = "echo $$ >&2; read hello; read request; head -c 17000000 /dev/zero | tr '\\0' x; exec sleep 1000";
    let error = host.lose(script).await;
    let CallError::LinkLost(lost) = &error else { panic!("{error:?}") };
    assert!(matches!(&**lost, LinkLost::Observed { end: LinkEnd::TooLarge { limit: 16_777_216 }, .. }), "{lost:?}");
}

/// The program floods its output and never reads its input, which the engine floods: neither waits for the other.
#[tokio::test]
async fn two_full_pipes_do_not_deadlock() {
    let host = Host::new().await;
    let script = "printf '{\"action\":\"on\",\"name\":\"local\",\"key\":\"tick\"}\\n'; \
        while :; do printf '{\"action\":\"emit\",\"key\":\"tock\",\"payload\":[1]}\\n'; done";
    let limits = QueueLimits::default().stall_timeout(Duration::from_secs(1));
    host.activate(loaded(script).options(PluginOptions::default().queue(limits))).await.unwrap();
    let mut tocks = host.local.events::<Rest>("p", "tock", 8).unwrap();
    let text = "x".repeat(100_000);
    let flood = async {
        while host.engine.link_state("p").unwrap().borrow().is_up() {
            host.local.emit("tick", (text.clone(),)).await.unwrap();
            timeout(LIMIT, tocks.recv()).await.expect("its events stopped");
        }
    };
    timeout(LIMIT, flood).await.expect("a plugin that does not read keeps its link");
}

#[tokio::test]
async fn the_link_state_explains_the_restart_policy() {
    let host = Host::new().await;
    host.activate(child(
        "p",
        shell(&format!("{HANDSHAKE}read hello; read request; exit 0")).restart(Restart::OnFailure),
    ))
    .await
    .unwrap();
    let error = host.call().await.unwrap_err();
    assert!(child_end(&error).status.unwrap().success());
    let state = host.until(|state| matches!(state, LinkState::Down { tries: 1, .. })).await.to_string();
    assert!(state.contains("only after a failure"), "{state}");
    // An activation resets the record of past exits.
    host.engine.manager().deactivate("p").await.unwrap();
    timeout(LIMIT, host.engine.manager().activate("p")).await.unwrap().unwrap();
    host.until(LinkState::is_up).await;
}

#[tokio::test]
async fn a_crashed_program_is_restarted() {
    let host = Host::new().await;
    let script = format!("{HANDSHAKE}read hello; read request; exit 9");
    host.activate(child("p", shell(&script).restart(Restart::OnFailure).crash_budget(100, LIMIT))).await.unwrap();
    for _ in 0..5 {
        let error = host.call().await.unwrap_err();
        assert_eq!(child_end(&error).status.unwrap().code(), Some(9));
        host.until(LinkState::is_up).await;
    }
}

#[tokio::test]
async fn the_environment_and_directory_are_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new().await;
    let script = format!(
        "{HANDSHAKE}read hello; read request; \
        printf '{{\"action\":\"response\",\"id\":0,\"payload\":\"%s %s %s %s\"}}\\n' \"$ONE\" \"$HOME\" \"$CARGO\" \"$(pwd)\"; exec sleep 1000"
    );
    let program = shell(&script).inherit_env(["PATH"]).env("ONE", "1").current_dir(folder.path());
    host.activate(child("p", program)).await.unwrap();
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(host.call().await.unwrap(), format!("1   {}", folder.display()));
}

/// Answers requests with the process's pid, and handshakes with its methods.
const ANSWERS: &str = r#"while read line; do
    id=$(printf %s "$line" | sed 's/.*"id":\([-0-9]*\).*/\1/')
    case "$line" in
        *'"response"'*) ;;
        *'"handshake"'*) printf '{"action":"response","id":%s,"key":"handshake","payload":["echo"]}\n' "$id" ;;
        *) eval "$WORK"; printf '{"action":"response","id":%s,"payload":"%s"}\n' "$id" $$ ;;
    esac
done"#;

/// With the default options, and after it has answered a call.
#[tokio::test]
async fn a_stopped_program_is_detected_and_restarted() {
    let host = Host::new().await;
    host.activate(child("p", shell(ANSWERS).restart(Restart::OnFailure))).await.unwrap();
    let pid = host.call().await.unwrap();
    let mut down = host.local.events("manager", "linkDown", 8).unwrap();
    let stopped = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(stopped, rustix::process::Signal::STOP).unwrap();
    let Some(Event::Args(Rest(args))) = timeout(LIMIT, down.recv()).await.expect("it is not detected") else {
        panic!()
    };
    let why: String = args[1].clone().read().unwrap();
    assert!(why.starts_with("silent"), "{why}");
    host.until(LinkState::is_up).await;
    until_gone(&pid).await;
    assert_ne!(host.call().await.unwrap(), pid);
}

/// A shell has one thread: it reads nothing while it works.
#[tokio::test]
async fn a_busy_program_within_its_limit_keeps_its_link() {
    let host = Host::new().await;
    let options = PluginOptions::default()
        .health_interval(Duration::from_millis(100))
        .handshake_timeout(Duration::from_secs(3))
        .activation_timeout(LIMIT)
        .queue_timeout(LIMIT);
    let program = shell(ANSWERS).restart(Restart::Always).env("WORK", "sleep 5");
    host.activate(child("p", program).options(options)).await.unwrap();
    host.call().await.unwrap();
}
