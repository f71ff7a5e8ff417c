"""Are an output's numbers what its role says: probabilities, or what comes before them?

A service hands on probabilities as they are and takes the softmax of logits. So logits that are called probabilities
are served as nonsense above 1, and probabilities that are called logits as a flat distribution; both look like answers.
The numbers of the source on the compared rows tell.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb
from exporter.arrays import Array
from exporter.conversion import RowSet
from exporter.errors import ManifestError

# Of the ends of [0, 1] and of a row's sum, which loses half a step of 8 bits a class: no logits meet it row after row.
_TOLERANCE, _LOST_A_CLASS, _MOST_LOST = 0.01, 1 / 512, 0.1
# Numbers of a row that a message tells.
_TOLD = 4
_BEFORE_SOFTMAX = {pb.OUTPUT_ROLE_LOGITS, pb.OUTPUT_ROLE_TOKEN_LOGITS}


def check_roles(outputs: Iterable[pb.TensorSpec], row_sets: Sequence[RowSet]) -> None:
    """Raises ManifestError for an output that does not hold what its role says."""
    for output in outputs:
        if output.role == pb.OUTPUT_ROLE_PROBABILITIES:
            for rows in row_sets:
                _check_probabilities(output.name, rows.kind, rows.answers[output.name])
        if output.role in _BEFORE_SOFTMAX and _is_one_number(row_sets[0].answers[output.name]):
            raise ManifestError(
                f"output '{output.name}' is described as logits and is one number, of which the softmax is always 1:"
                f" {_instead_of_one(output)}"
            )
        if output.role in _BEFORE_SOFTMAX and all(are_probabilities(rows.answers[output.name]) for rows in row_sets):
            raise ManifestError(
                f"output '{output.name}' is described as logits and holds probabilities, each row sums to 1: a service"
                " would take the softmax of a softmax; describe it with the role OUTPUT_ROLE_PROBABILITIES"
            )


def are_probabilities(answers: Array) -> bool:
    """Whether every row along the last axis lies in [0, 1] and sums to 1."""
    return answers.ndim > 1 and lie_in_unit_interval(answers) and not _stray(answers).any()


def lie_in_unit_interval(answers: Array) -> bool:
    return answers.dtype.kind in "fiu" and not _outside(answers).any()


def _check_probabilities(name: str, kind: str, answers: Array) -> None:
    if are_probabilities(answers):
        return
    if answers.dtype.kind not in "fiu":
        raise ManifestError(f"output '{name}' is described as probabilities and holds no numbers")
    is_outside = not lie_in_unit_interval(answers)
    wrong = _outside(answers) if is_outside or answers.ndim == 1 else _stray(answers)
    row = int(wrong.reshape(len(answers), -1).any(axis=1).argmax())
    numbers = [f"{number:.3g}" for number in answers[row].reshape(-1)[:_TOLD].tolist()]
    more = ", …" if answers[row].size > _TOLD else ""
    raise ManifestError(
        f"output '{name}' is described as probabilities and holds none: row {row} of kind '{kind}' is"
        f" [{', '.join(numbers)}{more}]; {_remedy(name, answers, is_outside=is_outside)}"
    )


def _remedy(name: str, answers: Array, *, is_outside: bool) -> str:
    if _is_one_number(answers):
        return (
            f"if it is the {'logit' if is_outside else 'probability'} of the second of two classes,"
            f" --{'sigmoid' if is_outside else 'complement'} {_origin(name)} answers those of both"
        )
    if is_outside:
        return f"if these are logits, --softmax {_origin(name)} answers probabilities, or describe them as logits"
    return (
        "scores that do not share 1 among them are no choice of one class: end the network in a softmax, or describe"
        " them as OUTPUT_ROLE_EMBEDDING of an embedding task"
    )


def _is_one_number(answers: Array) -> bool:
    """Where there should be one a class."""
    return answers.ndim == 1 or answers.shape[-1] == 1


def _instead_of_one(output: pb.TensorSpec) -> str:
    if output.role == pb.OUTPUT_ROLE_TOKEN_LOGITS:
        return "end the network in a logit for each of the two classes"
    return (
        f"--sigmoid {_origin(output.name)} answers the probabilities of both classes, and the logit is described as"
        " OUTPUT_ROLE_VALUE"
    )


def _origin(name: str) -> str:
    """Probabilities go by that name: what they are made of needs another."""
    return "logits" if name == "probabilities" else name


def _outside(answers: Array) -> NDArray[np.bool_]:
    numbers = answers.astype(np.float64)
    return np.asarray((numbers < -_TOLERANCE) | (numbers > 1 + _TOLERANCE))


def _stray(answers: Array) -> NDArray[np.bool_]:
    allowed = min(_TOLERANCE + _LOST_A_CLASS * answers.shape[-1], _MOST_LOST)
    return np.asarray(np.abs(answers.astype(np.float64).sum(axis=-1) - 1) > allowed)
