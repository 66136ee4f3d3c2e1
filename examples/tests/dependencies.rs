//! The `[dependencies]` that the README and the guides show: each crate exists, and has the features that they name.

use std::fs;
use std::path::Path;
use std::process::Command;

const DOCUMENTS: [&str; 4] =
    ["README.md", "docs/test-a-plugin.md", "docs/transports.md", "docs/write-your-own-connector.md"];

#[test]
fn the_documented_dependencies_resolve() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = format!("\"{}/", checkout.display().to_string().replace('\\', "/"));
    for document in DOCUMENTS {
        let text = fs::read_to_string(checkout.join(document)).unwrap();
        let blocks: Vec<_> =
            text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
        assert!(!blocks.is_empty(), "{document} shows no dependencies");
        for block in blocks {
            let package = tempfile::tempdir().unwrap();
            let header = "[package]\nname = \"shown\"\nedition = \"2024\"\n\n";
            let manifest = format!("{header}{}", block.replace("\"../connectors/", &path));
            fs::write(package.path().join("Cargo.toml"), manifest).unwrap();
            fs::create_dir(package.path().join("src")).unwrap();
            fs::write(package.path().join("src/lib.rs"), "").unwrap();
            // The packages that this workspace uses are all that it may choose from.
            let mut cargo = Command::new(env!("CARGO"));
            let output = cargo.args(["generate-lockfile", "--offline"]).current_dir(&package).output().unwrap();
            assert!(output.status.success(), "{document}: {}\n{block}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
