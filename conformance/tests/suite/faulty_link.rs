//! A link with one fault, wrapped around a correct one.

mod distort;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use connector_core::{Action, DecodeError, Link, LinkEnd, Message, SendError};
use tokio::time::Sleep;

use crate::faulty::Fault;
use crate::faulty_endpoints::Shared;
use crate::faulty_wakers::Slot;

type Inbound = Result<Result<Message, DecodeError>, LinkEnd>;

/// How long a link must be silent before an end detects it.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct FaultyLink {
    /// `None` only while this is dropped.
    inner: Option<Box<dyn Link>>,
    fault: Fault,
    shared: Shared,
    is_engine: bool,
    is_first: bool,
    sent: usize,
    received: usize,
    last: Option<String>,
    held: VecDeque<Message>,
    inbox: VecDeque<Message>,
    end: Option<LinkEnd>,
    after_end: usize,
    /// Messages sent and possibly not received, counted only for faults that depend on it.
    unsent: usize,
    kept: Vec<Message>,
    slots: [Slot; 2],
    timer: Option<Pin<Box<Sleep>>>,
    /// Set once silence was detected.
    silent: Option<LinkEnd>,
}

impl FaultyLink {
    pub(crate) fn new(
        inner: Box<dyn Link>,
        fault: Fault,
        shared: Shared,
        is_engine: bool,
        is_first: bool,
    ) -> FaultyLink {
        FaultyLink {
            inner: Some(inner),
            fault,
            shared,
            is_engine,
            is_first,
            sent: 0,
            received: 0,
            last: None,
            held: VecDeque::new(),
            inbox: VecDeque::new(),
            end: None,
            after_end: 0,
            unsent: 0,
            kept: vec![],
            slots: Default::default(),
            timer: None,
            silent: None,
        }
    }

    fn inner(&mut self) -> &mut Box<dyn Link> {
        self.inner.as_mut().unwrap()
    }

    /// Sends held messages for as long as the link is ready.
    fn release(&mut self, cx: &mut Context<'_>) {
        while !self.held.is_empty() && matches!(self.inner().poll_ready(cx), Poll::Ready(Ok(()))) {
            if let Some(message) = self.held.pop_front() {
                let _ = self.inner().send(message);
            }
        }
    }

    fn reported(&mut self, end: LinkEnd) -> Poll<LinkEnd> {
        match self.fault {
            Fault::NoEnd => return Poll::Pending,
            Fault::LossIsClose => return Poll::Ready(LinkEnd::Closed { code: None, reason: String::new() }),
            Fault::CloseIsLoss => return Poll::Ready(LinkEnd::lost("gone")),
            Fault::SaysNothing => return Poll::Ready(LinkEnd::lost("")),
            Fault::EndIsBadFrame => return Poll::Ready(LinkEnd::BadFrame("end of file".to_owned())),
            Fault::UnsentIsLoss if self.unsent > 0 => return Poll::Ready(LinkEnd::lost("broken pipe")),
            _ => {}
        }
        self.after_end += 1;
        match self.fault {
            Fault::AnotherEnd if self.after_end > 1 => Poll::Ready(LinkEnd::lost("gone")),
            _ => Poll::Ready(self.end.get_or_insert(end).clone()),
        }
    }

    fn checked<T>(&mut self, polled: Poll<Result<T, LinkEnd>>) -> Poll<Result<T, LinkEnd>> {
        match polled {
            Poll::Ready(Err(end)) => self.reported(end).map(Err),
            other => other,
        }
    }

    /// Ready once the transport has been stalled for a while.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE)));
            std::task::ready!(timer.as_mut().poll(cx));
            if self.shared.0.lock().unwrap().stalled {
                return Poll::Ready(());
            }
            self.timer = None;
        }
    }

    /// The waker that the link keeps for an operation: the task's, unless a fault replaces it.
    fn kept_waker(&self, waker: &Waker, slot: usize, asleep: Fault) -> Waker {
        match self.fault {
            Fault::OneWakerSlot => self.slots[0].replace(waker),
            Fault::KeepsTheFirstWaker => self.slots[slot].keep(waker),
            fault if fault == asleep => Waker::noop().clone(),
            _ => waker.clone(),
        }
    }

    fn poll_inner_message(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        let waker = self.kept_waker(cx.waker(), 0, Fault::ReaderSleepsOn);
        self.inner().poll_message(&mut Context::from_waker(&waker))
    }
}

