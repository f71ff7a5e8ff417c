"""The sequences of a stateful model-version: what is kept between their steps.

A request of a recurrent model is a step: one row, with the parameters `sequence_id`, `sequence_start` and
`sequence_end` as Triton names them. The state after a step is kept here and is an input of the next; it is zero before
the first. A step counts if, and only if, its run succeeded: after an error the sequence stands where it stood, and the
step may be sent again. A sequence ends with its last step, when it has been idle for too long, or with its version.

One worker runs the steps of a version, so nothing here waits for anybody; `count` may be asked from other threads.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from inference.grpc_service_pb2 import InferParameter, ModelInferRequest
from services.runtime.errors import ServingError, exhausted, invalid_input, shown
from services.runtime.front import Array, TensorSignature
from services.runtime.messages import parse
from services.runtime.tensors import DTYPES

SequenceId: TypeAlias = int | str
State: TypeAlias = Mapping[str, Array]  # the graph's input -> [1, ...]

_SHORTEST_RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class StateSignature:
    """One state: the graph's input as it takes it, and the output that it comes from."""

    input: TensorSignature
    output: str


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a sequence."""

    sequence: SequenceId
    starts: bool
    ends: bool


def read_step(message: bytes) -> Step:
    """What the parameters of a ModelInfer message say. Raises ServingError (INVALID_INPUT)."""
    parameters = parse(ModelInferRequest, message).parameters
    if "sequence_id" not in parameters:
        raise _wrong("sequence_id", "missing: the model keeps a state, and each request is a step of a sequence")
    sequence = _sequence_id(parameters["sequence_id"])
    flags = {name: _flag(name, parameters[name]) for name in ("sequence_start", "sequence_end") if name in parameters}
    return Step(sequence, flags.get("sequence_start", False), flags.get("sequence_end", False))


class Sequences:
    """At most `max_sequences`, each dropped once it has been idle for `idle_s`."""

    def __init__(
        self,
        states: Sequence[StateSignature],
        max_sequences: int,
        idle_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.states = tuple(states)
        self._max_sequences, self._idle_s, self._clock = max_sequences, idle_s, clock
        self._lock = threading.Lock()
        # The one that was used longest ago first: (when, its state).
        self._kept: OrderedDict[SequenceId, tuple[float, State]] = OrderedDict()
        self._zero = {state.input.name: _zero(state.input) for state in states}

    def state_before(self, step: Step, beginning: Collection[SequenceId]) -> State:
        """The state that a step begins with. `beginning` are the sequences that begin beside it and are not kept yet.

        Raises ServingError: INVALID_INPUT for a step of a sequence that is not kept here, EXHAUSTED where there is no
        room for one more.
        """
        with self._lock:
            self._drop_idle()
            kept = self._kept.get(step.sequence)
            if step.starts:
                if kept is None and not step.ends:
                    self._check_room(beginning)
                return self._zero
            if kept is None:
                raise _unknown(step.sequence)
            return kept[1]

    def advance(self, step: Step, state: State) -> None:
        """The step has run: `state` is what the next one begins with."""
        with self._lock:
            self._kept.pop(step.sequence, None)
            if not step.ends:
                self._kept[step.sequence] = (self._clock(), state)

    def count(self) -> int:
        """How many are kept now."""
        with self._lock:
            self._drop_idle()
            return len(self._kept)

    def _drop_idle(self) -> None:
        now_s = self._clock()
        while self._kept and now_s - next(iter(self._kept.values()))[0] > self._idle_s:
            self._kept.popitem(last=False)

    def _check_room(self, beginning: Collection[SequenceId]) -> None:
        if len(self._kept.keys() | set(beginning)) < self._max_sequences:
            return
        oldest_s = min((used_s for used_s, _ in self._kept.values()), default=self._clock())
        raise exhausted(
            "TOO_MANY_SEQUENCES",
            f"{self._max_sequences} sequences are kept, which is all there is room for: end one, or try again later",
            retry_after_s=max(_SHORTEST_RETRY_S, oldest_s + self._idle_s - self._clock()),
        )


def _sequence_id(parameter: InferParameter) -> SequenceId:
    kind = parameter.WhichOneof("parameter_choice")
    if kind == "string_param" and parameter.string_param:
        return parameter.string_param
    if kind in ("int64_param", "uint64_param"):
        number = parameter.int64_param if kind == "int64_param" else parameter.uint64_param
        if number > 0:
            return number
    raise _wrong("sequence_id", "a whole number above 0 or a text is needed")


def _flag(name: str, parameter: InferParameter) -> bool:
    if parameter.WhichOneof("parameter_choice") != "bool_param":
        raise _wrong(name, "true or false is needed")
    return parameter.bool_param


def _wrong(name: str, what: str) -> ServingError:
    return invalid_input(f"parameters.{name}: {what}", f"parameters.{name}")


def _unknown(sequence: SequenceId) -> ServingError:
    return invalid_input(
        f"parameters.sequence_id: sequence '{shown(str(sequence))}' is not kept here: it never began, ended, was idle"
        " for too long, or was lost with its endpoint or version; begin a new one with sequence_start",
        "parameters.sequence_id",
        "UNKNOWN_SEQUENCE",
    )


def _zero(tensor: TensorSignature) -> Array:
    return np.zeros((1, *tensor.shape[1:]), DTYPES[tensor.datatype])
