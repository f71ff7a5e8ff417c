"""How many rows a batch of a model has on the CPU, where the operator has not said: measured once it is warm.

A small network costs the less a row the more rows run together; one of convolutions grows out of the processor's caches
and costs more again (`python -m bench.batch_sizes`). So some sizes are timed, and the largest is taken whose row costs
hardly more than the cheapest: fewer batches mean fewer steps around them.

It deliberately does not measure where a row's cost depends on what is in it, as the length of a text.
"""

from collections.abc import Callable, Mapping
from itertools import takewhile
from time import perf_counter

import structlog

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.blank_rows import blank_rows
from services.runtime.front import TensorSignature
from services.runtime.version import LoadedVersion

_log = structlog.get_logger()

# Of the cheapest row's cost: what a row may cost in a larger batch, and from where larger ones are not tried.
_HARDLY_MORE, _FAR_MORE = 1.1, 1.25
# Whatever else runs on the machine can only add to a size's cost: the least of so many tries counts.
_TRIES = 5
# A try takes so long at least, or is one run.
_LEAST_S = 1e-3
# No size is begun that would take more than is left of this: whoever waits for the model waits for it, too.
_LONGEST_S = 2.0


def batch_rows(loaded: LoadedVersion) -> int:
    """At most this many rows of the version run together."""
    most = loaded.config.max_batch_rows
    if not is_measured(loaded):
        return most
    batches = {rows: blank_rows(loaded.manifest, loaded.signature, rows) for rows in _sizes(most)}
    costs = row_costs(lambda rows: loaded.session.start().outputs(batches[rows]), most, perf_counter)
    chosen = largest_cheap(costs, most)
    told = {rows: round(cost_s * 1e6, 1) for rows, cost_s in costs.items()}
    _log.info("batch size measured", model=loaded.manifest.name, batch_rows=chosen, us_a_row=told)
    return chosen


def row_costs(run: Callable[[int], object], most: int, clock: Callable[[], float]) -> dict[int, float]:
    """Seconds a row in batches of 1, 2, 4, … up to `most` rows, as far as it is worth looking and there is time."""
    costs: dict[int, float] = {}
    end_s = clock() + _LONGEST_S
    for rows in _sizes(most):
        if costs and clock() + _TRIES * rows * min(costs.values()) > end_s:
            break
        costs[rows] = min(_run_s(run, rows, clock) for _ in range(_TRIES)) / rows
        if costs[rows] > _FAR_MORE * min(costs.values()):
            break
    return costs


def largest_cheap(costs: Mapping[int, float], most: int) -> int:
    """The largest size at which a row costs hardly more than at the cheapest; `most` where the cheapest is the largest
    that there was time for, since a larger one is cheaper still.
    """
    least = min(costs.values())
    if costs[max(costs)] == least:
        return most
    return max(rows for rows, cost in costs.items() if cost <= _HARDLY_MORE * least)


def is_measured(loaded: LoadedVersion) -> bool:
    """Whether the operator leaves it open, and a row's cost does not depend on the row."""
    config = loaded.config
    is_free = "max_batch_rows" not in config.model_fields_set and not config.preferred_batch_rows
    takes_all = loaded.session.row_limit == config.max_batch_rows
    alike = all(_are_alike(tensor, loaded.manifest) for tensor in loaded.signature.inputs)
    return loaded.device == "cpu" and is_free and takes_all and alike and loaded.sequences is None


def _are_alike(tensor: TensorSignature, manifest: ModelManifest) -> bool:
    """Whether all rows of an input are of one size; the texts of a table are short, other texts of any length."""
    of_table = any(column.input == tensor.name for column in manifest.table.columns)
    return all(dimension > 0 for dimension in tensor.shape[1:]) and (tensor.datatype != "BYTES" or of_table)


def _sizes(most: int) -> list[int]:
    doubled = takewhile(lambda rows: rows < most, (1 << exponent for exponent in range(most.bit_length())))
    return [*doubled, most]


def _run_s(run: Callable[[int], object], rows: int, clock: Callable[[], float]) -> float:
    begun_s, runs = clock(), 0
    while True:
        run(rows)
        runs += 1
        if (spent_s := clock() - begun_s) >= _LEAST_S:
            return spent_s / runs
