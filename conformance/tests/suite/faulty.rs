//! Faulty transports: for each fault, the suite must have a case that fails.

use conformance::{Case, Verdict};

use crate::faulty_endpoints::Faulty;

/// The fault of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    // Delivery.
    SwapsTwo,
    Doubles,
    DropsSome,
    DropsEqual,
    Merges,
    SmallOvertakesLarge,
    OvertakesAPendingFlush,
    LosesTheLastOf16Bits,
    // Content.
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
    // Back-pressure.
    NeverPushesBack,
    Unbounded,
    TakesFew,
    StopsTaking,
    FullMeansDeaf,
    KeepsTheLast,
    FlushNeverEnds,
    // Wake-ups.
    ReaderSleepsOn,
    SenderSleepsOn,
    NeverSleeps,
    SpinsWhileFull,
    SpinsWhileClosing,
    OneWakerSlot,
    KeepsTheFirstWaker,
    // Ends.
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
    EndIsBadFrame,
    UnreadResets,
    UnsentIsLoss,
    HurriesItsClose,
    DropLosesWhatWasFlushed,
    SilenceIsLoss,
    SaysNothing,
    // Connecting.
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
    IdleBlocks,
    AcceptsTen,
    SwapsHalves,
}

use Fault::*;

/// The cases that must fail for each fault.
const TABLE: &[(Fault, &str)] = &[
    (SwapsTwo, "the_engine_receives_in_order"),
    (SwapsTwo, "ten_thousand_events_arrive_in_order"),
    (Doubles, "the_plugin_receives_in_order"),
    (Doubles, "events_arrive_at_the_plugin_in_order"),
    (DropsSome, "the_engine_receives_in_order"),
    (DropsSome, "ten_thousand_calls_get_their_own_results"),
    (DropsEqual, "equal_messages_all_arrive"),
    (Merges, "messages_sent_together_arrive_separately"),
    (SmallOvertakesLarge, "sizes_do_not_change_the_order"),
    (OvertakesAPendingFlush, "a_pending_flush_does_not_change_the_order"),
    (LosesTheLastOf16Bits, "every_message_of_a_long_link_arrives"),
    (Truncates, "messages_of_every_size_arrive"),
    (Misframes, "messages_of_every_size_arrive"),
    (DropsTheTooLarge, "a_message_that_is_too_large_is_not_dropped_silently"),
    (KeepsAll, "delivered_messages_are_released"),
    (Truncates, "a_big_result_arrives_whole"),
    (AsciiOnly, "unicode_arrives"),
    (Reparses, "numbers_arrive_as_written"),
    (Reparses, "results_are_forwarded_unparsed"),
    (Reparses, "escapes_arrive_as_written"),
    (SortsKeys, "keys_arrive_as_written"),
    (IgnoresIdZero, "every_id_arrives_unchanged"),
    (IgnoresIdZero, "a_request_with_id_zero_is_answered"),
    (WrongId, "responses_may_arrive_in_any_order"),
    (WrongId, "ten_thousand_calls_get_their_own_results"),
    (LosesRequestInfo, "request_info_arrives"),
    (LosesRequestInfo, "a_plugin_sees_its_caller"),
    (NullIsMissing, "null_is_not_missing"),
    (DropsCancels, "a_dropped_call_is_cancelled"),
    (IgnoresOldNames, "legacy_action_names_are_decoded"),
    (BadFrameIsDropped, "bad_frames_are_errors_in_order"),
    (BadFrameEnds, "bad_frames_are_errors_in_order"),
    (RefusedMessageEnds, "an_unserializable_message_leaves_the_link_intact"),
    (PanicsAtBytes, "no_byte_sequence_causes_a_panic"),
    (PanicsAtBytes, "no_frame_causes_a_panic"),
    (NeverPushesBack, "large_messages_are_pushed_back"),
    (Unbounded, "small_messages_are_pushed_back"),
    (Unbounded, "large_messages_are_pushed_back"),
    (TakesFew, "fifty_small_messages_are_accepted_without_a_reader"),
    (FullMeansDeaf, "two_full_ends_do_not_deadlock"),
    (FullMeansDeaf, "a_full_link_receives"),
    (KeepsTheLast, "flushed_messages_are_on_their_way"),
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
    (NoLastWords, "messages_before_a_close_arrive_in_another_thread"),
    (UnreadResets, "messages_before_a_close_arrive_despite_unread_input"),
    (UnreadResets, "a_large_message_before_a_close_arrives_despite_unread_input"),
    (UnsentIsLoss, "a_full_end_reports_the_peers_close_as_closed"),
    (NeverCloses, "two_full_ends_can_close_at_once"),
    (HurriesItsClose, "a_slow_reader_receives_everything_before_a_close"),
    (DropLosesWhatWasFlushed, "flushed_messages_arrive_when_the_link_is_dropped"),
    (SilenceIsLoss, "silence_is_detected"),
    (SaysNothing, "a_cut_ends_the_link"),
    (SaysNothing, "connect_fails_while_cut"),
    (CancelLeaks, "an_abandoned_dial_leaves_no_link"),
    (CancelLeaks, "an_abandoned_dial_leaves_no_connection_open"),
    (TimeOutIsRefusal, "an_unanswered_dial_times_out"),
    (IdleBlocks, "an_idle_connection_does_not_delay_others"),
    (AcceptsTen, "link_after_link_is_accepted"),
    (AcceptsTen, "engines_dialling_at_once_each_get_a_link"),
    (SwapsHalves, "engines_dialling_at_once_each_get_a_link"),
    (AnotherEnd, "every_method_reports_the_same_end"),
    (SpeaksAfterTheEnd, "every_method_reports_the_same_end"),
    (LossIsClose, "a_cut_is_not_reported_as_closed"),
    (CloseIsLoss, "a_close_is_reported_as_closed"),
    (NoEnd, "a_cut_ends_the_link"),
    (NoEnd, "dropping_the_engines_end_closes"),
    (NoEnd, "a_running_call_is_lost_at_a_cut"),
    (NoLastWords, "messages_before_the_engines_close_arrive"),
    (EndsTooSoon, "messages_before_the_plugins_close_arrive"),
    (HalfAMessage, "a_cut_tears_no_message"),
    (NeverCloses, "disconnect_is_bounded"),
    (DropLeavesOpen, "dropping_the_plugins_end_closes"),
    (EndIsBadFrame, "dropping_the_engines_end_closes"),
    (EndIsBadFrame, "dropping_a_full_link_closes"),
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

/// Runs one case over one faulty transport in virtual time, so that a hang fails at once. A panic is an error.
async fn verdict(fault: Fault, name: &'static str) -> Result<Verdict, tokio::task::JoinError> {
    let case = Case::find(name).unwrap_or_else(|| panic!("unknown case {name}"));
    tokio::spawn(async move { case.run(&Faulty(fault)).await }).await
}

#[tokio::test(start_paused = true)]
async fn every_fault_fails_its_cases() {
    let (mut undetected, mut unexplained) = (vec![], vec![]);
    for (fault, name) in TABLE {
        match verdict(*fault, name).await {
            Ok(Verdict::Failed(failure)) => {
                let text = failure.to_string();
                println!("{fault:?}: {text}");
                if !(text.contains("; look at ") && text.contains("; the contract of ")) {
                    unexplained.push(text);
                }
            }
            // The test runner reports a panic as a failure.
            Err(panic) if panic.is_panic() => println!("{fault:?}: {name}: {panic}"),
            other => undetected.push(format!("{fault:?} by {name}: {other:?}")),
        }
    }
    assert!(undetected.is_empty(), "undetected:\n{}", undetected.join("\n"));
    assert!(unexplained.is_empty(), "without a hint or a rule:\n{}", unexplained.join("\n"));
}

/// The hint and the rule of failures whose symptom says little about the fault.
const HINTS: &[(Fault, &str, &str, &str)] = &[
    (ConnectLies, "connect_fails_while_cut", "connect", "connecting fails within that limit"),
    (AcceptsTen, "link_after_link_is_accepted", "accept", "without waiting for a message"),
    (
        StopsTaking,
        "ten_thousand_calls_get_their_own_results",
        "poll_ready and poll_flush",
        "completed flushes are progress",
    ),
    (EndIsBadFrame, "dropping_the_plugins_end_closes", "which LinkEnd", "reports `Closed` or `Lost`"),
];

#[tokio::test(start_paused = true)]
async fn hints_name_the_faulty_method() {
    for (fault, name, hint, rule) in HINTS {
        let Ok(Verdict::Failed(failure)) = verdict(*fault, name).await else { panic!("{fault:?} is not detected") };
        let text = failure.to_string();
        assert!(text.contains(&format!("; look at {hint}")) && text.contains(rule), "{fault:?}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_cases_pass_without_a_fault() {
    let names: std::collections::BTreeSet<_> = TABLE.iter().map(|(_, name)| name).collect();
    for name in names {
        let verdict = verdict(Nothing, name).await;
        assert!(matches!(verdict, Ok(Verdict::Passed)), "{name}: {verdict:?}");
    }
}
