//! The command line of `m2d`.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The meaning of each exit code. The systemd unit does not restart on codes that a restart can't
/// fix.
const EXIT_CODES: &str = "\
Exit codes:
  0  The daemon was told to stop, or the command succeeded.
  1  A failure that may pass, such as a full disk. Start it again.
  2  The command line, the configuration or a file's permissions are wrong.
  3  The passphrase is missing or wrong.
  4  Another daemon runs on this data directory or socket.
  5  The store or the key is damaged, read-only, or of another identity.
  6  Another program uses a UDP address of [network] listen.
  7  A part of the daemon failed while it ran. Start it again, and report it.";

/// The M2 messenger's daemon: it owns your keys, sockets and sessions. Talk to it with `m2`.
#[derive(Debug, Parser)]
#[command(
    name = "m2d",
    version,
    arg_required_else_help = true,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// The subcommand to run.
    #[command(subcommand)]
    pub command: Command,
}

/// A subcommand of `m2d`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon. Creates the identity if none exists.
    Run(RunArgs),
    /// Create the identity and stop.
    Init(InitArgs),
    /// Run the daemon as a service of Windows, or install and remove it.
    #[cfg(windows)]
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Check the configuration and the files that it names, report errors, and stop.
    CheckConfig(ConfigArgs),
    /// Check the integrity of the identity and the store without changing anything.
    Check(CheckArgs),
    /// Restore a backup made by `m2 backup create` into a data directory that has no identity.
    Restore(RestoreArgs),
    /// Set, change or remove the passphrase of the identity, while the daemon is stopped.
    #[command(subcommand)]
    Passphrase(PassphraseCommand),
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// The locations of configuration and data.
    #[command(flatten)]
    pub paths: PathArgs,
    /// The Unix socket on which front-ends connect [default: the socket that the service manager
    /// passes, else $M2_SOCKET, else $RUNTIME_DIRECTORY/m2d.sock, else the first of these that this
    /// user may create: $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock and
    /// ~/.local/share/m2d/run/m2d.sock].
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A UDP address to bind instead of the configured ones. May be given several times.
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<std::net::SocketAddr>,
    /// What is logged instead of the configured `[log] filter`: a level, such as `debug`, or a filter
    /// such as `m2d::dialling=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Run as a job of launchd: use the socket `api` of the job if it has one, and exit with code 0
    /// after a failure that a restart can't fix, as launchd restarts a program after every other code.
    #[arg(long)]
    pub launchd: bool,
}

/// Changes to the service, and its run.
#[cfg(windows)]
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Install the service of this program for all users, and start it. Needs an administrator.
    Install {
        /// A user that may use the daemon in addition to administrators; may be given several times. Ignored
        /// if there is a configuration from before.
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<String>,
    },
    /// Stop and remove the service. Its data stays. Needs an administrator.
    Remove,
    /// Run as the service: the command of the service manager.
    Run(RunArgs),
}

/// Options of `init`.
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// The locations of configuration and data.
    #[command(flatten)]
    pub paths: PathArgs,
}

/// Options of `check`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// The locations of configuration and data.
    #[command(flatten)]
    pub paths: PathArgs,
    /// The source of the passphrase if the configuration names none.
    #[command(flatten)]
    pub passphrase: OldPassphrase,
}

/// Options of `check-config`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The backup file to restore.
    pub file: PathBuf,
    /// The locations of configuration and data.
    #[command(flatten)]
    pub paths: PathArgs,
    /// Read the passphrase from this file, or from stdin for `-`; otherwise it is asked on the
    /// terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Changes to the passphrase. The store stays readable: its key does not depend on the passphrase.
#[derive(Debug, Subcommand)]
pub enum PassphraseCommand {
    /// Protect a key that has no passphrase.
    Set {
        /// The locations of configuration and data.
        #[command(flatten)]
        paths: PathArgs,
        /// The source of the new passphrase.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Replace the passphrase with another one.
    Change {
        /// The locations of configuration and data.
        #[command(flatten)]
        paths: PathArgs,
        /// The source of the current passphrase.
        #[command(flatten)]
        old: OldPassphrase,
        /// The source of the new passphrase.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Store the key without a passphrase: only the permissions of its file protect it.
    Remove {
        /// The locations of configuration and data.
        #[command(flatten)]
        paths: PathArgs,
        /// The source of the current passphrase.
        #[command(flatten)]
        old: OldPassphrase,
    },
}

/// The source of the current passphrase.
#[derive(Debug, Clone, Default, Args)]
pub struct OldPassphrase {
    /// Read the current passphrase from this file, or from stdin for `-`; otherwise it is asked on
    /// the terminal. If both passphrases come from stdin, the first line is the current one.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// The source of the new passphrase.
#[derive(Debug, Clone, Default, Args)]
pub struct NewPassphrase {
    /// Read the new passphrase from this file, or from stdin for `-`; otherwise it is asked on the
    /// terminal, twice.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

/// The locations of configuration and data.
#[derive(Debug, Clone, Default, Args)]
pub struct PathArgs {
    /// The configuration file [default: $CONFIGURATION_DIRECTORY/m2d.toml, else
    /// ~/.config/m2d/m2d.toml, on Windows %LOCALAPPDATA%\m2d\config\m2d.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of the identity and the store [default: $STATE_DIRECTORY, else
    /// ~/.local/share/m2d, on Windows %LOCALAPPDATA%\m2d\data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
