# A service of ECS whose tasks have Serin beside their app: in front of it (`sidecar`) or behind it
# (`egress`). All that can be got wrong is rendered by ../render, which is tested.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

module "render" {
  source             = "../render"
  kind               = var.kind
  name               = var.name
  image              = var.image
  config             = var.config
  weights            = var.weights
  files              = var.files
  config_arn         = local.config_arn
  app                = var.app
  region             = data.aws_region.here.name
  log_group          = aws_cloudwatch_log_group.this.name
  execution_role_arn = var.execution_role_arn
  task_role_arn      = var.task_role_arn
  cpu                = var.cpu
  memory             = var.memory
}

data "aws_region" "here" {}

data "aws_caller_identity" "here" {}

data "aws_partition" "here" {}

locals {
  # Put together, not taken from the parameter: that has the file in it, which is rendered with this.
  config_name = "/${var.name}/serin.yaml"
  config_arn = join(":", [
    "arn", data.aws_partition.here.partition, "ssm", data.aws_region.here.name,
    data.aws_caller_identity.here.account_id, "parameter${local.config_name}",
  ])
}

resource "aws_ssm_parameter" "config" {
  name  = local.config_name
  type  = "String"
  tier  = "Intelligent-Tiering"
  value = module.render.config
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_days
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn
  container_definitions    = module.render.container_definitions

  dynamic "volume" {
    for_each = module.render.volumes
    content {
      name = volume.value
    }
  }

  depends_on = [aws_ssm_parameter.config]
}

resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = var.cluster
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.tasks
  launch_type                        = "FARGATE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  network_configuration {
    subnets         = var.subnets
    security_groups = var.security_groups
  }

  dynamic "load_balancer" {
    for_each = var.target_group_arn == null ? [] : [var.target_group_arn]
    content {
      target_group_arn = load_balancer.value
      container_name   = "serin"
      container_port   = 8080
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}
