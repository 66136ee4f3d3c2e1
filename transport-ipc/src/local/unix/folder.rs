//! The directory of the user's sockets.

use std::ffi::OsString;
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::error::BindError;
use super::super::name::{LocalName, NameError};

const FOLDER: &str = "plugin-connectors";

/// The maximum length of a socket address, without the terminating zero.
const MAX_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// The path of the socket. Creates nothing.
pub(super) fn path(name: &LocalName) -> Result<PathBuf, NameError> {
    let path = match name.as_str() {
        path if path.starts_with('/') => PathBuf::from(path),
        bare => {
            let path = folder().join(format!("{bare}.sock"));
            // Normalizes a `TMPDIR` that is relative or begins with two slashes.
            std::path::absolute(&path).unwrap_or(path).components().collect()
        }
    };
    match path.as_os_str().as_bytes().len() <= MAX_PATH {
        true => Ok(path),
        false => Err(NameError::TooLong { path: path.display().to_string(), limit: MAX_PATH }),
    }
}

/// The path of the socket. For a bare name, creates the directory.
pub(super) fn make_path(name: &LocalName) -> Result<PathBuf, BindError> {
    let path = path(name)?;
    if !name.as_str().starts_with('/') {
        make_private(&folder(), effective_user())?;
    }
    Ok(path)
}

fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn folder() -> PathBuf {
    folder_of(std::env::var_os("XDG_RUNTIME_DIR"), &std::env::temp_dir(), effective_user())
}

/// The user's directory of sockets: in the runtime directory if the user owns it, else in the temporary one.
fn folder_of(runtime: Option<OsString>, temp: &Path, user: u32) -> PathBuf {
    let is_own = |path: &Path| {
        let is_safe = |meta: Metadata| meta.is_dir() && meta.uid() == user && meta.mode() & 0o022 == 0;
        path.is_absolute() && path.metadata().is_ok_and(is_safe)
    };
    match runtime.map(PathBuf::from) {
        Some(runtime) if is_own(&runtime) => runtime.join(FOLDER),
        _ => temp.join(format!("{FOLDER}-{user}")),
    }
}

fn make_private(folder: &Path, user: u32) -> Result<(), BindError> {
    let at = || folder.display().to_string();
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(BindError::io(at(), error)),
        _ => {}
    }
    let meta = folder.symlink_metadata().map_err(|error| BindError::io(at(), error))?;
    let why = match () {
        () if !meta.is_dir() => "is not a directory",
        () if meta.uid() != user => "belongs to another user",
        () if meta.mode() & 0o077 != 0 => "can be entered by other users (its mode must be 0700)",
        () => return Ok(()),
    };
    Err(BindError::NotPrivate { at: at(), why })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_runtime_directory_is_used_if_the_user_owns_it() {
        let dir = tempfile::tempdir().unwrap();
        let (runtime, temp) = (dir.path().join("run"), Path::new("/tmp"));
        let folder = |runtime: &Path, user| folder_of(Some(runtime.into()), temp, user);
        let fallback = temp.join(format!("plugin-connectors-{}", effective_user()));
        assert_eq!(folder_of(None, temp, 7), Path::new("/tmp/plugin-connectors-7"));
        assert_eq!(folder(&runtime, effective_user()), fallback, "it does not exist");
        create_dir(&runtime).unwrap();
        mode(&runtime, 0o700);
        assert_eq!(folder(&runtime, effective_user()), runtime.join("plugin-connectors"));
        assert_eq!(
            folder(&runtime, effective_user() + 1),
            temp.join(format!("plugin-connectors-{}", effective_user() + 1))
        );
        mode(&runtime, 0o777);
        assert_eq!(folder(&runtime, effective_user()), fallback, "others may write");
        for odd in ["", "run", "."] {
            assert_eq!(folder(Path::new(odd), effective_user()), fallback, "{odd:?} is relative");
        }
    }

    #[test]
    fn the_directory_is_private_to_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        for _ in 0..2 {
            make_private(&folder, effective_user()).unwrap();
            assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o700);
        }
        let refused = |folder: &Path, user| match make_private(folder, user) {
            Err(BindError::NotPrivate { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&folder, effective_user() + 1), "belongs to another user");
        mode(&folder, 0o750);
        assert!(refused(&folder, effective_user()).starts_with("can be entered"));
        mode(&folder, 0o700);
        symlink(&folder, dir.path().join("link")).unwrap();
        assert_eq!(refused(&dir.path().join("link"), effective_user()), "is not a directory");
        write(dir.path().join("file"), "").unwrap();
        assert_eq!(refused(&dir.path().join("file"), effective_user()), "is not a directory");
        assert!(matches!(make_private(&dir.path().join("no/where"), effective_user()), Err(BindError::Io { .. })));
    }

    #[test]
    fn a_path_too_long_for_an_address_is_rejected() {
        let name = |len| LocalName::parse(&format!("/{}", "x".repeat(len - 1))).unwrap();
        path(&name(MAX_PATH)).unwrap();
        assert!(matches!(path(&name(MAX_PATH + 1)), Err(NameError::TooLong { limit: MAX_PATH, .. })));
    }
}
