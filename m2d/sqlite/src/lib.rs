#![doc = include_str!("../README.md")]

mod fault;
mod health;
pub mod pace;
pub mod sqlcipher;

pub use fault::Fault;
pub use health::StoreHealth;
