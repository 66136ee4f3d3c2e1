//! The bytes that the hub holds for a session, and who makes it hold them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory of one session.
#[derive(Debug)]
pub(super) struct SessionMemory {
    limit: usize,
    used: AtomicUsize,
}

impl SessionMemory {
    pub(super) fn new(limit: usize) -> Arc<SessionMemory> {
        Arc::new(SessionMemory { limit, used: AtomicUsize::new(0) })
    }
}

/// What one connection makes the hub hold in its session. It may use at most half of what the others leave free, so that
/// none shuts the others out.
#[derive(Debug)]
pub(super) struct Account {
    session: Arc<SessionMemory>,
    used: AtomicUsize,
}

impl Account {
    pub(super) fn new(session: Arc<SessionMemory>) -> Arc<Account> {
        Arc::new(Account { session, used: AtomicUsize::new(0) })
    }

    /// Charges this many bytes until the charge is dropped. A session that uses nothing admits an item of any size.
    ///
    /// # Errors
    /// The connection's part of the session's memory is used up. The text is for its client.
    pub(super) fn charge(self: &Arc<Account>, bytes: usize) -> Result<Charge, String> {
        let held = self.session.used.fetch_add(bytes, Ordering::Relaxed);
        let own = self.used.fetch_add(bytes, Ordering::Relaxed);
        // Dropped on an error, which releases the bytes.
        let charge = Charge { account: Arc::clone(self), bytes };
        let limit = self.session.limit;
        match held == 0 || own.saturating_add(bytes) <= limit.saturating_sub(held) {
            true => Ok(charge),
            false => Err(format!(
                "the hub holds {held} of at most {limit} bytes for the session, {own} of them for this connection, and \
                 {bytes} more do not fit: wait for answers, or raise StpHubConfig::session_memory_limit"
            )),
        }
    }
}

/// Bytes of a session's memory, released on drop.
#[derive(Debug)]
#[must_use]
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.session.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_uses_at_most_half_of_what_the_others_leave_free() {
        let session = SessionMemory::new(100);
        let (one, two) = (Account::new(Arc::clone(&session)), Account::new(Arc::clone(&session)));
        let mut held: Vec<_> = (0..20).map_while(|_| one.charge(10).ok()).collect();
        assert_eq!(held.len(), 5);
        let error = one.charge(10).unwrap_err();
        assert!(error.starts_with("the hub holds 50 of at most 100 bytes for the session, 50 of them for"), "{error}");
        assert!(error.ends_with("raise StpHubConfig::session_memory_limit"), "{error}");
        held.extend((0..20).map_while(|_| two.charge(5).ok()));
        assert_eq!(held.len(), 5 + 5);
        drop(held);
        assert_eq!((session.used.load(Ordering::Relaxed), one.used.load(Ordering::Relaxed)), (0, 0));
        let _large = two.charge(1000).expect("a session that uses nothing admits an item of any size");
        one.charge(1).unwrap_err();
    }
}
