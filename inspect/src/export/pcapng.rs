//! pcapng, with each message as an exported PDU that Wireshark reads as JSON.

use std::io::Write;

use indexmap::IndexSet;

use super::{ExportError, text};
use crate::record::{Direction, Kind};
use crate::recording::Recording;

/// `LINKTYPE_WIRESHARK_UPPER_PDU`: tags, and then the message of a protocol.
const LINK_TYPE: u16 = 252;
/// The tag with the name of the dissector.
const DISSECTOR: u16 = 12;
/// The largest packet that Wireshark reads.
const MAX_PACKET: usize = 262_144;

// Types of blocks, and codes of options.
const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const PACKET_FLAGS: u16 = 2;
const USER_APPLICATION: u16 = 4;

/// Each plugin is an interface, and what it sends is inbound.
pub(super) fn write(recording: &mut Recording, out: &mut impl Write) -> Result<(), ExportError> {
    let began = recording.header().began;
    let application = format!("connector {}", recording.header().engine);
    let mut section = Vec::new();
    section.extend(0x1A2B_3C4D_u32.to_le_bytes());
    section.extend([1_u16, 0].map(u16::to_le_bytes).concat());
    section.extend(u64::MAX.to_le_bytes()); // its length is not known
    option(&mut section, USER_APPLICATION, application.as_bytes());
    out.write_all(&block(SECTION, section))?;
    let mut plugins = IndexSet::<Box<str>>::new();
    for entry in recording {
        let (_, record) = entry?;
        let (Kind::Message, Some(plugin), Some(direction)) = (record.kind, &record.plugin, record.direction) else {
            continue;
        };
        let (interface, is_new) = plugins.insert_full(plugin.clone());
        if is_new {
            out.write_all(&block(INTERFACE, interface_description(plugin)))?;
        }
        let text = text(&record);
        let mut data = [DISSECTOR, 4].map(u16::to_be_bytes).concat();
        data.extend(b"json\0\0\0\0");
        let length = record.cut.unwrap_or_default().max(text.len()).saturating_add(data.len());
        data.extend_from_slice(text.as_bytes());
        data.truncate(MAX_PACKET);
        let time = began.saturating_add(record.at);
        let mut packet = Vec::with_capacity(data.len() + 128);
        for number in [interface as u64, time >> 32, time, data.len() as u64, length as u64] {
            packet.extend((number as u32).to_le_bytes());
        }
        packet.extend(&data);
        pad(&mut packet);
        let (flags, way) = match direction {
            Direction::FromPlugin => (1_u32, format!("{plugin} → engine")),
            Direction::ToPlugin => (2, format!("engine → {plugin}")),
        };
        option(&mut packet, PACKET_FLAGS, &flags.to_le_bytes());
        option(&mut packet, COMMENT, way.as_bytes());
        out.write_all(&block(PACKET, packet))?;
    }
    Ok(())
}

fn interface_description(plugin: &str) -> Vec<u8> {
    let mut body = [LINK_TYPE, 0].map(u16::to_le_bytes).concat();
    body.extend((MAX_PACKET as u32).to_le_bytes());
    option(&mut body, IF_NAME, plugin.as_bytes());
    body
}

/// A block with options: they end here.
fn block(kind: u32, mut body: Vec<u8>) -> Vec<u8> {
    body.extend([0; 4]);
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, &body, &length].concat()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX) - 3)];
    body.extend([code, value.len() as u16].map(u16::to_le_bytes).concat());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
