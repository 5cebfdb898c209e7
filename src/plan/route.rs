//! Which split takes a request.

/// Every match of every split, compiled.
#[derive(Debug)]
pub struct Routes {}
