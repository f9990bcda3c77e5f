#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod counters;
pub mod prefix;
pub mod prefix_limit;
pub mod shares;
pub mod token_bucket;
