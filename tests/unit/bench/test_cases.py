"""What counts as a right answer, on the small model that the benchmark publishes for itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from bench import mlp
from bench.cases import Case, of_small_model
from bench.tensors import answer, as_feeds, inputs_of


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return of_small_model(tmp_path_factory.mktemp("models"))


def answered(case: Case, message: int) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(case.graph), providers=["CPUExecutionProvider"])
    (values,) = session.run(["probabilities"], as_feeds(inputs_of(case.requests.messages[message])))
    return {"probabilities": values}


def test_onnx_runtimes_own_answer_is_right(case: Case) -> None:
    assert case.complaint(0, answer(mlp.NAME, answered(case, 0))) == ""


def test_the_answer_to_another_message_is_wrong(case: Case) -> None:
    others = [
        number
        for number in range(1, len(case.requests.messages))
        if case.complaint(0, answer("", answered(case, number)))
    ]
    assert others


def test_an_answer_without_an_output_is_wrong(case: Case) -> None:
    assert case.complaint(0, answer(mlp.NAME, {})) == "output 'probabilities' of shape [1, 2] is not there"


def test_a_model_that_is_published_is_not_published_again(case: Case) -> None:
    mlp.published(case.models_dir)
    assert [folder.name for folder in (case.models_dir / mlp.NAME).iterdir()] == ["1"]


def test_the_newest_version_is_the_highest_number(case: Case, tmp_path: Path) -> None:
    for version in ("9", "10"):
        (tmp_path / mlp.NAME / version).mkdir(parents=True)
        (tmp_path / mlp.NAME / version / "model.onnx").touch()
    assert replace(case, models_dir=tmp_path).graph.parent.name == "10"
