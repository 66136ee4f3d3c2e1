//! One end of a link, as the link's task drives it.
//!
//! ```text
//! Endpoint ─┬─ Role       the plugin's or the engine's reactions, and its outbox
//!           └─ Exchange ─┬─ Session<Side>   the protocol, pure; Side is what differs between the ends
//!                        ├─ TaskSet         the peer's requests that run
//!                        └─ ResponseQueue   their responses, until they may be sent
//! ```

use std::task::{Context, Poll, ready};

use super::{Completed, Outbox, Queued, Reply, ResponseQueue, TaskSet};
use crate::connector::{Link, LinkEnd};
use crate::error::{CallError, Fault};
use crate::excerpt::Excerpt;
use crate::memory_budget::{Charge, OverBudget};
use crate::runtime::BoxFuture;
use crate::session::{Dropped, Event, Retained, Session, Side};
use crate::trace_limit::TraceLimit;
use crate::wire::{DecodeError, Id, Inherited, Message, Name, Payload, PayloadError};

/// What differs between the two ends of a link: the reactions to the session's events, and the commands.
pub(crate) trait Role: Send {
    type Side: Side;
    type Command: Queued;

    /// The plugin's name, for traces.
    fn plugin(&self) -> Name;

    /// Limits the traces that the peer causes.
    fn traces(&self) -> &TraceLimit;

    fn outbox(&self) -> &Outbox<Self::Command>;

    /// Whether queued commands may be sent yet.
    fn may_send(&self) -> bool;

    /// How many queued commands count as backlog, and whether the queue has exceeded its hard limit.
    fn backlog(&self) -> (usize, bool);

    /// A message has arrived.
    fn received(&mut self) {}

    /// Tells the engine's observers of a message that is passed to the link.
    fn observe_sent(&self, _: &Message, _: &dyn Link) {}

    /// Tells the engine's observers of a message from the peer.
    fn observe_received(&self, _: &Message, _: &dyn Link) {}

    /// Tells the engine's observers of a frame that cannot be read.
    fn observe_bad_frame(&self, _: &DecodeError) {}

    fn act(&mut self, exchange: &mut Exchange<Self::Side>, event: <Self::Side as Side>::Event);

    /// The handshake failed, which is a reason to end the link.
    fn handshake_failed(&mut self, end: LinkEnd);

    /// Passes a queued command to the session.
    fn command(&mut self, exchange: &mut Exchange<Self::Side>, command: Self::Command);

    /// Ready when this end wants to close the link, with the reason.
    fn poll_stop(
        &mut self,
        exchange: &mut Exchange<Self::Side>,
        cx: &mut Context<'_>,
        link: &dyn Link,
    ) -> Poll<LinkEnd>;
}

/// The state of the messages waiting to be sent.
pub(super) struct Backlog {
    /// There are many, so that the link must make progress.
    pub(super) is_full: bool,
    pub(super) exceeds_limit: bool,
}

/// One end of a link: its session, its running tasks, and its reactions to events.
pub(crate) struct Endpoint<R: Role> {
    pub(crate) role: R,
    pub(crate) exchange: Exchange<R::Side>,
}

/// The requests and responses under way in both directions.
pub(crate) struct Exchange<S: Side> {
    pub(crate) session: Session<S, Reply>,
    /// Signs of life from the peer, in addition to the bytes that the link counts: received frames, and a link that
    /// accepts messages again after back-pressure.
    pub(crate) signs: u64,
    /// The work of the peer's requests, and of hooks, which belong to no request.
    tasks: TaskSet<Option<(Echo, Charge)>, Outcome<S>>,
    hooks: usize,
    responses: ResponseQueue<Response<S>>,
    /// The bytes charged for them.
    unread: usize,
    /// What refusals by the session itself echo, while they wait to be sent.
    echoed: Charge,
    /// The peer does not read, and not even refusals fit into its budget.
    is_over_budget: bool,
}

/// What a request occupies in addition to its arguments: its task, its place in a queue, and its names.
const REQUEST_OVERHEAD: usize = 2048;
/// What a request occupies in addition if it has a time limit or belongs to a trace: its own future.
const SCOPE_OVERHEAD: usize = 2048;
/// What a response occupies in addition to its payload and its names.
const RESPONSE_OVERHEAD: usize = 256;

/// The fields of a request that its response echoes.
pub(crate) struct Echo {
    pub(crate) name: Option<Name>,
    pub(crate) key: Name,
}

