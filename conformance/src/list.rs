//! The list of all cases, and the macros that turn it into tests.

/// Calls a macro with the list of all cases, by theme, each with its needs. This is the only list.
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
                one_message_at_a_time_in_alternation [],
                messages_sent_together_arrive_separately [],
                equal_messages_all_arrive [],
                a_pending_flush_does_not_change_the_order [],
                every_message_of_a_long_link_arrives [],
            }
            payloads {
                every_field_arrives [],
                request_info_arrives [],
                every_id_arrives_unchanged [],
                null_is_not_missing [],
                unicode_arrives [],
                escapes_arrive_as_written [Text],
                numbers_arrive_as_written [Text],
                keys_arrive_as_written [Text],
                deep_payloads_arrive [Text],
                whitespace_does_not_split_a_message [Text],
            }
            frames {
                messages_of_every_size_arrive [],
                a_message_that_is_too_large_is_not_dropped_silently [],
                delivered_messages_are_released [],
                an_unserializable_message_leaves_the_link_intact [Text],
                legacy_action_names_are_decoded [Inject],
                bad_frames_are_errors_in_order [Inject, BadFrames],
                no_frame_causes_a_panic [Inject],
                no_byte_sequence_causes_a_panic [InjectRaw],
            }
            pressure {
                large_messages_are_pushed_back [],
                small_messages_are_pushed_back [],
                accepted_messages_arrive_once_the_peer_reads [],
                two_full_ends_do_not_deadlock [],
                a_full_link_receives [],
                a_link_with_unread_messages_sends [],
                flushed_messages_are_on_their_way [],
                an_empty_flush_is_ready [],
                fifty_small_messages_are_accepted_without_a_reader [],
            }
            waking {
                a_waiting_reader_is_woken [],
                sending_keeps_the_readers_waker [],
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
                messages_before_the_engines_close_arrive [],
                messages_before_the_plugins_close_arrive [],
                a_large_message_before_a_close_arrives_whole [],
                every_method_reports_the_same_end [],
                a_failed_write_keeps_received_messages [],
                disconnect_is_bounded [],
                disconnect_of_a_full_link_is_bounded [],
                disconnect_is_idempotent [],
                both_may_close_at_once [],
                dropping_the_engines_end_closes [],
                dropping_the_plugins_end_closes [],
                dropping_a_full_link_closes [],
                a_close_is_reported_as_closed [],
                a_close_ends_a_sending_peer [],
                nothing_is_sent_after_a_disconnect [],
            }
            leaving {
                messages_before_a_close_arrive_despite_unread_input [],
                a_large_message_before_a_close_arrives_despite_unread_input [],
                a_full_end_reports_the_peers_close_as_closed [],
                two_full_ends_can_close_at_once [],
                a_slow_reader_receives_everything_before_a_close [],
                flushed_messages_arrive_when_the_link_is_dropped [],
            }
            cutting {
                disconnect_of_a_stalled_link_is_bounded [Stall],
                a_cut_is_not_reported_as_closed [Cut, DistinguishesLoss],
                a_cut_ends_the_link [Cut],
                a_cut_tears_no_message [Cut],
                silence_is_detected [Stall, Silence],
                detecting_silence_is_declared [],
                a_cut_wakes_a_full_sender [Cut],
                an_idle_link_stays_up [],
            }
            dialling {
                accept_may_come_after_connect [],
                accept_may_come_before_connect [],
                accept_is_cancel_safe [],
                the_first_message_arrives [],
                connect_fails_without_a_server [],
                a_second_link_follows_the_first [Reconnect],
                links_do_not_inherit_messages [Reconnect],
                a_link_after_a_cut_is_new [Cut, Reconnect],
                connect_fails_while_cut [Cut, Reconnect],
                connect_is_cancel_safe [Reconnect],
                an_abandoned_dial_leaves_no_link [Reconnect],
                an_abandoned_dial_leaves_no_connection_open [Reconnect, CountConnections],
                an_unanswered_dial_times_out [Stall],
                an_idle_connection_does_not_delay_others [IdleConnections],
                link_after_link_is_accepted [Reconnect],
                engines_do_not_disturb_each_other [MultipleEngines],
                engines_dialling_at_once_each_get_a_link [MultipleEngines],
            }
            threads {
                two_threads_send_and_receive_at_once [],
                two_threads_answer_each_other [],
                messages_before_a_close_arrive_in_another_thread [],
            }
            handshake {
                the_handshake_carries_the_methods [],
                the_plugin_requests_the_handshake [],
                a_second_handshake_resets_nothing [],
                a_request_before_the_handshake_is_refused [],
                the_engine_repeats_the_handshake_on_request [],
            }
            calls {
                the_script_prints_the_expected_lines [],
                a_call_returns_its_result [],
                results_are_forwarded_unparsed [Text],
                responses_may_arrive_in_any_order [],
                a_request_with_id_zero_is_answered [],
                unknown_responses_are_ignored [],
                errors_keep_their_text [],
                a_plugin_sees_its_caller [],
                a_plugin_calls_through_its_engine [],
                plugins_behind_two_links_call_each_other [],
                ten_thousand_calls_get_their_own_results [],
                large_calls_go_both_ways_at_once [],
                a_big_result_arrives_whole [],
                a_call_times_out [],
                a_queued_call_times_out [],
            }
            cancel {
                a_dropped_call_is_cancelled [],
                a_cancel_names_its_call [],
                a_plugins_dropped_call_is_cancelled [],
                cancelling_by_name_ends_every_call_of_the_method [],
                cancels_of_unknown_calls_are_ignored [],
            }
            events {
                ten_thousand_events_arrive_in_order [],
                events_arrive_at_the_plugin_in_order [],
                off_removes_the_listener [],
                a_plugin_listens [],
                a_response_does_not_overtake_an_event [],
            }
            traces {
                a_plugin_cannot_flood_the_engines_log [],
                an_engine_cannot_flood_the_plugins_log [],
            }
            loss {
                a_call_while_the_link_is_down_is_lost [Cut],
                a_running_call_is_lost_at_a_cut [Cut],
                an_unread_call_is_lost_at_a_cut [Cut],
                a_call_is_answered_or_lost_at_a_cut [Cut, Reconnect],
                a_plugins_call_is_lost_at_a_cut [Cut],
                calls_succeed_after_a_loss [Cut, Reconnect],
                old_responses_do_not_answer_new_calls [Cut, Reconnect],
                listeners_receive_each_event_once_after_a_loss [Cut, Reconnect],
                subscriptions_survive_a_loss [Cut, Reconnect],
                a_link_that_the_plugin_closes_is_made_again [Reconnect],
                a_plugin_is_deactivated_while_its_link_is_down [Cut, Reconnect],
                a_silent_plugin_is_detected [Stall],
            }
            shutdown {
                deactivating_ends_calls_under_way [],
                a_plugin_is_activated_again [Reconnect],
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
        // The name of an unknown case does not compile.
        #[cfg(test)]
        const _: &[fn()] = &[$($expected),*];
        $($($crate::__test! { $needs $without { $name ($fixture) } })*)*
        #[test]
        fn skipped_cases_are_declared() {
            $crate::check_without(&$fixture, &$crate::__needs!($without));
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __needs {
    ([$($need:ident),* $(,)?]) => { [$($crate::Need::$need),*] };
}

/// The test of one case. It is ignored if one of the case's needs (the first list) is among those that the fixture does
/// without (the second). The test runner shows the reason, which must be a literal.
#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    (@is Text [Text $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it moves values, not text" $($rest)* }
    };
    (@is Reconnect [Reconnect $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its plugin's end returns only one link" $($rest)* }
    };
    (@is MultipleEngines [MultipleEngines $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its plugin's end serves only one engine" $($rest)* }
    };
    (@is DistinguishesLoss [DistinguishesLoss $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it does not distinguish a close from a loss" $($rest)* }
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
    (@is IdleConnections [IdleConnections $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot open idle connections" $($rest)* }
    };
    (@is CountConnections [CountConnections $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "its fixture cannot count open connections" $($rest)* }
    };
    (@is Silence [Silence $($others:tt)*] $($rest:tt)*) => {
        $crate::__test! { @ignore "it does not detect silence" $($rest)* }
    };
    (@is $need:ident [$other:ident $(, $others:ident)* $(,)?] $($rest:tt)*) => {
        $crate::__test! { @is $need [$($others),*] $($rest)* }
    };
    (@is $need:ident [] $more:tt $without:tt $then:tt) => {
        $crate::__test! { $more $without $then }
    };
    (@ignore $why:literal $more:tt $without:tt { $name:ident ($fixture:expr) }) => {
        // `$why` names the capability that the fixture lacks. The suite fails if the fixture declares it.
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
