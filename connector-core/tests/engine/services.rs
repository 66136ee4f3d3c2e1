//! Services: methods called by path.

use connector_core::{Context, Plugin, Profile, Service, ServiceError};
use serde_json::{Value, json};

use crate::support::{Host, soon};

fn ping(says: &'static str) -> Service {
    Service::new().method("ping", move |ctx: Context| async move { format!("{says} {}", ctx.path()) })
}

fn plugin(name: &str) -> Plugin {
    Plugin::new(name)
        .method("taken", || async {})
        .service("tools", ping("eager").service("deep", ping("deep").method("only", || async { 1 })))
        .method("create", |ctx: Context, name: String| async move {
            ctx.client().create_service(&name, ping("created")).await
        })
        .method("prepare", |ctx: Context| async move {
            ctx.client().prepare_service("lazy", || async { ping("lazy").method("late", || async { 2 }) })
        })
        .method("activate", |ctx: Context, name: String| async move { ctx.client().activate_service(&name).await })
}

async fn both() -> (Host, [&'static str; 2]) {
    let host = Host::new().await;
    host.add(|| plugin("far")).await;
    host.engine.register(plugin("near")).unwrap();
    host.engine.manager().activate("near").await.unwrap();
    (host, ["far", "near"])
}

async fn call(host: &Host, target: String, method: &str, args: &[&str]) -> Result<Value, String> {
    let args = connector_core::Payload::new(json!(args));
    soon(host.local.call::<Value>(&target, method, args)).await.map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn eager_and_nested_services_are_called_by_path() {
    let (host, targets) = both().await;
    for name in targets {
        let said = call(&host, format!("{name}.tools"), "ping", &[]).await.unwrap();
        assert_eq!(said, json!(format!("eager {name}.tools")));
        let said = call(&host, format!("{name}.tools.deep"), "ping", &[]).await.unwrap();
        assert_eq!(said, json!(format!("deep {name}.tools.deep")));
        let missing = call(&host, format!("{name}.tools"), "only", &[]).await.unwrap_err();
        let words = ["Method tools.only doesn't exist on plugin far", "Method tools.only is not implemented by near"];
        assert_eq!(missing, words[usize::from(name == "near")]);
        assert!(call(&host, name.to_owned(), "only", &[]).await.is_err(), "not without its path");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_created_at_run_time_can_be_called() {
    let (host, targets) = both().await;
    for name in targets {
        assert!(call(&host, format!("{name}.new"), "ping", &[]).await.is_err());
        call(&host, name.to_owned(), "create", &["new"]).await.unwrap();
        let said = call(&host, format!("{name}.new"), "ping", &[]).await.unwrap();
        assert_eq!(said, json!(format!("created {name}.new")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_prepared_service_is_created_once_on_activation() {
    let (host, targets) = both().await;
    for name in targets {
        assert!(call(&host, name.to_owned(), "activate", &["lazy"]).await.is_err());
        call(&host, name.to_owned(), "prepare", &[]).await.unwrap();
        assert!(call(&host, format!("{name}.lazy"), "late", &[]).await.unwrap_err().contains("is not exposed"));
        call(&host, name.to_owned(), "activate", &["lazy"]).await.unwrap();
        assert_eq!(call(&host, format!("{name}.lazy"), "late", &[]).await.unwrap(), json!(2));
        let again = call(&host, name.to_owned(), "activate", &["lazy"]).await.unwrap_err();
        assert_eq!(again, "service \"lazy\" is not prepared: call `prepare_service` before each activation");
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_and_a_service_do_not_share_a_name() {
    let (host, targets) = both().await;
    for name in targets {
        let error = call(&host, name.to_owned(), "create", &["taken"]).await.unwrap_err();
        assert_eq!(error, "A service cannot have the same name as an exposed method");
    }
    let error = host.local.create_service("x", ping("x")).await;
    error.unwrap();
    assert!(matches!(host.local.activate_service("none").await, Err(ServiceError::NotPrepared(_))));
}

#[tokio::test(start_paused = true)]
async fn a_service_created_in_the_activation_hook_is_listed_in_the_handshake() {
    let host = Host::new().await;
    host.add(|| {
        Plugin::new("far")
            .on_activation(|client| async move { client.create_service("tools", ping("early")).await.unwrap() })
    })
    .await;
    assert_eq!(call(&host, "far.tools".to_owned(), "ping", &[]).await.unwrap(), json!("early far.tools"));
}

#[tokio::test(start_paused = true)]
async fn a_plain_set_of_methods_becomes_a_plugin() {
    let host = Host::new().await;
    let methods = || Service::new().method("one", || async { 1 }).method("two", || async { 2 });
    host.engine.register(Plugin::library("all", methods()).unwrap()).unwrap();
    let mut listed = Profile::new("some");
    listed.methods = Some(vec!["two".into()]);
    host.engine.register(Plugin::library(listed.clone(), methods()).unwrap()).unwrap();
    assert_eq!(host.local.call::<u8>("all", "one", ()).await.unwrap(), 1);
    assert_eq!(host.local.call::<u8>("some", "two", ()).await.unwrap(), 2);
    host.local.call::<u8>("some", "one", ()).await.unwrap_err();
    let missing = Plugin::library(listed, Service::new()).unwrap_err().to_string();
    assert_eq!(missing, "Method two is exposed by LibraryPlugin some. But library doesn't expose this method");
}
