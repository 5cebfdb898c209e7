//! Who asks, as the API sees it.

use serde::{Deserialize, Serialize};

/// `GET /v1/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// What the caller may do: `none`, `read`, `operate`, `admin`.
    pub role: String,
    /// As the audit log names them.
    pub who: String,
    /// How that is known: `anonymous`, `token`, `certificate`, `socket`.
    pub how: String,
}
