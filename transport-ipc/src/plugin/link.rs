//! A link to a program that is looked after.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{Action, DecodeError, Link, LinkEnd, Message, SendError, Traffic};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::output::{LastLines, follow};
use super::process::{Child, ChildEnd, Group};
use super::program::{ChannelKind, Program};
use super::restart::History;

/// How long a program that has closed its channel may take to end, before it is killed; and how long what an ended
/// program has left in its pipes may take to come.
const GRACE: Duration = Duration::from_millis(500);

/// A program that runs, with what it prints. Dropping this kills it.
pub(super) struct Attended {
    child: Child,
    end: Pin<Box<dyn Future<Output = ChildEnd> + Send>>,
    history: History,
    /// Whether its end is to be put down to the program: it was neither asked to end nor has its end been noted.
    unexplained: bool,
    /// It has sent a message.
    spoke: bool,
    output: Option<JoinHandle<()>>,
}

impl Attended {
    pub(super) fn new(mut group: Group, plugin: &Arc<str>, program: &Program, history: &History) -> Attended {
        let stderr = LastLines::default();
        let follow_errors = |stream| tokio::spawn(follow(stream, Arc::clone(plugin), "stderr", Some(stderr.clone())));
        let errors = group.child.stderr().take().map(follow_errors);
        let follow_output = |stream| tokio::spawn(follow(stream, Arc::clone(plugin), "stdout", None));
        let output = match program.channel {
            ChannelKind::Stdio => None,
            // Only what is not the channel is the program's own to print to.
            _ => group.child.stdout().take().map(follow_output),
        };
        let child = Child::look_after(group, program.exit_timeout, program.term_timeout);
        let end = ended(child.status.clone(), program.program.to_string_lossy().into_owned(), stderr, errors);
        Attended { child, end: Box::pin(end), history: history.clone(), unexplained: true, spoke: false, output }
    }

    /// Ready when it has ended; polled no more after that.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<ChildEnd> {
        self.end.as_mut().poll(cx)
    }

    /// Its end, if it comes before there is a link.
    pub(super) async fn ended(&mut self) -> LinkEnd {
        let end = (&mut self.end).await;
        self.note(&end);
        LinkEnd::lost(end)
    }

    /// It has ended by itself.
    fn note(&mut self, end: &ChildEnd) {
        self.unexplained = false;
        tracing::debug!(end = end.how(), "a program has ended");
        self.history.ended(end, self.spoke);
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if let Some(output) = &self.output {
            output.abort();
        }
        if self.unexplained {
            self.history.killed();
        }
    }
}

async fn ended(
    mut status: watch::Receiver<Option<Option<ExitStatus>>>,
    program: String,
    stderr: LastLines,
    errors: Option<JoinHandle<()>>,
) -> ChildEnd {
    // An error: the task that looks after it is gone, and has killed it.
    let status = status.wait_for(Option::is_some).await.ok().and_then(|status| *status).flatten();
    if let Some(mut errors) = errors {
        // Its last words come with its end, unless something that it has started holds the pipe.
        if tokio::time::timeout(GRACE, &mut errors).await.is_err() {
            errors.abort();
        }
    }
    ChildEnd { program, status, stderr: stderr.all() }
}

/// The link over a program's channel.
pub(super) struct ChildLink {
    /// Gone once it is closed: that is what the program sees.
    inner: Option<Box<dyn Link>>,
    attended: Attended,
    state: State,
    /// Requests that the program has not answered yet.
    owed: usize,
}

enum State {
    Open,
    /// The channel has ended; so should the program.
    Hung {
        cause: LinkEnd,
        patience: Option<Pin<Box<Sleep>>>,
    },
    /// The program has ended; what it had written may still be on its way.
    Over {
        end: ChildEnd,
        patience: Pin<Box<Sleep>>,
    },
    Ended(LinkEnd),
}

impl ChildLink {
    pub(super) fn new(inner: Box<dyn Link>, attended: Attended) -> ChildLink {
        ChildLink { inner: Some(inner), attended, state: State::Open, owed: 0 }
    }

