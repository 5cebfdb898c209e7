# Serin alone in its tasks behind a Network Load Balancer, which passes TCP on and says by the PROXY
# protocol where a client comes from. The file wants `proxy_protocol: require` and the subnets of the
# balancer as `trusted_proxies`.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

resource "aws_lb" "this" {
  name                             = var.name
  load_balancer_type               = "network"
  internal                         = var.internal
  subnets                          = var.balancer_subnets
  security_groups                  = [aws_security_group.balancer.id]
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "this" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "TCP"
  port        = 8080

  # The PROXY protocol tells the client; with its address kept as well, a client inside the subnets
  # could not reach itself through the balancer.
  proxy_protocol_v2  = true
  preserve_client_ip = false

  # As long as Serin takes connections and ends requests after SIGTERM (drain.lag, drain.timeout).
  deregistration_delay = var.drain_seconds

  health_check {
    protocol            = "TCP"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "TCP"
  port              = var.port

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  vpc_id      = var.vpc_id

  ingress {
    protocol    = "tcp"
    from_port   = var.port
    to_port     = var.port
    cidr_blocks = var.clients
  }

  egress {
    protocol    = "tcp"
    from_port   = 8080
    to_port     = 8080
    cidr_blocks = var.task_cidrs
  }
}

resource "aws_security_group" "tasks" {
  name_prefix = "${var.name}-tasks-"
  vpc_id      = var.vpc_id

  # Nobody but the balancer: who could speak PROXY here would be believed.
  ingress {
    protocol        = "tcp"
    from_port       = 8080
    to_port         = 8080
    security_groups = [aws_security_group.balancer.id]
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

module "service" {
  source             = "../ecs-sidecar"
  kind               = "edge"
  name               = var.name
  cluster            = var.cluster
  image              = var.image
  config             = var.config
  weights            = var.weights
  files              = var.files
  execution_role_arn = var.execution_role_arn
  task_role_arn      = var.task_role_arn
  subnets            = var.task_subnets
  security_groups    = [aws_security_group.tasks.id]
  target_group_arn   = aws_lb_target_group.this.arn
  tasks              = var.tasks
  cpu                = var.cpu
  memory             = var.memory
}
