//! Verbs that ask no running proxy: `override` and `explain` read the file themselves.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use serde_json::json;

use super::{
    Trouble,
    args::{Explain, Override},
    screen::Screen,
};
use crate::{
    config::{Problems, Source, Upstream},
    control::{Loaded, read_config},
    model::{
        Endpoint, Epoch, Generation, Moment, Nonce, Point, RouteName, Share, SplitName, Stage,
        UpstreamName, VersionName,
    },
    plan::{self, Chance, Head, Inputs, Keys, Plan, Secrets, Shift},
};

/// Reads a file, or tells what is wrong with it.
pub(super) fn load(path: &Path) -> Result<Loaded, Trouble> {
    read_config(path).map_err(|problems| faulty(path, &problems))
}

/// The file is wrong: its first problem, and where to see the others.
pub(super) fn faulty(path: &Path, problems: &Problems) -> Trouble {
    let first = problems.list.iter().find(|problem| !problem.is_warning);
    let what = first.map_or_else(String::new, |problem| {
        format!(":{}:{}: {}", problem.line, problem.column, problem.message)
    });
    let help = format!(
        "`serin validate {}` shows all that is wrong",
        path.display()
    );
    Trouble::refused(format!("{}{what}", problems.name), help)
}

/// `serin override`: prints the value, and nothing else, so that it can be used in a script.
pub(super) fn sign(screen: &mut Screen, wanted: &Override) -> Result<(), Trouble> {
    let loaded = load(&wanted.config)?;
    let splits = &loaded.config.splits;
    let found = splits
        .iter()
        .find(|split| split.name.as_str() == wanted.split);
    let Some(split) = found else {
        let names: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
        let message = format!("there is no split `{}`", wanted.split);
        return Err(Trouble::refused(
            message,
            format!("there are: {}", names.join(", ")),
        ));
    };
    let versions: Vec<VersionName> = std::iter::once(&split.stable)
        .chain(&split.canary)
        .map(VersionName::from)
        .collect();
    let Some(version) = versions
        .iter()
        .find(|version| version.as_str() == wanted.version)
    else {
        let names: Vec<&str> = versions.iter().map(VersionName::as_str).collect();
        let message = format!("`{}` is no version of `{}`", wanted.version, split.name);
        return Err(Trouble::refused(
            message,
            format!("there are: {}", names.join(", ")),
        ));
    };
    let written = split.version_override.as_ref();
    let Some(secret) = written.and_then(|written| loaded.secrets.get(&written.signed_by)) else {
        let message = format!("`{}` has no override", split.name);
        let help = "write `override: { header: x-serin-version, signed_by: FILE }` in the split";
        return Err(Trouble::refused(message, help));
    };
    let value = plan::Override::sign(secret, &split.name, version);
    if wanted.print.output.is_json() {
        let (split, version) = (split.name.as_str(), version.as_str());
        let made = json!({ "split": split, "version": version, "value": value });
        return Ok(screen.write(&format!("{made}\n"))?);
    }
    Ok(screen.write(&(value + "\n"))?)
}

/// `serin explain`: the file's own shares, and the addresses written in it.
pub(super) fn explain(screen: &mut Screen, wanted: &Explain) -> Result<(), Trouble> {
    let loaded = load(&wanted.config)?;
    let head = Asked::new(wanted)?;
    let chance = Chance {
        point: point(),
        fresh: fastrand::u64(..),
    };
    let told = plan::explain(&compile(&loaded), &head, chance);
    let note = "the shares are the file's; a running proxy may have others (`serin status`)";
    if wanted.print.output.is_json() {
        let told = json!({
            "split": told.split.as_ref().map(SplitName::as_str),
            "route": told.route.as_ref().map(RouteName::as_str),
            "version": told.version.as_ref().map(VersionName::as_str),
            "role": told.assignment.map(|it| it.role.as_str()),
            "endpoints": told.endpoints,
            "because": told.lines,
            "note": note,
        });
        return Ok(screen.write(&format!("{told:#}\n"))?);
    }
    screen.write(&told.to_string())?;
    Ok(screen.write(&format!("note: {note}\n"))?)
}

fn point() -> Point {
    Point::from_hash(fastrand::u64(..))
}

fn compile(loaded: &Loaded) -> Plan {
    let config = &loaded.config;
    let endpoints: HashMap<UpstreamName, Arc<[Endpoint]>> = config
        .upstreams
        .iter()
        .map(|upstream| (upstream.name.clone(), addresses(upstream)))
        .collect();
    let shift = |share| Shift {
        epoch: Epoch(0),
        nonce: Nonce(0),
        stage: Stage(0),
        share,
    };
    let shifts: HashMap<SplitName, Shift> = config
        .splits
        .iter()
        .map(|split| {
            (
                split.name.clone(),
                shift(split.weight.unwrap_or(Share::ZERO)),
            )
        })
        .collect();
    // The secret that signs cookies is the proxy's own; here any will do.
    let secrets = Secrets {
        default: vec![0; 32],
        files: loaded.secrets.clone(),
    };
    let inputs = Inputs {
        config,
        endpoints: &endpoints,
        shifts: &shifts,
        secrets: &secrets,
        tls: &loaded.tls,
        previous: None,
        generation: Generation(0),
        now: Moment::ZERO,
    };
    plan::compile(&inputs, &mut Keys::default())
}

/// The addresses written in the file; names are not asked for.
fn addresses(upstream: &Upstream) -> Arc<[Endpoint]> {
    let Source::Static(written) = &upstream.source else {
        return Arc::default();
    };
    let endpoint = |host: &str, port| {
        let address = host.parse::<IpAddr>().ok()?;
        Some(Endpoint::new(SocketAddr::new(address, port)))
    };
    written
        .iter()
        .filter_map(|one| endpoint(&one.host, one.port))
        .collect()
}

/// A request's head as it was typed.
struct Asked {
    method: String,
    host: String,
    path: String,
    fields: Vec<(String, Vec<u8>)>,
    client: IpAddr,
}

impl Asked {
    fn new(wanted: &Explain) -> Result<Self, Trouble> {
        let mut fields = Vec::new();
        for line in &wanted.headers {
            let Some((name, value)) = line.split_once(':') else {
                let help = "write NAME: VALUE, such as -H 'Cookie: a=b'";
                return Err(Trouble::unasked(
                    format!("`{line}` is not a header field"),
                    help,
                ));
            };
            fields.push((
                name.trim().to_ascii_lowercase(),
                value.trim().as_bytes().to_vec(),
            ));
        }
        let target: http::Uri = wanted.target.parse().map_err(|_| {
            let help = "write a path such as /cart, or a URL such as http://shop.example/cart";
            Trouble::unasked(format!("`{}` is not a path or a URL", wanted.target), help)
        })?;
        let named = fields.iter().find(|(name, _)| name == "host");
        let named = named.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let host = target
            .host()
            .map(str::to_owned)
            .or(named)
            .unwrap_or_default();
        let bare = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok());
        let host = bare.map_or_else(|| host.clone(), |(host, _)| host.to_owned());
        let (method, client) = (wanted.method.clone(), wanted.client);
        Ok(Self {
            method,
            host,
            path: target.path().to_owned(),
            fields,
            client,
        })
    }
}

impl Head for Asked {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_slice())
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        let cookies = self.fields.iter().filter(|(name, _)| name == "cookie");
        cookies.for_each(|(_, value)| each(value));
    }

    fn client(&self) -> IpAddr {
        self.client
    }
}
