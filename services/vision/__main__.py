"""The vision service: `python -m services.vision --help`."""

import os
import sys

from argosy.v1 import vision_pb2
from argosy.v1.manifest_pb2 import Task
from services.runtime.ending import end_process
from services.runtime.service import ServiceKind, main
from services.runtime.typed_method import TaskCode, erased
from services.vision.methods import typed_methods

VISION = ServiceKind(
    name="vision",
    descriptor=vision_pb2.DESCRIPTOR.services_by_name["VisionService"],
    tasks=(Task.TASK_IMAGE_CLASSIFICATION, Task.TASK_IMAGE_EMBEDDING, Task.TASK_OBJECT_DETECTION),
    task_code=TaskCode(erased(typed_methods)),
    port=8510,
    metrics_port=8511,
)

if __name__ == "__main__":
    end_process(main(VISION, sys.argv[1:], os.environ))
