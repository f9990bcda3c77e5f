//! The configuration file. Its module is taken by path, so that the whole daemon with its
//! database need not be built here.
#![no_main]
#![allow(dead_code)]

#[path = "../../../m2d/src/config.rs"]
mod config;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = config::Config::parse(text);
});
