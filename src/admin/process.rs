//! The process itself: which one answers, and the wish that another takes its place.
//!
//! Admin only passes the wish on. What comes of it is seen by asking again: the answer is another
//! process's, or says why not.

use std::sync::Arc;

use axum::{Extension, Json, extract, http::StatusCode};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    State, audit,
    caller::Caller,
    guard::{Body, Denial},
    wire,
};
use crate::measure::Outlets;

/// How an upgrade stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// None was asked for.
    #[default]
    None,
    /// A new process is starting.
    UnderWay,
    /// The last one was given up; this process goes on. In words, why.
    Failed(String),
}

/// What somebody wants of the process.
#[derive(Debug)]
pub enum Wish {
    /// That another one takes its place.
    Upgrade,
    /// That it goes down, as on SIGTERM.
    Drain,
    /// That it logs what this filter lets through, from now on. Else why not.
    Log(String, oneshot::Sender<Result<(), String>>),
}

/// What admin knows of its process.
#[derive(Debug, Clone)]
pub struct Process {
    asks: mpsc::Sender<Wish>,
    upgrade: Arc<watch::Sender<Upgrade>>,
    pub(super) outlets: Outlets,
}

/// The other end: where wishes come, and where it is said what came of them.
#[derive(Debug)]
pub struct Asked {
    /// What somebody wants.
    pub wishes: mpsc::Receiver<Wish>,
    /// How it stands.
    pub upgrade: Arc<watch::Sender<Upgrade>>,
}

impl Process {
    /// Both ends, of a process that tells of its requests there.
    pub fn new(outlets: Outlets) -> (Self, Asked) {
        let (asks, wishes) = mpsc::channel(4);
        let upgrade = Arc::new(watch::Sender::new(Upgrade::None));
        let asked = Asked {
            wishes,
            upgrade: Arc::clone(&upgrade),
        };
        let process = Self {
            asks,
            upgrade,
            outlets,
        };
        (process, asked)
    }
}

impl Default for Process {
    /// One that nobody can upgrade.
    fn default() -> Self {
        Self::new(Outlets::default()).0
    }
}

/// `GET /v1/process`.
pub(super) async fn show(extract::State(state): extract::State<State>) -> Json<wire::Process> {
    Json(shown(&state.process))
}

/// `POST /v1/process:upgrade`: begins; what comes of it is in `GET /v1/process`.
pub(super) async fn upgrade(
    extract::State(state): extract::State<State>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Json<wire::Process>), Denial> {
    let process = &state.process;
    let is_first = process.upgrade.send_if_modified(|upgrade| {
        let is_first = *upgrade != Upgrade::UnderWay;
        *upgrade = Upgrade::UnderWay;
        is_first
    });
    if is_first && process.asks.try_send(Wish::Upgrade).is_err() {
        process.upgrade.send_replace(Upgrade::None);
        let help = "start the new one, then stop this one";
        let message = "this process cannot be upgraded";
        return Err(Denial::new(StatusCode::CONFLICT, "conflict", message, help));
    }
    audit::note(&state, &caller, "upgrade", "done: it begins".to_owned()).await;
    Ok((StatusCode::ACCEPTED, Json(shown(process))))
}

/// `POST /v1/drain`: the process goes down as on SIGTERM.
pub(super) async fn drain(
    extract::State(state): extract::State<State>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Json<wire::Process>), Denial> {
    audit::note(&state, &caller, "drain", "done: it begins".to_owned()).await;
    if state.process.asks.try_send(Wish::Drain).is_err() {
        let help = "send it SIGTERM";
        let message = "this process cannot be told to go down";
        return Err(Denial::new(StatusCode::CONFLICT, "conflict", message, help));
    }
    Ok((StatusCode::ACCEPTED, Json(shown(&state.process))))
}

/// `PUT /v1/log`: which lines are logged from now on.
pub(super) async fn log(
    extract::State(state): extract::State<State>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<wire::LogFilter>,
) -> Result<Json<wire::LogFilter>, Denial> {
    let (answer, answered) = oneshot::channel();
    let wish = Wish::Log(wanted.filter.clone(), answer);
    let is_told = state.process.asks.try_send(wish).is_ok();
    match answered.await {
        Ok(Ok(())) if is_told => {}
        Ok(Err(why)) => {
            let help = "such as `info`, `debug` or `info,serin::control=debug`";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Denial::new(status, "invalid", why, help));
        }
        Ok(Ok(())) | Err(_) => {
            let message = "this process does not log by itself";
            let help = "set SERIN_LOG before it starts";
            return Err(Denial::new(StatusCode::CONFLICT, "conflict", message, help));
        }
    }
    let command = format!("log {}", wanted.filter);
    audit::note(&state, &caller, &command, "done".to_owned()).await;
    Ok(Json(wanted))
}

fn shown(process: &Process) -> wire::Process {
    let (upgrade, problem) = match &*process.upgrade.borrow() {
        Upgrade::None => ("none", None),
        Upgrade::UnderWay => ("under_way", None),
        Upgrade::Failed(why) => ("failed", Some(why.clone())),
    };
    wire::Process {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        upgrade: upgrade.to_owned(),
        problem,
    }
}