impl Link for FaultyLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if let Some(end) = &self.silent {
            return Poll::Ready(Err(end.clone()));
        }
        let waker = self.kept_waker(cx.waker(), 1, Fault::SenderSleepsOn);
        let cx = &mut Context::from_waker(&waker);
        let ready = match self.fault {
            Fault::SpinsWhileFull => {
                let ready = self.inner().poll_ready(cx);
                if ready.is_pending() {
                    cx.waker().wake_by_ref();
                }
                ready
            }
            Fault::HurriesItsClose if self.held.len() < 64 => {
                self.release(cx);
                Poll::Ready(Ok(()))
            }
            Fault::TakesFew if self.unsent >= 40 => Poll::Pending,
            Fault::StopsTaking if self.sent >= 40 => Poll::Pending,
            Fault::NeverPushesBack | Fault::Unbounded => {
                self.release(cx);
                let _ = self.inner().poll_ready(cx);
                Poll::Ready(Ok(()))
            }
            _ => self.inner().poll_ready(cx),
        };
        self.checked(ready)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = &self.silent {
            return Err(end.clone().into());
        }
        self.sent += 1;
        match self.fault {
            Fault::SwapsTwo if self.sent.is_multiple_of(20) => self.held.push_back(message),
            Fault::SwapsTwo if !self.held.is_empty() => {
                self.inner().send(message)?;
                let held = self.held.pop_front().unwrap();
                self.inner().send(held)?;
            }
            Fault::Doubles if self.sent.is_multiple_of(100) => {
                self.inner().send(message.clone())?;
                self.inner().send(message)?;
            }
            Fault::Merges if self.held.pop_back().is_some() => {}
            Fault::Merges => {
                self.held.push_back(message.clone());
                self.inner().send(message)?;
            }
            Fault::SmallOvertakesLarge if message.encode()?.len() > 50_000 => self.held.push_back(message),
            // A medium message stays behind a pending flush, and the next one is written before that continues.
            Fault::OvertakesAPendingFlush if (20_000..41_000).contains(&message.encode()?.len()) => {
                self.held.push_back(message);
            }
            Fault::OvertakesAPendingFlush => {
                self.inner().send(message)?;
                while let Some(held) = self.held.pop_front() {
                    self.inner().send(held)?;
                }
            }
            Fault::DropsTheTooLarge if message.encode()?.len() > (1 << 20) + 1000 => {}
            Fault::KeepsAll => {
                self.kept.push(message.clone());
                self.inner().send(message)?;
            }
            Fault::UnsentIsLoss | Fault::TakesFew => {
                self.unsent += 1;
                self.inner().send(message)?;
            }
            Fault::RefusedMessageEnds => {
                self.inner().send(message).map_err(|error| SendError::Ended(LinkEnd::lost(error)))?
            }
            Fault::NeverPushesBack => {
                let mut asleep = Context::from_waker(Waker::noop());
                if self.inner().poll_ready(&mut asleep).is_ready() {
                    self.inner().send(message)?;
                }
            }
            Fault::Unbounded | Fault::NoLastWords | Fault::HurriesItsClose => self.held.push_back(message),
            Fault::KeepsTheLast => {
                if let Some(held) = self.held.pop_front() {
                    self.inner().send(held)?;
                }
                self.held.push_back(message);
            }
            _ => {
                return self.inner().send(message);
            }
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if let Some(end) = &self.silent {
            return Poll::Ready(Err(end.clone()));
        }
        match self.fault {
            Fault::SwapsTwo
            | Fault::SmallOvertakesLarge
            | Fault::Unbounded
            | Fault::NoLastWords
            | Fault::HurriesItsClose => {
                self.release(cx);
                if !self.held.is_empty() {
                    return Poll::Pending;
                }
            }
            Fault::Merges => self.held.clear(),
            Fault::FlushNeverEnds => return Poll::Pending,
            _ => {}
        }
        let flushed = self.inner().poll_flush(cx);
        self.checked(flushed)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        if let Some(end) = &self.silent {
            return Poll::Ready(Err(end.clone()));
        }
        if self.shared.0.lock().unwrap().reset {
            return self.reported(LinkEnd::lost("reset")).map(Err);
        }
        if self.fault == Fault::FullMeansDeaf && self.inner().poll_ready(cx).is_pending() {
            return Poll::Pending;
        }
        if self.fault == Fault::NewLinkSpeaksOld && !self.is_engine {
            let old = self.shared.0.lock().unwrap().unread.pop();
            if let Some(message) = old {
                return Poll::Ready(Ok(Ok(message)));
            }
        }
        if self.fault == Fault::SpeaksAfterTheEnd && self.end.is_some() {
            return Poll::Ready(Ok(Ok(Message::new(Action::Emit))));
        }
        loop {
            match self.poll_inner_message(cx) {
                Poll::Ready(Ok(Ok(message))) => {
                    let Some(message) = self.distort(message) else { continue };
                    if self.fault == Fault::EndsTooSoon {
                        // Delivers one message late: the last one with the next, or never.
                        self.inbox.push_back(message);
                        if self.inbox.len() < 2 {
                            continue;
                        }
                        return Poll::Ready(Ok(Ok(self.inbox.pop_front().unwrap())));
                    }
                    return Poll::Ready(Ok(Ok(message)));
                }
                Poll::Ready(Ok(Err(_))) if self.fault == Fault::BadFrameIsDropped => {}
                Poll::Ready(Ok(Err(error))) => match self.fault {
                    Fault::PanicsAtBytes => panic!("capacity overflow"),
                    Fault::BadFrameEnds => {
                        let end = self.end.get_or_insert(LinkEnd::BadFrame(error.to_string()));
                        return Poll::Ready(Err(end.clone()));
                    }
                    _ => return Poll::Ready(Ok(Err(error))),
                },
                Poll::Ready(Err(_)) if self.fault == Fault::HalfAMessage && self.after_end == 0 => {
                    self.after_end += 1;
                    let half = Message { id: Some((1 << 40).into()), ..Message::new(Action::Emit) };
                    return Poll::Ready(Ok(Ok(half)));
                }
                Poll::Ready(Err(end)) => return self.reported(end).map(Err),
                Poll::Pending => {
                    if self.fault == Fault::NeverSleeps {
                        cx.waker().wake_by_ref();
                    }
                    if matches!(self.fault, Fault::Nothing | Fault::SilenceIsLoss) {
                        std::task::ready!(self.poll_silence(cx));
                        let silent = match self.fault {
                            Fault::Nothing => LinkEnd::Silent(SILENCE),
                            _ => LinkEnd::lost("nothing received"),
                        };
                        return Poll::Ready(Err(self.silent.insert(silent).clone()));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.fault {
            Fault::NeverCloses => return Poll::Pending,
            Fault::SpinsWhileClosing => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Fault::UnreadResets => {
                let unread = self.inner().poll_message(&mut Context::from_waker(Waker::noop()));
                self.shared.0.lock().unwrap().reset |= matches!(unread, Poll::Ready(Ok(_)));
            }
            Fault::HurriesItsClose => {
                self.release(cx);
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(50))));
                if !self.held.is_empty() && timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Fault::NoLastWords => self.held.clear(),
            _ => self.release(cx),
        }
        self.inner().poll_disconnect(cx)
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        match self.fault {
            Fault::DropLeavesOpen => std::mem::forget(inner),
            Fault::DropLosesWhatWasFlushed if self.sent > 0 && self.end.is_none() => {
                self.shared.0.lock().unwrap().reset = true;
            }
            Fault::NewLinkSpeaksOld if !self.is_engine => {
                let mut state = self.shared.0.lock().unwrap();
                // A cut has emptied the link, so an unread message is made up.
                let mut asleep = Context::from_waker(Waker::noop());
                match inner.poll_message(&mut asleep) {
                    Poll::Ready(Ok(Ok(message))) => state.unread.push(message),
                    Poll::Ready(Err(LinkEnd::Lost(_))) => {
                        state.unread.push(Message { id: Some((1 << 40).into()), ..Message::new(Action::Emit) });
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
