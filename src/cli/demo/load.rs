//! The demo's users: each keeps its cookies, and asks again and again over real connections.
//!
//! A browser here is one connection that sixteen users share in turn, at random moments. What a
//! browser does not get within its patience, or at all, is an error of the kind users see.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};

use crate::{
    clock,
    model::{Moment, Role},
};

/// Connections.
const BROWSERS: u32 = 128;
/// Users of each.
const USERS: u32 = 16;
/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many answers may wait to be counted.
const BACKLOG: usize = 4_096;

/// What one user got for one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// Who asked.
    pub(super) user: u32,
    /// Which version answered; `None`: no version did.
    pub(super) role: Option<Role>,
    /// The status; `None`: the connection broke, or patience ended.
    pub(super) status: Option<StatusCode>,
    /// How long it took.
    pub(super) took: Duration,
    /// When it was over.
    pub(super) at: Moment,
}

impl Answer {
    /// Whether the user saw an error.
    pub(super) fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status.is_server_error())
    }
}

/// All users; they leave when this is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    /// What they got, in the order of its end.
    pub(super) answers: mpsc::Receiver<Answer>,
    _browsers: JoinSet<()>,
}

impl Crowd {
    /// Lets users ask `rate` times a second together.
    pub(super) fn start(proxy: SocketAddr, rate: u32) -> Self {
        let (sender, answers) = mpsc::channel(BACKLOG);
        let mut browsers = JoinSet::new();
        let pause = Duration::from_secs(1) * BROWSERS / rate.max(1);
        for number in 0..BROWSERS {
            let browser = Browser::new(proxy, number * USERS);
            browsers.spawn(browser.ask_again_and_again(pause, sender.clone()));
        }
        Self {
            answers,
            _browsers: browsers,
        }
    }
}

/// One connection and its users.
struct Browser {
    proxy: SocketAddr,
    first_user: u32,
    cookies: Vec<Option<HeaderValue>>,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

impl Browser {
    fn new(proxy: SocketAddr, first_user: u32) -> Self {
        let cookies = (0..USERS).map(|_| None).collect();
        Self {
            proxy,
            first_user,
            cookies,
            connection: None,
        }
    }

    /// Asks at random moments, `pause` apart on average, until nobody counts any more.
    async fn ask_again_and_again(mut self, pause: Duration, answers: mpsc::Sender<Answer>) {
        loop {
            tokio::time::sleep(pause.mul_f64(-(1.0 - fastrand::f64()).ln())).await;
            let answer = self.ask().await;
            if answers.send(answer).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&mut self) -> Answer {
        let user = fastrand::u32(..USERS);
        let began = clock::now();
        let got = tokio::time::timeout(PATIENCE, self.exchange(user)).await;
        let (status, role) = if let Ok(Ok((status, role))) = got {
            (Some(status), role)
        } else {
            self.connection = None;
            (None, None)
        };
        let at = clock::now();
        Answer {
            user: self.first_user + user,
            role,
            status,
            took: at.since(began),
            at,
        }
    }

    /// One request, on the open connection if there is one.
    async fn exchange(&mut self, user: u32) -> anyhow::Result<(StatusCode, Option<Role>)> {
        let mut connection = match self.connection.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => connect(self.proxy).await?,
        };
        let cookie = self.cookies.get_mut(crate::model::number::index(user));
        let cookie = cookie.context("every user has a place")?;
        let mut request = Request::builder()
            .uri("/garden")
            .header(header::HOST, "shop.example");
        if let Some(cookie) = cookie.as_ref() {
            request = request.header(header::COOKIE, cookie);
        }
        connection.ready().await?;
        let response = connection.send_request(request.body(Empty::new())?).await?;
        let (head, body) = response.into_parts();
        body.collect().await?;
        if let Some(set) = head.headers.get(header::SET_COOKIE) {
            *cookie = Some(pair(set)?);
        }
        self.connection = Some(connection);
        Ok((head.status, head.headers.get("x-version").and_then(role)))
    }
}

async fn connect(proxy: SocketAddr) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// `name=value` of a `Set-Cookie`, as a browser sends it back.
fn pair(set: &HeaderValue) -> anyhow::Result<HeaderValue> {
    let pair = set
        .as_bytes()
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    Ok(HeaderValue::from_bytes(pair)?)
}

fn role(name: &HeaderValue) -> Option<Role> {
    [Role::Stable, Role::Canary]
        .into_iter()
        .find(|role| name.as_bytes() == super::version(*role).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_back_without_its_attributes() {
        let set = HeaderValue::from_static("shop_version=v1.abc; Path=/; HttpOnly");
        assert_eq!(pair(&set).expect("it is a value"), "shop_version=v1.abc");
    }
}
