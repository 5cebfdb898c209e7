variable "kind" {
  description = "Where Serin stands: `sidecar` in front of the app of its task, `egress` behind it on the way to other services, `edge` alone in its task."
  type        = string
  validation {
    condition     = contains(["sidecar", "egress", "edge"], var.kind)
    error_message = "kind is sidecar, egress or edge."
  }
}

variable "name" {
  description = "The family of the task definition."
  type        = string
}

variable "image" {
  description = "Serin's image (deploy/docker), best by digest."
  type        = string
}

variable "config" {
  description = "Serin's file as an object: upstreams, splits and all that docs/config.md has. Defaults of the kind (preset, listen, admin, state_dir, drain) are put in where it says nothing."
  type        = any
}

variable "weights" {
  description = "The canary's share by split, such as { shop = \"5%\" }; wins over the file's. Blue/green is \"0%\" and \"100%\"."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for share in values(var.weights) : can(regex("^(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)%$", share))])
    error_message = "A share is 0% to 100% in steps of 0.01%, with its %."
  }
}

variable "files" {
  description = "Files beside the file, by name in /etc/serin: ARNs of parameters or secrets (keys, tokens)."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.files) : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", name)) && name != "serin.yaml"])
    error_message = "A name has letters, digits, dots, dashes and underscores only, and is not serin.yaml."
  }
}

variable "config_arn" {
  description = "The ARN of the parameter (SSM) or secret that holds the output `config`."
  type        = string
}

variable "writer_image" {
  description = "An image with a shell; it writes the files before Serin starts, and ends."
  type        = string
  default     = "busybox:1.37"
}

variable "app" {
  description = "The other container of the task (not for `edge`). The health check is ECS's, such as [\"CMD\", \"/app/healthy\"]."
  type = object({
    image        = string
    health_check = list(string)
    environment  = optional(map(string), {})
    stop_timeout = optional(number, 60)
  })
  default = null
}

variable "region" {
  description = "Where the logs go."
  type        = string
}

variable "log_group" {
  description = "The group of CloudWatch Logs."
  type        = string
}

variable "execution_role_arn" {
  description = "The role that pulls images, reads parameters and writes logs."
  type        = string
}

variable "task_role_arn" {
  description = "The role of the task: what docs/discovery.md lists, if an upstream is `ecs` or `cloud_map`."
  type        = string
  default     = null
}

variable "cpu" {
  description = "Units of CPU of the task."
  type        = number
  default     = 512
}

variable "memory" {
  description = "MiB of the task."
  type        = number
  default     = 1024
}

variable "architecture" {
  description = "X86_64 or ARM64."
  type        = string
  default     = "X86_64"
}
