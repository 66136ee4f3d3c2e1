//! Settings with which nothing can work are errors.

use std::time::Duration;

use conformance::memory;
use connector_core::{ClientConfig, Engine, LinkEnd, Plugin, PluginOptions, QueueLimits, Registration, connect, serve};

use crate::scripted_peer::scripted_link;
use crate::support::soon;

#[tokio::test(start_paused = true)]
async fn an_option_with_which_nothing_can_work_is_an_error_of_registration() {
    let (good, queue) = (PluginOptions::default, QueueLimits::default);
    let engine = Engine::new();
    for (options, why) in [
        (good().queue_timeout(Duration::ZERO), "PluginOptions::queue_timeout is 0ns"),
        (good().queue_length(0), "PluginOptions::queue_length is 0"),
        (good().activation_timeout(Duration::ZERO), "PluginOptions::activation_timeout is 0ns"),
        (good().handshake_timeout(Duration::ZERO), "PluginOptions::handshake_timeout is 0ns"),
        (good().health_interval(Duration::ZERO), "PluginOptions::health_interval is 0ns"),
        (good().max_calls(0), "PluginOptions::max_calls is 0"),
        (good().max_subscriptions(0), "PluginOptions::max_subscriptions is 0"),
        (good().max_depth(0), "PluginOptions::max_depth is 0"),
        (good().max_digits(0), "PluginOptions::max_digits is 0"),
        (good().memory_limit(0), "PluginOptions::memory_limit is 0"),
        (good().queue(queue().capacity(0)), "QueueLimits::capacity is 0"),
        (good().queue(queue().max_messages(0)), "QueueLimits::max_messages is 0"),
        (good().queue(queue().max_bytes(0)), "QueueLimits::max_bytes is 0"),
        (good().queue(queue().stall_timeout(Duration::ZERO)), "QueueLimits::stall_timeout is 0ns"),
    ] {
        let error = engine.register(Registration::from(Plugin::new("p")).options(options)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot register plugin \"p\": {why}")), "{error}");
    }
    engine.register(Plugin::new("p")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_configuration_with_which_nothing_can_work_ends_the_link_and_the_serving() {
    let (good, queue) = (ClientConfig::default, QueueLimits::default);
    for (config, why) in [
        (good().call_timeout(Duration::ZERO), "ClientConfig::call_timeout is 0ns"),
        (good().max_calls(0), "ClientConfig::max_calls is 0"),
        (good().max_running(0), "ClientConfig::max_running is 0"),
        (good().max_listeners(0), "ClientConfig::max_listeners is 0"),
        (good().handshake_timeout(Duration::ZERO), "ClientConfig::handshake_timeout is 0ns"),
        (good().memory_limit(0), "ClientConfig::memory_limit is 0"),
        (good().queue(queue().capacity(0)), "QueueLimits::capacity is 0"),
    ] {
        let (mut engine, link) = scripted_link();
        let (_client, link) = connect(link, Plugin::new("p"), config.clone());
        let end = soon(link).await;
        assert!(matches!(end, LinkEnd::Lost(_)) && end.to_string().starts_with(why), "{end}");
        assert!(engine.has_ended());
        let (_connector, client, _switch) = memory();
        let end = soon(serve(client, || Plugin::new("p"), config)).await;
        assert!(end.to_string().starts_with(why), "{end}");
    }
}
