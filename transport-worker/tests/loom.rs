//! The pipe between two threads, under the interleavings of its two ends. Run by `.ci/run loom`.
#![cfg(loom_tests)]
#![allow(dead_code, missing_docs, unreachable_pub, reason = "the pipe is compiled with loom's types in place of std's")]

#[path = "../src/pipe.rs"]
mod pipe;

mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}

use std::future::poll_fn;

use connector_core::{Action, Message, Payload};
use loom::future::block_on;
use loom::thread;

use self::pipe::{Capacity, Reader, Writer, Written, pipe};

/// All interleavings with at most three preemptions: more of them take minutes, and find nothing else.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

/// The capacity for one message only, by number or by bytes.
const BY_NUMBER: Capacity = Capacity { messages: 1, bytes: 1 << 20 };
const BY_BYTES: Capacity = Capacity { messages: 4, bytes: 2 };

fn message(number: i64) -> Message {
    Message { id: Some(number.into()), payload: Some(Payload::no_args()), ..Message::new(Action::Request) }
}

/// Reads to the end, and gives the messages' numbers and how the writer ended.
fn read(mut reader: Reader) -> (Vec<i64>, Written) {
    let mut numbers = Vec::new();
    loop {
        match block_on(poll_fn(|cx| reader.poll_message(cx))) {
            Ok(message) => numbers.push(message.id.and_then(|id| id.to_string().parse().ok()).unwrap()),
            Err(written) => return (numbers, written),
        }
    }
}

/// Writes with this function in one thread, and reads in another: both messages arrive, then the end.
fn reads_both_messages(capacity: Capacity, write: fn(Writer), end: Written) {
    model(move || {
        let (writer, reader) = pipe(capacity);
        let writing = thread::spawn(move || write(writer));
        assert_eq!(read(reader), (vec![0, 1], end));
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_is_woken_for_each_flush_and_for_the_end() {
    let write = |mut writer: Writer| {
        for number in 0..2 {
            writer.push(message(number));
            writer.flush();
        }
        writer.close();
    };
    reads_both_messages(Capacity { messages: 4, bytes: 1 << 20 }, write, Written::Closed);
}

#[test]
fn a_writer_is_woken_when_there_is_capacity() {
    let write = |mut writer: Writer| {
        for number in 0..2 {
            block_on(poll_fn(|cx| writer.poll_ready(cx)));
            writer.push(message(number));
            writer.flush();
        }
    };
    for capacity in [BY_NUMBER, BY_BYTES] {
        reads_both_messages(capacity, write, Written::Dropped);
    }
}
