variable "name" {
  description = "The balancer, the service and its logs; at most 32 characters."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "balancer_subnets" {
  description = "Where the balancer has its addresses."
  type        = list(string)
}

variable "task_subnets" {
  description = "Where tasks run."
  type        = list(string)
}

variable "task_cidrs" {
  description = "The networks of the tasks' subnets."
  type        = list(string)
}

variable "clients" {
  description = "Networks that may connect."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "internal" {
  description = "Whether the balancer has private addresses only."
  type        = bool
  default     = false
}

variable "port" {
  description = "The port of the balancer."
  type        = number
  default     = 80
}

variable "drain_seconds" {
  description = "drain.lag and drain.timeout of the file together; 45 s with the preset `edge`."
  type        = number
  default     = 45
}

variable "cluster" {
  description = "The cluster, by name or ARN."
  type        = string
}

variable "image" {
  description = "Serin's image."
  type        = string
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

variable "tasks" {
  description = "How many tasks."
  type        = number
  default     = 2
}

variable "cpu" {
  description = "Units of CPU of a task."
  type        = number
  default     = 2048
}

variable "memory" {
  description = "MiB of a task."
  type        = number
  default     = 4096
}
