//! A stand-in for Marathon: a leader and followers that know the same apps, and do with them what
//! the test says.
//!
//! As the real one: every follower answers for the leader but for events, where it sends one on
//! (302); an election is a 502; frames of events end in CRLF, and a bare CRLF is the heartbeat; who
//! does not accept event streams gets 405 and HTML. Events say that something has changed; a test
//! may keep them back.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
    time::{interval, timeout},
};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where DC/OS gives tokens.
pub const LOGIN: &str = "/acs/api/v1/auth/login";

type Body = BoxBody<Bytes, Infallible>;

/// How questions for apps are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As they should be.
    Well,
    /// With these bytes.
    Garbage(Vec<u8>),
    /// Never.
    Silent,
    /// With this status.
    Refusing(u16),
}

/// What a question was: who was asked, for what, and what it said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub node: usize,
    pub path: String,
    pub authorization: Option<String>,
}

/// A cluster; its servers end when it is dropped.
#[derive(Debug)]
pub struct Marathon {
    shared: Arc<Shared>,
    nodes: Vec<(SocketAddr, Option<JoinHandle<()>>)>,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    /// Frames for every stream.
    events: broadcast::Sender<String>,
    /// Streams of an older era end.
    era: watch::Sender<u64>,
    /// How many streams there are.
    streams: watch::Sender<usize>,
    /// Questions so far.
    asked: watch::Sender<Vec<Question>>,
    /// Where each node is.
    addresses: Vec<SocketAddr>,
}

#[derive(Debug)]
struct State {
    /// `None`: there is an election.
    leader: Option<usize>,
    apps: Map<String, Value>,
    mood: Mood,
    is_mute: bool,
    /// What `Authorization` must say.
    guard: Option<String>,
    /// Questions to log in, and the token that is given.
    logins: Vec<Value>,
    token: String,
    /// The time in milliseconds after some day's beginning: each release is later.
    now: u64,
    tasks: usize,
}

impl Marathon {
    /// So many nodes; the first leads.
    pub async fn start(nodes: usize) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..nodes {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses: Vec<_> = listeners
            .iter()
            .map(|it| it.local_addr().unwrap())
            .collect();
        let state = State {
            leader: Some(0),
            apps: Map::new(),
            mood: Mood::Well,
            is_mute: false,
            guard: None,
            logins: Vec::new(),
            token: "first".to_owned(),
            now: 0,
            tasks: 0,
        };
        let shared = Arc::new(Shared {
            state: watch::channel(state).0,
            events: broadcast::channel(1_024).0,
            era: watch::channel(0).0,
            streams: watch::channel(0).0,
            asked: watch::channel(Vec::new()).0,
            addresses: addresses.clone(),
        });
        let serving = listeners.into_iter().enumerate();
        let tasks = serving.map(|(node, it)| tokio::spawn(serve(it, node, Arc::clone(&shared))));
        let nodes = addresses.into_iter().zip(tasks.map(Some)).collect();
        Self { shared, nodes }
    }

    pub fn url(&self, node: usize) -> String {
        format!("http://{}", self.nodes[node].0)
    }

    /// All nodes, as `url:` takes them.
    pub fn urls(&self) -> String {
        let urls = (0..self.nodes.len()).map(|node| format!("\"{}\"", self.url(node)));
        format!("[{}]", urls.collect::<Vec<_>>().join(", "))
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut changed = None;
        self.shared
            .state
            .send_modify(|state| changed = Some(change(state)));
        changed.unwrap()
    }

    /// A node goes, with all its connections.
    pub fn stop(&mut self, node: usize) {
        let task = self.nodes[node].1.take();
        task.unwrap().abort();
        self.drop_streams();
    }

    /// A node that was stopped comes back.
    pub fn resume(&mut self, node: usize) {
        let address = self.nodes[node].0;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(64).unwrap();
        let task = tokio::spawn(serve(listener, node, Arc::clone(&self.shared)));
        self.nodes[node].1 = Some(task);
    }