impl Echo {
    fn bytes(&self) -> usize {
        self.name.as_ref().map_or(0, |name| name.len()) + self.key.len()
    }
}

/// The result of a request by the peer.
pub(crate) type Outcome<S> = Result<Payload, <S as Side>::Error>;

struct Response<S: Side> {
    id: Option<Id>,
    echo: Echo,
    outcome: Outcome<S>,
    /// Released when the response is passed to the transport, whose copy the budget sets aside.
    charge: Charge,
}

impl<S: Side> Exchange<S> {
    /// The number of running tasks.
    pub(crate) fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Whether each request of the peer has been answered and each message passed on.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.len() == self.hooks && self.unsent() == 0
    }

    fn unsent(&self) -> usize {
        self.responses.len() + self.session.waiting_to_send()
    }

    /// Charges a request to the peer.
    ///
    /// # Errors
    /// The peer's budget is used up, or hardly leaves room for the result; refuse the request.
    pub(crate) fn charge<C: Queued>(
        &self,
        outbox: &Outbox<C>,
        id: Option<&Id>,
        echo: &Echo,
        args: &Payload,
        inherited: Option<&Inherited>,
    ) -> Result<Charge, OverBudget> {
        // A method is not run for a result that would be discarded.
        outbox.budget().check_half(self.unread, outbox.budget().eighth())?;
        let inherited = inherited.map_or(0, |inherited| SCOPE_OVERHEAD + inherited.held_bytes());
        let envelope = REQUEST_OVERHEAD + inherited + echo.bytes() + id.map_or(0, Id::weight);
        outbox.budget().charge(envelope + args.weight())
    }

    /// Runs the work of a charged request, or responds at once with the error that refuses it.
    pub(crate) fn run<C: Queued>(
        &mut self,
        outbox: &Outbox<C>,
        id: Option<Id>,
        echo: Echo,
        work: Result<(Charge, BoxFuture<Outcome<S>>), S::Error>,
    ) {
        let completed = match work {
            Ok((charge, work)) => self.tasks.start(id, Some((echo, charge)), work),
            Err(error) => Some(Completed { id, tag: Some((echo, outbox.budget().empty())), output: Err(error) }),
        };
        if let Some(completed) = completed {
            self.complete(outbox, completed);
        }
    }

    /// Runs work that belongs to no request; its result is not used.
    pub(crate) fn run_hook(&mut self, work: BoxFuture<Outcome<S>>) {
        self.hooks += usize::from(self.tasks.start(None, None, work).is_none());
    }

    pub(crate) fn cancel(&mut self, id: &Id) {
        self.tasks.cancel(id);
    }

    fn complete<C: Queued>(&mut self, outbox: &Outbox<C>, completed: Completed<Option<(Echo, Charge)>, Outcome<S>>) {
        let Completed { id, tag, output: mut outcome } = completed;
        let Some((echo, mut charge)) = tag else { return self.hooks -= 1 };
        let echoed = RESPONSE_OVERHEAD + echo.bytes() + id.as_ref().map_or(0, Id::weight);
        let waits = !self.responses.is_empty();
        let (result, refused) = match &outcome {
            Ok(result) => (result.held_bytes(waits), false),
            Err(error) => (S::error_weight(error), true),
        };
        let charged = match refused {
            true => charge.resize_for_refusal(echoed + result),
            false => {
                let half = outbox.budget().check_half(self.unread, echoed + result);
                half.and_then(|()| charge.resize(echoed + result))
            }
        };
        if let Err(over) = charged {
            outcome = Err(S::own_error(Fault::new(format_args!("the result cannot be kept until it is read: {over}"))));
            // Even this does not fit if the peer reads nothing.
            self.is_over_budget |= charge.resize_for_refusal(echoed).is_err();
        }
        self.unread += charge.bytes();
        self.responses.push(outbox, Response { id, echo, outcome, charge });
    }

    /// Charges what the session itself is about to send for the peer.
    fn charge_echoed(&mut self) {
        let echoed = self.session.echoed_bytes();
        if self.echoed.bytes() != echoed {
            self.is_over_budget |= self.echoed.resize_for_refusal(echoed).is_err();
        }
    }
}

impl<R: Role> Endpoint<R> {
    pub(crate) fn new(role: R, session: Session<R::Side, Reply>) -> Endpoint<R> {
        let (tasks, responses, echoed) = (TaskSet::new(), ResponseQueue::new(), role.outbox().budget().empty());
        let exchange =
            Exchange { session, signs: 0, tasks, hooks: 0, responses, unread: 0, echoed, is_over_budget: false };
        Endpoint { role, exchange }
    }

