//! Finds out whether the server allows what this end does: it refuses a subject only later, and not to the one who asked.

use std::time::Duration;

use connector_core::ConnectError;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::ServeError;
use crate::connection::Connection;
use crate::forbidden::Forbidden;

/// Time for the answer that the check waits for, which does not come if another program listens to everything.
const CHECK: Duration = Duration::from_millis(500);
/// Time for what the server has refused to get from the connection's task to this one.
const GRACE: Duration = Duration::from_millis(20);

/// Fails if the server has refused one of the `needed` subjects. Whoever calls this has used them, and may publish to
/// `nobody` and subscribe to `back`, which nobody else uses. The caller limits the time.
pub(crate) async fn check_allowed(
    connection: &Connection,
    forbidden: &mut broadcast::Receiver<Forbidden>,
    nobody: &str,
    back: &str,
    needed: &[String],
) -> Result<(), ServeError> {
    let client = connection.client();
    // The server's answer, that nobody listens, shows that everything before it was processed.
    let mut answers = client.subscribe(back.to_owned()).await.map_err(ConnectError::failed)?;
    let asked = client.publish_with_reply(nobody.to_owned(), back.to_owned(), "".into());
    asked.await.map_err(ConnectError::failed)?;
    let mut over = std::pin::pin!(tokio::time::sleep(CHECK));
    loop {
        tokio::select! {
            biased;
            Ok(refusal) = forbidden.recv() => {
                if refusal.is_of_any_subscription() {
                    return Err(ConnectError::Refused(refusal.to_string()).into());
                }
                if needed.iter().map(String::as_str).chain([nobody, back]).any(|subject| refusal.is_about(subject)) {
                    return Err(ServeError::Forbidden(refusal.to_string()));
                }
            }
            answer = answers.next() => match answer {
                Some(_) => over.as_mut().reset(Instant::now() + GRACE),
                None => return Err(ConnectError::failed("the connection to the NATS server was lost").into()),
            },
            () = &mut over => return Ok(()),
        }
    }
}
