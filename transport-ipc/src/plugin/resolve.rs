//! Resolves a program's name to a file, once, so that the file that is checked is the one that is run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::environment::is_same;
use super::program::Program;

/// The file that the system would run: as with `execvp` in the child, a name is looked up in the *child's* `PATH`, and
/// relative paths are relative to the *child's* directory. On Unix the path is absolute. Symbolic links are not resolved,
/// since a program may depend on the name it is called by.
///
/// A name with a slash is not checked: errors appear when it is started.
///
/// # Errors
/// No directory in `PATH` has an executable file of that name.
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
    // An empty entry is the current directory.
    for entry in std::env::split_paths(&path) {
        for file in candidates(&entry.join(name)) {
            let file = std::path::absolute(folder.join(file))?;
            match runnable(&file) {
                Ok(()) => return Ok(file),
                // As `execvp` does: continues, and reports this only if nothing else is found.
                Err(io::ErrorKind::PermissionDenied) => error = io::ErrorKind::PermissionDenied,
                Err(_) => {}
            }
        }
    }
    elsewhere(program, error)
}

/// The child's `PATH`.
fn path_of(program: &Program) -> Option<OsString> {
    let name = OsStr::new("PATH");
    if let Some((_, path)) = program.env.iter().rev().find(|(set, _)| is_same(set, name)) {
        return Some(path.clone());
    }
    if program.inherit_env.includes(name) { std::env::var_os(name) } else { None }
}

#[cfg(unix)]
mod system {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{Access, AtFlags, CWD, accessat};

    use super::*;

    /// The C library's default `PATH`.
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

    /// Checks that it is a file, not a directory, and that this user may execute it.
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

/// Windows searches further directories and extensions. A program found only by the system is run, but cannot be checked.
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
    fn a_name_is_looked_up_in_the_childs_path_like_execvp() {
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
        assert_eq!(with("link", &all).unwrap(), at("right/link"), "links are not resolved");
        assert_eq!(with("dangling", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(with("y", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        for only in ["folder", "not-executable"] {
            let error = with("x", &path(&[&at(only), &at("missing")])).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{only}");
        }
        assert_eq!(with("", &all).unwrap_err().kind(), io::ErrorKind::NotFound);
        // The last value wins.
        let twice = Program::new("x").env("PATH", at("later")).env("PATH", at("right"));
        assert_eq!(resolve(&twice).unwrap(), right);
    }

    #[test]
    fn relative_paths_are_relative_to_the_childs_directory() {
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
    fn without_a_path_the_systems_default_is_used() {
        let program = Program::new("sh").inherit_env(["HOME"]);
        assert!(["/bin/sh", "/usr/bin/sh"].map(PathBuf::from).contains(&resolve(&program).unwrap()));
    }
}
