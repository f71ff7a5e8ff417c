"""One worker of a model: it takes a batch, runs it, and answers every request of it.

A request that is wrong fails alone, before the batch runs. A batch that cannot run is run again request by request, so
that the one at fault fails alone too. What nobody foresaw becomes INTERNAL with an id, and the log has the rest.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import structlog

from services.runtime.errors import Cause, DeviceFaultError, ServingError, device_lost, unavailable, without_frames
from services.runtime.faults import unforeseen
from services.runtime.front import Array, Batch, Queue
from services.runtime.places import in_request
from services.runtime.sequence_steps import StepRunner
from services.runtime.session import Run
from services.runtime.shaping import RunOnce, run_by_length, run_padded
from services.runtime.stages import COMPUTE, POSTPROCESS, PREPROCESS, StageClock
from services.runtime.typed_method import TypedMethod
from services.runtime.version import LoadedVersion

# The version to run a batch with, brought back to memory where it has left. Raises ServingError where that fails.
Acquire: TypeAlias = Callable[[], LoadedVersion]

_log = structlog.get_logger()

_CALLER_GONE = "every caller of the batch has gone: the run was ended"


# Told of a device that is lost, by a worker that met it.
OnFault: TypeAlias = Callable[[str], None]


def start_instances(
    queue: Queue, name: str, instances: int, acquire: Acquire, on_fault: OnFault
) -> list[threading.Thread]:
    """So many workers; each ends once the queue is closed and empty. Between batches none holds a version."""
    threads = [
        threading.Thread(target=_work, args=(queue, index, acquire, on_fault), name=f"{name}#{index}", daemon=True)
        for index in range(instances)
    ]
    for thread in threads:
        thread.start()
    return threads


def _work(queue: Queue, index: int, acquire: Acquire, on_fault: OnFault) -> None:
    _prepare(acquire, index, on_fault)
    free_ns = time.perf_counter_ns()
    while (batch := queue.take()) is not None:
        batch_wait_ns = min(time.perf_counter_ns() - free_ns, batch.longest_wait_us * 1000)
        try:
            _answer(batch, _brought_back(acquire).of_instance(index), StageClock(batch_wait_ns))
        except ServingError as error:
            _refuse_all(batch, without_frames(error))
        except DeviceFaultError as error:
            _refuse_all(batch, device_lost())
            on_fault(str(error))
        except Exception as error:  # noqa: BLE001 - the one place where what nobody foresaw ends
            _refuse_all(batch, _unforeseen(batch, error))
        batch.close()
        del batch  # it must not outlive its answers while this worker waits for the next
        free_ns = time.perf_counter_ns()


def _prepare(acquire: Acquire, index: int, on_fault: OnFault) -> None:
    try:
        acquire().of_instance(index).warm_worker()
    except ServingError as error:  # the loader's warm-up went well, and batches run all the same
        _log.warning("worker not warmed", detail=error.message)
    except DeviceFaultError as error:
        on_fault(str(error))


def _brought_back(acquire: Acquire) -> LoadedVersion:
    try:
        return acquire()
    except ServingError as error:
        raise unavailable("MODEL_NOT_IN_MEMORY", f"the model could not be loaded again: {error.message}") from None


def _answer(batch: Batch, version: LoadedVersion, clock: StageClock) -> None:
    run = version.session.start()
    batch.on_abandoned(run.terminate)
    method = next((method for method in version.methods if method.route.method == batch.method), None)
    try:
        if method is None:
            _answer_tensors(batch, version, run, clock)
        else:
            _answer_typed(batch, method, version, run, clock)
    except Exception:
        if not run.terminated:
            raise
        raise ServingError(Cause.DEADLINE, "CALLER_GONE", _CALLER_GONE) from None
    finally:
        version.stages.add(sum(batch.row_counts), len(batch.row_counts), clock)


# ---- typed methods


def _answer_typed(
    batch: Batch, method: TypedMethod[object], version: LoadedVersion, run: Run, clock: StageClock
) -> None:
    decoded: list[tuple[int, object]] = []
    for index, message in enumerate(batch.messages):
        try:
            decoded.append((index, method.decode(message)))
        except ServingError as error:
            batch.fail(index, in_request(error, batch.first_rows[index]))
        except Exception as error:  # noqa: BLE001 - a bug that one request meets must not reach its neighbours
            batch.fail(index, _unforeseen(batch, error))
    try:
        _run_together(batch, decoded, method, _shaped(run, version), clock)
    except DeviceFaultError:
        raise
    except Exception:
        clock.end(COMPUTE)
        if run.terminated or len(decoded) < 2:
            raise
        _run_alone(batch, decoded, method, version, clock)


def _run_together(
    batch: Batch,
    decoded: Sequence[tuple[int, object]],
    method: TypedMethod[object],
    run: RunOnce,
    clock: StageClock,
) -> None:
    if not decoded:
        return
    requests = [request for _, request in decoded]
    inputs, lengths = method.collate(requests), method.row_lengths(requests)
    clock.end(PREPROCESS)
    outputs = run_by_length(run, inputs, lengths)
    clock.end(COMPUTE)
    start = 0
    for index, request in decoded:
        rows = slice(start, start := start + batch.row_counts[index])
        batch.reply(index, method.encode(request, _rows(outputs, rows)))
    clock.end(POSTPROCESS)


def _run_alone(
    batch: Batch,
    decoded: Sequence[tuple[int, object]],
    method: TypedMethod[object],
    version: LoadedVersion,
    clock: StageClock,
) -> None:
    for index, request in decoded:
        try:
            _run_together(batch, [(index, request)], method, _shaped(version.session.start(), version), clock)
        except ServingError as error:
            batch.fail(index, in_request(error, batch.first_rows[index]))
        except DeviceFaultError:
            raise
        except Exception as error:  # noqa: BLE001 - this request's own failure
            batch.fail(index, _unforeseen(batch, error))


# ---- ModelInfer


def _answer_tensors(batch: Batch, version: LoadedVersion, run: Run, clock: StageClock) -> None:
    inputs = batch.tensors()
    left = _checked(batch, inputs, version)
    clock.end(PREPROCESS)
    if not left:
        return
    try:
        outputs = _outputs(batch, inputs, left, version, run)
    finally:
        clock.end(COMPUTE)
    if outputs:
        batch.reply_tensors(outputs)
    clock.end(POSTPROCESS)


def _outputs(
    batch: Batch, inputs: Mapping[str, Array], left: Mapping[int, slice], version: LoadedVersion, run: Run
) -> dict[str, Array]:
    """The outputs of the whole batch, blank for the requests that have failed; empty where all have."""
    if version.sequences is not None:
        runner = StepRunner(version.session, version.sequences, version.config.preferred_batch_rows)
        parts = runner.run(batch, {index: _rows(inputs, rows) for index, rows in left.items()}, run)
        return _assembled(parts, batch.row_counts) if parts else {}
    try:
        # With the rows of those that failed: what they are answered is settled, and no row looks at another.
        return _shaped(run, version)(inputs)
    except DeviceFaultError:
        raise
    except Exception:
        if run.terminated:
            raise
        return _run_each(batch, inputs, left, version)


def _checked(batch: Batch, inputs: Mapping[str, Array], version: LoadedVersion) -> dict[int, slice]:
    """The requests whose tensors the model takes, and where their rows are; the others have failed."""
    extents = dict(enumerate(_extents(batch.row_counts)))
    try:
        version.check(inputs)
    except ServingError:
        for index, rows in list(extents.items()):
            try:
                version.check(_rows(inputs, rows))
            except ServingError as error:
                batch.fail(index, in_request(error, batch.first_rows[index]))
                del extents[index]
    return extents


def _run_each(
    batch: Batch, inputs: Mapping[str, Array], left: Mapping[int, slice], version: LoadedVersion
) -> dict[str, Array]:
    """The outputs of those that run by themselves, blank for the others, which have failed; empty where all have."""
    parts: dict[int, dict[str, Array]] = {}
    for index, rows in left.items():
        try:
            parts[index] = _shaped(version.session.start(), version)(_rows(inputs, rows))
        except ServingError as error:
            batch.fail(index, in_request(error, batch.first_rows[index]))
        except DeviceFaultError:
            raise
        except Exception as error:  # noqa: BLE001 - this request's own failure
            batch.fail(index, _unforeseen(batch, error))
    return _assembled(parts, batch.row_counts) if parts else {}


def _assembled(parts: Mapping[int, Mapping[str, Array]], row_counts: Sequence[int]) -> dict[str, Array]:
    """The outputs of a whole batch, blank where a request has failed."""
    sample = next(iter(parts.values()))
    return {
        name: np.concatenate(
            [parts[index][name] if index in parts else _blank(array, rows) for index, rows in enumerate(row_counts)]
        )
        for name, array in sample.items()
    }


def _blank(like: Array, rows: int) -> Array:
    shape = (rows, *like.shape[1:])
    return np.full(shape, b"", np.object_) if like.dtype == np.object_ else np.zeros(shape, like.dtype)


def _extents(row_counts: Sequence[int]) -> Iterator[slice]:
    start = 0
    for count in row_counts:
        yield slice(start, start := start + count)


def _rows(tensors: Mapping[str, Array], rows: slice) -> dict[str, Array]:
    return {name: array[rows] for name, array in tensors.items()}


def _shaped(run: Run, version: LoadedVersion) -> RunOnce:
    return lambda inputs: run_padded(run.outputs, inputs, version.config.preferred_batch_rows)


# ---- failures


def _refuse_all(batch: Batch, error: ServingError) -> None:
    for index in range(len(batch.row_counts)):
        batch.fail(index, error)


def _unforeseen(batch: Batch, error: Exception) -> ServingError:
    return unforeseen(f"{batch.method} failed", error)
