//! What there is: tasks and where they run, hosts, instances, keys, and a mood.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde_json::{Value as Json, json};

/// A key that is believed.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// How questions are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Connections are closed.
    Down,
    /// Questions are taken and never answered.
    Slow,
    Garbage,
    Throttling,
    Denying,
    /// No key is believed any more.
    Expired,
    /// The clock of whoever asks is wrong.
    Skewed,
    /// One action is answered with this body.
    Saying(&'static str, Vec<u8>),
}

/// Where a task's container listens.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// At an interface of the task's own.
    Own(IpAddr),
    /// At a port of its host.
    Host { host: usize, port: u16 },
}

/// A task of a service.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: String,
    pub service: String,
    pub revision: u32,
    pub starter: String,
    pub place: Place,
    pub container_port: u16,
    pub status: &'static str,
    pub wanted: &'static str,
    pub health: &'static str,
    pub zone: &'static str,
}

impl Task {
    /// A task of the first deployment that was just asked for.
    pub fn new(id: &str, service: &str, container_port: u16, place: Place) -> Self {
        Self {
            id: id.to_owned(),
            service: service.to_owned(),
            revision: 1,
            starter: "ecs-svc/1".to_owned(),
            place,
            container_port,
            status: "PROVISIONING",
            wanted: "RUNNING",
            health: "UNKNOWN",
            zone: "eu-west-1a",
        }
    }

    /// A task with an interface of its own.
    pub fn at(id: &str, service: &str, address: SocketAddr) -> Self {
        Self::new(id, service, address.port(), Place::Own(address.ip()))
    }

    /// It serves, and its check passes.
    pub fn healthy(mut self) -> Self {
        (self.status, self.health) = ("RUNNING", "HEALTHY");
        self
    }

    /// Of another deployment and revision.
    pub fn of(mut self, revision: u32) -> Self {
        self.revision = revision;
        self.starter = format!("ecs-svc/{revision}");
        self
    }

    /// One step on its way up: asked for, started, running, found healthy.
    pub fn rise(&mut self) {
        (self.status, self.health) = match self.status {
            "PROVISIONING" => ("PENDING", "UNKNOWN"),
            "PENDING" => ("RUNNING", "UNKNOWN"),
            status => (status, "HEALTHY"),
        };
    }

    /// One step on its way down: to be stopped, taken from the load balancer, told, gone.
    pub fn fall(&mut self) {
        self.status = match (self.wanted, self.status) {
            ("RUNNING", status) => status,
            (_, "RUNNING") => "DEACTIVATING",
            (_, "DEACTIVATING") => "STOPPING",
            (_, "STOPPING") => "DEPROVISIONING",
            (_, _) => "STOPPED",
        };
        self.wanted = "STOPPED";
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:ecs:eu-west-1:123456789012:task/shop/{}", self.id)
    }

    /// As `DescribeTasks` tells it, with a sidecar that has no check.
    pub fn told(&self, hosts: &[Host]) -> Json {
        let mut web = json!({ "name": "web", "lastStatus": self.status,
            "healthStatus": self.health, "networkBindings": [], "networkInterfaces": [] });
        let logs = json!({ "name": "logs", "lastStatus": self.status, "healthStatus": "UNKNOWN",
            "networkBindings": [], "networkInterfaces": [] });
        let is_up = !matches!(self.status, "PROVISIONING");
        let mut task = json!({
            "taskArn": self.arn(),
            "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop",
            "taskDefinitionArn": format!(
                "arn:aws:ecs:eu-west-1:123456789012:task-definition/{}:{}",
                self.service, self.revision),
            "group": format!("service:{}", self.service),
            "startedBy": self.starter,
            "availabilityZone": self.zone,
            "lastStatus": self.status,
            "desiredStatus": self.wanted,
            // One container has no check.
            "healthStatus": "UNKNOWN",
            "version": 3,
            "createdAt": 1_790_000_000.25,
        });
        match self.place {
            Place::Own(ip) if is_up => {
                let field = if ip.is_ipv6() {
                    "ipv6Address"
                } else {
                    "privateIpv4Address"
                };
                web["networkInterfaces"] = json!([{ "attachmentId": "a", field: ip.to_string() }]);
            }
            Place::Host { host, port } if is_up => {
                web["networkBindings"] = json!([
                    { "bindIP": "0.0.0.0", "containerPort": self.container_port, "hostPort": port,
                      "protocol": "tcp" },
                    { "bindIP": "::", "containerPort": self.container_port, "hostPort": port,
                      "protocol": "tcp" }]);
                task["containerInstanceArn"] = hosts[host].arn.clone().into();
            }
            Place::Own(_) | Place::Host { .. } => {}
        }
        task["containers"] = json!([logs, web]);
        task
    }
}

/// A host of containers.
#[derive(Debug, Clone)]
pub struct Host {
    pub arn: String,
    /// `i-1`; or `mi-1`, outside of AWS.
    pub id: String,
    pub address: IpAddr,
}

/// An instance in Cloud Map.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub namespace: String,
    pub service: String,
    pub health: &'static str,
    pub attributes: BTreeMap<String, String>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct World {
    pub region: String,
    pub keys: Vec<Key>,
    pub mood: Mood,
    pub tasks: Vec<Task>,
    pub hosts: Vec<Host>,
    /// Deployments: id and status.
    pub rollouts: Vec<(String, String)>,
    pub instances: Vec<Instance>,
    /// Tasks on a page of `ListTasks`.
    pub page: usize,
    /// What the agent of a task wants to be shown.
    pub agent_token: Option<String>,
    /// How long the credentials of a role are good.
    pub lifetime: Duration,
    /// Whether there is an instance whose metadata can be asked for.
    pub is_instance: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            keys: vec![Key {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                token: None,
            }],
            mood: Mood::Well,
            tasks: Vec::new(),
            hosts: Vec::new(),
            rollouts: vec![("ecs-svc/1".to_owned(), "PRIMARY".to_owned())],
            instances: Vec::new(),
            page: 100,
            agent_token: None,
            lifetime: Duration::from_hours(6),
            is_instance: false,
        }
    }
}

impl World {
    /// A task by its id.
    pub fn task(&mut self, id: &str) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.id == id).unwrap()
    }
}
