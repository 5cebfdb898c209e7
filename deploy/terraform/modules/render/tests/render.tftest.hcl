# `terraform test` in modules/render: no provider, no network.

variables {
  kind               = "edge"
  name               = "shop"
  image              = "serin:test"
  region             = "eu-west-1"
  log_group          = "/ecs/shop"
  execution_role_arn = "arn:aws:iam::111122223333:role/execution"
  config_arn         = "arn:aws:ssm:eu-west-1:111122223333:parameter/serin.yaml"
  config = {
    upstreams = { blue = { static = ["10.0.0.1:80"] }, green = { static = ["10.0.0.2:80"] } }
    splits    = { shop = { stable = "blue", canary = "green", weight = "1%" } }
  }
}

run "an_edge_is_alone_and_open_to_its_clients" {
  command = plan
  assert {
    condition     = [for it in jsondecode(output.container_definitions) : it.name] == ["serin-files", "serin"]
    error_message = "an edge has other containers"
  }
  assert {
    condition     = yamldecode(output.config).listen == "0.0.0.0:8080" && yamldecode(output.config).preset == "edge"
    error_message = "an edge listens elsewhere"
  }
  assert {
    condition     = yamldecode(output.config).splits.shop.weight == "1%"
    error_message = "the file's weight is gone"
  }
}

run "weights_win_over_the_file_and_touch_nothing_else" {
  command = plan
  variables {
    weights = { shop = "100%" }
  }
  assert {
    condition     = yamldecode(output.config).splits.shop == { stable = "blue", canary = "green", weight = "100%" }
    error_message = "the weight is not in the split"
  }
}

run "what_the_file_says_wins_over_the_kind" {
  command = plan
  variables {
    config = {
      listen    = "0.0.0.0:80"
      drain     = { timeout = "60s" }
      upstreams = { blue = { static = ["10.0.0.1:80"] } }
      splits    = { shop = { stable = "blue" } }
    }
  }
  assert {
    condition     = yamldecode(output.config).listen == "0.0.0.0:80" && yamldecode(output.config).drain.timeout == "60s"
    error_message = "a default has won over the file"
  }
}

run "listeners_take_the_place_of_the_one_that_is_given" {
  command = plan
  variables {
    config = {
      listeners = [{ name = "web", address = "0.0.0.0:8080", proxy_protocol = "require" }]
      upstreams = { blue = { static = ["10.0.0.1:80"] } }
      splits    = { shop = { stable = "blue" } }
    }
  }
  assert {
    condition     = !contains(keys(yamldecode(output.config)), "listen")
    error_message = "the file has both listen and listeners"
  }
}

run "another_file_is_another_revision" {
  command = plan
  assert {
    condition     = jsondecode(output.container_definitions)[0].environment == [{ name = "CONFIG_SHA256", value = sha256(output.config) }]
    error_message = "the task does not say which file it has"
  }
}

run "a_sidecar_waits_for_its_app_and_owns_the_port" {
  command = plan
  variables {
    kind = "sidecar"
    app  = { image = "shop:1", health_check = ["CMD", "/app/healthy"] }
  }
  assert {
    condition = jsondecode(output.container_definitions)[1].dependsOn == [
      { containerName = "serin-files", condition = "SUCCESS" },
      { containerName = "app", condition = "HEALTHY" },
    ]
    error_message = "Serin does not wait for its app"
  }
  assert {
    condition     = try(jsondecode(output.container_definitions)[2].portMappings, null) == null
    error_message = "the app has a port of its own"
  }
}

run "behind_its_app_serin_comes_first_and_is_open_to_nobody_else" {
  command = plan
  variables {
    kind = "egress"
    app  = { image = "shop:1", health_check = ["CMD", "/app/healthy"] }
  }
  assert {
    condition     = jsondecode(output.container_definitions)[2].dependsOn == [{ containerName = "serin", condition = "HEALTHY" }]
    error_message = "the app does not wait for Serin"
  }
  assert {
    condition     = startswith(yamldecode(output.config).listen, "127.") && length(jsondecode(output.container_definitions)[1].portMappings) == 0
    error_message = "others can reach Serin"
  }
}

run "secrets_come_by_name_and_never_as_text" {
  command = plan
  variables {
    files = { tokens = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tokens" }
  }
  assert {
    condition = jsondecode(output.container_definitions)[0].secrets == [
      { name = "FILE_0", valueFrom = "arn:aws:ssm:eu-west-1:111122223333:parameter/serin.yaml" },
      { name = "FILE_1", valueFrom = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tokens" },
    ]
    error_message = "the files are not those of the parameters"
  }
  assert {
    condition     = strcontains(jsondecode(output.container_definitions)[0].command[0], "printf '%s\\n' \"$FILE_1\" > tokens")
    error_message = "a file is not written"
  }
}

run "a_share_without_its_unit_is_refused" {
  command = plan
  variables {
    weights = { shop = "5" }
  }
  expect_failures = [var.weights]
}

run "a_share_over_the_whole_is_refused" {
  command = plan
  variables {
    weights = { shop = "101%" }
  }
  expect_failures = [var.weights]
}

run "a_split_that_is_not_there_is_refused" {
  command = plan
  variables {
    weights = { shpo = "5%" }
  }
  expect_failures = [output.config]
}

run "a_share_beside_steps_is_refused" {
  command = plan
  variables {
    weights = { shop = "5%" }
    config = {
      upstreams = { blue = { static = ["10.0.0.1:80"] }, green = { static = ["10.0.0.2:80"] } }
      splits = { shop = {
        stable = "blue", canary = "green", rollout = { steps = [{ set_weight = "5%" }] }
      } }
    }
  }
  expect_failures = [output.config]
}

run "a_sidecar_without_an_app_is_refused" {
  command = plan
  variables {
    kind = "sidecar"
  }
  expect_failures = [output.task_definition]
}

run "a_file_outside_the_folder_is_refused" {
  command = plan
  variables {
    files = { "../tokens" = "arn:aws:ssm:eu-west-1:111122223333:parameter/tokens" }
  }
  expect_failures = [var.files]
}