    /// Another leads, or nobody. Streams end, for they were the old leader's.
    pub fn elect(&self, leader: Option<usize>) {
        self.state(|state| state.leader = leader);
        self.drop_streams();
    }

    /// After an election nobody has checked a task yet.
    pub fn forget_results(&self) {
        self.state(|state| {
            for app in state.apps.values_mut() {
                for task in app["tasks"].as_array_mut().unwrap() {
                    task.as_object_mut().unwrap().remove("healthCheckResults");
                }
            }
        });
    }

    pub fn set_mood(&self, mood: Mood) {
        self.state(|state| state.mood = mood);
    }

    /// Whether events are kept back.
    pub fn set_mute(&self, is_mute: bool) {
        self.state(|state| state.is_mute = is_mute);
    }

    /// What `Authorization` must say.
    pub fn set_guard(&self, authorization: Option<&str>) {
        self.state(|state| state.guard = authorization.map(str::to_owned));
    }

    /// The token that is given next, and asked for from now on.
    pub fn set_token(&self, token: &str) {
        self.state(|state| {
            token.clone_into(&mut state.token);
            state.guard = Some(format!("token={token}"));
        });
    }

    /// Questions to log in so far.
    pub fn logins(&self) -> Vec<Value> {
        self.state(|state| state.logins.clone())
    }

    /// Every event stream breaks off.
    pub fn drop_streams(&self) {
        self.shared.era.send_modify(|era| *era += 1);
    }

    /// Waits until so many streams of events are open.
    pub async fn until_streams(&self, count: usize) {
        let mut streams = self.shared.streams.subscribe();
        let waiting = streams.wait_for(|streams| *streams == count);
        timeout(PATIENCE, waiting).await.expect("streams").unwrap();
    }

    /// Waits until what was asked so far is as wanted.
    pub async fn until_asked(&self, is_it: impl Fn(&[Question]) -> bool) -> Vec<Question> {
        let mut asked = self.shared.asked.subscribe();
        let waiting = asked.wait_for(|asked| is_it(asked));
        timeout(PATIENCE, waiting)
            .await
            .expect("questions")
            .unwrap()
            .clone()
    }

    /// Questions so far.
    pub fn asked(&self) -> Vec<Question> {
        self.shared.asked.borrow().clone()
    }

    /// An app in host networking without tasks; `more` is added to it.
    pub fn put_app(&self, id: &str, more: &Value) {
        let version = self.tick();
        let mut app = json!({
            "id": id, "instances": 0, "labels": {}, "healthChecks": [], "readinessChecks": [],
            "deployments": [], "tasks": [], "networks": [{ "mode": "host" }],
            "portDefinitions": [{ "port": 0, "protocol": "tcp", "name": "http" }],
            "version": version, "readinessCheckResults": [],
            "versionInfo": { "lastScalingAt": version, "lastConfigChangeAt": version },
        });
        let more = more.as_object().unwrap().clone();
        app.as_object_mut().unwrap().extend(more);
        self.state(|state| state.apps.insert(id.to_owned(), app));
        self.tell("api_post_event", json!({ "appDefinition": { "id": id } }));
    }

    pub fn remove_app(&self, id: &str) {
        self.state(|state| state.apps.remove(id));
        self.tell("app_terminated_event", json!({ "appId": id }));
    }

    /// Changes an app in any way.
    pub fn edit(&self, app: &str, change: impl FnOnce(&mut Value)) {
        self.state(|state| change(&mut state.apps[app]));
    }

