//! Transports that are wrong, each in one way: a case fails for each, or the suite does not see what it should.

use std::sync::{Arc, Mutex};

use connector_core::conformance::{
    Capabilities, Case, Control, Fixture, Memory, Place, PlaceError, Switch, Verdict, memory,
};
use connector_core::{ClientConnector, Link, LinkEnd, Message, PluginConnector, async_trait};

use crate::faulty_link::FaultyLink;

/// What is wrong with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    // What arrives.
    SwapsTwo,
    Doubles,
    DropsSome,
    DropsEqual,
    Merges,
    SmallOvertakesLarge,
    // What is in a message.
    Truncates,
    AsciiOnly,
    Reparses,
    SortsKeys,
    IgnoresIdZero,
    WrongId,
    LosesRequestInfo,
    NullIsMissing,
    DropsCancels,
    IgnoresOldNames,
    BadFrameIsDropped,
    BadFrameEnds,
    RefusedMessageEnds,
    // When it may be sent.
    NeverPushesBack,
    Unbounded,
    FullMeansDeaf,
    KeepsTheLast,
    FlushNeverEnds,
    // Who is woken.
    ReaderSleepsOn,
    SenderSleepsOn,
    NeverSleeps,
    // How it ends.
    AnotherEnd,
    SpeaksAfterTheEnd,
    LossIsClose,
    CloseIsLoss,
    NoEnd,
    NoLastWords,
    EndsTooSoon,
    HalfAMessage,
    NeverCloses,
    DropLeavesOpen,
    // How links are made.
    ConnectHangs,
    ConnectLies,
    AcceptsOnce,
    AcceptLosesLinks,
    OneEngine,
    NewLinkLosesTheFirst,
    NewLinkSpeaksOld,
    GivesUpAtALoss,
}

use Fault::*;

/// The case that has to fail for each.
const TABLE: &[(Fault, &str)] = &[
    (SwapsTwo, "the_engine_receives_in_order"),
    (SwapsTwo, "ten_thousand_events_arrive_in_order"),
    (Doubles, "the_plugin_receives_in_order"),
    (Doubles, "events_arrive_at_the_plugin_in_order"),
    (DropsSome, "the_engine_receives_in_order"),
    (DropsSome, "ten_thousand_calls_get_their_own_answers"),
    (DropsEqual, "equal_messages_all_arrive"),
    (Merges, "messages_sent_together_arrive_apart"),
    (SmallOvertakesLarge, "sizes_do_not_change_the_order"),
    (Truncates, "messages_of_every_size_arrive"),
    (Truncates, "a_big_result_arrives_whole"),
    (AsciiOnly, "unicode_arrives"),
    (Reparses, "numbers_arrive_as_written"),
    (Reparses, "results_are_not_read_on_their_way"),
    (Reparses, "escapes_arrive_as_written"),
    (SortsKeys, "keys_arrive_as_written"),
    (IgnoresIdZero, "ids_arrive_whatever_they_are"),
    (IgnoresIdZero, "an_id_of_zero_is_answered"),
    (WrongId, "answers_may_come_in_any_order"),
    (WrongId, "ten_thousand_calls_get_their_own_answers"),
    (LosesRequestInfo, "request_info_arrives"),
    (LosesRequestInfo, "a_plugin_learns_who_calls"),
    (NullIsMissing, "null_is_not_missing"),
    (DropsCancels, "a_dropped_call_is_cancelled"),
    (IgnoresOldNames, "old_names_are_read"),
    (BadFrameIsDropped, "bad_frames_come_in_their_place"),
    (BadFrameEnds, "bad_frames_come_in_their_place"),
    (RefusedMessageEnds, "what_cannot_be_sent_harms_nothing"),
    (NeverPushesBack, "large_messages_are_pushed_back"),
    (Unbounded, "small_messages_are_pushed_back"),
    (Unbounded, "large_messages_are_pushed_back"),
    (FullMeansDeaf, "two_full_ends_do_not_lock"),
    (FullMeansDeaf, "a_full_link_receives"),
    (KeepsTheLast, "flushed_is_sent"),
    (FlushNeverEnds, "an_empty_flush_is_ready"),
    (ReaderSleepsOn, "a_waiting_reader_is_woken"),
    (ReaderSleepsOn, "the_end_wakes_a_reader"),
    (SenderSleepsOn, "a_waiting_sender_is_woken"),
    (NeverSleeps, "an_idle_link_sleeps"),
    (AnotherEnd, "every_method_says_the_same_end"),
    (SpeaksAfterTheEnd, "every_method_says_the_same_end"),
    (LossIsClose, "a_cut_is_not_told_as_closed"),
    (CloseIsLoss, "a_close_is_told_as_closed"),
    (NoEnd, "a_cut_ends_the_link"),
    (NoEnd, "dropping_the_engines_end_closes"),
    (NoEnd, "a_running_call_is_lost_at_a_cut"),
    (NoLastWords, "the_engines_last_words_arrive"),
    (EndsTooSoon, "the_plugins_last_words_arrive"),
    (HalfAMessage, "a_cut_tears_no_message"),
    (NeverCloses, "disconnect_is_bounded"),
    (DropLeavesOpen, "dropping_the_plugins_end_closes"),
    (DropLeavesOpen, "a_dropped_engine_ends_the_plugins_link"),
    (ConnectHangs, "connect_fails_while_cut"),
    (ConnectLies, "connect_fails_while_cut"),
    (AcceptsOnce, "a_second_link_follows_the_first"),
    (AcceptsOnce, "calls_succeed_after_a_loss"),
    (AcceptLosesLinks, "accept_is_cancel_safe"),
    (OneEngine, "engines_do_not_disturb_each_other"),
    (NewLinkLosesTheFirst, "a_link_after_a_cut_is_new"),
    (NewLinkLosesTheFirst, "calls_succeed_after_a_loss"),
    (NewLinkSpeaksOld, "links_do_not_inherit_messages"),
    (NewLinkSpeaksOld, "a_link_after_a_cut_is_new"),
    (GivesUpAtALoss, "calls_succeed_after_a_loss"),
];

