//! Every path of the admin API, and what it takes to ask for it.
//!
//! A path can be added through [`Routes`] only, which asks for the role that it needs: there is no
//! way to forget it. Everything that one meets on the way in is here, in order: foreign pages, who
//! asks, what they may do, how often.

use std::time::Duration;

use axum::{
    Router,
    extract::{self, ConnectInfo, Request},
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};

use super::{
    State, audit,
    caller::{Caller, How, Peer, Unknown},
    guard::{self, Denial},
    pace::Try,
};
use crate::{control::Admission, model::Access};

/// One path with one method, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST` or `PUT`.
    pub method: Method,
    /// As it is documented: `/v1/splits/{split}`.
    pub path: &'static str,
    /// The least role. `none`: whoever comes.
    pub needs: Access,
}

/// Paths as they are put together.
pub(super) struct Routes {
    state: State,
    router: Router<State>,
    all: Vec<Route>,
}

/// What stands before one route.
#[derive(Debug, Clone)]
struct Gate {
    state: State,
    needs: Access,
}

impl Routes {
    /// None yet.
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            router: Router::new(),
            all: Vec::new(),
        }
    }

    /// For whoever comes: nothing of what Serin knows is told there.
    pub(super) fn open<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, State>,
    ) -> Self {
        self.add(
            (Method::GET, path, Access::None),
            MethodFilter::GET,
            handler,
        )
    }

    /// Shows something.
    pub(super) fn read<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, State>,
    ) -> Self {
        self.add(
            (Method::GET, path, Access::Read),
            MethodFilter::GET,
            handler,
        )
    }

    /// Shows something to those with this role.
    pub(super) fn show<T: 'static>(
        self,
        needs: Access,
        path: &'static str,
        handler: impl Handler<T, State>,
    ) -> Self {
        self.add((Method::GET, path, needs), MethodFilter::GET, handler)
    }

    /// Does something: with this role, at this path.
    pub(super) fn act<T: 'static>(
        self,
        needs: Access,
        path: &'static str,
        handler: impl Handler<T, State>,
    ) -> Self {
        self.add((Method::POST, path, needs), MethodFilter::POST, handler)
    }

    /// Sets something: with this role, at this path.
    pub(super) fn set<T: 'static>(
        self,
        needs: Access,
        path: &'static str,
        handler: impl Handler<T, State>,
    ) -> Self {
        self.add((Method::PUT, path, needs), MethodFilter::PUT, handler)
    }

    fn add<T: 'static>(
        mut self,
        (method, path, needs): (Method, &'static str, Access),
        filter: MethodFilter,
        handler: impl Handler<T, State>,
    ) -> Self {
        let gate = Gate {
            state: self.state.clone(),
            needs,
        };
        let route = on(filter, handler);
        let route = route.route_layer(middleware::from_fn_with_state(gate, admit));
        self.all.push(Route {
            method,
            path,
            needs,
        });
        Self {
            router: self.router.route(path, route),
            ..self
        }
    }

    /// All that were added.
    pub(super) fn into_all(self) -> Vec<Route> {
        self.all
    }

    /// What serves them.
    pub(super) fn into_router(self) -> Router<State> {
        self.router
    }
}

/// Lets in who may.
async fn admit(
    extract::State(gate): extract::State<Gate>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let admission = gate.state.handle.admission();
    let caller = Caller::of(&peer, request.headers(), &admission);
    let is_token = matches!(&caller, Ok(caller) if caller.how == How::Token);
    if let Err(denial) = guard::no_foreign_page(&peer, &request, is_token) {
        return denial.into_response();
    }
    let is_abort = request.uri().path().ends_with(":abort");
    let caller = match caller {
        Ok(caller) => {
            let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
            let budget = match (is_read, is_abort) {
                (true, _) => None,
                (false, true) => Some(Try::Abort),
                (false, false) => Some(Try::Act),
            };
            let what = format!("{} {}", request.method(), request.uri().path());
            gate.admitted(caller, (what, budget), &admission).await
        }
        Err(Unknown) => Err(gate.unknown(&peer, &admission).await),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(response) => response,
    }
}

