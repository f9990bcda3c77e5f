//! The configuration file. Its module is included by path, so that the daemon and its database need
//! not be built here.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../../m2d/src/config.rs"]
mod config;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = config::Config::parse(text);
});
