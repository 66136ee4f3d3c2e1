//! The list of all cases, and what runs them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::failure::Failure;
use super::fixture::{Fixture, Need};
use super::lab::within;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One behaviour that every transport is tried for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// The case's name: its function's, in [`cases`](super::cases).
    pub name: &'static str,
    /// What it is about: its module there.
    pub theme: &'static str,
    /// What a transport must be able to for it.
    pub needs: &'static [Need],
    run: for<'a> fn(&'a dyn Fixture) -> Running<'a>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.theme, self.name)
    }
}

/// How a case went.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// It was not tried, and why: the fixture does not declare what it needs.
    Skipped(&'static str),
    /// The promise is not kept.
    Failed(Failure),
}

impl Case {
    /// The case of that name.
    pub fn find(name: &str) -> Option<&'static Case> {
        CASES.iter().find(|case| case.name == name)
    }

    /// Tries it. Must be called within a tokio runtime that has its time enabled; ends within a bound.
    pub async fn run(&self, fixture: &dyn Fixture) -> Verdict {
        let has = fixture.capabilities();
        if let Some(why) = self.needs.iter().find_map(|need| need.unmet(&has)) {
            return Verdict::Skipped(why);
        }
        // Each wait has its own bound, and there are not so many of them.
        let ran = within(has.patience.saturating_mul(10), "the case to end", (self.run)(fixture)).await;
        match ran.and_then(|outcome| outcome) {
            Ok(()) => Verdict::Passed,
            Err(failure) => Verdict::Failed(failure.of_case(self.name)),
        }
    }
}

/// What became of every case.
#[derive(Debug, Clone)]
pub struct Report(Vec<(&'static Case, Verdict)>);

impl Report {
    /// Each case with how it went, in the order of [`CASES`].
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static Case, &Verdict)> {
        self.0.iter().map(|(case, verdict)| (*case, verdict))
    }

    /// How many passed, were skipped, and failed.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.0.iter().fold((0, 0, 0), |(passed, skipped, failed), (_, verdict)| match verdict {
            Verdict::Passed => (passed + 1, skipped, failed),
            Verdict::Skipped(_) => (passed, skipped + 1, failed),
            Verdict::Failed(_) => (passed, skipped, failed + 1),
        })
    }

    /// Those that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Failed(failure) => Some(failure),
            _ => None,
        })
    }
}

/// A line for each case, and one with the counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, verdict) in &self.0 {
            let (theme, name) = (case.theme, case.name);
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {theme:<10} {name}")?,
                Verdict::Skipped(why) => writeln!(f, "skipped  {theme:<10} {name}: {why}")?,
                Verdict::Failed(failure) => writeln!(f, "FAILED   {theme:<10} {failure}")?,
            }
        }
        let (passed, skipped, failed) = self.counts();
        write!(f, "{} cases: {passed} passed, {skipped} skipped, {failed} failed", self.0.len())
    }
}

/// Runs every case, one after the other. Must be called within a tokio runtime that has its time enabled.
pub async fn run_all(fixture: &dyn Fixture) -> Report {
    let mut verdicts = Vec::with_capacity(CASES.len());
    for case in CASES {
        verdicts.push((case, case.run(fixture).await));
    }
    Report(verdicts)
}

