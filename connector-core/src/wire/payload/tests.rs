use super::*;

#[test]
fn reading_the_stored_type_moves_the_value() {
    let text = "x".repeat(1 << 16);
    let place = text.as_ptr();
    let back: (String,) = Payload::new((text,)).read().unwrap();
    assert_eq!(back.0.as_ptr(), place, "moved, not copied");
}

#[test]
fn reading_a_shared_value_copies_it() {
    let payload = Payload::new((1, "two".to_owned()));
    let kept = payload.clone();
    assert_eq!(payload.read::<(i64, String)>().unwrap(), (1, "two".to_owned()));
    assert_eq!(kept.read::<serde_json::Value>().unwrap(), serde_json::json!([1, "two"]));
}

#[test]
fn shared_values_are_serialized_once() {
    let payload = Payload::new(vec![1, 2, 3]);
    let other = payload.clone();
    assert_eq!(payload.to_json().unwrap().as_ptr(), other.to_json().unwrap().as_ptr());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "tests concurrent use")]
fn a_value_shared_by_two_threads_is_serialized_once() {
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    /// The first serialization reports its start and checks that no second one begins.
    struct Watched {
        begins: mpsc::SyncSender<()>,
        first: Mutex<Option<mpsc::Receiver<()>>>,
        tell: mpsc::SyncSender<()>,
    }
    impl Serialize for Watched {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.first.lock().unwrap().take() {
                Some(begins) => {
                    self.tell.send(()).unwrap();
                    assert!(begins.recv_timeout(Duration::from_millis(100)).is_err(), "serialized twice");
                }
                None => self.begins.send(()).unwrap(),
            }
            serializer.serialize_unit()
        }
    }

    let ((begins, others), (tell, begun)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
    let payload = Payload::new(Watched { begins, first: Mutex::new(Some(others)), tell });
    let other = payload.clone();
    let first = std::thread::spawn(move || other.to_json().unwrap());
    begun.recv().unwrap();
    assert_eq!(payload.to_json().unwrap(), first.join().unwrap());
}

#[test]
fn a_value_is_sized_on_request_and_text_always() {
    let value = Payload::new(("x".repeat(1000),));
    assert_eq!((value.weight(), value.size(), value.weight()), (0, 1004, 1004));
    let written = Payload::new(vec![1, 2, 3]);
    written.to_json().unwrap();
    assert_eq!(written.size(), "[,,]".len() + 3 * size_of::<i32>());
    let text = Payload::from_json("[1]").unwrap();
    assert_eq!((text.weight(), text.size()), (3, 3));
    let unserializable = Payload::new(std::collections::BTreeMap::from([((1, 2), 3)]));
    assert!(unserializable.size() < 20, "the parts that could be written");
    assert_eq!(Payload::new((value, "y")).size(), 1004 + 6, "nested");
}

#[test]
fn invalid_content_is_accepted_unread_and_fails_when_parsed() {
    for odd in [r#""\ud800""#.to_owned(), format!("{}{}", "[".repeat(1000), "]".repeat(1000))] {
        let payload = Payload::from_json(odd.clone()).unwrap();
        assert_eq!(&payload.to_json().unwrap()[..], odd.as_bytes());
        payload.read::<serde_json::Value>().unwrap_err();
    }
    Payload::from_json("1 2").unwrap_err();
    Payload::from_json("").unwrap_err();
    Payload::from_json(&b"\"\xff\""[..]).unwrap_err();
}

#[test]
fn the_text_of_a_value_exists_once_it_has_been_serialized() {
    assert_eq!(Payload::from_json("[1.0]").unwrap().json_text(), Some("[1.0]"));
    let value = Payload::new(vec!["abc"]);
    assert_eq!(value.json_text(), None);
    assert!(value.held_bytes(true) >= 3 && value.json_text().is_none());
    value.to_json().unwrap();
    assert_eq!(value.json_text(), Some(r#"["abc"]"#));
    assert_eq!(value.clone().json_text(), Some(r#"["abc"]"#));
}
