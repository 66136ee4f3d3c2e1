//! Transports that are wrong, each in one way: a case fails for each, or the suite does not see what it should.

use conformance::{Case, Verdict};

use crate::faulty_place::Faulty;

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
    OvertakesAPendingFlush,
    LosesTheLastOf16Bits,
    // What is in a message.
    Truncates,
    Misframes,
    DropsTheTooLarge,
    KeepsAll,
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
    PanicsAtBytes,
    // When it may be sent.
    NeverPushesBack,
    Unbounded,
    TakesFew,
    FullMeansDeaf,
    KeepsTheLast,
    FlushNeverEnds,
    // Who is woken.
    ReaderSleepsOn,
    SenderSleepsOn,
    NeverSleeps,
    SpinsWhileFull,
    SpinsWhileClosing,
    OneWakerSlot,
    KeepsTheFirstWaker,
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
    UnreadResets,
    UnsentIsLoss,
    HurriesItsClose,
    DropLosesWhatWasFlushed,
    SilenceIsLoss,
    SaysNothing,
    // How links are made.
    ConnectHangs,
    ConnectLies,
    AcceptsOnce,
    AcceptLosesLinks,
    OneEngine,
    NewLinkLosesTheFirst,
    NewLinkSpeaksOld,
    GivesUpAtALoss,
    CancelLeaks,
    TimeOutIsRefusal,
    StrangerBlocks,
    AcceptsTen,
    SwapsHalves,
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
    (OvertakesAPendingFlush, "a_pending_flush_does_not_change_the_order"),
    (LosesTheLastOf16Bits, "every_message_of_a_long_link_arrives"),
    (Truncates, "messages_of_every_size_arrive"),
    (Misframes, "messages_of_every_size_arrive"),
    (DropsTheTooLarge, "a_message_that_is_too_large_is_not_dropped_silently"),
    (KeepsAll, "what_was_sent_is_let_go"),
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
    (PanicsAtBytes, "no_bytes_that_come_in_panic"),
    (PanicsAtBytes, "nothing_that_comes_in_panics"),
    (NeverPushesBack, "large_messages_are_pushed_back"),
    (Unbounded, "small_messages_are_pushed_back"),
    (Unbounded, "large_messages_are_pushed_back"),
    (TakesFew, "fifty_small_messages_need_no_reader"),
    (FullMeansDeaf, "two_full_ends_do_not_lock"),
    (FullMeansDeaf, "a_full_link_receives"),
    (KeepsTheLast, "flushed_is_sent"),
    (FlushNeverEnds, "an_empty_flush_is_ready"),
    (ReaderSleepsOn, "a_waiting_reader_is_woken"),
    (ReaderSleepsOn, "the_end_wakes_a_reader"),
    (SenderSleepsOn, "a_waiting_sender_is_woken"),
    (NeverSleeps, "an_idle_link_sleeps"),
    (SpinsWhileFull, "a_full_link_sleeps"),
    (SpinsWhileClosing, "a_closing_link_sleeps"),
    (OneWakerSlot, "each_way_has_its_own_waker"),
    (KeepsTheFirstWaker, "the_latest_waker_is_woken"),
    (ReaderSleepsOn, "two_threads_answer_each_other"),
    (DropsSome, "two_threads_send_and_receive_at_once"),
    (NoLastWords, "last_words_arrive_in_another_thread"),
    (UnreadResets, "last_words_arrive_though_much_is_unread"),
    (UnreadResets, "large_last_words_arrive_though_much_is_unread"),
    (UnsentIsLoss, "a_close_is_told_as_closed_to_a_full_end"),
    (NeverCloses, "two_full_ends_may_close_at_once"),
    (HurriesItsClose, "a_slow_reader_gets_all_last_words"),
    (DropLosesWhatWasFlushed, "what_was_flushed_arrives_though_the_link_is_dropped"),
    (SilenceIsLoss, "silence_is_noticed"),
    (SaysNothing, "a_cut_ends_the_link"),
    (SaysNothing, "connect_fails_while_cut"),
    (CancelLeaks, "a_dial_that_is_given_up_leaves_nothing"),
    (CancelLeaks, "a_dial_that_is_given_up_leaves_nothing_open"),
    (TimeOutIsRefusal, "a_dial_that_is_not_answered_is_told_as_timed_out"),
    (StrangerBlocks, "a_stranger_holds_up_nobody"),
    (AcceptsTen, "link_after_link_is_accepted"),
    (AcceptsTen, "engines_that_dial_at_once_get_a_link_each"),
    (SwapsHalves, "engines_that_dial_at_once_get_a_link_each"),
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

/// One case over one kind of transport, in virtual time: what hangs has failed at once. A panic is an error.
async fn verdict(fault: Fault, name: &'static str) -> Result<Verdict, tokio::task::JoinError> {
    let case = Case::find(name).unwrap_or_else(|| panic!("there is no case {name}"));
    tokio::spawn(async move { case.run(&Faulty(fault)).await }).await
}

#[tokio::test(start_paused = true)]
async fn every_fault_fails_the_case_named_for_it() {
    let mut unseen = vec![];
    for (fault, name) in TABLE {
        match verdict(*fault, name).await {
            Ok(Verdict::Failed(failure)) => {
                let text = failure.to_string();
                println!("{fault:?}: {text}");
                assert!(text.contains("; the contract of "), "it does not say what is broken: {text}");
            }
            // As the harness shows it.
            Err(panic) if panic.is_panic() => println!("{fault:?}: {name}: {panic}"),
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
        assert!(matches!(verdict, Ok(Verdict::Passed)), "{name}: {verdict:?}");
    }
}