    /// The channel, for as long as it carries messages.
    fn open(&mut self) -> Result<&mut Box<dyn Link>, LinkEnd> {
        match (&self.state, &mut self.inner) {
            (State::Ended(end), _) => Err(end.clone()),
            (_, Some(inner)) => Ok(inner),
            (_, None) => Err(LinkEnd::Disconnected),
        }
    }

    /// What a writer says: a failed write is the reader's to tell, with how the program ended.
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

    /// What its end means for the link: a program that has answered everything, and ends well, has closed it.
    fn meaning(&self, end: ChildEnd) -> LinkEnd {
        match end.is_success() && self.owed == 0 {
            true => LinkEnd::Closed { code: None, reason: end.how() },
            false => LinkEnd::lost(end),
        }
    }

    fn taken(&mut self, message: Result<Message, DecodeError>) -> Result<Message, DecodeError> {
        self.attended.spoke |= message.is_ok();
        if message.as_ref().is_ok_and(|message| message.action == Action::Response) {
            self.owed = self.owed.saturating_sub(1);
        }
        message
    }

    /// Counts what the program owes, and what it does not any more.
    fn count(&mut self, action: Action, has_id: bool) {
        match action {
            Action::Request if has_id => self.owed += 1,
            // It need not be answered any more.
            Action::Cancel if has_id => self.owed = self.owed.saturating_sub(1),
            _ => {}
        }
    }

    fn said(&mut self, end: LinkEnd) -> LinkEnd {
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
        self.count(action, has_id);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_write(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let patience = || Box::pin(tokio::time::sleep(GRACE));
        loop {
            match &mut self.state {
                State::Ended(end) => return Poll::Ready(Err(end.clone())),
                State::Open => {
                    let Some(inner) = &mut self.inner else { return Poll::Ready(Err(LinkEnd::Disconnected)) };
                    match inner.poll_message(cx) {
                        Poll::Ready(Ok(message)) => return Poll::Ready(Ok(self.taken(message))),
                        Poll::Ready(Err(cause)) => self.state = State::Hung { cause, patience: Some(patience()) },
                        Poll::Pending => {
                            let end = ready!(self.attended.poll_end(cx));
                            self.attended.note(&end);
                            self.state = State::Over { end, patience: patience() };
                        }
                    }
                }
                State::Hung { cause, patience } => {
                    if let Poll::Ready(mut end) = self.attended.poll_end(cx) {
                        if patience.is_none() {
                            end.status = None;
                        }
                        let cause = cause.clone();
                        self.attended.note(&end);
                        // What broke the link says more than that the program was killed for it.
                        let end = match cause {
                            LinkEnd::BadFrame(_) | LinkEnd::TooLarge { .. } => cause,
                            _ => self.meaning(end),
                        };
                        return Poll::Ready(Err(self.said(end)));
                    }
                    let Some(timer) = patience else { return Poll::Pending };
                    ready!(timer.as_mut().poll(cx));
                    *patience = None;
                    self.attended.child.kill();
                }
                State::Over { end, patience } => {
                    if let Some(inner) = &mut self.inner {
                        match inner.poll_message(cx) {
                            Poll::Ready(Ok(message)) => return Poll::Ready(Ok(self.taken(message))),
                            Poll::Ready(Err(_)) => {}
                            Poll::Pending => ready!(patience.as_mut().poll(cx)),
                        }
                    }
                    let end = end.clone();
                    let end = self.meaning(end);
                    return Poll::Ready(Err(self.said(end)));
                }
            }
        }
    }

    /// Closes the channel and waits for the program's end: by itself, by `TERM` or by `KILL`.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Ended(_) = self.state {
            return Poll::Ready(());
        }
        if let Some(inner) = &mut self.inner {
            ready!(inner.poll_disconnect(cx));
            self.inner = None;
            self.attended.unexplained = false;
            self.attended.child.end();
        }
        if !matches!(self.state, State::Over { .. }) {
            let _ = ready!(self.attended.poll_end(cx));
        }
        self.state = State::Ended(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        self.inner.as_ref().map(|inner| inner.traffic()).unwrap_or_default()
    }
}
