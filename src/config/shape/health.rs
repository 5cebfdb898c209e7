//! Questions that the proxy puts to endpoints itself.

use std::{ops::RangeInclusive, time::Duration};

/// How endpoints are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub question: Question,
    /// The host that is asked for; `None`: the endpoint's address.
    pub host: Option<String>,
    /// Another port than the endpoint's own.
    pub port: Option<u16>,
    /// Between two questions.
    pub interval: Duration,
    /// For one.
    pub timeout: Duration,
    /// Good answers in a row that an unhealthy endpoint needs.
    pub healthy: u32,
    /// Bad ones in a row that make a healthy one unhealthy.
    pub unhealthy: u32,
}

/// What is asked of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A connection.
    Tcp,
    /// A GET.
    Http {
        /// Its path.
        path: String,
        /// Statuses that are good.
        expect: Vec<RangeInclusive<u16>>,
    },
    /// The health service of gRPC.
    Grpc {
        /// The service that is asked about; empty: the server.
        service: String,
    },
}
