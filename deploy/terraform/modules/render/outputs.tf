output "config" {
  description = "Serin's file. `serin validate -` reads it."
  value       = local.config

  precondition {
    condition     = alltrue([for split in keys(var.weights) : contains(keys(var.config.splits), split)])
    error_message = "weights name a split that the config does not have."
  }
  precondition {
    condition     = alltrue([for split in keys(var.weights) : try(var.config.splits[split].rollout, null) == null])
    error_message = "A split with a rollout has its shares from the steps; leave it out of weights."
  }
}

output "task_definition" {
  description = "The whole task definition, for `aws ecs register-task-definition --cli-input-json`."
  value       = jsonencode(local.task)

  precondition {
    condition     = (var.kind == "edge") == (var.app == null)
    error_message = "A sidecar has an app beside it; an edge has none."
  }
}

output "container_definitions" {
  description = "The containers alone, for aws_ecs_task_definition."
  value       = jsonencode(local.containers)
}

output "volumes" {
  description = "The names of the task's volumes."
  value       = [for volume in local.task.volumes : volume.name]
}

output "stop_timeout" {
  description = "How long ECS waits for Serin to end, in seconds."
  value       = local.stop_timeout
}
