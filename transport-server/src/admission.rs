//! Limits the connections that have proved nothing yet, and those of one address, so that they cannot keep others out.

mod network;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

use self::network::Network;

/// The number of bytes that a connection may send before it is admitted, including TLS, requests and frames: 64 KiB. A
/// handshake is much shorter.
pub const MAX_PENDING_BYTES: u64 = 64 * 1024;

/// The age below which a pending connection is not displaced: enough for TLS and a handshake on this machine or one nearby.
/// It bounds how many connections a second are accepted while all prove nothing: 256 within this time are 3,400. Any more
/// wait in the kernel's backlog, well-behaved ones as well, so a longer time would shut out more than it protects.
const MIN_AGE: Duration = Duration::from_millis(75);

/// Admits connections to a server: each is *pending* until it has proved that it belongs to an engine.
///
/// - At most `max_pending` connections are pending. A further one waits until there is capacity. While there is none, the
///   oldest pending connection is displaced (closed), unless it is younger than 75 ms. Silent connections therefore do not
///   keep others out, however many there are.
/// - At most `max_places` connections occupy a *place*, for example an open link. If all are occupied, the place of the
///   oldest pending connection is taken over, under the same condition. Admitted connections keep theirs.
/// - At most `max_per_network` of the places belong to one network, so that no machine occupies those of all others. Its own
///   oldest pending connection gives way. Loopback addresses, and transports without addresses, have no such limit.
/// - The connection that is displaced belongs to the network with the most pending connections (an IPv4 address, or the
///   /64 prefix of an IPv6 address). One network therefore displaces its own connections before another's.
///
/// Deadlines are the server's own work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_pending: usize,
    max_places: usize,
    max_per_network: Option<usize>,
    state: Mutex<State>,
    /// Woken when a connection is no longer pending.
    acceptor: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// In order of arrival.
    pending: BTreeMap<u64, Pending>,
    /// Occupied places.
    places: usize,
    /// Those of each network that is limited.
    places_of: HashMap<Network, usize>,
}

#[derive(Debug)]
struct Pending {
    network: Network,
    since: Instant,
    has_place: bool,
    signal: Arc<Signal>,
}

/// Shared by the table, a connection's ticket, and a task that waits for the connection's displacement.
#[derive(Debug, Default)]
struct Signal {
    fate: AtomicU8,
    waker: AtomicWaker,
}

/// The connection is pending.
const PENDING: u8 = 0;
/// It was admitted, or has ended.
const KEPT: u8 = 1;
/// It must be closed.
const DISPLACED: u8 = 2;

impl Signal {
    fn fate(&self) -> u8 {
        self.fate.load(Ordering::Acquire)
    }

    fn poll_fate(&self, cx: &mut Context<'_>) -> Poll<u8> {
        self.waker.register(cx.waker());
        match self.fate() {
            PENDING => Poll::Pending,
            fate => Poll::Ready(fate),
        }
    }
}

impl Admission {
    /// At most `max_pending` connections (at least 1) are pending, and at most `max_places` occupy a place, of those at
    /// most `max_per_network` of one network. `None` does not limit them.
    pub fn new(max_pending: usize, max_places: usize, max_per_network: Option<usize>) -> Admission {
        let (state, acceptor) = (Mutex::default(), AtomicWaker::new());
        let max_pending = max_pending.max(1);
        Admission(Arc::new(Shared { max_pending, max_places, max_per_network, state, acceptor }))
    }

    /// Ready when another connection may be pending. Displaces one if necessary. One task may wait at a time; `timer` is
    /// its own. Must be called within a tokio runtime that has its time enabled.
    pub fn poll_ready(&self, cx: &mut Context<'_>, timer: &mut Option<Pin<Box<Sleep>>>) -> Poll<()> {
        self.0.acceptor.register(cx.waker());
        loop {
            let mut state = self.0.state();
            if state.pending.len() < self.0.max_pending {
                *timer = None;
                return Poll::Ready(());
            }
            let Some((id, since)) = state.oldest(|_| true) else { return Poll::Ready(()) };
            let due = since + MIN_AGE;
            if due <= Instant::now() {
                let displaced = state.displace(id);
                drop(state);
                displaced.waker.wake();
                continue;
            }
            drop(state);
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            std::task::ready!(timer.as_mut().poll(cx));
        }
    }

    /// A new pending connection from `peer`; `None` if the transport has no addresses.
    pub fn enter(&self, peer: Option<IpAddr>) -> Ticket {
        let signal = Arc::<Signal>::default();
        let mut state = self.0.state();
        let id = state.next;
        state.next += 1;
        let network = Network::of(peer);
        let pending = Pending { network, since: Instant::now(), has_place: false, signal: Arc::clone(&signal) };
        state.pending.insert(id, pending);
        drop(state);
        Ticket { id, network, shared: Arc::clone(&self.0), signal, has_place: AtomicBool::new(false) }
    }

