"""A batch on an instance of a model: it is run, and every request of it answered.

A request that is wrong fails alone, before the batch runs. A batch that cannot run is run again request by request, so
that the one at fault fails alone too. What nobody foresaw becomes INTERNAL with an id, and the log has the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TypeAlias

import numpy as np

from services.runtime.checked_tensors import checked, each_left, rows_of
from services.runtime.errors import Cause, DeviceFaultError, ServingError
from services.runtime.faults import ENDINGS, unforeseen
from services.runtime.front import MODEL_INFER, Array, Batch
from services.runtime.places import in_request
from services.runtime.sequence_steps import StepRunner
from services.runtime.session import Run
from services.runtime.shaping import RunOnce, run_by_length, run_padded
from services.runtime.stages import COMPUTE, POSTPROCESS, PREPROCESS, StageClock
from services.runtime.typed_method import TypedMethod
from services.runtime.version import LoadedVersion

# The inputs of rows and how much of the second dimension each fills, to the outputs.
RunRows: TypeAlias = Callable[[Mapping[str, Array], Sequence[int]], dict[str, Array]]

_CALLER_GONE = "every caller of the batch has gone: the run was ended"


def answer(batch: Batch, version: LoadedVersion, clock: StageClock) -> None:
    """Run a batch on the version. Raises ServingError for what holds for every request that is not answered yet,
    DeviceFaultError where the device is lost, and whatever nobody foresaw.
    """
    run = version.session.start()
    batch.on_abandoned(run.terminate)
    try:
        if batch.method == MODEL_INFER:
            _answer_tensors(batch, version, run, clock)
        else:
            method = next(method for method in version.methods if method.route.method == batch.method)
            _answer_typed(batch, method, version, run, clock)
        if batch.settled:  # else whoever ends the run may come yet
            run.give_back()
    except DeviceFaultError:
        raise
    except Exception:
        if not run.terminated:
            raise
        raise ServingError(Cause.DEADLINE, "CALLER_GONE", _CALLER_GONE) from None
    finally:
        version.stages.add(batch.rows, batch.request_count, clock.spent_ns)


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
        except ENDINGS:
            raise
        except BaseException as error:  # noqa: BLE001 - a bug that one request meets must not reach its neighbours
            batch.fail(index, _unforeseen(batch, error))
    try:
        _run_together(batch, decoded, method, _by_length(run, version), clock)
    except (DeviceFaultError, *ENDINGS):
        raise
    except BaseException:
        clock.end(COMPUTE)
        if run.terminated or len(decoded) < 2:
            raise
        _run_alone(batch, decoded, method, version, clock)


def _run_together(
    batch: Batch,
    decoded: Sequence[tuple[int, object]],
    method: TypedMethod[object],
    run: RunRows,
    clock: StageClock,
) -> None:
    if not decoded:
        return
    requests = [request for _, request in decoded]
    inputs, lengths = method.collate(requests), method.row_lengths(requests)
    clock.end(PREPROCESS)
    outputs = run(inputs, lengths)
    clock.end(COMPUTE)
    start = 0
    for index, request in decoded:
        rows = slice(start, start := start + batch.row_counts[index])
        batch.reply(index, method.encode(request, rows_of(outputs, rows)))
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
            _run_together(batch, [(index, request)], method, _by_length(version.session.start(), version), clock)
        except ServingError as error:
            batch.fail(index, in_request(error, batch.first_rows[index]))
        except (DeviceFaultError, *ENDINGS):
            raise
        except BaseException as error:  # noqa: BLE001 - this request's own failure
            batch.fail(index, _unforeseen(batch, error))


# ---- ModelInfer


def _answer_tensors(batch: Batch, version: LoadedVersion, run: Run, clock: StageClock) -> None:
    inputs = batch.tensors()
    found = checked(batch, inputs, version.check)
    clock.end(PREPROCESS)
    if len(found.failed) == batch.request_count:
        return
    try:
        outputs = _outputs(batch, inputs, found.failed, version, run)
    finally:
        clock.end(COMPUTE)
    if outputs:
        batch.reply_tensors(outputs, found.remarks)
    clock.end(POSTPROCESS)


def _outputs(
    batch: Batch, inputs: Mapping[str, Array], failed: AbstractSet[int], version: LoadedVersion, run: Run
) -> dict[str, Array]:
    """The outputs of the whole batch, blank for the requests that have failed; empty where all have."""
    if version.sequences is not None:
        runner = StepRunner(version.session, version.sequences, version.config.preferred_batch_rows)
        parts = runner.run(batch, dict(each_left(batch, inputs, failed)), run)
        return _assembled(parts, batch.row_counts) if parts else {}
    try:
        # With the rows of those that failed: what they are answered is settled, and no row looks at another.
        return _shaped(run, version)(inputs)
    except DeviceFaultError:
        raise
    except Exception:
        if run.terminated:
            raise
        return _run_each(batch, inputs, failed, version)


def _run_each(
    batch: Batch, inputs: Mapping[str, Array], failed: AbstractSet[int], version: LoadedVersion
) -> dict[str, Array]:
    """The outputs of those that run by themselves, blank for the others, which have failed; empty where all have."""
    parts: dict[int, dict[str, Array]] = {}
    for index, own in each_left(batch, inputs, failed):
        try:
            parts[index] = _shaped(version.session.start(), version)(own)
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


def _by_length(run: Run, version: LoadedVersion) -> RunRows:
    return partial(run_by_length, _checked(run, version), max_padding=version.max_padding)


def _checked(run: Run, version: LoadedVersion) -> RunOnce:
    """For tensors that task code made, of which the front knows nothing."""

    def run_once(inputs: Mapping[str, Array]) -> dict[str, Array]:
        version.check_indices(inputs)
        return _shaped(run, version)(inputs)

    return run_once


def _shaped(run: Run, version: LoadedVersion) -> RunOnce:
    sizes = version.config.preferred_batch_rows
    return partial(run_padded, run.outputs, sizes=sizes) if sizes else run.outputs


# ---- failures


def _unforeseen(batch: Batch, error: BaseException) -> ServingError:
    return unforeseen(f"{batch.method} failed", error)
