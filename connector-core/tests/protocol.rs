//! Runs the examples of `docs/protocol.md`, whose section 1.4 defines the kinds of blocks, and checks the sources'
//! citations of it.

#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

#[path = "protocol/document.rs"]
mod document;
#[path = "protocol/exchange.rs"]
mod exchange;
#[path = "protocol/refusals.rs"]
mod refusals;
#[allow(dead_code, reason = "shared with the tests of the engine, which use the rest")]
#[path = "engine/scripted_peer.rs"]
mod scripted_peer;
#[allow(dead_code, reason = "shared with the tests of the engine, which use the rest")]
#[path = "engine/support.rs"]
mod support;

use connector_core::stp::{Envelope, Frame, REGISTER, StpService, frame};
use connector_core::{DecodeError, Message};
use document::{Block, Document};
use serde_json::Value;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn rewritten(text: &str) -> Value {
    let message = Message::decode(text.to_owned().into()).unwrap_or_else(|error| panic!("{error}: {text}"));
    value(std::str::from_utf8(&message.encode().unwrap()).unwrap())
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let document = Document::read();
    let kinds = ["json message", "json reads-as", "json invalid", "json stp", "text exchange"];
    for Block { line, info, lines } in &document.blocks {
        assert!(kinds.iter().any(|kind| info.starts_with(kind)), "line {line}: nothing checks a block `{info}`");
        assert!(!lines.is_empty(), "line {line}: an empty block");
    }
    for kind in kinds {
        assert!(document.of_kind(kind).next().is_some(), "no `{kind}` block exists");
    }
}

#[test]
fn messages_survive_a_round_trip() {
    for (line, text) in Document::read().of_kind("json message").flat_map(Block::numbered) {
        assert_eq!(rewritten(text), value(text), "line {line}");
    }
}

#[test]
fn messages_are_decoded_as_documented() {
    let document = Document::read();
    for block in document.of_kind("json reads-as") {
        for (pair, line) in block.lines.chunks(2).zip((block.line + 1..).step_by(2)) {
            let [arrives, is_read] = pair else { panic!("line {line}: half a pair") };
            assert_eq!(rewritten(arrives), value(is_read), "line {line}");
        }
    }
}

#[test]
fn invalid_messages_are_dropped() {
    for (line, text) in Document::read().of_kind("json invalid").flat_map(Block::numbered) {
        let error = Message::decode(text.to_owned().into()).expect_err(text);
        assert!(!matches!(error, DecodeError::Partial { .. }), "line {line}: it is answered");
    }
}

#[test]
fn frames_of_sketch_thru_plan_are_read_and_written() {
    for (line, text) in Document::read().of_kind("json stp").flat_map(Block::numbered) {
        let register = |Envelope { method, params }: Envelope<'_>| {
            if method == REGISTER {
                StpService::from_params(params).unwrap_or_else(|error| panic!("line {line}: {error}"));
            }
        };
        let again = match Frame::parse(text).unwrap_or_else(|error| panic!("line {line}: {error}")) {
            Frame::Request { cookie, message, timeout, .. } => {
                register(Envelope::parse(&message).unwrap());
                frame::request(&message, cookie, timeout)
            }
            Frame::Response(response) => frame::response(&response),
            Frame::Inform(envelope) => {
                register(envelope);
                text.to_owned()
            }
            other => panic!("line {line}: {other:?}"),
        };
        assert_eq!(value(&again), value(text), "line {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn exchanges_match_the_documentation() {
    let document = Document::read();
    for block in document.of_kind("text exchange") {
        exchange::play(block).await;
    }
}

#[test]
fn the_document_lists_all_refusal_texts() {
    let document = Document::read();
    for text in refusals::all() {
        assert!(document.text.contains(&format!("| `{text}` |")), "section 4 does not have: {text}");
    }
}

#[test]
fn sections_are_numbered_consecutively() {
    let sections = Document::read().sections();
    let mut expected = (0, 0);
    for (chapter, section) in sections {
        expected = match section {
            0 => (expected.0 + 1, 0),
            _ => (expected.0, expected.1 + 1),
        };
        assert_eq!((chapter, section), expected);
    }
    assert!(expected.0 > 1);
}

#[test]
fn cited_sections_exist() {
    let document = Document::read();
    let sections = document.sections();
    let mut cited = document.own_references();
    cited.extend(document::citations());
    assert!(cited.len() > 20, "the search for citations is broken");
    for (place, section) in cited {
        let section = section.unwrap_or_else(|| panic!("{place} cites no section of docs/protocol.md"));
        assert!(sections.contains(&section), "{place} cites section {}.{}", section.0, section.1);
    }
}

#[test]
fn each_class_of_the_differential_test_is_documented() {
    assert_eq!(Document::read().rows("### 9.1"), document::differential_classes());
}