/// Runs one case as a test, in a runtime of its own: what [`suite!`](crate::conformance::suite) makes tests of.
///
/// # Panics
/// The case fails though it should not, or passes though it is expected to fail: a strict list does not grow old.
#[doc(hidden)]
#[allow(clippy::print_stderr, reason = "a test that was skipped has to say so")]
pub fn run_as_test(name: &str, fixture: impl Fixture, expected: &[(&str, &str)]) {
    let case = Case::find(name).unwrap_or_else(|| panic!("there is no case {name}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let verdict = runtime.block_on(case.run(&fixture));
    runtime.shutdown_background();
    let reason = expected.iter().find(|(expected, _)| *expected == name).map(|(_, reason)| reason);
    match (verdict, reason) {
        (Verdict::Passed, None) => {}
        (Verdict::Skipped(why), None) => eprintln!("skipped: {why}"),
        (Verdict::Failed(failure), None) => panic!("{failure}"),
        (Verdict::Failed(failure), Some(reason)) => eprintln!("failed as expected ({reason}): {failure}"),
        (Verdict::Passed | Verdict::Skipped(_), Some(reason)) => {
            panic!("{name} was expected to fail ({reason}) and did not: take it off the list")
        }
    }
}

/// Calls a macro with the list of all cases, by theme, each with what it needs. The only such list.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($then:path, $with:tt) => {
        $then! { $with
            order {
                the_engine_receives_in_order [],
                the_plugin_receives_in_order [],
                sizes_do_not_change_the_order [],
                both_ways_at_once [],
                one_message_to_and_fro [],
                messages_sent_together_arrive_apart [],
                equal_messages_all_arrive [],
            }
            payloads {
                every_field_arrives [],
                request_info_arrives [],
                ids_arrive_whatever_they_are [],
                null_is_not_missing [],
                unicode_arrives [],
                escapes_arrive_as_written [Text],
                numbers_arrive_as_written [Text],
                keys_arrive_as_written [Text],
                deep_payloads_arrive [Text],
                white_space_breaks_nothing [Text],
                messages_of_every_size_arrive [],
                what_cannot_be_sent_harms_nothing [Text],
                old_names_are_read [Inject],
                bad_frames_come_in_their_place [Inject, BadFrames],
                nothing_that_comes_in_panics [Inject],
            }
            pressure {
                large_messages_are_pushed_back [],
                small_messages_are_pushed_back [],
                what_was_taken_arrives_later [],
                two_full_ends_do_not_lock [],
                a_full_link_receives [],
                a_link_that_is_not_read_sends [],
                flushed_is_sent [],
                an_empty_flush_is_ready [],
            }
            waking {
                a_waiting_reader_is_woken [],
                sending_does_not_lose_the_readers_waker [],
                a_waiting_sender_is_woken [],
                the_end_wakes_a_reader [],
                the_end_wakes_a_sender [],
                an_idle_link_sleeps [],
            }
            ending {
                the_engines_last_words_arrive [],
                the_plugins_last_words_arrive [],
                large_last_words_arrive_whole [],
                every_method_says_the_same_end [],
                a_sender_does_not_swallow_what_arrived [],
                disconnect_is_bounded [],
                disconnect_of_a_full_link_is_bounded [],
                disconnect_of_a_stalled_link_is_bounded [Stall],
                disconnect_again_is_fine [],
                both_may_close_at_once [],
                dropping_the_engines_end_closes [],
                dropping_the_plugins_end_closes [],
                dropping_a_full_link_closes [],
                a_close_is_told_as_closed [TellsCloseFromLoss],
                a_cut_is_not_told_as_closed [Cut, TellsCloseFromLoss],
                a_cut_ends_the_link [Cut],
                a_cut_tears_no_message [Cut],
                a_close_ends_who_is_sending [],
                a_cut_wakes_a_full_sender [Cut],
                nothing_is_carried_after_a_disconnect [],
                silence_is_noticed [Stall, Silence],
                an_idle_link_lives [],
            }
            dialling {
                accept_may_come_after_connect [],
                accept_may_come_before_connect [],
                accept_is_cancel_safe [],
                the_first_message_arrives [],
                connect_fails_where_nobody_serves [],
                a_second_link_follows_the_first [Redial],
                links_do_not_inherit_messages [Redial],
                a_link_after_a_cut_is_new [Cut, Redial],
                connect_fails_while_cut [Cut, Redial],
                connect_is_cancel_safe [Redial],
                engines_do_not_disturb_each_other [Engines],
            }
            handshake {
                the_handshake_tells_the_methods [],
                the_plugin_asks_first [],
                a_second_handshake_resets_nothing [],
                a_request_before_the_handshake_is_refused [],
                the_engine_answers_a_wish_for_a_handshake [],
            }
            calls {
                the_script_gives_its_lines [],
                a_call_gives_its_result [],
                results_are_not_read_on_their_way [Text],
                answers_may_come_in_any_order [],
                an_id_of_zero_is_answered [],
                unknown_answers_harm_nothing [],
                errors_are_errors [],
                a_plugin_learns_who_calls [],
                a_plugin_calls_through_its_engine [],
                plugins_behind_two_links_call_each_other [],
                ten_thousand_calls_get_their_own_answers [],
                large_calls_go_both_ways_at_once [],
                a_big_result_arrives_whole [],
                a_call_has_its_time [],
                a_queue_has_its_time [],
            }
            cancel {
                a_dropped_call_is_cancelled [],
                a_cancel_names_its_call [],
                a_plugins_dropped_call_is_cancelled [],
                cancelling_by_name_ends_them_all [],
                cancels_of_nothing_harm_nothing [],
            }
            events {
                ten_thousand_events_arrive_in_order [],
                events_arrive_at_the_plugin_in_order [],
                off_ends_listening [],
                a_plugin_listens [],
                an_answer_does_not_overtake_an_event [],
            }
            loss {
                a_call_while_the_link_is_down_is_lost [Cut],
                a_running_call_is_lost_at_a_cut [Cut],
                an_unread_call_is_lost_at_a_cut [Cut],
                a_call_is_answered_or_lost_at_a_cut [Cut, Redial],
                a_plugins_call_is_lost_at_a_cut [Cut],
                calls_succeed_after_a_loss [Cut, Redial],
                old_answers_do_not_answer_new_calls [Cut, Redial],
                listeners_hear_each_event_once_after_a_loss [Cut, Redial],
                subscriptions_survive_a_loss [Cut, Redial],
                a_link_that_the_plugin_closes_is_made_again [Redial],
                a_plugin_is_deactivated_while_its_link_is_down [Cut, Redial],
            }
            shutdown {
                deactivating_ends_calls_under_way [],
                a_plugin_is_activated_again [Redial],
                a_shutdown_ends_the_plugins_link [],
                a_dropped_engine_ends_the_plugins_link [],
                a_shutdown_ends_the_plugins_methods [],
                a_shutdown_is_bounded [],
            }
        }
    };
}

macro_rules! table {
    ({} $($theme:ident { $($name:ident [$($need:ident),*],)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            theme: stringify!($theme),
            needs: &[$(Need::$need),*],
            run: |fixture| Box::pin(super::cases::$theme::$name(fixture)),
        },)*)*];
    };
}

__conformance_cases!(table, {});

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_suite {
    ($fixture:expr $(, $expected:ident => $reason:expr)* $(,)?) => {
        $crate::__conformance_cases!($crate::__conformance_tests, { ($fixture) [$($expected => $reason),*] });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (
        { ($fixture:expr) [$($expected:ident => $reason:expr),*] }
        $($theme:ident { $($name:ident [$($need:ident),*],)* })*
    ) => {
        #[cfg(test)]
        const EXPECTED_FAILURES: &[(&str, &str)] = &[$((stringify!($expected), $reason)),*];
        // A name that is none does not compile.
        #[cfg(test)]
        const _: &[fn()] = &[$($expected),*];
        $($(
            #[test]
            fn $name() {
                $crate::conformance::run_as_test(stringify!($name), $fixture, EXPECTED_FAILURES);
            }
        )*)*
    };
}
