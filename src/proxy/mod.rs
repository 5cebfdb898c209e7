//! The data plane: HTTP/1.1 in, HTTP/1.1 out, and nothing that is not asked of it.
//!
//! *Owns:* sockets, workers, the life of a request.
//! *Does not know:* rollouts, judges, the admin surface, the config file. It obeys a plan and
//! writes a recorder.
//! *Invariants:* what is ambiguous is refused; framing fields are rebuilt, never copied.
//! *Read next:* `h1/mod.rs` (messages as bytes, without sockets).

pub mod h1;
