//! Serin moves live traffic from an old version to a new one so that users never notice when the
//! new one is bad.
//!
//! The rooms, in reading order. Which room may use which is a table in `tests/tidy.rs`.

pub mod clock;
pub mod model;
pub mod net;

pub mod config;
pub mod plan;

pub mod measure;

pub mod judge;
pub mod record;
pub mod rollout;

pub mod discover;

pub mod control;

pub mod admin;
pub mod proxy;

pub mod app;

pub mod cli;
