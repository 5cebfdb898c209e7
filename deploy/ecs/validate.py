"""Task definitions held to ECS's own model, without a network: botocore's parameter validator.

`validate.py FILE...` ends with 1 if ECS would refuse a file, or if one of the mistakes that are made
in it on purpose is not found.
"""

import copy
import json
import sys

import botocore.session
from botocore.validate import ParamValidator


def mistakes(task):
    """Copies of a task definition with one mistake each, and what must be named."""

    def with_mistake(change):
        wrong = copy.deepcopy(task)
        serin = next(it for it in wrong["containerDefinitions"] if it["name"] == "serin")
        change(wrong, serin)
        return wrong

    def renamed(_, serin):
        serin["stopTimeuot"] = serin.pop("stopTimeout")

    def text_for_number(_, serin):
        serin["stopTimeout"] = "120"

    def text_for_list(_, serin):
        serin["healthCheck"]["command"] = "/serin health --ready"

    def without_family(wrong, _):
        del wrong["family"]

    yield "stopTimeuot", with_mistake(renamed)
    yield "stopTimeout", with_mistake(text_for_number)
    yield "healthCheck.command", with_mistake(text_for_list)
    yield "family", with_mistake(without_family)


def main(paths):
    service = botocore.session.Session().get_service_model("ecs")
    shape = service.operation_model("RegisterTaskDefinition").input_shape
    status = 0

    def report(task):
        return ParamValidator().validate(task, shape).generate_report()

    for path in paths:
        with open(path, encoding="utf-8") as file:
            task = json.load(file)
        if problems := report(task):
            print(f"{path}:\n{problems}")
            status = 1
        for name, wrong in mistakes(task):
            if name not in report(wrong):
                print(f"{path}: a mistake in `{name}` is not found")
                status = 1
    if not status:
        print(f"botocore {botocore.__version__}: {len(paths)} task definitions are as ECS wants them")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
