"""Versions come and go: what is wanted is ready, what must not be served is refused, and nothing is lost between."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc
import pytest

from services.runtime.devices import Execution
from services.runtime.errors import ServingError
from tests.unit.services.runtime.odd_files import ODD_YAML, not_allowed
from tests.unit.services.runtime.served import Served, code, refusal
from tests.unit.services.runtime.tiny import scaling_graph, write_version

Serve = Callable[..., Served]
ROW = (1.0, 2.0, 3.0)


@pytest.fixture
def served(serve: Serve) -> Served:
    found = serve()
    write_version(found.models, version="1", graph=scaling_graph(1))
    found.repository.load_all()
    return found


def test_the_newest_version_that_loads_is_served(serve: Serve) -> None:
    served = serve()
    write_version(served.models, version="9", graph=scaling_graph(9))
    write_version(served.models, version="10", graph=scaling_graph(10))
    write_version(served.models, version="11", parity={"passed": False})

    served.repository.load_all()

    assert served.states() == {"tiny/10": "READY*", "tiny/11": "REFUSED"}
    assert served.infer(ROW) == [[10, 20, 30]]


def test_a_bad_new_version_is_refused_and_the_old_one_goes_on(served: Served) -> None:
    (write_version(served.models, version="2") / "model.onnx").write_bytes(b"cut short")

    assert refusal(lambda: served.repository.load("tiny")) == "DIGEST_MISMATCH"

    assert served.states() == {"tiny/1": "READY*", "tiny/2": "REFUSED"}
    assert served.infer(ROW) == [[1, 2, 3]]
    assert code(lambda: served.infer(ROW, version="2")) is grpc.StatusCode.NOT_FOUND


def test_a_good_new_version_takes_over_and_the_old_one_is_closed(served: Served) -> None:
    write_version(served.models, version="2", graph=scaling_graph(2))
    served.repository.load("tiny")

    assert served.states() == {"tiny/1": "UNLOADED", "tiny/2": "READY*"}
    assert served.infer(ROW) == [[2, 4, 6]]
    assert code(lambda: served.infer(ROW, version="1")) is grpc.StatusCode.NOT_FOUND


def test_no_request_is_lost_while_a_version_takes_over(served: Served) -> None:
    stop, found = threading.Event(), list[float]()

    def ask() -> None:
        while not stop.is_set():
            found.append(served.infer(ROW)[0][0])

    with ThreadPoolExecutor(4) as threads:
        callers = [threads.submit(ask) for _ in range(4)]
        try:
            for version in range(2, 8):
                write_version(served.models, version=str(version), graph=scaling_graph(version))
                served.repository.load("tiny")
                while version not in found and not any(caller.done() for caller in callers):
                    served.infer(ROW)
        finally:
            stop.set()
        for caller in callers:
            caller.result()

    assert set(range(2, 8)) <= set(found) <= set(range(1, 8))
    assert served.infer(ROW) == [[7, 14, 21]]


def test_the_operators_versions_are_served_side_by_side_and_the_first_is_the_default(served: Served) -> None:
    write_version(served.models, version="2", graph=scaling_graph(2))
    (served.models / "tiny" / "serving.yaml").write_text("versions: [1, 2]")
    served.repository.load("tiny")

    assert served.states() == {"tiny/1": "READY*", "tiny/2": "READY"}
    assert served.infer(ROW) == [[1, 2, 3]]
    assert served.infer(ROW, version="2") == [[2, 4, 6]]


def test_a_version_that_the_operator_wants_and_is_not_there_is_told(served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("versions: [1, 5]")
    assert refusal(lambda: served.repository.load("tiny")) == "VERSION_MISSING"
    assert served.infer(ROW) == [[1, 2, 3]]


def test_a_serving_config_that_is_wrong_changes_nothing(served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("instances: none")
    assert refusal(lambda: served.repository.load("tiny")) == "SERVING_CONFIG_WRONG"
    assert served.infer(ROW) == [[1, 2, 3]]


@pytest.mark.parametrize("versions", ["", "versions: [2, 1]\n"])
def test_a_version_that_does_not_take_new_settings_serves_on_with_the_old_ones(versions: str, served: Served) -> None:
    folder = write_version(served.models, version="2", graph=scaling_graph(2))
    serving = served.models / "tiny" / "serving.yaml"
    serving.write_text(versions)
    served.repository.load("tiny")
    (folder / "model.onnx").write_bytes(b"changed")
    serving.write_text(versions + "max_batch_rows: 4")

    assert refusal(lambda: served.repository.load("tiny")) == "DIGEST_MISMATCH"

    assert served.states()["tiny/2"] == "READY*"
    assert served.infer(ROW) == [[2, 4, 6]]


def test_a_model_whose_serving_config_is_wrong_from_the_start_is_refused_and_says_why(serve: Serve) -> None:
    served = serve()
    write_version(served.models)
    (served.models / "tiny" / "serving.yaml").write_text("instances: none")
    served.repository.announce()
    served.repository.load_all()
    [status] = served.repository.statuses()
    assert (served.states(), "instances" in status.reason) == ({"tiny/1": "REFUSED"}, True)


def test_a_tensor_without_a_type_is_a_refused_manifest(serve: Serve) -> None:
    served = serve()
    write_version(served.models, inputs=[{"name": "x", "shape": [-1, 3]}])
    assert refusal(lambda: served.repository.load("tiny")) == "BAD_MANIFEST"


def test_other_settings_of_the_same_version_take_its_place(served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("instances: 1\nmax_batch_rows: 4")
    served.repository.load("tiny")
    assert served.repository.loaded("tiny").config.max_batch_rows == 4
    assert served.infer(ROW) == [[1, 2, 3]]


def test_a_provider_that_is_not_here_leaves_the_version_as_it_was(served: Served) -> None:
    (served.models / "tiny" / "serving.yaml").write_text("provider: tensorrt")
    assert refusal(lambda: served.repository.load("tiny")) == "PROVIDER_UNAVAILABLE"
    assert served.states() == {"tiny/1": "READY*"}


def test_a_model_that_is_unloaded_is_unavailable_until_it_is_loaded(served: Served) -> None:
    served.repository.unload("tiny")
    assert served.states() == {"tiny/1": "UNLOADED"}
    assert code(lambda: served.infer(ROW)) is grpc.StatusCode.UNAVAILABLE
    assert refusal(lambda: served.repository.loaded("tiny")) == "MODEL_NOT_READY"

    served.repository.load("tiny")
    assert served.infer(ROW) == [[1, 2, 3]]


def test_what_is_neither_served_nor_on_disk_is_forgotten(served: Served) -> None:
    folder = write_version(served.models, version="2", parity={"passed": False})
    refusal(lambda: served.repository.load("tiny"))
    folder.rename(served.models / "away")

    served.repository.load("tiny")

    assert served.states() == {"tiny/1": "READY*"}


@pytest.mark.parametrize("model", ["nosuch", "..", "", "tiny/1"])
def test_a_model_that_is_not_there_is_not_found(model: str, served: Served) -> None:
    for call in (served.repository.load, served.repository.unload, served.repository.loaded):
        assert refusal(lambda call=call: call(model)) == "UNKNOWN_MODEL"


def test_a_model_of_another_task_is_another_services(served: Served) -> None:
    write_version(served.models, "picture", tasks=["TASK_IMAGE_CLASSIFICATION"])
    served.repository.load_all()
    assert "picture/1" not in served.states()
    assert refusal(lambda: served.repository.load("picture")) == "UNKNOWN_MODEL"


def test_only_the_models_that_are_named_are_served(serve: Serve) -> None:
    served = serve(only=["second"])
    for model in ("first", "second"):
        write_version(served.models, model)
    served.repository.load_all()
    assert served.states() == {"second/1": "READY*"}
    assert refusal(lambda: served.repository.load("first")) == "UNKNOWN_MODEL"


def test_a_model_is_unavailable_from_when_it_is_announced_until_it_is_loaded(serve: Serve) -> None:
    served = serve()
    write_version(served.models)
    served.repository.announce()
    assert code(lambda: served.infer(ROW)) is grpc.StatusCode.UNAVAILABLE
    assert code(lambda: served.infer(ROW, version="1")) is grpc.StatusCode.UNAVAILABLE
    assert refusal(lambda: served.repository.loaded("tiny")) == "MODEL_LOADING"

    served.repository.load_all()
    assert served.infer(ROW) == [[2, 4, 6]]


@pytest.mark.parametrize("in_its_place", [False, True])
def test_a_version_that_was_announced_and_is_not_loaded_is_not_loading_for_ever(
    in_its_place: bool, serve: Serve
) -> None:
    served = serve()
    folder = write_version(served.models, version="2")
    served.repository.announce()
    write_version(served.models, version="3", graph=scaling_graph(3))
    if in_its_place:
        folder.rename(served.models / "away")

    served.repository.load_all()

    assert served.states() == {"tiny/3": "READY*"}
    assert code(lambda: served.infer(ROW, version="2")) is grpc.StatusCode.NOT_FOUND
    served.repository.unload("tiny")
    assert refusal(lambda: served.repository.loaded("tiny")) == "MODEL_NOT_READY"


def test_a_model_that_was_announced_and_has_gone_is_not_found(serve: Serve) -> None:
    served = serve()
    write_version(served.models)
    served.repository.announce()
    (served.models / "tiny").rename(served.models.parent / "away")

    served.repository.load_all()

    assert served.states() == {}
    for version in ("", "1"):
        assert code(lambda version=version: served.infer(ROW, version=version)) is grpc.StatusCode.NOT_FOUND


def test_a_model_that_is_unloaded_before_its_turn_waits_for_somebody_to_load_it(serve: Serve) -> None:
    served = serve()
    write_version(served.models)
    served.repository.announce()
    served.repository.unload("tiny")
    served.repository.load_all()
    assert served.states() == {"tiny/1": "UNLOADED"}
    assert refusal(lambda: served.repository.loaded("tiny")) == "MODEL_NOT_READY"

    served.repository.load("tiny")
    assert served.infer(ROW) == [[2, 4, 6]]


def test_a_load_that_fails_as_nobody_foresaw_is_refused_by_the_id_that_its_caller_is_told(serve: Serve) -> None:
    served = serve(executions=without_memory)
    write_version(served.models)
    with pytest.raises(ServingError, match="internal error") as raised:
        served.repository.load("tiny")
    [status] = served.repository.statuses()
    assert (served.states(), status.reason) == ({"tiny/1": "REFUSED"}, raised.value.message)


def test_what_nobody_foresaw_of_one_model_does_not_keep_the_others_from_being_served(serve: Serve) -> None:
    served = serve(executions=lambda model, _: without_memory() if model == "bad" else (Execution("cpu"),))
    for model in ("bad", "good"):
        write_version(served.models, model)
    served.repository.load_all()
    assert served.states() == {"bad/1": "REFUSED", "good/1": "READY*"}


def test_where_nothing_can_be_served_for_a_reason_that_nobody_foresaw_it_is_raised(serve: Serve) -> None:
    served = serve(executions=without_memory)
    write_version(served.models)
    assert refusal(served.repository.load_all) == "INTERNAL"


def without_memory(*_: object) -> NoReturn:
    raise MemoryError


def test_one_bad_model_does_not_keep_the_others_from_being_served(serve: Serve) -> None:
    served = serve()
    write_version(served.models, "bad", graph=b"no model")
    write_version(served.models, "good")
    served.repository.load_all()
    assert served.states() == {"bad/1": "REFUSED", "good/1": "READY*"}


@pytest.mark.parametrize(("name", "text"), [("1/model.yaml", ODD_YAML[0]), ("serving.yaml", ODD_YAML[-1])])
def test_a_file_that_is_odd_yaml_refuses_its_model_and_the_others_are_served(
    name: str, text: str, serve: Serve
) -> None:
    served = serve(only=["bad", "good"])
    for model in ("bad", "good"):
        write_version(served.models, model)
    (served.models / "bad" / name).write_text(text)
    served.repository.announce()
    served.repository.load_all()
    assert served.states() == {"bad/1": "REFUSED", "good/1": "READY*"}


def test_a_folder_that_cannot_be_read_refuses_its_model_and_the_others_are_served(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(only=["bad", "good"])
    for model in ("bad", "good"):
        write_version(served.models, model)
    with monkeypatch.context() as patch:
        not_allowed(patch, "iterdir", served.models / "bad")
        served.repository.announce()
        served.repository.load_all()
    # Which versions there are nobody could see.
    assert served.states() == {"bad/": "REFUSED", "good/1": "READY*"}
    assert code(lambda: served.infer(ROW, model="bad")) is grpc.StatusCode.UNAVAILABLE

    served.repository.load("bad")
    assert served.states() == {"bad/1": "READY*", "good/1": "READY*"}


def test_a_folder_that_cannot_be_read_any_more_changes_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(only=["tiny"])
    write_version(served.models)
    served.repository.load_all()
    not_allowed(monkeypatch, "iterdir", served.models / "tiny")
    assert refusal(lambda: served.repository.load("tiny")) == "MODEL_UNREADABLE"
    assert served.states() == {"tiny/1": "READY*"}


def test_every_change_is_told(serve: Serve) -> None:
    seen: list[dict[str, str]] = []
    made: list[Served] = []
    served = serve(on_change=lambda: seen.append(made[0].states()))
    made.append(served)
    write_version(served.models)
    served.repository.load_all()
    assert {"tiny/1": "LOADING"} in seen
    assert seen[-1] == {"tiny/1": "READY*"}


def test_a_version_that_is_told_to_be_ready_answers_whoever_names_none(serve: Serve) -> None:
    made: list[Served] = []
    answers: list[list[list[float]]] = []

    def ask() -> None:
        if any("READY" in state for state in made[0].states().values()):
            answers.append(made[0].infer(ROW))

    served = serve(on_change=ask)
    made.append(served)
    write_version(served.models, version="1", graph=scaling_graph(1))
    write_version(served.models, version="2", graph=scaling_graph(2))
    (served.models / "tiny" / "serving.yaml").write_text("versions: [1, 2]")
    served.repository.load_all()
    assert answers
    assert all(rows == [[1, 2, 3]] for rows in answers)


def test_a_refusal_names_no_path_and_says_why_in_the_status(serve: Serve) -> None:
    served = serve()
    (write_version(served.models) / "model.onnx").unlink()
    with pytest.raises(ServingError) as raised:
        served.repository.load("tiny")
    assert str(served.models) not in raised.value.message
    assert served.repository.statuses()[0].reason == raised.value.message


def test_a_folder_that_could_not_be_read_is_forgotten_with_its_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(only=("tiny",))
    write_version(served.models)
    with monkeypatch.context() as patch:
        not_allowed(patch, "iterdir", served.models / "tiny")
        assert refusal(lambda: served.repository.load("tiny")) == "MODEL_UNREADABLE"
    assert list(served.states().values()) == ["REFUSED"]
    shutil.rmtree(served.models / "tiny")
    assert refusal(lambda: served.repository.load("tiny")) == "UNKNOWN_MODEL"
    assert served.states() == {}
