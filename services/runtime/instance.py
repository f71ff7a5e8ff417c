"""One worker of a model: it takes a batch, runs it, and answers every request of it.

A request that is wrong fails alone, before the batch runs. A batch that cannot run is run again request by request, so
that the one at fault fails alone too. What nobody foresaw becomes INTERNAL with an id, and the log has the rest.
"""

import threading
import uuid
from collections.abc import Mapping, Sequence

import structlog

from services.runtime.errors import ServingError, internal
from services.runtime.front import Array, Batch, Queue
from services.runtime.session import Run
from services.runtime.typed_method import TypedMethod
from services.runtime.version import LoadedVersion

_log = structlog.get_logger()


def start_instances(queue: Queue, version: LoadedVersion) -> list[threading.Thread]:
    """As many workers as the operator wants; each ends once the queue is closed and empty."""
    name = f"{version.manifest.name}/{version.manifest.version}"
    threads = [
        threading.Thread(target=_work, args=(queue, version), name=f"{name}#{index}", daemon=True)
        for index in range(version.config.instances)
    ]
    for thread in threads:
        thread.start()
    return threads


def _work(queue: Queue, version: LoadedVersion) -> None:
    methods = {method.route.method: method for method in version.methods}
    while (batch := queue.take()) is not None:
        run = version.session.start()
        batch.on_abandoned(run.terminate)
        try:
            method = methods.get(batch.method)
            if method is None:
                batch.reply_tensors(run.outputs(batch.tensors()))
            else:
                _answer_typed(batch, method, version, run)
        except Exception:  # noqa: BLE001 - the one place where what nobody foresaw ends
            _fail_all(batch, run)
        batch.close()
        del batch  # it must not outlive its answers while this worker waits for the next


def _answer_typed(batch: Batch, method: TypedMethod[object], version: LoadedVersion, run: Run) -> None:
    decoded: list[tuple[int, object]] = []
    for index, message in enumerate(batch.messages):
        try:
            decoded.append((index, method.decode(message)))
        except ServingError as error:
            batch.fail(index, error)
        except Exception:  # noqa: BLE001 - a bug that one request meets must not reach its neighbours
            batch.fail(index, _unforeseen(batch.method))
    try:
        _run_together(batch, decoded, method, run)
    except Exception:
        if run.terminated or len(decoded) < 2:
            raise
        _run_alone(batch, decoded, method, version)


def _run_together(batch: Batch, decoded: Sequence[tuple[int, object]], method: TypedMethod[object], run: Run) -> None:
    if not decoded:
        return
    outputs = run.outputs(method.collate([request for _, request in decoded]))
    start = 0
    for index, request in decoded:
        rows = slice(start, start := start + batch.row_counts[index])
        batch.reply(index, method.encode(request, _rows(outputs, rows)))


def _run_alone(
    batch: Batch, decoded: Sequence[tuple[int, object]], method: TypedMethod[object], version: LoadedVersion
) -> None:
    for index, request in decoded:
        try:
            _run_together(batch, [(index, request)], method, version.session.start())
        except Exception:  # noqa: BLE001 - this request's own failure
            batch.fail(index, _unforeseen(batch.method))


def _rows(outputs: Mapping[str, Array], rows: slice) -> dict[str, Array]:
    return {name: array[rows] for name, array in outputs.items()}


def _fail_all(batch: Batch, run: Run) -> None:
    if run.terminated:
        return  # every caller has gone
    error = _unforeseen(batch.method)
    for index in range(len(batch.row_counts)):
        batch.fail(index, error)


def _unforeseen(method: str) -> ServingError:
    error_id = uuid.uuid4().hex[:12]
    _log.exception("request failed", method=method, error_id=error_id)
    return internal(error_id)
