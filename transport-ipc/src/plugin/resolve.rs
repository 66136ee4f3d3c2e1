//! Which file a program's name means, decided once: that file is checked, and that file is run.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::program::Program;

/// The file that the system would run: a name is looked for in the *child's* `PATH`, and what is relative is so to the
/// *child's* folder, as `execvp` does it there. On Unix the path is absolute. Links are not resolved, since a program may
/// go by the name it was called by.
///
/// Of a name with a slash nothing is looked at: what is wrong with it is seen when it is started.
///
/// # Errors
/// A name that is in no folder of the `PATH`, or nowhere executable.
pub(super) fn resolve(program: &Program) -> io::Result<PathBuf> {
    let name = Path::new(&program.program);
    if program.program.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let folder = program.current_dir.as_deref().unwrap_or(Path::new(""));
    if has_folder(name) {
        return std::path::absolute(folder.join(name));
    }
    let path = path_of(program).unwrap_or_else(|| DEFAULT_PATH.into());
    let mut error = io::ErrorKind::NotFound;
    // An empty entry is the current folder.
    for entry in std::env::split_paths(&path) {
        for file in candidates(&entry.join(name)) {
            let file = std::path::absolute(folder.join(file))?;
            match runnable(&file) {
                Ok(()) => return Ok(file),
                // As `execvp` does: goes on, and says so only if nothing better is found.
                Err(io::ErrorKind::PermissionDenied) => error = io::ErrorKind::PermissionDenied,
                Err(_) => {}
            }
        }
    }
    elsewhere(program, error)
}

/// The child's.
fn path_of(program: &Program) -> Option<OsString> {
    let is_path = |name: &OsString| match cfg!(windows) {
        true => name.eq_ignore_ascii_case("PATH"),
        false => name == "PATH",
    };
    if let Some((_, path)) = program.env.iter().rev().find(|(name, _)| is_path(name)) {
        return Some(path.clone());
    }
    match &program.inherit_env {
        Some(names) if !names.iter().any(is_path) => None,
        _ => std::env::var_os("PATH"),
    }
}

#[cfg(unix)]
mod system {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{Access, AtFlags, CWD, accessat};

    use super::*;

    /// What the C library takes where there is no `PATH`.
    pub(super) const DEFAULT_PATH: &str = match () {
        () if cfg!(target_env = "musl") => "/usr/local/bin:/bin:/usr/bin",
        () if cfg!(target_vendor = "apple") => "/usr/bin:/bin",
        () => "/bin:/usr/bin",
    };

    pub(super) fn has_folder(name: &Path) -> bool {
        name.as_os_str().as_bytes().contains(&b'/')
    }

    pub(super) fn candidates(file: &Path) -> [PathBuf; 1] {
        [file.to_owned()]
    }

    /// A file that this user may execute; a folder is none.
    pub(super) fn runnable(file: &Path) -> Result<(), io::ErrorKind> {
        if !file.metadata().map_err(|error| error.kind())?.is_file() {
            return Err(io::ErrorKind::PermissionDenied);
        }
        accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| io::Error::from(error).kind())
    }

    pub(super) fn elsewhere(_: &Program, error: io::ErrorKind) -> io::Result<PathBuf> {
        let code = match error {
            io::ErrorKind::PermissionDenied => rustix::io::Errno::ACCESS,
            _ => rustix::io::Errno::NOENT,
        };
        Err(code.into())
    }
}

/// Windows looks in further folders, and for further endings. What it alone finds is run, but cannot be checked.
#[cfg(not(unix))]
mod system {
    use super::*;

    pub(super) const DEFAULT_PATH: &str = "";

    pub(super) fn has_folder(name: &Path) -> bool {
        name.components().count() > 1
    }

    pub(super) fn candidates(file: &Path) -> [PathBuf; 2] {
        let mut with_ending = file.as_os_str().to_owned();
        with_ending.push(".exe");
        [file.to_owned(), with_ending.into()]
    }

    pub(super) fn runnable(file: &Path) -> Result<(), io::ErrorKind> {
        if file.is_file() { Ok(()) } else { Err(io::ErrorKind::NotFound) }
    }

    pub(super) fn elsewhere(program: &Program, error: io::ErrorKind) -> io::Result<PathBuf> {
        match program.sha256 {
            Some(_) => Err(error.into()),
            None => Ok(PathBuf::from(&program.program)),
        }
    }
}

use system::{DEFAULT_PATH, candidates, elsewhere, has_folder, runnable};

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn put(folder: &Path, name: &str, mode: u32) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    fn path(folders: &[&Path]) -> OsString {
        std::env::join_paths(folders).unwrap()
    }

    #[test]
    fn a_name_is_looked_for_in_the_childs_path_as_execvp_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("folder/x")).unwrap();
        put(&at("not-executable"), "x", 0o644);
        let right = put(&at("right"), "x", 0o755);
        put(&at("later"), "x", 0o755);
        symlink(at("gone"), at("folder/dangling")).unwrap();
        symlink(at("right/x"), at("right/link")).unwrap();
        let all = path(&[&at("missing"), &at("folder"), &at("not-executable"), &at("right"), &at("later")]);
        let with = |name: &str, path: &OsString| resolve(&Program::new(name).env("PATH", path));
        assert_eq!(with("x", &all).unwrap(), right);
        assert_eq!(with("link", &all).unwrap(), at("right/link"), "its name stays");
        assert_eq!(with("dangling", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(with("y", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        for only in ["folder", "not-executable"] {
            let error = with("x", &path(&[&at(only), &at("missing")])).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{only}");
        }
        assert_eq!(with("", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        // The last value counts.
        let twice = Program::new("x").env("PATH", at("later")).env("PATH", at("right"));
        assert_eq!(resolve(&twice).unwrap(), right);
    }

    #[test]
    fn what_is_relative_is_so_to_the_childs_folder() {
        let folder = tempfile::tempdir().unwrap();
        let here = put(folder.path(), "x", 0o755);
        let below = put(&folder.path().join("bin"), "y", 0o755);
        let from = |name: &str, path: &str| resolve(&Program::new(name).env("PATH", path).current_dir(folder.path()));
        assert_eq!(from("./x", "/nowhere").unwrap(), here);
        assert_eq!(from("bin/y", "/nowhere").unwrap(), below);
        assert_eq!(from("y", "/nowhere:bin").unwrap(), below);
        for empty in ["", ":/nowhere", "/nowhere:", "/nowhere::/elsewhere"] {
            assert_eq!(from("x", empty).unwrap(), here, "{empty:?}");
        }
        assert_eq!(from("x", "/nowhere").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn without_a_path_the_systems_own_is_taken() {
        let program = Program::new("sh").inherit_env(["HOME"]);
        assert!(["/bin/sh", "/usr/bin/sh"].map(PathBuf::from).contains(&resolve(&program).unwrap()));
    }
}
