# The three task definitions of deploy/ecs, rendered: `terraform output -raw sidecar` and so on.
# deploy/terraform/check renders them anew and compares.

locals {
  account = "arn:aws:ssm:eu-west-1:111122223333:parameter/shop"
  common = {
    image              = "registry.example/serin:0.1.0"
    region             = "eu-west-1"
    log_group          = "/ecs/shop"
    execution_role_arn = "arn:aws:iam::111122223333:role/shop-execution"
  }
}

module "sidecar" {
  source             = "../../modules/render"
  kind               = "sidecar"
  name               = "shop-web"
  image              = local.common.image
  region             = local.common.region
  log_group          = local.common.log_group
  execution_role_arn = local.common.execution_role_arn
  task_role_arn      = "arn:aws:iam::111122223333:role/shop-web"
  config_arn         = "${local.account}/web/serin.yaml"
  files              = { "override.key" = "${local.account}/web/override.key" }
  app                = { image = "registry.example/shop:42", health_check = ["CMD", "/app/healthy"] }
  config             = yamldecode(file("${path.module}/sidecar.yaml"))
}

module "egress" {
  source             = "../../modules/render"
  kind               = "egress"
  name               = "shop-worker"
  image              = local.common.image
  region             = local.common.region
  log_group          = local.common.log_group
  execution_role_arn = local.common.execution_role_arn
  task_role_arn      = "arn:aws:iam::111122223333:role/shop-worker"
  config_arn         = "${local.account}/worker/serin.yaml"
  app = {
    image        = "registry.example/shop-worker:42"
    health_check = ["CMD", "/app/healthy"]
    environment  = { SEARCH_URL = "http://127.0.0.1:8080" }
  }
  config  = yamldecode(file("${path.module}/egress.yaml"))
  weights = { search = "5%" }
}

module "edge" {
  source             = "../../modules/render"
  kind               = "edge"
  name               = "shop-edge"
  image              = local.common.image
  region             = local.common.region
  log_group          = local.common.log_group
  execution_role_arn = local.common.execution_role_arn
  task_role_arn      = "arn:aws:iam::111122223333:role/shop-edge"
  config_arn         = "${local.account}/edge/serin.yaml"
  cpu                = 2048
  memory             = 4096
  config             = yamldecode(file("${path.module}/edge.yaml"))
}

output "sidecar" {
  value = module.sidecar.task_definition
}

output "sidecar_config" {
  value = module.sidecar.config
}

output "egress" {
  value = module.egress.task_definition
}

output "egress_config" {
  value = module.egress.config
}

output "edge" {
  value = module.edge.task_definition
}

output "edge_config" {
  value = module.edge.config
}
