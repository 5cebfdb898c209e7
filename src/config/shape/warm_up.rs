//! What a new endpoint is sent before users land on it.

use std::time::Duration;

/// Copies of requests that a new endpoint gets first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// How many must be answered.
    pub mirror: u32,
    /// Methods that are copied.
    pub methods: Vec<SafeMethod>,
    /// After this time it is used, whatever became of them.
    pub age: Duration,
}

/// A method that asks for nothing to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafeMethod {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
}

impl SafeMethod {
    /// As requests say it.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Get => b"GET",
            Self::Head => b"HEAD",
        }
    }
}
