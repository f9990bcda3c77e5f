//! The default places of a named pipe.

use super::{PIPE_PREFIX, SYSTEM};
use m2_windows::{Sid, Token};
use std::path::{Path, PathBuf};

/// The account of the service, `NT SERVICE\m2d`. The system derives its identifier from the service's
/// name.
pub const SERVICE_SID: Sid =
    Sid::from_static("S-1-5-80-1427607970-4248554164-3743958292-1534359758-3490358235");

/// Returns whether a daemon of this owner is expected at a path. At a path that is no default place, the
/// user expects it.
pub(crate) fn is_trusted(path: &Path, owner: &Sid) -> bool {
    let expected = if path == Path::new(SYSTEM) {
        Some(SERVICE_SID)
    } else {
        own_user().filter(|user| path == own_pipe(user))
    };
    let Some(expected) = expected else {
        return true;
    };
    [expected, Sid::SYSTEM, Sid::ADMINISTRATORS].contains(owner)
}

fn own_user() -> Option<Sid> {
    Token::of_process().and_then(|token| token.user()).ok()
}

fn own_pipe(user: &Sid) -> PathBuf {
    format!("{PIPE_PREFIX}m2d-{user}").into()
}

/// The properties of the process on which the choice of a place depends.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// The pipe of this user; `None` if the system does not report the user.
    own: Option<PathBuf>,
}

impl Surroundings {
    pub(super) fn of_process() -> Self {
        let own = own_user().map(|user| own_pipe(&user));
        Self { own }
    }

    pub(super) fn to_bind(&self) -> Option<PathBuf> {
        self.own.clone()
    }

    pub(super) fn to_look_at(&self) -> Vec<PathBuf> {
        let system = PathBuf::from(SYSTEM);
        self.own.iter().cloned().chain([system]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_place_is_trusted_with_few_owners() {
        let stranger = Sid::from_static("S-1-5-21-1-2-3-1004");
        let own = own_user().unwrap();
        assert!(is_trusted(&own_pipe(&own), &own));
        assert!(is_trusted(&own_pipe(&own), &Sid::ADMINISTRATORS));
        assert!(!is_trusted(&own_pipe(&own), &stranger));
        assert!(is_trusted(Path::new(SYSTEM), &SERVICE_SID));
        assert!(!is_trusted(Path::new(SYSTEM), &stranger));
        assert!(is_trusted(Path::new(r"\\.\pipe\other"), &stranger));
    }
}
