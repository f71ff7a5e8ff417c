"""The tabular service: `python -m services.tabular --help`."""

import os
import sys

from argosy.v1 import tabular_pb2
from argosy.v1.manifest_pb2 import Task
from services.runtime.ending import end_process
from services.runtime.service import ServiceKind, main
from services.runtime.typed_method import TaskCode, erased
from services.tabular.methods import typed_methods
from services.tabular.tensor_check import tensor_check

TABULAR = ServiceKind(
    name="tabular",
    descriptor=tabular_pb2.DESCRIPTOR.services_by_name["TabularService"],
    tasks=(Task.TASK_TABULAR_CLASSIFICATION, Task.TASK_TABULAR_REGRESSION),
    task_code=TaskCode(erased(typed_methods), tensor_check),
    port=8530,
    metrics_port=8531,
)

if __name__ == "__main__":
    end_process(main(TABULAR, sys.argv[1:], os.environ))
