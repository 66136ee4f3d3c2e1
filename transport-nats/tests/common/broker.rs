//! A NATS server for a test, on a free port.
#![allow(dead_code, reason = "each program includes the whole file and uses a part of it")]

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct Broker {
    server: Child,
    address: SocketAddr,
    config: Option<PathBuf>,
}

impl Broker {
    /// Starts `nats-server`, or the program in `NATS_SERVER`.
    pub(crate) fn start() -> io::Result<Broker> {
        Broker::start_at(-1, None)
    }

    /// With a configuration file.
    pub(crate) fn with_config(config: PathBuf) -> io::Result<Broker> {
        Broker::start_at(-1, Some(config))
    }

    fn start_at(port: i32, config: Option<PathBuf>) -> io::Result<Broker> {
        let program = std::env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        if let Some(config) = &config {
            command.arg("--config").arg(config);
        }
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = server.stderr.take().ok_or_else(|| io::Error::other("no log"))?;
        let mut lines = BufReader::new(log).lines();
        let address = loop {
            let line = lines.next().ok_or_else(|| io::Error::other("nats-server has ended; its log says why"))??;
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                break address.parse().map_err(io::Error::other)?;
            }
        };
        // Reads on, so that the server is never blocked by its log.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let broker = Broker { server, address, config };
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
        *self = Broker::start_at(self.address.port().into(), self.config.take())?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
