//! A link to a supervised program.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{Action, DecodeError, Link, LinkEnd, Message, SendError, Traffic};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::output::{LastLines, Tracer, follow};
use super::process::{Child, ChildEnd, Group};
use super::program::{ChannelKind, Program};
use super::restart::History;

/// How long a program that has closed its channel may take to end before it is killed, and how long the remaining output
/// of an ended program may take to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// A running program and its output. Dropping this kills it.
pub(super) struct Supervised {
    child: Child,
    end: Pin<Box<dyn Future<Output = ChildEnd> + Send>>,
    history: History,
    /// Whether its end is still unaccounted for: it was not asked to end, and no end has been recorded.
    end_pending: bool,
    /// Whether it has sent a message.
    sent_message: bool,
    output: Option<JoinHandle<()>>,
    tracer: Tracer,
}

impl Supervised {
    pub(super) fn new(
        mut group: Group,
        plugin: &Arc<str>,
        program: &Program,
        withheld: usize,
        history: &History,
    ) -> Supervised {
        let stderr = LastLines::default();
        let tracer = Tracer::new(plugin);
        let follow_errors = |stream| tokio::spawn(follow(stream, tracer.clone(), "stderr", Some(stderr.clone())));
        let errors = group.child.stderr().take().map(follow_errors);
        let follow_output = |stream| tokio::spawn(follow(stream, tracer.clone(), "stdout", None));
        let output = match program.channel {
            ChannelKind::Stdio => None,
            // On other channels the program may print to its standard output.
            _ => group.child.stdout().take().map(follow_output),
        };
        let child = Child::supervise(group, program.exit_timeout, program.term_timeout);
        let end = ended(child.status.clone(), program.described(), withheld, stderr, errors);
        Supervised {
            child,
            end: Box::pin(end),
            history: history.clone(),
            end_pending: true,
            sent_message: false,
            output,
            tracer,
        }
    }

    /// Ready when it has ended; must not be polled again after that.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<ChildEnd> {
        self.end.as_mut().poll(cx).map(|end| ChildEnd { was_mute: !self.sent_message, ..end })
    }

    /// Its end, if it ends before there is a link.
    pub(super) async fn ended(&mut self) -> ChildEnd {
        let end = poll_fn(|cx| self.poll_end(cx)).await;
        self.note(&end);
        end
    }

    /// Records that it ended on its own.
    fn note(&mut self, end: &ChildEnd) {
        self.end_pending = false;
        self.tracer.ended(end);
        self.history.ended(end);
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(output) = &self.output {
            output.abort();
        }
        if self.end_pending {
            self.history.killed();
        }
    }
}

async fn ended(
    mut status: watch::Receiver<Option<Option<ExitStatus>>>,
    program: String,
    withheld_env: usize,
    stderr: LastLines,
    errors: Option<JoinHandle<()>>,
) -> ChildEnd {
    // An error means that the supervising task is gone and has killed it.
    let status = status.wait_for(Option::is_some).await.ok().and_then(|status| *status).flatten();
    if let Some(mut errors) = errors {
        // Its last output arrives with its end, unless a descendant keeps the pipe open.
        if tokio::time::timeout(GRACE, &mut errors).await.is_err() {
            errors.abort();
        }
    }
    ChildEnd { program, status, stderr: stderr.all(), withheld_env, was_mute: false }
}

/// The link over a program's channel.
pub(super) struct ChildLink {
    /// `None` once closed, which the program sees as end of file.
    inner: Option<Box<dyn Link>>,
    supervised: Supervised,
    state: State,
    /// The number of requests that the program has not answered yet.
    unanswered: usize,
}

enum State {
    Open,
    /// The channel has ended and the program should end too.
    ChannelEnded {
        cause: LinkEnd,
        timer: Option<Pin<Box<Sleep>>>,
    },
    /// The program has ended; its remaining output may still arrive.
    Exited {
        end: ChildEnd,
        timer: Pin<Box<Sleep>>,
    },
    Ended(LinkEnd),
}

impl ChildLink {
    pub(super) fn new(inner: Box<dyn Link>, supervised: Supervised) -> ChildLink {
        ChildLink { inner: Some(inner), supervised, state: State::Open, unanswered: 0 }
    }

    /// The channel, while it carries messages.
    fn open(&mut self) -> Result<&mut Box<dyn Link>, LinkEnd> {
        match (&self.state, &mut self.inner) {
            (State::Ended(end), _) => Err(end.clone()),
            (_, Some(inner)) => Ok(inner),
            (_, None) => Err(LinkEnd::Disconnected),
        }
    }

