//! `m2-mqtt`: a bridge between the daemon and an MQTT broker.

use clap::Parser;
use m2_mqtt::args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    m2_mqtt::run(&Args::parse())
}
