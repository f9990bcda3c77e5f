//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// The M2 messenger's bridge to an MQTT broker: contacts become devices of Home Assistant, messages become events, and
/// what is published for a contact is sent to it.
#[derive(Debug, Parser)]
#[command(
    name = "m2-mqtt",
    version,
    after_help = "The token limits what the bridge may do, and for which contacts:\n  \
                  m2 token create mqtt --scope events,send > ~/.config/m2-mqtt-token\n  \
                  m2-mqtt --url mqtts://homeassistant.local --user m2 --password-file PATH \\\n    \
                  --token-file ~/.config/m2-mqtt-token"
)]
pub struct Args {
    /// The broker: `mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` with TLS
    #[arg(
        long,
        env = "M2_MQTT_URL",
        value_name = "URL",
        default_value = "mqtt://localhost"
    )]
    pub url: String,
    /// The user name at the broker
    #[arg(long, env = "M2_MQTT_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// The file with the password at the broker
    #[arg(
        long,
        env = "M2_MQTT_PASSWORD_FILE",
        value_name = "PATH",
        requires = "user"
    )]
    pub password_file: Option<PathBuf>,
    /// The authority that signed the broker's certificate, in PEM [default: those that the system trusts]
    #[arg(long, env = "M2_MQTT_CA_FILE", value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// The bridge's own certificate for the broker, in PEM
    #[arg(
        long,
        env = "M2_MQTT_CERT_FILE",
        value_name = "PATH",
        requires = "key_file",
        requires = "ca_file"
    )]
    pub cert_file: Option<PathBuf>,
    /// The private key of that certificate, in PEM
    #[arg(
        long,
        env = "M2_MQTT_KEY_FILE",
        value_name = "PATH",
        requires = "cert_file"
    )]
    pub key_file: Option<PathBuf>,
    /// The beginning of all topics of the bridge
    #[arg(
        long,
        env = "M2_MQTT_PREFIX",
        value_name = "TOPIC",
        default_value = "m2"
    )]
    pub prefix: String,
    /// The prefix of Home Assistant's discovery topics; empty for no discovery
    #[arg(
        long,
        env = "M2_MQTT_DISCOVERY",
        value_name = "TOPIC",
        default_value = "homeassistant"
    )]
    pub discovery: String,
    /// The name under which the daemon keeps what the broker has, and the end of the client id at the broker
    #[arg(
        long,
        env = "M2_MQTT_CLIENT",
        value_name = "NAME",
        default_value = "mqtt"
    )]
    pub client: String,
    /// The file with the access token [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN]
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    /// The daemon's socket [default: as for m2]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The directory in which the bridge keeps which commands it has seen [default: $STATE_DIRECTORY, else
    /// ~/.local/state/m2-mqtt]
    #[arg(long, env = "M2_MQTT_STATE_DIR", value_name = "PATH")]
    pub state_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
