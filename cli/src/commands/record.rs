//! `connector record`.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;

use clap::{Args, ValueHint};
use connector_core::Payload;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::call::arguments;
use crate::failure::{Failure, lines};
use crate::host::{Host, Plugins};
use crate::interrupt::interrupted;
use crate::output::{json_line, line, print};
use crate::recording::Redaction;

/// Records what plugins do, until it is interrupted or its calls have ended.
///
/// With --calls it makes the calls of a file, one after another, prints what each returns, and ends. A call that fails is
/// printed and recorded, and does not change the exit code.
#[derive(Args)]
pub(crate) struct Record {
    /// The recording. One that exists becomes FILE.1.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// A file with a call on each line, as words in the syntax of a shell: PLUGIN METHOD ARGS… With `-`, standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    calls: Option<PathBuf>,
    #[command(flatten)]
    redaction: Redaction,
    #[command(flatten)]
    plugins: Plugins,
}

impl Record {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let Record { out, calls, redaction, plugins } = self;
        let host = Host::new(plugins).await?;
        let recorder = redaction.record(&host.engine, &out)?;
        let activated = host.activate_all().await.into_iter().try_for_each(|(_, activated)| activated);
        let done = match (activated, calls) {
            (Err(failure), _) => Err(failure),
            (Ok(()), Some(file)) => make_calls(&host, &file, json).await,
            (Ok(()), None) => {
                let _ = writeln!(std::io::stderr(), "recording to {}; press Ctrl-C to stop", out.display());
                interrupted().map_err(no_signals)?.await;
                Ok(())
            }
        };
        host.close().await;
        let recorded =
            recorder.finish().map_err(|error| Failure::usage(format!("the recording is incomplete: {error}")))?;
        let _ = writeln!(std::io::stderr(), "{}: {} records", out.display(), recorded.records);
        if recorded.missed > 0 {
            let _ = writeln!(
                std::io::stderr(),
                "{} records are missing: they came faster than they were written",
                recorded.missed
            );
        }
        done
    }
}

/// Makes the calls of a file, and prints their results. Errors of calls are printed as well, and are not failures.
async fn make_calls(host: &Host, file: &std::path::Path, json: bool) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("{}: {error}", file.display()));
    let input: Box<dyn tokio::io::AsyncRead + Unpin> = match file.to_str() {
        Some("-") => Box::new(tokio::io::stdin()),
        _ => Box::new(tokio::fs::File::open(file).await.map_err(unreadable)?),
    };
    let (mut calls, mut number) = (BufReader::new(input).lines(), 0);
    let mut interrupted = pin!(interrupted().map_err(no_signals)?);
    loop {
        let text = tokio::select! {
            biased;
            () = &mut interrupted => return Ok(()),
            text = calls.next_line() => text.map_err(unreadable)?,
        };
        let Some(text) = text else { return Ok(()) };
        number += 1;
        let wrong = || Failure::usage(format!("{}, line {number}: it is not PLUGIN METHOD ARGS…", file.display()));
        let words = shlex::split(&text).ok_or_else(wrong)?;
        let (plugin, method, args) = match &words[..] {
            [] => continue,
            [plugin, method, args @ ..] => (plugin, method, arguments(args.to_vec())?),
            [_] => return Err(wrong()),
        };
        let outcome = tokio::select! {
            biased;
            () = &mut interrupted => return Ok(()),
            outcome = host.local.call_within::<Payload>(host.timeout, plugin, method, args) => outcome,
        };
        match outcome.map_err(Failure::from).and_then(|result| json_line(&result)) {
            Ok(result) if json => print(format_args!("{{\"ok\":{result}}}"))?,
            Ok(result) => print(result)?,
            Err(failure) if json => print(line(&json!({ "error": failure.text() }).to_string()))?,
            Err(failure) => print(format_args!("error: {}", lines(&failure.text())))?,
        }
    }
}

fn no_signals(error: std::io::Error) -> Failure {
    Failure::usage(format!("cannot wait for Ctrl-C: {error}"))
}