impl Gate {
    async fn admitted(
        &self,
        caller: Caller,
        (what, budget): (String, Option<Try>),
        admission: &Admission,
    ) -> Result<Caller, Response> {
        if caller.access < self.needs {
            self.note(&caller, &what).await;
            return Err(self.refused(&caller, admission));
        }
        if let Some(budget) = budget
            && let Some(wait) = self.state.pace.spend(budget, caller.who.clone()).await
        {
            return Err(too_often(wait, "too many acts by one caller"));
        }
        Ok(caller)
    }

    /// A right token is always good: whoever shares an address with one who guesses is not locked
    /// out. A wrong one is told so a few times, then that it is too often.
    async fn unknown(&self, peer: &Peer, admission: &Admission) -> Response {
        let place = peer.place();
        if let Some(wait) = self.state.pace.spend(Try::Unknown, place.clone()).await {
            return too_often(wait, "too many unknown tokens from one address");
        }
        tracing::warn!(
            from = place,
            "somebody asks admin with a token that is not known"
        );
        let help = if admission.tokens.is_empty() {
            "there are no tokens: write `admin: { tokens_file: PATH }`, or ask without one"
        } else {
            "send `Authorization: Bearer TOKEN` with a token of `admin.tokens_file`"
        };
        let message = "this token is not known";
        challenge(Denial::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            message,
            help,
        ))
    }

    /// Writes down who has tried to act without the role for it, a few times.
    async fn note(&self, caller: &Caller, what: &str) {
        if self.needs <= Access::Read {
            return;
        }
        let place = caller.who.clone();
        if self.state.pace.spend(Try::Refused, place).await.is_none() {
            let result = format!("refused: it takes the role {}", self.needs);
            audit::note(&self.state, caller, what, result).await;
        }
    }

    /// The caller's role is not enough.
    fn refused(&self, caller: &Caller, admission: &Admission) -> Response {
        let (needs, has) = (self.needs, caller.access);
        let can_prove = !admission.tokens.is_empty() || admission.asks_for_certificates();
        if caller.how == How::Anonymous && can_prove {
            let message = format!("this takes the role `{needs}`: say who you are");
            let help = "send `Authorization: Bearer TOKEN` (`serin --token-file FILE`), or show a \
                        certificate";
            let denial = Denial::new(StatusCode::UNAUTHORIZED, "unauthenticated", message, help);
            return challenge(denial);
        }
        let who = &caller.who;
        let message = format!("this takes the role `{needs}`, and {who} has `{has}`");
        let denial = Denial::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            message,
            self.way(caller),
        );
        denial.into_response()
    }

    /// How one who may can do it.
    fn way(&self, caller: &Caller) -> String {
        match (&self.state.socket, caller.how) {
            (Some(path), _) => format!(
                "use the unix socket: `serin --admin unix:{}`, as serin's user or group",
                path.display()
            ),
            (None, How::Anonymous) => "write `admin: { unix: PATH }` or `tokens_file: PATH`, or \
                                       say what anybody may do: `anonymous: ROLE`"
                .to_owned(),
            (None, _) => "ask who looks after `admin:` for another role".to_owned(),
        }
    }
}

/// Says what kind of proof is taken (RFC 6750).
fn challenge(denial: Denial) -> Response {
    let mut response = denial.into_response();
    let kind = HeaderValue::from_static("Bearer realm=\"serin\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, kind);
    response
}

fn too_often(wait: Duration, message: &str) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let help = format!("ask again in {seconds} s");
    let denial = Denial::new(StatusCode::TOO_MANY_REQUESTS, "too_often", message, help);
    ([(header::RETRY_AFTER, seconds.to_string())], denial).into_response()
}
