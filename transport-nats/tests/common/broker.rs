//! A NATS server for a test, on a free port.
#![allow(dead_code, reason = "each program includes the whole file and uses a part of it")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Broker {
    server: Child,
    address: SocketAddr,
    /// Where it tells about itself.
    monitor: SocketAddr,
    /// Lines of its log about clients that it cuts because they read too slowly.
    slow_consumers: Arc<AtomicU64>,
    setup: Setup,
}

/// How it is started.
#[derive(Debug, Clone)]
struct Setup {
    /// The program that runs it, with arguments; none for the server itself.
    runner: Vec<String>,
    host: String,
    config: Option<PathBuf>,
}

impl Broker {
    /// Starts `nats-server`, or the program in `NATS_SERVER`.
    pub(crate) fn start() -> io::Result<Broker> {
        Broker::start_at(-1, Setup::new(None))
    }

    /// With a configuration file.
    pub(crate) fn with_config(config: PathBuf) -> io::Result<Broker> {
        Broker::start_at(-1, Setup::new(Some(config)))
    }

    /// Run by another program, such as `nsenter`, and listening at this address there.
    pub(crate) fn run_by(runner: &[&str], host: &str) -> io::Result<Broker> {
        let runner = runner.iter().map(|word| (*word).to_owned()).collect();
        Broker::start_at(-1, Setup { runner, host: host.to_owned(), config: None })
    }

    fn start_at(port: i32, setup: Setup) -> io::Result<Broker> {
        let mut server =
            setup.command(port).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = server.stderr.take().ok_or_else(|| io::Error::other("no log"))?;
        let mut lines = BufReader::new(log).lines();
        let mut monitor = None;
        let address = loop {
            let line = lines.next().ok_or_else(|| io::Error::other("nats-server has ended; its log says why"))??;
            if let Some((_, address)) = line.split_once("Starting http monitor on ") {
                monitor = Some(address.parse().map_err(io::Error::other)?);
            }
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                break address.parse().map_err(io::Error::other)?;
            }
        };
        let monitor = monitor.ok_or_else(|| io::Error::other("nats-server has no monitor"))?;
        let slow_consumers = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&slow_consumers);
        // Reads on, so that the server is never blocked by its log.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.fetch_add(line.contains("Slow Consumer").into(), Ordering::Relaxed);
            }
        });
        let broker = Broker { server, address, monitor, slow_consumers, setup };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// What it tells about itself.
    pub(crate) fn variables(&self) -> io::Result<Value> {
        let mut stream = TcpStream::connect(self.monitor)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("not an HTTP response"))?;
        Ok(serde_json::from_str(body)?)
    }

    /// How many clients it has cut because they read too slowly: as it tells, and as its log says.
    pub(crate) fn slow_consumers(&self) -> io::Result<(u64, u64)> {
        let told = self.variables()?["slow_consumers"].as_u64();
        let told = told.ok_or_else(|| io::Error::other("it does not tell of slow consumers"))?;
        Ok((told, self.slow_consumers.load(Ordering::Relaxed)))
    }

    /// Stops it without ending it: its connections stay, and nothing is answered.
    pub(crate) fn freeze(&self) {
        let _ = Command::new("kill").args(["-STOP", &self.server.id().to_string()]).status();
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts it again, on the same port.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.kill();
        *self = Broker::start_at(self.address.port().into(), self.setup.clone())?;
        Ok(())
    }
}

impl Setup {
    fn new(config: Option<PathBuf>) -> Setup {
        Setup { runner: Vec::new(), host: "127.0.0.1".to_owned(), config }
    }

    fn command(&self, port: i32) -> Command {
        let program = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let mut command = match &*self.runner {
            [] => Command::new(program),
            [runner, arguments @ ..] => {
                let mut command = Command::new(runner);
                command.args(arguments).arg(program);
                command
            }
        };
        command.args(["--addr", &self.host, "--port", &port.to_string(), "--http_port", "-1"]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