    /// Polls a sending method. A failed write stays pending: the reader reports the end, with how the program ended.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Box<dyn Link>, &mut Context<'_>) -> Poll<Result<(), LinkEnd>>,
    ) -> Poll<Result<(), LinkEnd>> {
        let inner = self.open()?;
        match ready!(poll(inner, cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(_) => Poll::Pending,
        }
    }

    /// The link's end for a program's end: a program that has answered everything and succeeds has closed the link.
    fn end_for(&self, end: ChildEnd) -> LinkEnd {
        match end.is_success() && self.unanswered == 0 {
            true => LinkEnd::Closed { code: None, reason: end.how() },
            // Its first message may have arrived after its end.
            false => LinkEnd::lost(ChildEnd { was_mute: !self.supervised.sent_message, ..end }),
        }
    }

    fn count_received(&mut self, message: Result<Message, DecodeError>) -> Result<Message, DecodeError> {
        self.supervised.sent_message |= message.is_ok();
        if message.as_ref().is_ok_and(|message| message.action == Action::Response) {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        message
    }

    /// Updates the number of unanswered requests for a sent message.
    fn count_sent(&mut self, action: Action, has_id: bool) {
        match action {
            Action::Request if has_id => self.unanswered += 1,
            // A cancelled request needs no response.
            Action::Cancel if has_id => self.unanswered = self.unanswered.saturating_sub(1),
            _ => {}
        }
    }

    fn end_with(&mut self, end: LinkEnd) -> LinkEnd {
        self.inner = None;
        self.state = State::Ended(end.clone());
        end
    }
}

impl Link for ChildLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_write(cx, |inner, cx| inner.poll_ready(cx))
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        let (action, has_id) = (message.action, message.id.is_some());
        self.open()?.send(message)?;
        self.count_sent(action, has_id);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_write(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let timer = || Box::pin(tokio::time::sleep(GRACE));
        loop {
            match &mut self.state {
                State::Ended(end) => return Poll::Ready(Err(end.clone())),
                State::Open => {
                    let Some(inner) = &mut self.inner else { return Poll::Ready(Err(LinkEnd::Disconnected)) };
                    match inner.poll_message(cx) {
                        Poll::Ready(Ok(message)) => return Poll::Ready(Ok(self.count_received(message))),
                        Poll::Ready(Err(cause)) => self.state = State::ChannelEnded { cause, timer: Some(timer()) },
                        Poll::Pending => {
                            let end = ready!(self.supervised.poll_end(cx));
                            self.supervised.note(&end);
                            self.state = State::Exited { end, timer: timer() };
                        }
                    }
                }
                State::ChannelEnded { cause, timer } => {
                    if let Poll::Ready(mut end) = self.supervised.poll_end(cx) {
                        if timer.is_none() {
                            end.status = None;
                        }
                        let cause = cause.clone();
                        self.supervised.note(&end);
                        // The reason why the link broke says more than the kill that followed.
                        let end = match cause {
                            LinkEnd::BadFrame(_) | LinkEnd::TooLarge { .. } => cause,
                            _ => self.end_for(end),
                        };
                        return Poll::Ready(Err(self.end_with(end)));
                    }
                    let Some(running) = timer else { return Poll::Pending };
                    ready!(running.as_mut().poll(cx));
                    *timer = None;
                    self.supervised.child.kill();
                }
                State::Exited { end, timer } => {
                    if let Some(inner) = &mut self.inner {
                        match inner.poll_message(cx) {
                            Poll::Ready(Ok(message)) => return Poll::Ready(Ok(self.count_received(message))),
                            Poll::Ready(Err(_)) => {}
                            Poll::Pending => ready!(timer.as_mut().poll(cx)),
                        }
                    }
                    let end = end.clone();
                    let end = self.end_for(end);
                    return Poll::Ready(Err(self.end_with(end)));
                }
            }
        }
    }

    /// Closes the channel and waits for the program to end, on its own, by `TERM` or by `KILL`.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Ended(_) = self.state {
            return Poll::Ready(());
        }
        if let Some(inner) = &mut self.inner {
            ready!(inner.poll_disconnect(cx));
            self.inner = None;
            self.supervised.end_pending = false;
            self.supervised.child.end();
        }
        if !matches!(self.state, State::Exited { .. }) {
            let _ = ready!(self.supervised.poll_end(cx));
        }
        self.state = State::Ended(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        self.inner.as_ref().map(|inner| inner.traffic()).unwrap_or_default()
    }

    fn max_message(&self) -> Option<usize> {
        self.inner.as_ref().and_then(|inner| inner.max_message())
    }
}