    /// The plugin's name, for traces.
    pub(super) fn plugin(&self) -> Name {
        self.role.plugin()
    }

    /// A message has arrived.
    pub(crate) fn receive(&mut self, message: Message) {
        self.role.received();
        match self.exchange.session.receive(message) {
            Ok(Some(event)) => self.act(event),
            Ok(None) => {}
            // Common after a timeout or a cancel, when the response arrives late.
            Err(dropped @ Dropped::UnknownResponse(_)) => {
                let dropped = Excerpt::new(dropped);
                tracing::debug!(plugin = ?Excerpt::new(self.plugin()), %dropped, "a message is dropped");
            }
            Err(dropped) => {
                if let Some(left_out) = self.role.traces().pass() {
                    let dropped = Excerpt::new(dropped);
                    tracing::warn!(plugin = ?Excerpt::new(self.plugin()), left_out, %dropped, "a message is dropped");
                }
            }
        }
        self.exchange.charge_echoed();
    }

    /// A frame arrived of which only the head is readable; `why` is the reason.
    pub(super) fn receive_head(&mut self, head: Message, why: &DecodeError) {
        if let Some(event) = self.exchange.session.receive_head(head, why) {
            self.act(event);
        }
        self.exchange.charge_echoed();
    }

    fn act(&mut self, event: Event<Reply, <R::Side as Side>::Event>) {
        match event {
            Event::CallEnded { reply, outcome } => {
                // An error means that the caller has dropped the call.
                let _ = reply.send(outcome);
            }
            Event::HandshakeUnreadable(why) => self.role.handshake_failed(LinkEnd::BadFrame(why)),
            Event::Peer(event) => self.role.act(&mut self.exchange, event),
        }
    }

    /// The next message to send.
    pub(crate) fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Message> {
        let Endpoint { role, exchange } = self;
        let may_send = role.may_send();
        loop {
            if let Some(message) = exchange.session.transmit() {
                exchange.charge_echoed();
                return Poll::Ready(message);
            }
            // Checked in each round: a command that sends nothing may have unblocked a response.
            let responses = &mut exchange.responses;
            let response = if may_send { responses.pop(role.outbox()) } else { responses.pop_any() };
            if let Some(Response { id, echo, outcome, charge }) = response {
                exchange.unread -= charge.bytes();
                exchange.session.respond(id, echo.name, Some(echo.key), outcome);
            } else if may_send {
                let command = ready!(role.outbox().poll_pop(cx));
                role.command(exchange, command);
            } else {
                role.outbox().watch(cx);
                return Poll::Pending;
            }
        }
    }

    /// Makes progress on work that runs beside the link. Returns whether any completed.
    pub(super) fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Poll::Ready(completed) = self.exchange.tasks.poll_completed(cx) {
            self.exchange.complete(self.role.outbox(), completed);
            worked = true;
        }
        worked
    }

    /// Registers the task to be woken when the queue exceeds its limits. Used while the link accepts no messages.
    pub(super) fn watch_backlog(&self, cx: &mut Context<'_>) {
        self.role.outbox().watch(cx);
    }

    /// The messages waiting to be sent.
    pub(super) fn backlog(&self) -> Backlog {
        let outbox = self.role.outbox();
        let (queued, exceeds_limit) = self.role.backlog();
        let unsent = self.exchange.unsent();
        let waiting = queued + unsent;
        Backlog {
            is_full: waiting > 0 && (waiting >= outbox.limits().capacity || outbox.budget().is_quarter_used()),
            exceeds_limit: exceeds_limit || self.exchange.is_over_budget || unsent >= outbox.limits().max_messages,
        }
    }

    /// A message could not be serialized.
    pub(super) fn unsendable(&mut self, retained: Retained, error: PayloadError) {
        if let Some(left_out) = self.role.traces().pass() {
            let (plugin, error) = (self.plugin(), Excerpt::new(&error));
            tracing::warn!(plugin = ?Excerpt::new(plugin), left_out, %error, "a message cannot be serialized");
        }
        if let Some(reply) = self.exchange.session.unsendable(retained, &error) {
            let _ = reply.send(Err(CallError::Arguments(error)));
        }
    }

    pub(super) fn poll_stop(&mut self, cx: &mut Context<'_>, link: &dyn Link) -> Poll<LinkEnd> {
        self.role.poll_stop(&mut self.exchange, cx, link)
    }
}
