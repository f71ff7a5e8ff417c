"""The text service: `python -m services.text --help`."""

import os
import sys

from argosy.v1 import text_pb2
from argosy.v1.manifest_pb2 import Task
from services.runtime.ending import end_process
from services.runtime.service import ServiceKind, main
from services.runtime.typed_method import TaskCode, erased
from services.text.methods import typed_methods
from services.text.reading import padding_limit
from services.text.tensor_check import tensor_check

TEXT = ServiceKind(
    name="text",
    descriptor=text_pb2.DESCRIPTOR.services_by_name["TextService"],
    tasks=(Task.TASK_TEXT_CLASSIFICATION, Task.TASK_TEXT_EMBEDDING, Task.TASK_TOKEN_CLASSIFICATION),
    task_code=TaskCode(erased(typed_methods), tensor_check, padding_limit),
    port=8520,
    metrics_port=8521,
)

if __name__ == "__main__":
    end_process(main(TEXT, sys.argv[1:], os.environ))
