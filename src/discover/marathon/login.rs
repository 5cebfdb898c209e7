//! What proves to a master who asks: a password, or a token of DC/OS.
//!
//! A service account signs a short claim with its key (RS256) and gets a token for it, which is
//! renewed before it ends, and whenever a master refuses it. Files are read anew each time, so that
//! a changed secret needs no restart.

use std::{path::PathBuf, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clock,
    config::MasterLogin,
    net::web::{Limits, Web},
};

/// How long a token is asked for.
const TOKEN: Duration = Duration::from_hours(1);
/// How long it is used: it is renewed before its end.
const USED: Duration = Duration::from_secs(60 * 60 - 10);
/// How long the claim holds that a token is asked with.
const CLAIM: Duration = Duration::from_mins(1);
/// For logging in.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(5),
    body: 64 * 1024,
};

/// Who asks, and what it has been given.
#[derive(Debug)]
pub(super) struct Login {
    who: MasterLogin,
    token: Option<(HeaderValue, Instant)>,
}

impl Login {
    pub(super) fn new(who: &MasterLogin) -> Self {
        Self {
            who: who.clone(),
            token: None,
        }
    }

    /// Whether there is anything to keep from others.
    pub(super) fn is_somebody(&self) -> bool {
        self.who != MasterLogin::None
    }

    /// What was given is refused; whether it can be got anew.
    pub(super) fn forget(&mut self) -> bool {
        self.token.take().is_some()
    }

    /// The value of `Authorization`, if there is to be one.
    pub(super) async fn proof(&mut self, web: &Web) -> Result<Option<HeaderValue>, String> {
        match &self.who {
            MasterLogin::None => Ok(None),
            MasterLogin::Basic { user, password } => {
                let password = read(password.clone()).await?;
                let pair = format!("{user}:{}", password.trim_end_matches(['\r', '\n']));
                secret(format!("Basic {}", STANDARD.encode(pair))).map(Some)
            }
            MasterLogin::ServiceAccount(path) => {
                let known = self.token.as_ref();
                if let Some((token, _)) = known.filter(|(_, ends)| *ends > Instant::now()) {
                    return Ok(Some(token.clone()));
                }
                let token = log_in(web, path.clone()).await?;
                self.token = Some((token.clone(), Instant::now() + USED));
                Ok(Some(token))
            }
        }
    }
}

async fn log_in(web: &Web, path: PathBuf) -> Result<HeaderValue, String> {
    let shown = path.display().to_string();
    let account = Account::read(&read(path).await?).map_err(|error| format!("{shown}: {error}"))?;
    let now = Duration::from_millis(clock::now().millis());
    let question = json!({
        "uid": account.id,
        "token": account.claim(now + CLAIM)?,
        "exp": (now + TOKEN).as_secs(),
    });
    let request = Request::post(&account.endpoint)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "serin")
        .body(Bytes::from(question.to_string()))
        .map_err(|error| error.to_string())?;
    let answer = web.ask(request, LIMITS).await;
    let answer =
        answer.map_err(|error| format!("cannot log in at {}: {error}", account.endpoint))?;
    if !answer.status().is_success() {
        let status = answer.status();
        return Err(format!(
            "cannot log in at {}: it answers {status}",
            account.endpoint
        ));
    }
    let said: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let token = said.as_ref().and_then(|said| said.get("token")?.as_str());
    let token = token.ok_or_else(|| format!("{} gives no token", account.endpoint))?;
    secret(format!("token={token}"))
}

/// A service account as DC/OS keeps it.
struct Account {
    id: String,
    endpoint: String,
    key: PrivateKeyDer<'static>,
}

impl Account {
    fn read(text: &str) -> Result<Self, String> {
        let account: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let field = |key: &str| {
            let text = account.get(key).and_then(Value::as_str);
            text.ok_or_else(|| format!("there is no `{key}` in it"))
        };
        let key = PrivateKeyDer::from_pem_slice(field("private_key")?.as_bytes());
        Ok(Self {
            id: field("uid")?.to_owned(),
            endpoint: field("login_endpoint")?.to_owned(),
            key: key.map_err(|error| format!("its `private_key` is no key: {error}"))?,
        })
    }

    /// A signed claim that this is us.
    fn claim(&self, until: Duration) -> Result<String, String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(&json!({ "alg": "RS256", "typ": "JWT" }));
        let claim = part(&json!({ "uid": self.id, "exp": until.as_secs() }));
        let message = format!("{head}.{claim}");
        let key = any_supported_type(&self.key).map_err(|error| error.to_string())?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.ok_or("the account's key is not RSA")?;
        let signature = signer
            .sign(message.as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A header's value that is not shown to anybody.
fn secret(text: String) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(text);
    let mut value =
        value.map_err(|_| "the secret has letters that HTTP cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(path: PathBuf) -> Result<String, String> {
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_blocking(&path)).await;
    let read = read.map_err(std::io::Error::other).flatten();
    read.map_err(|error| format!("cannot read {shown}: {error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: runs on the blocking pool"
)]
fn read_blocking(path: &PathBuf) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}
