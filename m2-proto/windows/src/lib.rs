#![doc = include_str!("../README.md")]
#![cfg(windows)]
#![allow(
    unsafe_code,
    reason = "functions of the system; docs/adr/0029-windows.md"
)]

pub mod console;
pub mod descriptor;
pub mod directory;
pub mod pipe;
pub mod sid;
pub mod token;

mod memory;

pub use descriptor::Descriptor;
pub use sid::Sid;
pub use token::Token;
