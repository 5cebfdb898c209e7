variable "kind" {
  description = "`sidecar` in front of the app, `egress` behind it, `edge` alone."
  type        = string
  default     = "sidecar"
}

variable "name" {
  description = "The service, its family of task definitions, and its logs."
  type        = string
}

variable "cluster" {
  description = "The cluster, by name or ARN."
  type        = string
}

variable "image" {
  description = "Serin's image."
  type        = string
}

variable "app" {
  description = "The other container; see ../render."
  type = object({
    image        = string
    health_check = list(string)
    environment  = optional(map(string), {})
    stop_timeout = optional(number, 60)
  })
  default = null
}

variable "config" {
  description = "Serin's file as an object; see ../render."
  type        = any
}

variable "weights" {
  description = "The canary's share by split."
  type        = map(string)
  default     = {}
}

variable "files" {
  description = "Files beside the file: ARNs of parameters or secrets by name."
  type        = map(string)
  default     = {}
}

variable "execution_role_arn" {
  description = "The role that pulls images, reads the parameters and writes logs."
  type        = string
}

variable "task_role_arn" {
  description = "The role of the task; docs/discovery.md has the policy that Serin needs."
  type        = string
  default     = null
}

variable "subnets" {
  description = "Where tasks run."
  type        = list(string)
}

variable "security_groups" {
  description = "What tasks may be reached from."
  type        = list(string)
}

variable "target_group_arn" {
  description = "A load balancer's target group (type ip) for port 8080."
  type        = string
  default     = null
}

variable "tasks" {
  description = "How many tasks."
  type        = number
  default     = 2
}

variable "cpu" {
  description = "Units of CPU of a task."
  type        = number
  default     = 512
}

variable "memory" {
  description = "MiB of a task."
  type        = number
  default     = 1024
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}