/// What the links of one place share, as only a wrong transport has it.
#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<Past>>);

#[derive(Default)]
pub(crate) struct Past {
    links: usize,
    /// What the plugin's end of a link that is gone had not handed out.
    pub(crate) unread: Vec<Message>,
}

struct Faulty(Fault);

#[async_trait]
impl Fixture for Faulty {
    fn capabilities(&self) -> Capabilities {
        Memory.capabilities()
    }

    async fn place(&self) -> Result<Place, PlaceError> {
        let (plugin, client, switch) = memory();
        let (fault, shared) = (self.0, Shared::default());
        let accepts = FaultyEnd { inner: client, fault, shared: shared.clone(), switch: switch.clone() };
        let control = FaultyControl(fault, switch.clone());
        let connector =
            move || FaultyEnd { inner: plugin.clone(), fault, shared: shared.clone(), switch: switch.clone() };
        Ok(Place::new("memory://", accepts, connector).control(control))
    }
}

struct FaultyControl(Fault, Switch);

impl Control for FaultyControl {
    fn cut(&self) {
        Control::cut(&self.1);
    }

    fn heal(&self) {
        Control::heal(&self.1);
    }

    fn stall(&self) {
        Control::stall(&self.1);
    }

    fn inject(&self, frame: &str) {
        match self.0 {
            IgnoresOldNames if frame.contains("\"call\"") => self.1.inject("{}"),
            _ => self.1.inject(frame),
        }
    }
}

struct FaultyEnd<T> {
    inner: T,
    fault: Fault,
    shared: Shared,
    switch: Switch,
}

impl<T> FaultyEnd<T> {
    fn link(&self, inner: Box<dyn Link>, is_engine: bool, is_first: bool) -> Box<dyn Link> {
        Box::new(FaultyLink::new(inner, self.fault, self.shared.clone(), is_engine, is_first))
    }
}

#[async_trait]
impl<T: PluginConnector> PluginConnector for FaultyEnd<T> {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, LinkEnd> {
        let many = {
            let mut past = self.shared.0.lock().unwrap();
            past.links += 1;
            past.links
        };
        if self.fault == GivesUpAtALoss && many > 1 {
            return Err(LinkEnd::GivenUp("it was lost once".to_owned()));
        }
        if self.fault == OneEngine {
            self.switch.cut();
        }
        match (self.inner.connect(url).await, self.fault) {
            (Err(_), ConnectHangs) => std::future::pending().await,
            (Err(_), ConnectLies) => {
                let (here, there) = connector_core::conformance::memory_pair();
                std::mem::forget(there);
                Ok(here)
            }
            (made, _) => Ok(self.link(made?, true, many == 1)),
        }
    }
}

#[async_trait]
impl<T: ClientConnector> ClientConnector for FaultyEnd<T> {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let many = self.shared.0.lock().unwrap().links;
        if self.fault == AcceptsOnce && many > 1 {
            std::future::pending::<()>().await;
        }
        let made = self.inner.accept().await?;
        if self.fault == AcceptLosesLinks {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let many = self.shared.0.lock().unwrap().links;
        Ok(self.link(made, false, many <= 1))
    }
}

/// The table's cases over one kind of transport, in virtual time: what hangs has failed at once.
async fn verdict(fault: Fault, name: &str) -> Verdict {
    Case::find(name).unwrap_or_else(|| panic!("there is no case {name}")).run(&Faulty(fault)).await
}

#[tokio::test(start_paused = true)]
async fn every_fault_fails_the_case_named_for_it() {
    let mut unseen = vec![];
    for (fault, name) in TABLE {
        match verdict(*fault, name).await {
            Verdict::Failed(failure) => println!("{fault:?}: {failure}"),
            other => unseen.push(format!("{fault:?} by {name}: {other:?}")),
        }
    }
    assert!(unseen.is_empty(), "not seen:\n{}", unseen.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_these_cases_pass() {
    let names: std::collections::BTreeSet<_> = TABLE.iter().map(|(_, name)| name).collect();
    for name in names {
        let verdict = verdict(Nothing, name).await;
        assert!(matches!(verdict, Verdict::Passed), "{name}: {verdict:?}");
    }
}
