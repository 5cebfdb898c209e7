//! Tasks of Marathon apps as others see them.

use super::{plain, split::list};
use crate::{
    config::{
        Marathon, MasterLogin, TaskPort,
        leaf::{Count, SecretFile, Text},
        schema::{
            AppId, Events, Interval, LabelSelector, MarathonAuthBlock, MarathonBlock, ServerUrl,
        },
    },
    model::number::length,
};

pub(super) fn marathon(block: &MarathonBlock) -> Option<Marathon> {
    let Interval(interval) = plain(block.interval.as_ref())?;
    let label = plain(block.label.as_ref()).map(|LabelSelector(rules)| rules);
    Some(Marathon {
        masters: list(block.url.as_ref(), |ServerUrl(url)| url),
        apps: list(block.app.as_ref(), |AppId(id)| id),
        labels: label.unwrap_or_default(),
        port: port(block)?,
        tasks: plain(block.tasks.as_ref())?,
        ready_only: plain(block.ready_only.as_ref())?,
        events: plain(block.events.as_ref())? == Events::Sse,
        interval,
        ca: plain(block.ca.as_ref()).map(|SecretFile(path)| path),
        login: match &block.auth {
            Some(auth) => login(&auth.value)?,
            None => MasterLogin::None,
        },
    })
}

fn port(block: &MarathonBlock) -> Option<TaskPort> {
    if let Some(Text(name)) = plain(block.port_name.as_ref()) {
        return Some(TaskPort::Name(name));
    }
    if let Some(Count(port)) = plain(block.port.as_ref()) {
        return u16::try_from(port).ok().map(TaskPort::Number);
    }
    Some(match plain(block.port_index.as_ref()) {
        Some(Count(index)) => TaskPort::Index(length(index)),
        None => TaskPort::First,
    })
}

fn login(block: &MarathonAuthBlock) -> Option<MasterLogin> {
    if let Some(SecretFile(path)) = plain(block.service_account_file.as_ref()) {
        return Some(MasterLogin::ServiceAccount(path));
    }
    let Text(user) = plain(block.username.as_ref())?;
    let SecretFile(password) = plain(block.password_file.as_ref())?;
    Some(MasterLogin::Basic { user, password })
}
