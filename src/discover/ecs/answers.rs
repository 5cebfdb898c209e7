//! What ECS answers, as far as it matters here. Amazon's events tell tasks in the same form.

use serde::Deserialize;

/// One page of `ListTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) task_arns: Vec<String>,
    pub(super) next_token: Option<String>,
}

/// The answer of `DescribeTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    pub(super) tasks: Vec<Task>,
    /// Tasks that ECS has forgotten.
    pub(super) failures: Option<Vec<Failure>>,
}

/// What was asked for and is not there.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) reason: Option<String>,
}

/// A task.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    #[serde(rename = "taskArn")]
    pub(super) arn: String,
    #[serde(rename = "taskDefinitionArn")]
    pub(super) definition: Option<String>,
    pub(super) last_status: Option<String>,
    pub(super) desired_status: Option<String>,
    /// The deployment or the task set that has started it.
    pub(super) started_by: Option<String>,
    pub(super) availability_zone: Option<String>,
    pub(super) container_instance_arn: Option<String>,
    pub(super) health_status: Option<String>,
    pub(super) containers: Option<Vec<Container>>,
    pub(super) attachments: Option<Vec<Attachment>>,
}

/// A container of a task.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: Option<String>,
    pub(super) health_status: Option<String>,
    pub(super) network_bindings: Option<Vec<Binding>>,
    pub(super) network_interfaces: Option<Vec<Interface>>,
}

/// A port of a container on its host, or a range of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Binding {
    #[serde(rename = "bindIP")]
    pub(super) bind_ip: Option<String>,
    pub(super) container_port: Option<u16>,
    pub(super) host_port: Option<u16>,
    pub(super) container_port_range: Option<String>,
    pub(super) host_port_range: Option<String>,
    pub(super) protocol: Option<String>,
}

/// A network interface of a container's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interface {
    pub(super) private_ipv4_address: Option<String>,
    pub(super) ipv6_address: Option<String>,
}

/// Something attached to a task: a network interface, told in names and values.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attachment {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) details: Option<Vec<Detail>>,
}

/// One of its names and values.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Detail {
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
}

/// The answer of `DescribeContainerInstances`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hosts {
    pub(super) container_instances: Vec<Host>,
}

/// A host of containers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Host {
    pub(super) container_instance_arn: String,
    pub(super) ec2_instance_id: Option<String>,
}

/// The answer of `DescribeServices`.
#[derive(Debug, Deserialize)]
pub(super) struct Services {
    pub(super) services: Vec<Service>,
}

/// A service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) deployments: Option<Vec<Rollout>>,
    pub(super) task_sets: Option<Vec<Rollout>>,
}

/// A deployment, or a task set.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rollout {
    pub(super) id: String,
    pub(super) status: Option<String>,
    #[serde(rename = "failedTasks")]
    pub(super) failed: Option<u32>,
}
