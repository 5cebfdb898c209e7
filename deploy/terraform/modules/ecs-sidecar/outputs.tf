output "service" {
  description = "The name of the service."
  value       = aws_ecs_service.this.name
}

output "task_definition_arn" {
  description = "The revision that is in force."
  value       = aws_ecs_task_definition.this.arn
}

output "config" {
  description = "Serin's file, as it was rendered."
  value       = module.render.config
}

output "stop_timeout" {
  description = "How long a task may take to end, in seconds."
  value       = module.render.stop_timeout
}
