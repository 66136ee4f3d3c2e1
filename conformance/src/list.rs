//! The list of all cases, and the macros that make tests of it.

/// Calls a macro with the list of all cases, by theme, each with what it needs. The only such list.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
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
                a_pending_flush_does_not_change_the_order [],
                every_message_of_a_long_link_arrives [],
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
                a_message_that_is_too_large_is_not_dropped_silently [],
                what_was_sent_is_let_go [],
                what_cannot_be_sent_harms_nothing [Text],
                old_names_are_read [Inject],
                bad_frames_come_in_their_place [Inject, BadFrames],
                nothing_that_comes_in_panics [Inject],
                no_bytes_that_come_in_panic [InjectRaw],
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
                fifty_small_messages_need_no_reader [],
            }
            waking {
                a_waiting_reader_is_woken [],
                sending_does_not_lose_the_readers_waker [],
                a_waiting_sender_is_woken [],
                the_end_wakes_a_reader [],
                the_end_wakes_a_sender [],
                an_idle_link_sleeps [],
                a_full_link_sleeps [],
                a_closing_link_sleeps [],
                each_way_has_its_own_waker [],
                the_latest_waker_is_woken [],
            }
            ending {
                the_engines_last_words_arrive [],
                the_plugins_last_words_arrive [],
                large_last_words_arrive_whole [],
                every_method_says_the_same_end [],
                a_sender_does_not_swallow_what_arrived [],
                disconnect_is_bounded [],
                disconnect_of_a_full_link_is_bounded [],
                disconnect_again_is_fine [],
                both_may_close_at_once [],
                dropping_the_engines_end_closes [],
                dropping_the_plugins_end_closes [],
                dropping_a_full_link_closes [],
                a_close_is_told_as_closed [],
                a_close_ends_who_is_sending [],
                nothing_is_carried_after_a_disconnect [],
            }
            leaving {
                last_words_arrive_though_much_is_unread [],
                large_last_words_arrive_though_much_is_unread [],
                a_close_is_told_as_closed_to_a_full_end [],
                two_full_ends_may_close_at_once [],
                a_slow_reader_gets_all_last_words [],
                what_was_flushed_arrives_though_the_link_is_dropped [],
            }
            cutting {
                disconnect_of_a_stalled_link_is_bounded [Stall],
                a_cut_is_not_told_as_closed [Cut, TellsCloseFromLoss],
                a_cut_ends_the_link [Cut],
                a_cut_tears_no_message [Cut],
                silence_is_noticed [Stall, Silence],
                who_notices_silence_declares_it [],
                a_cut_wakes_a_full_sender [Cut],
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
                a_dial_that_is_given_up_leaves_nothing [Redial],
                a_dial_that_is_given_up_leaves_nothing_open [Redial, Counts],
                a_dial_that_is_not_answered_is_told_as_timed_out [Stall],
                a_stranger_holds_up_nobody [Strangers],
                link_after_link_is_accepted [Redial],
                engines_do_not_disturb_each_other [Engines],
                engines_that_dial_at_once_get_a_link_each [Engines],
            }
            threads {
                two_threads_send_and_receive_at_once [],
                two_threads_answer_each_other [],
                last_words_arrive_in_another_thread [],
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
                a_silent_plugin_is_found [Stall],
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

#[doc(hidden)]
#[macro_export]
macro_rules! __suite {
    ($fixture:expr, without: $without:tt $(, $expected:ident => $reason:expr)* $(,)?) => {
        $crate::__cases!($crate::__tests, { ($fixture) $without [$($expected => $reason),*] });
    };
    ($fixture:expr $(, $expected:ident => $reason:expr)* $(,)?) => {
        $crate::__suite!($fixture, without: [] $(, $expected => $reason)*);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (
        { ($fixture:expr) $without:tt [$($expected:ident => $reason:expr),*] }
        $($theme:ident { $($name:ident $needs:tt,)* })*
    ) => {
        #[cfg(test)]
        const EXPECTED_FAILURES: &[(&str, &str)] = &[$((stringify!($expected), $reason)),*];
        // A name that is none does not compile.
        #[cfg(test)]
        const _: &[fn()] = &[$($expected),*];
        $($($crate::__test! { $needs $without { $name ($fixture) } })*)*
        #[test]
        fn what_is_skipped_is_declared() {
            $crate::check_without(&$fixture, &$crate::__needs!($without));
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __needs {
    ([$($need:ident),* $(,)?]) => { [$($crate::Need::$need),*] };
}

/// A test of one case; an ignored one if what it needs, the first list, is among what the fixture is without, the
/// second. The harness shows the reason, and only a literal can be one.
#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    (@is Text [Text $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it moves values, not text" $($rest)* }
    };
    (@is Redial [Redial $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its plugin's end gives one link only" $($rest)* }
    };
    (@is Engines [Engines $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its plugin's end serves one engine only" $($rest)* }
    };
    (@is TellsCloseFromLoss [TellsCloseFromLoss $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it does not tell a close from a loss" $($rest)* }
    };
    (@is BadFrames [BadFrames $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "a bad frame ends its links" $($rest)* }
    };
    (@is Cut [Cut $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot cut links" $($rest)* }
    };
    (@is Stall [Stall $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot stall links" $($rest)* }
    };
    (@is Inject [Inject $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot forge frames" $($rest)* }
    };
    (@is InjectRaw [InjectRaw $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot forge bytes" $($rest)* }
    };
    (@is Strangers [Strangers $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot connect as a stranger" $($rest)* }
    };
    (@is Counts [Counts $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot count what is open" $($rest)* }
    };
    (@is Silence [Silence $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it does not notice silence" $($rest)* }
    };
    (@is $need:ident [$other:ident $(, $others:ident)* $(,)?] $($rest:tt)*) => {
        $crate::__test! { @is $need [$($others),*] $($rest)* }
    };
    (@is $need:ident [] $more:tt $without:tt $then:tt) => {
        $crate::__test! { $more $without $then }
    };
    (@ignore $why:literal $more:tt $without:tt { $name:ident ($fixture:expr) }) => {
        #[test]
        #[ignore = $why]
        fn $name() {
            $crate::run_as_test(stringify!($name), $fixture, EXPECTED_FAILURES);
        }
    };
    ([] $without:tt { $name:ident ($fixture:expr) }) => {
        #[test]
        fn $name() {
            $crate::run_as_test(stringify!($name), $fixture, EXPECTED_FAILURES);
        }
    };
    ([$need:ident $(, $more:ident)*] $without:tt $then:tt) => {
        $crate::__test! { @is $need $without [$($more),*] $without $then }
    };
}