    /// The number of pending connections.
    pub fn pending(&self) -> usize {
        self.0.state().pending.len()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest connection among those that match, of the network that has the most of them.
    fn oldest(&self, matches: impl Fn(&Pending) -> bool) -> Option<(u64, Instant)> {
        let mut networks = HashMap::<Network, (usize, (u64, Instant))>::new();
        for (id, pending) in self.pending.iter().filter(|(_, pending)| matches(pending)) {
            networks.entry(pending.network).or_insert((0, (*id, pending.since))).0 += 1;
        }
        // Of equally large networks, the one whose oldest connection is oldest.
        networks.into_values().max_by_key(|(count, (id, _))| (*count, std::cmp::Reverse(*id))).map(|(_, oldest)| oldest)
    }

    /// The caller wakes the connection's task once the state is unlocked.
    fn displace(&mut self, id: u64) -> Arc<Signal> {
        let Some(pending) = self.pending.remove(&id) else { return Arc::default() };
        if pending.has_place {
            self.free_place(pending.network);
        }
        pending.signal.fate.store(DISPLACED, Ordering::Release);
        pending.signal
    }

    fn places_of(&self, network: Network) -> usize {
        self.places_of.get(&network).copied().unwrap_or_default()
    }

    fn occupy_place(&mut self, network: Network) {
        self.places += 1;
        if network.is_limited() {
            *self.places_of.entry(network).or_default() += 1;
        }
    }

    fn free_place(&mut self, network: Network) {
        self.places -= 1;
        if let Entry::Occupied(mut places) = self.places_of.entry(network) {
            *places.get_mut() -= 1;
            if *places.get() == 0 {
                places.remove();
            }
        }
    }
}

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPlace {
    /// All are occupied by connections that do not give way. Holds how many there are.
    Full(usize),
    /// The address of the connection occupies as many as it may. Holds how many these are.
    FullForAddress(usize),
    /// The connection was displaced, or has one already.
    NotPending,
}

/// A connection's ticket from [`Admission::enter`]: held for as long as the connection exists.
pub struct Ticket {
    id: u64,
    network: Network,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    has_place: AtomicBool,
}

impl Ticket {
    /// Occupies a place until the connection leaves or is displaced.
    ///
    /// # Errors
    /// All places are occupied, or all that this connection's address may have, or this connection has one already.
    pub fn take_place(&self) -> Result<(), NoPlace> {
        let mut state = self.shared.state();
        if self.is_displaced() || self.has_place.load(Ordering::Relaxed) {
            return Err(NoPlace::NotPending);
        }
        let network = self.network;
        let limit = self.shared.max_per_network.filter(|_| network.is_limited());
        let exceeded = limit.filter(|limit| state.places_of(network) >= *limit);
        let mut displaced = None;
        if exceeded.is_some() || state.places >= self.shared.max_places {
            let gives_way = |pending: &Pending| pending.has_place && (exceeded.is_none() || pending.network == network);
            let oldest = state.oldest(gives_way).filter(|(_, since)| *since + MIN_AGE <= Instant::now());
            let Some((id, _)) = oldest else {
                return Err(exceeded.map_or(NoPlace::Full(self.shared.max_places), NoPlace::FullForAddress));
            };
            displaced = Some(state.displace(id));
        }
        state.occupy_place(network);
        self.has_place.store(true, Ordering::Relaxed);
        if let Some(own) = state.pending.get_mut(&self.id) {
            own.has_place = true;
        }
        drop(state);
        if let Some(displaced) = displaced {
            displaced.waker.wake();
            self.shared.acceptor.wake();
        }
        Ok(())
    }

    /// The connection has proved that it belongs to an engine: it is no longer pending, and not displaced any more.
    pub fn admit(&self) {
        let pending = self.shared.state().pending.remove(&self.id);
        self.kept(pending.is_some());
    }

    /// Gives up the place, and is no longer pending. Dropping the ticket does so, too.
    pub fn leave(&self) {
        let mut state = self.shared.state();
        // A displaced connection has given up its place already.
        let had_place = self.has_place.swap(false, Ordering::Relaxed);
        if had_place && !self.is_displaced() {
            state.free_place(self.network);
        }
        let pending = state.pending.remove(&self.id);
        drop(state);
        self.kept(pending.is_some());
    }

    /// Wakes those that wait for the connection, if it was pending.
    fn kept(&self, was_pending: bool) {
        if was_pending {
            self.signal.fate.store(KEPT, Ordering::Release);
            self.signal.waker.wake();
            self.shared.acceptor.wake();
        }
    }

    /// Whether the connection is neither admitted nor displaced, and has not left.
    pub fn is_pending(&self) -> bool {
        self.signal.fate() == PENDING
    }

    /// Whether the connection was displaced, and must be closed.
    pub fn is_displaced(&self) -> bool {
        self.signal.fate() == DISPLACED
    }

    /// Ready when the connection is displaced, and must be closed. One task may wait at a time.
    pub fn poll_displaced(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.poll_fate(cx) == Poll::Ready(DISPLACED) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Like [`poll_displaced`](Ticket::poll_displaced). Cancel safe.
    pub async fn displaced(&self) {
        poll_fn(|cx| self.poll_displaced(cx)).await;
    }

    /// Completes with true when the connection is displaced and must be closed, with false when it is admitted or has left.
    /// For a task that does not hold the ticket; only one task may wait for a connection.
    pub fn displacement(&self) -> impl Future<Output = bool> + Send + 'static {
        let signal = Arc::clone(&self.signal);
        poll_fn(move |cx| signal.poll_fate(cx).map(|fate| fate == DISPLACED))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("displaced", &self.is_displaced()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
