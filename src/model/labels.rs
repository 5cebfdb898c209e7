//! The closed sets of words by which outcomes are counted (metric labels).

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as metrics, logs and the API spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value that a word names.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|label| label.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

label!(
    /// The part a version plays in a split.
    Role {
        /// The version that users have today.
        Stable = "stable",
        /// The version that is being tried.
        Canary = "canary",
    }
);

impl Role {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Stable => Self::Canary,
            Self::Canary => Self::Stable,
        }
    }
}

label!(
    /// What is known of an endpoint.
    EndpointState {
        /// Requests go there.
        Healthy = "healthy",
        /// None do, for its checks or its source say so.
        Unhealthy = "unhealthy",
        /// None do for a while, because of how it answers or because somebody said so.
        Ejected = "ejected",
        /// Fewer do, since it is new or has just come back.
        Warming = "warming",
        /// It is going away.
        Draining = "draining",
    }
);

label!(
    /// What a client and this proxy speak.
    Protocol {
        /// HTTP/1.1 or 1.0.
        H1 = "h1",
        /// HTTP/2.
        H2 = "h2",
        /// gRPC over HTTP/2.
        Grpc = "grpc",
        /// A WebSocket, over either.
        Ws = "ws",
    }
);

label!(
    /// The class of a status code; `None` when no answer came.
    CodeClass {
        /// 100 to 199.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599.
        ServerError = "5xx",
        /// No answer.
        None = "none",
    }
);

impl CodeClass {
    /// The class of a status code; anything outside 100 to 599 is `None`.
    pub const fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::None,
        }
    }
}

label!(
    /// What an attempt or a request counts as.
    Outcome {
        /// It did what it should.
        Success = "success",
        /// The version failed.
        Failure = "failure",
        /// Compared between versions, but no failure.
        Tracked = "tracked",
        /// The client left first.
        ClientAbort = "client_abort",
        /// Refused by this proxy: a malformed request, a limit, no route.
        Rejected = "rejected",
        /// Left out by a rule.
        Ignored = "ignored",
    }
);

label!(
    /// Why something of a client's was refused or cut off.
    Rejection {
        /// The head is not what the RFCs allow.
        BadHead = "bad_head",
        /// The head is over a limit.
        HeadTooLarge = "head_too_large",
        /// The target is over its limit.
        TargetTooLong = "target_too_long",
        /// The head was not whole in time.
        HeadTimeout = "head_timeout",
        /// The host is not one that the connection's certificate stands for.
        Misdirected = "misdirected",
        /// The body is not what its framing says.
        BadBody = "bad_body",
        /// The body is over its limit.
        BodyTooLarge = "body_too_large",
        /// The body stopped coming.
        BodyTimeout = "body_timeout",
        /// The body came below the least rate.
        BodyTooSlow = "body_too_slow",
        /// The client stopped reading, or read below the least rate.
        ClientStalled = "client_stalled",
        /// The client's address had its connections already.
        AddressLimit = "address_limit",
        /// The header of the PROXY protocol was missing, broken or not to be believed.
        ProxyProtocol = "proxy_protocol",
        /// That header was not whole in time.
        ProxyProtocolTimeout = "proxy_protocol_timeout",
        /// A TLS handshake failed.
        TlsHandshake = "tls_handshake",
        /// A TLS handshake was not done in time.
        TlsHandshakeTimeout = "tls_handshake_timeout",
        /// HTTP/2: streams were reset, or resets provoked, without end.
        Resets = "resets",
        /// HTTP/2: frames that carry nothing came without end.
        ControlFrames = "control_frames",
        /// HTTP/2: a head came in too many pieces.
        ContinuationFrames = "continuation_frames",
    }
);

label!(
    /// Why an attempt did not end in a plain answer, or why it was made.
    Reason {
        /// A plain answer, good or bad.
        None = "none",
        /// The TCP connection was not made in time.
        ConnectTimeout = "connect_timeout",
        /// The endpoint refused the TCP connection.
        ConnectRefused = "connect_refused",
        /// The endpoint broke the connection.
        Reset = "reset",
        /// The answer was later than its limit.
        ResponseTimeout = "response_timeout",
        /// TLS failed.
        Tls = "tls",
        /// The version has no usable endpoint.
        NoEndpoint = "no_endpoint",
        /// A circuit breaker is open.
        CircuitOpen = "circuit_open",
        /// This proxy is overloaded.
        Overload = "overload",
        /// No retries are left in the budget.
        RetryBudget = "retry_budget",
        /// A body is over its limit.
        BodyLimit = "body_limit",
        /// What came is not HTTP as the RFCs have it.
        Protocol = "protocol",
        /// Stable answered for a canary without a usable endpoint.
        Fallback = "fallback",
        /// Stable answered for a failed canary attempt.
        Rescue = "rescue",
        /// The mirror queue was full.
        MirrorQueue = "mirror_queue",
        /// The proxy is going down.
        Drain = "drain",
        /// Anything else.
        Other = "other",
        /// It was made beside one that was late, or such a one was taken instead of it.
        Hedge = "hedge",
    }
);

label!(
    /// How a call of gRPC ended, in the order of the codes from 0 on.
    GrpcStatus {
        /// It did what it should.
        Ok = "OK",
        /// The caller has given up.
        Cancelled = "CANCELLED",
        /// An error that nothing is known of.
        Unknown = "UNKNOWN",
        /// The call makes no sense.
        InvalidArgument = "INVALID_ARGUMENT",
        /// It took too long.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// There is no such thing.
        NotFound = "NOT_FOUND",
        /// There is such a thing already.
        AlreadyExists = "ALREADY_EXISTS",
        /// The caller may not do this.
        PermissionDenied = "PERMISSION_DENIED",
        /// A quota or a resource is used up.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// The state of the system does not allow it.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// It was in another one's way.
        Aborted = "ABORTED",
        /// Past the end of what there is.
        OutOfRange = "OUT_OF_RANGE",
        /// There is no such method.
        Unimplemented = "UNIMPLEMENTED",
        /// Something is broken.
        Internal = "INTERNAL",
        /// The service cannot be reached for now.
        Unavailable = "UNAVAILABLE",
        /// Data is lost for ever.
        DataLoss = "DATA_LOSS",
        /// Nobody knows who the caller is.
        Unauthenticated = "UNAUTHENTICATED",
    }
);

impl GrpcStatus {
    /// The status of a code, if there is one.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether a call that ended so has failed because of the version that answered. All others
    /// are about the call.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::DeadlineExceeded
                | Self::Internal
                | Self::Unavailable
                | Self::DataLoss
        )
    }
}
