//! Checks the digest of a program's file before it is started.

use std::path::Path;

use connector_core::ConnectError;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::program::Program;

/// Checks the file that will be run.
///
/// # Errors
/// The file does not exist, cannot be read, or has another digest.
pub(super) async fn check(program: &Program, file: &Path) -> Result<(), ConnectError> {
    let Some(expected) = program.sha256 else { return Ok(()) };
    let refused =
        |why: String| ConnectError::Refused(format!("the program {} is not started: {why}", program.program.display()));
    let found = digest(file).await.map_err(|error| refused(format!("its SHA-256 cannot be checked: {error}")))?;
    match found == expected {
        true => Ok(()),
        false => Err(refused(format!("its SHA-256 is {}, but should be {}", hex(&found), hex(&expected)))),
    }
}

async fn digest(file: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = tokio::fs::File::open(file).await?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_file_with_the_right_digest_is_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, b"abc").unwrap();
        // The example of FIPS 180-2, appendix B.1.
        let right = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03,
            0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
        ];
        check(&Program::new(&file).sha256(right), &file).await.unwrap();
        let wrong = check(&Program::new(&file).sha256([0; 32]), &file).await.unwrap_err().to_string();
        assert!(wrong.contains("its SHA-256 is ba7816bf") && wrong.contains("should be 0000"), "{wrong}");
        let gone = folder.path().join("gone");
        let gone = check(&Program::new(&gone).sha256(right), &gone).await.unwrap_err();
        assert!(matches!(gone, ConnectError::Refused(_)));
    }
}
