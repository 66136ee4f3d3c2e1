//! Every way to log in, and TLS: with the right secret everything works, with a wrong one an error names the setting and not
//! the secret.

use std::sync::Arc;

use conformance::links::assert_refused;
use connector_core::{ConnectError, PluginConnector};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use transport_nats::tls::{ClientConfig, rustls};
use transport_nats::{NatsConfig, NatsConnector, NatsServer, ServeError};

use crate::broker::Broker;
use crate::support::{Replica, broker_with, config, engine, within};

/// Serves and calls `probe`, both with this configuration.
async fn works(config: NatsConfig) {
    let _replica = Replica::start(config.clone()).await;
    let (engine, local) = engine(config).await;
    assert_eq!(within(local.call::<i64>("probe", "add", (1, 2))).await.unwrap(), 3);
    within(engine.shutdown()).await;
}

/// The error at both ends, which must be put right, contains `remedy` and none of the secrets.
async fn refused(config: NatsConfig, remedy: &str, secrets: &[&str]) {
    let url = NatsConnector::url("probe", &config).unwrap();
    let there = within(NatsConnector::new(config.clone()).connect(&url)).await.err().expect("it connected");
    let ServeError::Connect(here) = within(NatsServer::bind("probe", config)).await.unwrap_err() else { panic!() };
    for error in [here, there] {
        assert_refused(&error, remedy);
        let shown = format!("{error} {error:?}");
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}

#[tokio::test]
async fn a_token() {
    let (broker, _directory) = broker_with("authorization { token: hunter2 }");
    works(config(&broker).token("hunter2")).await;
    refused(config(&broker).token("hunter3"), "NatsConfig::login", &["hunter"]).await;
    refused(config(&broker), "NatsConfig::login", &["hunter"]).await;
}

#[tokio::test]
async fn an_nkey() {
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
    let (broker, _directory) = broker_with(&users);
    works(config(&broker).nkey(user.seed().unwrap())).await;
    let seed = stranger.seed().unwrap();
    refused(config(&broker).nkey(&seed), "NatsConfig::login", &[&seed]).await;
    // A public key is not a seed.
    refused(config(&broker).nkey(user.public_key()), "seed", &[&user.public_key()]).await;
    refused(config(&broker).nkey("hunter2"), "seed", &["hunter2"]).await;
    refused(config(&broker), "NatsConfig::login", &[]).await;
}

/// A JWT of NATS, of version 2.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, more: &Value, expires: Option<u64>) -> String {
    let mut nats = json!({ "type": kind, "version": 2 });
    nats.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut claims = json!({
        "jti": kind, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": kind, "sub": subject.public_key(),
        "nats": nats,
    });
    if let Some(expires) = expires {
        claims["exp"] = expires.into();
    }
    let encoded = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encoded(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encoded(claims));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes()).unwrap()))
}

/// The text of a credentials file.
fn credentials(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

fn user_jwt(account: &KeyPair, user: &KeyPair, expires: Option<u64>) -> String {
    jwt(account, user, "user", &json!({ "subs": -1, "data": -1, "payload": -1 }), expires)
}

#[tokio::test]
async fn credentials_of_a_file() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({ "limits": {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    } });
    let own = jwt(&operator, &operator, "operator", &json!({}), None);
    let accounts = format!("{}: {}", account.public_key(), jwt(&operator, &account, "account", &limits, None));
    let (broker, _directory) =
        broker_with(&format!("operator: {own}\nresolver: MEMORY\nresolver_preload: {{ {accounts} }}"));
    let (token, seed) = (user_jwt(&account, &user, None), user.seed().unwrap());
    works(config(&broker).credentials(credentials(&token, &seed))).await;
    // The seed of another user, a user of an account that the server does not know, and one whose time is over.
    let (stranger, unknown) = (KeyPair::new_user(), KeyPair::new_account());
    for (token, seed) in [
        (token, stranger.seed().unwrap()),
        (user_jwt(&unknown, &stranger, None), stranger.seed().unwrap()),
        (user_jwt(&account, &user, Some(1_700_000_001)), seed.clone()),
    ] {
        let text = credentials(&token, &seed);
        refused(config(&broker).credentials(text), "NatsConfig::login", &[&token, &seed]).await;
    }
    refused(config(&broker).nkey(seed.clone()), "NatsConfig::login", &[&seed]).await;
    refused(config(&broker), "NatsConfig::login", &[]).await;
}

/// A server with a certificate for this name, and what a client trusts who accepts it.
fn tls_broker(name: &str) -> (Broker, TempDir, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let place = |file: &str| directory.path().join(file);
    std::fs::write(place("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(place("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls {{ cert_file: {:?}, key_file: {:?} }}", place("certificate.pem"), place("key.pem"));
    std::fs::write(place("nats.conf"), tls).unwrap();
    let broker = Broker::with_config(place("nats.conf")).unwrap();
    (broker, directory, trusting([made.cert.der().clone()]))
}

fn trusting(certificates: impl IntoIterator<Item = rustls::pki_types::CertificateDer<'static>>) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn tls() {
    let (broker, _directory, trust) = tls_broker("127.0.0.1");
    // The server asks for TLS, whatever its URL says.
    works(config(&broker).tls(Arc::clone(&trust))).await;
    works(NatsConfig::new(broker.url().replace("nats:", "tls:")).tls(Arc::clone(&trust))).await;
    works(config(&broker).require_tls(true).tls(trust)).await;
    // Without the authority, and with one that has not issued the certificate.
    refused(config(&broker), "NatsConfig::tls", &[]).await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    refused(config(&broker).tls(trusting([other.cert.der().clone()])), "NatsConfig::tls", &[]).await;
    // A certificate of another host.
    let (broker, _directory, trust) = tls_broker("nats.example");
    refused(config(&broker).tls(trust), "NatsConfig::tls", &[]).await;
}

#[tokio::test]
async fn a_server_without_tls_is_not_used_where_it_is_required() {
    let (broker, _directory) = broker_with("");
    let secret = config(&broker).user_and_password("host", "hunter2").require_tls(true);
    let url = NatsConnector::url("probe", &secret).unwrap();
    let error = within(NatsConnector::new(secret).connect(&url)).await.err().expect("it connected");
    assert!(matches!(&error, ConnectError::Refused(text) if text.contains("NatsConfig::require_tls")), "{error:?}");
}
