"""The text service: `python -m services.text --help`."""

import os
import sys

from argosy.v1 import text_pb2
from argosy.v1.manifest_pb2 import Task
from services.runtime.service import ServiceKind, main
from services.runtime.typed_method import erased
from services.text.methods import typed_methods

TEXT = ServiceKind(
    name="text",
    descriptor=text_pb2.DESCRIPTOR.services_by_name["TextService"],
    tasks=(Task.TASK_TEXT_CLASSIFICATION, Task.TASK_TEXT_EMBEDDING, Task.TASK_TOKEN_CLASSIFICATION),
    typed_methods=erased(typed_methods),
    port=8520,
    metrics_port=8521,
)

if __name__ == "__main__":
    sys.exit(main(TEXT, sys.argv[1:], os.environ))
