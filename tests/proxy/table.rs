//! How the proxy must behave, as data: requests by their meaning and as bytes, and what origins
//! send. A protocol's test runs every case of these that the protocol can carry.

mod answers;
mod bytes;
mod requests;

pub(crate) use self::{
    answers::{Becomes, Recital, Then, recitals},
    bytes::{Raw, raws},
    requests::{Case, Expect, cases},
};
