//! The document: its blocks, its sections, and the citations of it.

use std::fs;
use std::path::{Path, PathBuf};

/// A chapter and a section, or 0.
pub(crate) type Section = (u32, u32);

pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block.
pub(crate) struct Block {
    /// The line of its opening fence.
    pub(crate) line: usize,
    /// The text after the fence, such as `json message`.
    pub(crate) info: String,
    pub(crate) lines: Vec<String>,
}

impl Block {
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        (self.line + 1..).zip(self.lines.iter().map(String::as_str))
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Document {
    pub(crate) fn read() -> Document {
        let text = fs::read_to_string(workspace().join("docs/protocol.md")).unwrap();
        let (mut blocks, mut open) = (Vec::new(), None::<Block>);
        for (number, line) in (1..).zip(text.lines()) {
            open = match (open, line.strip_prefix("```")) {
                (None, None) => None,
                (None, Some(info)) => Some(Block { line: number, info: info.to_owned(), lines: Vec::new() }),
                (Some(block), Some(_)) => {
                    blocks.push(block);
                    None
                }
                (Some(mut block), None) => {
                    block.lines.push(line.to_owned());
                    Some(block)
                }
            };
        }
        assert!(open.is_none(), "a block is not closed");
        Document { text, blocks }
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.info.starts_with(kind))
    }

    pub(crate) fn sections(&self) -> Vec<Section> {
        let headings = self.text.lines().filter_map(|line| line.strip_prefix("##"));
        headings.map(|line| number(line.trim_start_matches(['#', ' '])).expect(line)).collect()
    }

    /// The number of rows of the table under a heading, without its header.
    pub(crate) fn rows(&self, heading: &str) -> usize {
        let under = self.text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
        let section = under.take_while(|line| !line.starts_with('#'));
        section.filter(|line| line.starts_with('|')).count() - 2
    }

    /// The document's own references: `section 2.4` and, in tables, `(2.4)`.
    pub(crate) fn own_references(&self) -> Vec<(String, Option<Section>)> {
        let mut all = Vec::new();
        for (line, text) in (1..).zip(self.text.lines()) {
            let place = format!("docs/protocol.md, line {line},");
            let sections =
                text.split("section ").skip(1).filter(|after| after.starts_with(|c: char| c.is_ascii_digit()));
            let in_tables = text.split('(').skip(1).filter(|after| {
                let inside = after.split(')').next().unwrap_or_default();
                text.starts_with('|') && inside.contains('.') && inside.chars().all(|c| c == '.' || c.is_ascii_digit())
            });
            all.extend(sections.chain(in_tables).map(|after| (place.clone(), number(after))));
        }
        all
    }
}

/// The number of difference classes that the test against the published packages accepts.
pub(crate) fn differential_classes() -> usize {
    let text = fs::read_to_string(workspace().join("examples/js/lib/differential-classes.js")).unwrap();
    text.lines().filter(|line| line.trim_start().starts_with("why: ")).count()
}

/// `2.4` or `2` at the start of a text.
fn number(text: &str) -> Option<Section> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let chapter = digits(text);
    let section = text[chapter.len()..].strip_prefix('.').map(digits).unwrap_or_default();
    Some((chapter.parse().ok()?, section.parse().unwrap_or(0)))
}

/// The places in the workspace's sources and documents that cite a section of `protocol.md`. A link to the whole
/// document is not a citation.
pub(crate) fn citations() -> Vec<(String, Option<Section>)> {
    let (mut all, mut folders) = (Vec::new(), vec![workspace()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !path.starts_with(workspace().join("connector-core/tests/protocol")) {
                all.extend(cited_in(&path));
            }
        }
    }
    all
}

fn cited_in(path: &Path) -> Vec<(String, Option<Section>)> {
    // This file's own tests mention the document itself.
    if path.ends_with("tests/protocol.rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    // A comment may continue on the next line.
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim());
    let text = lines.collect::<Vec<_>>().join(" ").replace("inspector-protocol.md", "");
    let after = text.split("protocol.md").skip(1);
    after.map(|after| (path.display().to_string(), after.strip_prefix(", section ").and_then(number))).collect()
}
