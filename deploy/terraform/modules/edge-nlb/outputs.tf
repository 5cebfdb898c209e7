output "address" {
  description = "The name of the balancer, for DNS."
  value       = aws_lb.this.dns_name
}

output "service" {
  description = "The name of the service."
  value       = module.service.service
}

output "config" {
  description = "Serin's file, as it was rendered."
  value       = module.service.config
}

output "task_security_group" {
  description = "What the upstreams must let in."
  value       = aws_security_group.tasks.id
}