    /// A task of the app's present configuration runs at an address.
    pub fn add_task(&self, app: &str, address: SocketAddr) -> String {
        let id = self.state(|state| {
            state.tasks += 1;
            let id = format!(
                "{}.{}",
                app.trim_start_matches('/').replace('/', "_"),
                state.tasks
            );
            let app = &mut state.apps[app];
            let task = json!({
                "id": id, "appId": app["id"], "host": address.ip().to_string(),
                "ports": [address.port()], "state": "TASK_RUNNING", "slaveId": "S0",
                "startedAt": app["version"], "version": app["version"],
            });
            app["tasks"].as_array_mut().unwrap().push(task);
            let instances = app["tasks"].as_array().unwrap().len();
            app["instances"] = json!(instances);
            id
        });
        self.tell_status(app, &id, "TASK_RUNNING");
        id
    }

    /// Changes a task in any way.
    pub fn edit_task(&self, app: &str, id: &str, change: impl FnOnce(&mut Value)) {
        self.edit(app, |app| {
            let mut tasks = app["tasks"].as_array_mut().unwrap().iter_mut();
            change(
                tasks
                    .find(|task| task["id"] == id)
                    .expect("the task is there"),
            );
        });
    }

    pub fn set_task_state(&self, app: &str, id: &str, state: &str) {
        self.edit_task(app, id, |task| task["state"] = json!(state));
        self.tell_status(app, id, state);
    }

    /// What the health check says.
    pub fn set_alive(&self, app: &str, id: &str, alive: bool) {
        self.edit_task(app, id, |task| {
            task["healthCheckResults"] = json!([{ "alive": alive }]);
        });
        let event = json!({ "appId": app, "instanceId": id, "alive": alive });
        self.tell("health_status_changed_event", event);
    }

    /// A task has ended.
    pub fn remove_task(&self, app: &str, id: &str) {
        self.edit(app, |app| {
            app["tasks"]
                .as_array_mut()
                .unwrap()
                .retain(|task| task["id"] != id);
        });
        self.tell_status(app, id, "TASK_KILLED");
    }

    /// How many tasks there should be.
    pub fn scale(&self, app: &str, instances: usize) {
        let version = self.tick();
        self.edit(app, |app| {
            app["instances"] = json!(instances);
            app["version"] = json!(version);
            app["versionInfo"]["lastScalingAt"] = json!(version);
        });
    }

    /// The app has a new configuration, and a deployment begins.
    pub fn release(&self, app: &str) {
        let version = self.tick();
        self.edit(app, |app| {
            app["version"] = json!(version);
            app["versionInfo"]["lastConfigChangeAt"] = json!(version);
            app["deployments"] = json!([{ "id": format!("d-{version}") }]);
        });
        self.tell(
            "deployment_info",
            json!({ "currentStep": { "actions": [{ "app": app }] } }),
        );
    }

    /// The deployment is over.
    pub fn finish(&self, app: &str) {
        self.edit(app, |app| app["deployments"] = json!([]));
        self.tell("deployment_success", json!({ "affected": [app] }));
    }

    fn tick(&self) -> String {
        self.state(|state| {
            state.now += 1_000;
            let (seconds, minutes) = (state.now / 1_000 % 60, state.now / 60_000);
            format!("2026-11-26T10:{minutes:02}:{seconds:02}.000Z")
        })
    }

    fn tell_status(&self, app: &str, id: &str, state: &str) {
        let event = json!({ "taskId": id, "taskStatus": state, "appId": app });
        self.tell("status_update_event", event);
    }

    /// Sends an event to every stream, unless events are kept back.
    pub fn tell(&self, name: &str, mut event: Value) {
        if self.state(|state| state.is_mute) {
            return;
        }
        event["eventType"] = json!(name);
        let _nobody = self.shared.events.send(frame(name, &event));
    }
}

impl Drop for Marathon {
    fn drop(&mut self) {
        for (_, task) in &self.nodes {
            task.iter().for_each(JoinHandle::abort);
        }
    }
}

fn frame(name: &str, event: &Value) -> String {
    format!("event: {name}\r\ndata: {event}\r\n\r\n")
}

