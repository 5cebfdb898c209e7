//! The tables of behaviour over HTTP/1.1.

use tokio::io::AsyncWriteExt;

use crate::{
    support::{
        client::{Answer, Client},
        origin::{self, Origin, Seen, ok},
        proxy::{Proxy, proxy},
    },
    table::{self, Becomes, Case, Expect, Raw, Recital, Then},
};

mod h2;

/// The request as HTTP/1.1 has it.
fn bytes(case: &Case) -> String {
    let line = |(name, value): (&str, &str)| format!("{name}: {value}\r\n");
    let fields = case.fields.iter().map(|(name, value)| line((name, value)));
    let trailers = case.trailers.iter().map(|trailer| line(*trailer));
    let (method, target, authority) = (case.method, &case.target, case.authority);
    let head = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n");
    let (length, body) = (case.body.len(), case.body);
    let rest = if !case.trailers.is_empty() {
        let trailers: String = trailers.collect();
        let chunks = format!("{length:x}\r\n{body}\r\n0\r\n{trailers}\r\n");
        format!("transfer-encoding: chunked\r\n\r\n{chunks}")
    } else if body.is_empty() {
        "\r\n".to_owned()
    } else {
        format!("content-length: {length}\r\n\r\n{body}")
    };
    format!("{head}{}{rest}", fields.collect::<String>())
}

/// The values of a field that the origin saw; of a trailer if the name begins so.
fn values(seen: &Seen, name: &str) -> Vec<String> {
    let is_chunked = seen.field("transfer-encoding").is_some();
    if let Some(name) = name.strip_prefix("trailer:").filter(|_| is_chunked) {
        let body = String::from_utf8(seen.body.clone()).unwrap();
        let (_, trailers) = body.split_once("\r\n0\r\n").unwrap();
        let lines = trailers.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(known, _)| *known == name);
        return named.map(|(_, value)| value.to_owned()).collect();
    }
    let named = seen.fields.iter().filter(|(known, _)| known == name);
    named.map(|(_, value)| value.clone()).collect()
}

fn check(case: &Case, answer: &Answer, seen: Option<Seen>) -> Result<(), String> {
    match &case.expect {
        Expect::Answered(statuses) => {
            if seen.is_some() || !statuses.contains(&answer.status) {
                return Err(format!("{}, and the origin saw {seen:?}", answer.status));
            }
            if answer.status >= 400 && answer.field("proxy-status").is_none() {
                return Err("no Proxy-Status".to_owned());
            }
        }
        Expect::Passes { has, lacks } => {
            if answer.status != 200 {
                return Err(format!("{} {}", answer.status, answer.text()));
            }
            check_passed(case, seen, (has, lacks))?;
        }
    }
    Ok(())
}

/// Whether an answer says once when it was made (RFC 9110, section 6.6.1).
fn is_dated(answer: &Answer) -> bool {
    let dates = answer.fields.iter().filter(|(name, _)| name == "date");
    dates.map(|(_, date)| date.len()).eq([29])
}

/// What is wrong with what the origin saw of a case that passes.
pub(crate) fn check_passed(
    case: &Case,
    seen: Option<Seen>,
    (has, lacks): (&[(&str, &str)], &[&str]),
) -> Result<(), String> {
    let Some(seen) = seen else {
        return Err("the origin saw nothing".to_owned());
    };
    let line = format!("{} {} HTTP/", case.method, case.target);
    if !seen.line.starts_with(&line) {
        return Err(seen.line);
    }
    for (name, value) in has {
        if values(&seen, name) != [*value] {
            return Err(format!("{name}: {:?}", values(&seen, name)));
        }
    }
    match lacks.iter().find(|name| !values(&seen, name).is_empty()) {
        Some(name) => Err(format!("{name} is there")),
        None => Ok(()),
    }
}

