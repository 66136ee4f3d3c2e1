//! The list of all cases, and the macros that make tests of it.

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
                disconnect_again_is_fine [],
                both_may_close_at_once [],
                dropping_the_engines_end_closes [],
                dropping_the_plugins_end_closes [],
                dropping_a_full_link_closes [],
                a_close_is_told_as_closed [TellsCloseFromLoss],
                a_close_ends_who_is_sending [],
                nothing_is_carried_after_a_disconnect [],
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
