//! Chromium without a window, driven over `WebDriver` by Debian's `chromedriver`.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::support::client::Client;

/// How long a script in the page may wait, in milliseconds.
const SCRIPT_MS: u64 = 10_000;
/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser with one window; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Where it keeps its things.
    profile: TempDir,
}

impl Browser {
    /// Starts one; `None`, and it says so, where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = child else {
            eprintln!("SKIPPED: chromedriver is not installed; it is in Debian's chromium-driver");
            return None;
        };
        let port = port(&mut driver);
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            profile,
        };
        let data = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            &data,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": SCRIPT_MS + 5_000 },
        } } });
        let made = browser.call("POST", "/session", &wanted).await;
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser.size(1_440, 1_000).await;
        Some(browser)
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut client = Client::connect(self.address).await;
        let (host, length) = (self.address, body.len());
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        let answer = client.answer().await;
        let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {value}");
        value["value"].take()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.call("POST", &path, body).await
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    /// What a script in the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", &body).await
    }

    /// What an expression in the page is.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});")).await
    }

    /// The text of the first element of a kind.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let found = format!("document.querySelector({selector:?})?.innerText ?? ''");
        self.value(&found).await.as_str().unwrap().to_owned()
    }

    /// Waits until an expression in the page is true; what the page's clock says then, in
    /// milliseconds. The page looks whenever it changes.
    pub(crate) async fn until(&self, expression: &str) -> u64 {
        let script = format!(
            "const done = arguments[0], end = Date.now() + {SCRIPT_MS};\n\
             const is = () => {{ try {{ return {expression}; }} catch {{ return false; }} }};\n\
             const watch = new MutationObserver(look);\n\
             function look() {{ if (is()) finish(Date.now()); }}\n\
             function finish(at) {{ watch.disconnect(); clearTimeout(limit); done(at); }}\n\
             const limit = setTimeout(() => finish(is() ? Date.now() : 0), {SCRIPT_MS});\n\
             watch.observe(document, {{ subtree: true, childList: true, attributes: true,\n\
             characterData: true }});\n look();"
        );
        let body = json!({ "script": script, "args": [] });
        let until = Instant::now() + PATIENCE;
        loop {
            let at = self.post("/execute/async", &body).await;
            match at.as_u64() {
                Some(at) if at > 0 => return at,
                _ => assert!(
                    Instant::now() < until,
                    "never `{expression}`: {}",
                    self.shown().await
                ),
            }
        }
    }

    async fn shown(&self) -> String {
        let text = self.text("body").await;
        format!("{text}\n{:?}", self.complaints().await)
    }

    /// Clicks as a person does: the element must be seen and not be covered.
    pub(crate) async fn click(&self, selector: &str) {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", &body).await;
        let id = found.as_object().unwrap().values().next().unwrap();
        let path = format!("/element/{}/click", id.as_str().unwrap());
        self.post(&path, &json!({})).await;
    }

    /// Presses keys one after another, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        let press = |key: char| {
            let key = key.to_string();
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        };
        let presses: Vec<Value> = keys.chars().flat_map(press).collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": presses }] });
        self.post("/actions", &actions).await;
    }

    /// A command of Chromium's own protocol.
    async fn chromium(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body).await;
    }

    /// The size of what is seen of a page.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false });
        self.chromium("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// `dark` or `light`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.chromium("Emulation.setEmulatedMedia", features).await;
    }

    /// Writes what is seen to a file.
    pub(crate) async fn photograph(&self, into: &Path) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let path = format!("/session/{}/screenshot", self.session);
        let taken = self.call("GET", &path, &json!({})).await;
        let bytes = STANDARD.decode(taken.as_str().unwrap()).unwrap();
        std::fs::write(into, bytes).unwrap();
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let told = self.post("/se/log", &json!({ "type": kind })).await;
        told.as_array().unwrap().clone()
    }

    /// What the console has complained of since it was last asked.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let lines = self.log("browser").await.into_iter();
        let is_bad = |line: &Value| line["level"] == "SEVERE" || line["level"] == "WARNING";
        lines
            .filter(is_bad)
            .map(|line| line["message"].to_string())
            .collect()
    }

    /// The addresses of everything that was asked for since it was last asked.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let told = self.log("performance").await.into_iter();
        let message = |line: Value| -> Option<String> {
            let text = line["message"].as_str()?;
            let event: Value = serde_json::from_str(text).ok()?;
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            let url = &event["message"]["params"]["request"]["url"];
            is_request.then(|| url.as_str().unwrap().to_owned())
        };
        told.filter_map(message).collect()
    }

    pub(crate) async fn quit(self) {
        let path = format!("/session/{}", self.session);
        let nothing = json!({});
        let ended = self.call("DELETE", &path, &nothing);
        // What does not end by itself ends with its driver.
        let _in_time = timeout(PATIENCE, ended).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _gone = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

/// The port that the driver says it has taken.
fn port(driver: &mut Child) -> u16 {
    let out = driver.stdout.take().unwrap();
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let said = lines.find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // It goes on talking: somebody must listen, or it waits for that.
    std::thread::spawn(move || lines.for_each(drop));
    said.unwrap()
}