async fn serve(listener: TcpListener, node: usize, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, node, Arc::clone(&shared)));
            let server = hyper::server::conn::http1::Builder::new();
            let _gone = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    node: usize,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let field = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let authorization = field(header::AUTHORIZATION).map(str::to_owned);
    let accepts_events = field(header::ACCEPT) == Some("text/event-stream");
    if path == LOGIN {
        return Ok(log_in(request, &shared).await);
    }
    let question = Question {
        node,
        path: path.clone(),
        authorization: authorization.clone(),
    };
    let (leader, mood, guard) = {
        let state = shared.state.borrow();
        (state.leader, state.mood.clone(), state.guard.clone())
    };
    shared.asked.send_modify(|asked| asked.push(question));
    if guard.is_some() && guard != authorization {
        return Ok(said(401, "{\"message\":\"Invalid username or password.\"}"));
    }
    let Some(leader) = leader else {
        return Ok(said(502, "Could not determine the current leader"));
    };
    if path.starts_with("/v2/events") {
        if leader != node {
            let mut answer = said(302, "");
            let location = format!("http://{}{path}", shared.addresses[leader]);
            let location = location.parse().unwrap();
            answer.headers_mut().insert(header::LOCATION, location);
            return Ok(answer);
        }
        if !accepts_events {
            return Ok(said(405, "<html>HTTP ERROR 405</html>"));
        }
        return Ok(stream(&shared));
    }
    Ok(match mood {
        Mood::Well => apps(&path, &shared),
        Mood::Garbage(bytes) => Response::new(Full::new(bytes.into()).boxed()),
        Mood::Silent => std::future::pending().await,
        Mood::Refusing(status) => said(status, "no"),
    })
}

fn said(status: u16, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).boxed();
    Response::builder().status(status).body(body).unwrap()
}

/// `/v2/apps`, filtered by a part of the id, as Marathon does.
fn apps(path: &str, shared: &Shared) -> Response<Body> {
    if !path.trim_start_matches("/v2/apps").starts_with(['?', '/']) && path != "/v2/apps" {
        return said(404, "{\"message\":\"not found\"}");
    }
    let part = path
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("id="));
    let state = shared.state.borrow();
    let apps = state
        .apps
        .iter()
        .filter(|(id, _)| part.is_none_or(|part| id.contains(part)));
    let apps: Vec<&Value> = apps.map(|(_, app)| app).collect();
    let mut answer = said(200, &json!({ "apps": apps }).to_string());
    let kind = "application/json".parse().unwrap();
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// A stream of events until its era is over.
fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let (mut events, mut era) = (shared.events.subscribe(), shared.era.subscribe());
    let (told, frames) = mpsc::unbounded_channel();
    let shared = Arc::clone(shared);
    let attached = frame(
        "event_stream_attached",
        &json!({ "eventType": "event_stream_attached" }),
    );
    told.send(attached).unwrap();
    tokio::spawn(async move {
        shared.streams.send_modify(|streams| *streams += 1);
        let mut beat = interval(Duration::from_secs(10));
        loop {
            tokio::select! {
                _ = era.changed() => break,
                () = told.closed() => break,
                event = events.recv() => if told.send(event.unwrap()).is_err() { break },
                _ = beat.tick() => if told.send("\r\n".to_owned()).is_err() { break },
            }
        }
        shared.streams.send_modify(|streams| *streams -= 1);
    });
    let frames = UnboundedReceiverStream::new(frames);
    let body = StreamBody::new(frames.map(|text| Ok(Frame::data(Bytes::from(text)))));
    let mut answer = Response::new(body.boxed());
    let kind = "text/event-stream".parse().unwrap();
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

async fn log_in(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let question = serde_json::from_slice(&body).unwrap();
    shared
        .state
        .send_modify(|state| state.logins.push(question));
    said(
        200,
        &json!({ "token": shared.state.borrow().token }).to_string(),
    )
}
