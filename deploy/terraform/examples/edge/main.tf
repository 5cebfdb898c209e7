# Serin at the edge, from Mesos to ECS: `terraform apply -var weight=5%`.

variable "weight" {
  description = "The share of ECS. Another one is another revision; ECS rolls the tasks of Serin."
  type        = string
  default     = "0%"
}

variable "network" {
  description = "Where all of it stands."
  type = object({
    vpc_id           = string
    balancer_subnets = list(string)
    task_subnets     = list(string)
    task_cidrs       = list(string)
  })
}

variable "roles" {
  description = "ARNs of the execution role and of the task's role."
  type        = object({ execution = string, task = string })
}

module "edge" {
  source             = "../../modules/edge-nlb"
  name               = "shop-edge"
  cluster            = "prod"
  image              = "registry.example/serin:0.1.0"
  vpc_id             = var.network.vpc_id
  balancer_subnets   = var.network.balancer_subnets
  task_subnets       = var.network.task_subnets
  task_cidrs         = var.network.task_cidrs
  execution_role_arn = var.roles.execution
  task_role_arn      = var.roles.task
  config             = yamldecode(file("${path.module}/../render/edge.yaml"))
  weights            = { shop = var.weight }
}

output "address" {
  value = module.edge.address
}
