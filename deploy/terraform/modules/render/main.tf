# What Serin reads and what ECS is told, from a few variables. No provider: it renders, and creates
# nothing, so `terraform test` needs no network and no account.

terraform {
  required_version = ">= 1.6"
}

locals {
  # Serin alone gets the whole stop time of a task; beside an app the preset's 25 s are enough.
  stop_timeout = 120
  user         = "65532:65532"
  state        = "/var/lib/serin"
  run          = "/run/serin"
  etc          = "/etc/serin"
  admin        = "${local.run}/admin.sock"

  listen = var.kind == "egress" ? "127.0.0.1:8080" : "0.0.0.0:8080"
  defaults = merge({
    version   = 1
    preset    = var.kind == "edge" ? "edge" : "sidecar"
    admin     = { unix = local.admin }
    state_dir = local.state
  }, contains(keys(var.config), "listeners") ? {} : { listen = local.listen })
  # Shares are merged by hand: a split that weights name and the file does not have is an error below.
  splits = { for name, split in var.config.splits : name => merge(
    split, contains(keys(var.weights), name) ? { weight = var.weights[name] } : {}
  ) }
  config = yamlencode(merge(local.defaults, var.config, { splits = local.splits }))

  is_mounted = [
    { sourceVolume = "serin-config", containerPath = local.etc, readOnly = true },
    { sourceVolume = "serin-state", containerPath = local.state, readOnly = false },
    { sourceVolume = "serin-run", containerPath = local.run, readOnly = false },
  ]
  logs = { for container in ["serin", "serin-files", "app"] : container => {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = var.log_group
      "awslogs-region"        = var.region
      "awslogs-stream-prefix" = container
      # A slow CloudWatch costs lines of the log, never requests.
      "mode"            = "non-blocking"
      "max-buffer-size" = "4m"
    }
  } }

  # Name in /etc/serin, name of the variable that brings it, where it is kept.
  files = concat(
    [{ name = "serin.yaml", variable = "FILE_0", arn = var.config_arn }],
    [for place, name in sort(keys(var.files)) : {
      name = name, variable = "FILE_${place + 1}", arn = var.files[name]
    }],
  )
  write = join(" && ", concat(
    ["umask 077", "cd ${local.etc}"],
    [for file in local.files : format("printf '%%s\\n' \"$%s\" > %s", file.variable, file.name)],
    ["chown -R ${local.user} ${local.etc} ${local.state} ${local.run}"],
  ))

  writer = {
    name                   = "serin-files"
    image                  = var.writer_image
    essential              = false
    readonlyRootFilesystem = true
    user                   = "0:0"
    entryPoint             = ["sh", "-c"]
    command                = [local.write]
    # Another file makes another revision of the task, which ECS then rolls out.
    environment = [{ name = "CONFIG_SHA256", value = sha256(local.config) }]
    secrets     = [for file in local.files : { name = file.variable, valueFrom = file.arn }]
    mountPoints = [for mount in local.is_mounted : merge(mount, { readOnly = false })]
    # What gives the files to Serin's user stays: CHOWN, DAC_OVERRIDE, FOWNER, FSETID.
    linuxParameters = { capabilities = { drop = [
      "AUDIT_WRITE", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
      "SETUID", "SYS_CHROOT",
    ] } }
    logConfiguration = local.logs["serin-files"]
  }

  # ECS turns the arrows round when a task stops. In front of an app: Serin ends first, and the app
  # when nobody asks it any more. Behind it: the app ends first, while Serin still carries its calls.
  waits_for_app = var.kind == "sidecar" ? [{ containerName = "app", condition = "HEALTHY" }] : []
  serin = {
    name                   = "serin"
    image                  = var.image
    essential              = true
    command                = ["run", "--config", "${local.etc}/serin.yaml"]
    readonlyRootFilesystem = true
    user                   = local.user
    stopTimeout            = local.stop_timeout
    environment            = [{ name = "SERIN_ADMIN", value = "unix:${local.admin}" }]
    portMappings = var.kind == "egress" ? [] : [
      { name = "http", containerPort = 8080, protocol = "tcp" },
    ]
    dependsOn = concat([{ containerName = "serin-files", condition = "SUCCESS" }], local.waits_for_app)
    healthCheck = {
      command = ["CMD", "/serin", "health", "--ready"], interval = 5, timeout = 3, retries = 3, startPeriod = 60,
    }
    linuxParameters  = { capabilities = { drop = ["ALL"] } }
    ulimits          = [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
    mountPoints      = local.is_mounted
    logConfiguration = local.logs["serin"]
  }

  app = var.app == null ? [] : [merge({
    name             = "app"
    image            = var.app.image
    essential        = true
    stopTimeout      = var.app.stop_timeout
    environment      = [for name in sort(keys(var.app.environment)) : { name = name, value = var.app.environment[name] }]
    healthCheck      = { command = var.app.health_check, interval = 5, timeout = 3, retries = 3, startPeriod = 60 }
    logConfiguration = local.logs["app"]
    }, var.kind == "egress" ? {
    dependsOn = [{ containerName = "serin", condition = "HEALTHY" }]
  } : {})]

  containers = concat([local.writer, local.serin], local.app)
  task = merge({
    family                  = var.name
    networkMode             = "awsvpc"
    requiresCompatibilities = ["FARGATE"]
    cpu                     = tostring(var.cpu)
    memory                  = tostring(var.memory)
    runtimePlatform         = { cpuArchitecture = var.architecture, operatingSystemFamily = "LINUX" }
    executionRoleArn        = var.execution_role_arn
    volumes                 = [for mount in local.is_mounted : { name = mount.sourceVolume }]
    containerDefinitions    = local.containers
  }, var.task_role_arn == null ? {} : { taskRoleArn = var.task_role_arn })
}
