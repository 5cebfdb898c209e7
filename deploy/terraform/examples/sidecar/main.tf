# A service whose tasks have Serin in front of their app. The steps are in the file: Serin takes them
# by itself, and back, so nothing has to be applied while it does.

variable "network" {
  description = "Where tasks run, and what may reach them."
  type        = object({ subnets = list(string), security_groups = list(string) })
}

variable "roles" {
  description = "ARNs of the execution role and of the task's role."
  type        = object({ execution = string, task = string })
}

variable "override_key_arn" {
  description = "The secret that signs overrides."
  type        = string
}

module "web" {
  source             = "../../modules/ecs-sidecar"
  name               = "shop-web"
  cluster            = "prod"
  image              = "registry.example/serin:0.1.0"
  app                = { image = "registry.example/shop:42", health_check = ["CMD", "/app/healthy"] }
  subnets            = var.network.subnets
  security_groups    = var.network.security_groups
  execution_role_arn = var.roles.execution
  task_role_arn      = var.roles.task
  files              = { "override.key" = var.override_key_arn }
  config             = yamldecode(file("${path.module}/../render/sidecar.yaml"))
}

output "service" {
  value = module.web.service
}