#[tokio::test]
async fn every_request_is_forwarded_or_answered_as_the_table_says() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for case in table::cases() {
        let mut client = Client::connect(proxy.address).await;
        client.try_send(bytes(&case)).await;
        let answer = client.answer_to(case.method).await;
        if let Err(why) = check(&case, &answer, origin.try_next()) {
            failures.push(format!("{}: {why}", case.name));
        }
        if !is_dated(&answer) {
            failures.push(format!("{}: not dated once", case.name));
        }
        if answer.status >= 400 && answer.field("connection") != Some("close") {
            failures.push(format!("{}: the connection stays", case.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Sends bytes in pieces of this size; answers what is wrong with what comes of it.
async fn send(proxy: &Proxy, raw: &Raw, piece: usize) -> Result<(), String> {
    let mut client = Client::connect(proxy.address).await;
    for part in raw.bytes.as_bytes().chunks(piece) {
        if !client.try_send(part).await {
            break;
        }
    }
    let answer = client.answer_to("POST").await;
    if answer.status != raw.status || !answer.is_whole {
        return Err(format!("{} {}", answer.status, answer.text()));
    }
    if answer.field("connection") != Some("close") {
        return Err("it does not say that it closes".to_owned());
    }
    let _ended = client.stream.shutdown().await;
    if client.is_closed().await {
        Ok(())
    } else {
        Err("more than one answer".to_owned())
    }
}

#[tokio::test]
async fn every_odd_request_gets_one_answer_however_it_is_cut() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for raw in table::raws() {
        for piece in [usize::MAX, 1] {
            // Byte by byte there is nothing to see in the long ones.
            if piece == 1 && raw.bytes.len() > 5_000 {
                continue;
            }
            if let Err(why) = send(&proxy, &raw, piece).await {
                let bytes = raw.bytes[..raw.bytes.len().min(120)].escape_debug();
                failures.push(format!("{bytes}: {why}, wanted {}", raw.status));
            }
            let seen = origin.try_next();
            if seen.is_some() != (raw.status == 200) {
                failures.push(format!("{}: the origin saw {seen:?}", raw.bytes.len()));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// An origin that answers `/N` as the table says, and all else properly.
pub(crate) async fn reciting(recitals: Vec<Recital>) -> Origin {
    let recitals = std::sync::Arc::new(recitals);
    Origin::doing(move |mut stream| {
        let recitals = std::sync::Arc::clone(&recitals);
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = origin::request(&mut stream, &mut buffer).await {
                let number = seen.path().trim_start_matches('/').parse::<usize>().ok();
                let recital = number.and_then(|number| recitals.get(number));
                let proper = ok("proper");
                let bytes = recital.map_or(&proper, |recital| &recital.bytes);
                let sent = stream.write_all(bytes).await;
                if sent.is_err() || recital.is_some_and(|it| it.then == Then::Close) {
                    return;
                }
            }
        }
    })
    .await
}

/// Asks for a recital; answers what is wrong with what comes of it.
async fn listen(client: &mut Client, number: usize, recital: &Recital) -> Result<(), String> {
    let answer = client.get(&format!("/{number}"), "").await;
    let as_expected = match &recital.becomes {
        Becomes::Relayed {
            status,
            body,
            lacks,
        } => {
            let bare = lacks.iter().all(|name| answer.field(name).is_none());
            let same = answer.status == *status && answer.body == body.as_bytes();
            same && bare && answer.is_whole && answer.field("via").is_some()
        }
        Becomes::BadGateway(error) => {
            let cause = answer.field("proxy-status").unwrap_or_default();
            answer.status == 502 && cause == format!("serin; error={error}")
        }
        Becomes::CutOff(status) => answer.status == *status && !answer.is_whole,
    };
    if !as_expected || !is_dated(&answer) {
        return Err(format!("{answer:?}"));
    }
    if matches!(recital.becomes, Becomes::CutOff(_)) {
        // It ends, or this waits in vain.
        client.rest().await;
        return Ok(());
    }
    let next = client.get("/proper", "").await;
    if next.text() == "proper" {
        Ok(())
    } else {
        Err(format!("then {next:?}"))
    }
}

#[tokio::test]
async fn every_answer_is_relayed_or_replaced_as_the_table_says() {
    let recitals = table::recitals();
    let origin = reciting(recitals.clone()).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for (number, recital) in recitals.iter().enumerate() {
        let mut client = Client::connect(proxy.address).await;
        if let Err(why) = listen(&mut client, number, recital).await {
            failures.push(format!("{}: {why}", recital.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
