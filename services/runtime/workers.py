"""The workers of a model-version, a thread each: take a batch, have it answered, take the next.

Whatever comes of a batch, each of its requests is answered and the worker goes on. What can be is answered in place,
while the worker takes (`in_place.py`). Between batches a worker holds no version: one that has left memory is brought
back for the batch that needs it.
"""

import threading
from collections.abc import Callable
from typing import TypeAlias

import structlog

from services.runtime.errors import DeviceFaultError, ServingError, device_lost
from services.runtime.faults import ENDINGS, unforeseen
from services.runtime.front import Batch, Queue
from services.runtime.in_place import InPlace
from services.runtime.instance import answer
from services.runtime.places import in_request
from services.runtime.stages import StageClock
from services.runtime.version import Acquire

_log = structlog.get_logger()

# Told of a device that is lost, by a worker that met it.
OnFault: TypeAlias = Callable[[str], None]


def start_instances(
    queue: Queue,
    name: str,
    instances: int,
    acquire: Acquire,
    on_fault: OnFault,
    *,
    warm: bool = False,
    in_place: bool = False,
) -> list[threading.Thread]:
    """So many workers; each ends once the queue is closed and empty. Between batches none holds a version. With `warm`
    each does what a thread has to do before its first batch; with `in_place` batches may be answered in place.
    """
    ways = {"warm": warm, "in_place": in_place}
    threads = [
        threading.Thread(
            target=_work, args=(queue, index, acquire, on_fault), kwargs=ways, name=f"{name}#{index}", daemon=True
        )
        for index in range(instances)
    ]
    for thread in threads:
        thread.start()
    return threads


def _work(queue: Queue, index: int, acquire: Acquire, on_fault: OnFault, *, warm: bool, in_place: bool) -> None:
    if warm:
        _warm(acquire, index, on_fault)
    own = InPlace(acquire)
    queue = queue.for_worker(own if in_place else None)
    while (batch := queue.take()) is not None:
        batch_wait_ns = own.waited_ns(batch.longest_wait_us)
        try:
            answer(batch, acquire().of_instance(index), StageClock(batch_wait_ns))
        except ServingError as error:
            _refuse_all(batch, error)
        except DeviceFaultError as error:
            _refuse_all(batch, device_lost())
            on_fault(str(error))
        except ENDINGS:
            raise
        except BaseException as error:  # noqa: BLE001 - the one place where what nobody foresaw ends
            _refuse_all(batch, unforeseen(f"{batch.method} failed", error))
        batch.close()
        del batch  # it must not outlive its answers while this worker waits for the next
        own.batch_ended()


def _warm(acquire: Acquire, index: int, on_fault: OnFault) -> None:
    try:
        acquire().of_instance(index).warm_worker()
    except ServingError as error:  # the loader's warm-up went well, and batches run all the same
        _log.warning("worker not warmed", detail=error.message)
    except DeviceFaultError as error:
        on_fault(str(error))


def _refuse_all(batch: Batch, error: ServingError) -> None:
    for index, first_row in enumerate(batch.first_rows):
        batch.fail(index, in_request(error, first_row))
