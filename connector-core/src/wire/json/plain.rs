//! Strings whose bytes are the same in JSON and in memory.

// PERF: docs/performance.md, "strings escaped byte by byte": `encode/plain 64 KiB` -91 % instructions.
/// Number of bytes checked together, in a branch-free loop that compilers vectorize.
const BLOCK: usize = 64;

/// The length of the leading blocks in which no byte is a quote, a backslash or a control character.
pub(super) fn plain_blocks(bytes: &[u8]) -> usize {
    let special = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    let plain = |block: &&[u8; BLOCK]| block.iter().fold(0, |any, byte| any | special(*byte)) == 0;
    bytes.as_chunks().0.iter().take_while(plain).count() * BLOCK
}
