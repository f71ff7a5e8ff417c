"""A batch of a stateful model: the steps of different sequences run together, those of one sequence in their order.

A batch is run in waves. No sequence has two steps in a wave, and a step is in a later wave than the one before it, so
it begins with the state that that one left. A step that fails, fails alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from services.runtime.errors import DeviceFaultError, ServingError, without_frames
from services.runtime.faults import unforeseen
from services.runtime.front import Array, Batch
from services.runtime.sequences import SequenceId, Sequences, Step, read_step
from services.runtime.session import Run, Session
from services.runtime.shaping import Tensors, run_padded


class StepRunner:
    """Runs batches of one version; `sizes` are the numbers of rows that its device prefers."""

    def __init__(self, session: Session, sequences: Sequences, sizes: Sequence[int]) -> None:
        self._session, self._sequences, self._sizes = session, sequences, sizes

    def run(self, batch: Batch, tensors: Mapping[int, Tensors], run: Run) -> dict[int, dict[str, Array]]:
        """The outputs [1, ...] of the requests of `batch` whose inputs are given, by index, without those that failed.

        Raises where `run` was ended: the steps that had not run have not happened.
        """
        steps: dict[int, Step] = {}
        for index in tensors:
            try:
                steps[index] = read_step(batch.messages[index])
            except ServingError as error:
                batch.fail(index, without_frames(error))
        outputs: dict[int, dict[str, Array]] = {}
        for wave in waves(steps):
            outputs |= self._run_wave(batch, tensors, wave, run)
        return outputs

    def _run_wave(
        self, batch: Batch, tensors: Mapping[int, Tensors], wave: Mapping[int, Step], run: Run
    ) -> dict[int, dict[str, Array]]:
        feeds = self._with_states(batch, tensors, wave)
        if not feeds:
            return {}
        try:
            results = self._together(feeds, run)
        except DeviceFaultError:
            raise
        except Exception:
            if run.terminated:
                raise
            results = self._alone(batch, feeds)
        return {index: self._advanced(wave[index], outputs) for index, outputs in results.items()}

    def _with_states(
        self, batch: Batch, tensors: Mapping[int, Tensors], wave: Mapping[int, Step]
    ) -> dict[int, dict[str, Array]]:
        feeds: dict[int, dict[str, Array]] = {}
        beginning: set[SequenceId] = set()
        for index, step in wave.items():
            try:
                feeds[index] = {**tensors[index], **self._sequences.state_before(step, beginning)}
            except ServingError as error:
                batch.fail(index, without_frames(error))
                continue
            if step.starts and not step.ends:
                beginning.add(step.sequence)
        return feeds

    def _together(self, feeds: Mapping[int, Tensors], run: Run) -> dict[int, dict[str, Array]]:
        names = next(iter(feeds.values()))
        rows = {name: np.concatenate([feed[name] for feed in feeds.values()]) for name in names}
        outputs = run_padded(run.outputs, rows, self._sizes)
        return {
            index: {name: array[row : row + 1] for name, array in outputs.items()} for row, index in enumerate(feeds)
        }

    def _alone(self, batch: Batch, feeds: Mapping[int, Tensors]) -> dict[int, dict[str, Array]]:
        results: dict[int, dict[str, Array]] = {}
        for index, feed in feeds.items():
            try:
                results |= self._together({index: feed}, self._session.start())
            except ServingError as error:
                batch.fail(index, without_frames(error))
            except DeviceFaultError:
                raise
            except Exception as error:  # noqa: BLE001 - this step's own failure
                batch.fail(index, unforeseen(f"{batch.method} failed", error))
        return results

    def _advanced(self, step: Step, outputs: dict[str, Array]) -> dict[str, Array]:
        """Keep the state that the step has left; its outputs without it."""
        states = self._sequences.states
        # Copies: a view would keep the whole batch's outputs.
        self._sequences.advance(step, {state.input.name: outputs[state.output].copy() for state in states})
        hidden = {state.output for state in states}
        return {name: array for name, array in outputs.items() if name not in hidden}


def waves(steps: Mapping[int, Step]) -> list[dict[int, Step]]:
    """The steps by their place in their sequence within the batch."""
    found: list[dict[int, Step]] = []
    places: dict[SequenceId, int] = {}
    for index, step in steps.items():
        place = places.get(step.sequence, 0)
        places[step.sequence] = place + 1
        if place == len(found):
            found.append({})
        found[place][index] = step
    return found
