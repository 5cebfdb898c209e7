//! `serin endpoints`, `eject` and `uneject`: who gets requests, who does not, and why.

use http::Method;

use super::{
    Trouble,
    args::{self, Output},
    client::Client,
    screen::{Screen, Tone},
    table::{Cell, number, table, word},
};
use crate::{
    admin::wire::{self, Endpoint, EndpointAct, EndpointDone, Endpoints},
    model::number::whole,
};

/// Lists endpoints of one upstream, or of all.
pub(super) async fn endpoints(screen: &mut Screen, wanted: args::Endpoints) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    let mut known: Endpoints = client.get("/v1/endpoints").await?;
    if let Some(upstream) = &wanted.upstream {
        known.endpoints.retain(|one| one.upstream == *upstream);
        if known.endpoints.is_empty() {
            let message = format!("no endpoints of an upstream {upstream} are known");
            return Err(Trouble::refused(message, "`serin endpoints` lists all"));
        }
    }
    let text = match wanted.ask.output {
        Output::Json => wire::to_pretty_json(&known) + "\n",
        Output::Text => shown(&known, false, screen.has_colour()),
        Output::Wide => shown(&known, true, screen.has_colour()),
    };
    Ok(screen.write(&text)?)
}

fn shown(known: &Endpoints, is_wide: bool, has_colour: bool) -> String {
    if known.endpoints.is_empty() {
        return "no endpoints are known\n".to_owned();
    }
    let heading = [
        "UPSTREAM",
        "ENDPOINT",
        "STATE",
        "WEIGHT",
        "IN FLIGHT",
        "LATENCY",
        "FAILED",
        "NOTE",
    ];
    let mut heading = heading.map(word).to_vec();
    if is_wide {
        let note = heading.pop();
        heading.extend(["ZONE", "VERSION", "AGE"].map(word).into_iter().chain(note));
    }
    let rows = known.endpoints.iter().map(|one| row(one, is_wide));
    let rows = std::iter::once(heading).chain(rows);
    table(&rows.collect::<Vec<_>>(), has_colour)
}

fn row(endpoint: &Endpoint, is_wide: bool) -> Vec<Cell> {
    let tone = match endpoint.state.as_str() {
        "healthy" => Tone::Good,
        "unhealthy" | "ejected" => Tone::Bad,
        _ => Tone::Plain,
    };
    let weight = match endpoint.weight_percent {
        0 => "0".to_owned(),
        100.. => endpoint.weight.to_string(),
        part => format!("{part}% of {}", endpoint.weight),
    };
    let latency = endpoint.latency_ms.map(|millis| format!("{millis:.1} ms"));
    let mut cells = vec![
        word(&endpoint.upstream),
        word(&endpoint.address),
        word(&endpoint.state).tone(tone),
        number(weight),
        number(endpoint.in_flight.to_string()),
        number(latency.unwrap_or_else(|| "-".to_owned())),
        number(endpoint.failures.to_string()),
    ];
    if is_wide {
        let age = endpoint.age_seconds.map(|age| format!("{} s", whole(age)));
        let columns = [endpoint.zone.clone(), endpoint.version.clone(), age];
        let columns = columns.map(|it| word(it.unwrap_or_else(|| "-".to_owned())));
        cells.extend(columns);
    }
    cells.push(word(note(endpoint, is_wide)));
    cells
}

/// What is odd about it, and what has no column.
fn note(endpoint: &Endpoint, is_wide: bool) -> String {
    let left = endpoint
        .ejected_seconds
        .map(|left| format!("{} s left", whole(left.ceil())));
    let age = endpoint
        .age_seconds
        .map(|age| format!("came {} s ago", whole(age)));
    let zone = endpoint.zone.as_ref().map(|zone| format!("zone {zone}"));
    let version = endpoint
        .version
        .as_ref()
        .map(|version| format!("version {version}"));
    let rest = [age, zone, version].into_iter().filter(|_| !is_wide);
    let parts = [endpoint.why.clone(), left].into_iter().chain(rest);
    parts.flatten().collect::<Vec<_>>().join(", ")
}

/// Lets an endpoint have no requests, or have them again.
pub(super) async fn act(
    screen: &mut Screen,
    verb: &str,
    seconds: Option<u64>,
    wanted: args::EndpointAct,
) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    let body = wire::to_json(&EndpointAct {
        upstream: wanted.upstream,
        seconds,
        reason: wanted.reason,
    });
    // Brackets of an IPv6 address cannot stand in a path.
    let address = wanted.endpoint.replace('[', "%5B").replace(']', "%5D");
    let path = format!("/v1/endpoints/{address}:{verb}");
    let done: EndpointDone = client.act(Method::POST, &path, body, None).await?;
    let text = match wanted.ask.output {
        Output::Json => wire::to_json(&done) + "\n",
        Output::Text | Output::Wide => done.message + "\n",
    };
    Ok(screen.write(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(state: &str, weight_percent: u64) -> Endpoint {
        Endpoint {
            upstream: "mesos".to_owned(),
            address: "10.0.0.1:8080".to_owned(),
            zone: None,
            version: None,
            weight: 2,
            state: state.to_owned(),
            weight_percent,
            age_seconds: None,
            failures: 0,
            why: None,
            ejected_seconds: None,
            in_flight: 3,
            latency_ms: Some(12.25),
        }
    }

    #[test]
    fn each_endpoint_is_a_line_with_what_is_odd_about_it() {
        let known = Endpoints {
            endpoints: vec![
                endpoint("healthy", 100),
                Endpoint {
                    age_seconds: Some(7.3),
                    zone: Some("eu-west-1a".to_owned()),
                    version: Some("shop:12".to_owned()),
                    latency_ms: None,
                    ..endpoint("warming", 33)
                },
                Endpoint {
                    failures: 2,
                    why: Some("3 failures in a row, the last one a 500".to_owned()),
                    ejected_seconds: Some(8.2),
                    ..endpoint("ejected", 0)
                },
            ],
        };
        insta::assert_snapshot!(shown(&known, false, false));
        insta::assert_snapshot!("wide", shown(&known, true, false));
        let none = Endpoints { endpoints: vec![] };
        assert_eq!(shown(&none, false, false), "no endpoints are known\n");
    }
}
