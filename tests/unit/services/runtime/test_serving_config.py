"""What an operator says of a model in serving.yaml."""

from pathlib import Path

import pytest

from services.runtime.errors import ServingError
from services.runtime.serving_config import read_serving_config
from tests.unit.services.runtime.odd_files import ODD_YAML, not_allowed


@pytest.mark.parametrize(("text", "instances"), [("", 1), ("instances: 1", 1), ("instances: 3", 3)])
def test_a_model_that_keeps_a_state_has_one_instance_where_none_is_named(
    text: str, instances: int, tmp_path: Path
) -> None:
    assert read_serving_config(config(tmp_path, text), "tiny").for_states().instances == instances


@pytest.mark.parametrize(
    ("text", "device", "cpus", "workers"),
    [
        ("", "cpu", 2, 2),
        ("", "cpu", 1, 1),
        ("", "cuda:0", 1, 2),
        ("instances: 2", "cpu", 1, 2),
        ("instances: 3", "cpu", 2, 3),
    ],
)
def test_a_second_worker_needs_a_second_processor_unless_the_operator_wants_it(
    text: str, device: str, cpus: int, workers: int, tmp_path: Path
) -> None:
    assert read_serving_config(config(tmp_path, text), "tiny").workers(device, cpus) == workers


def config(folder: Path, text: str) -> Path:
    (folder / "tiny").mkdir()
    (folder / "tiny" / "serving.yaml").write_text(text)
    return folder


def test_without_a_file_the_newest_is_served_by_two_instances(tmp_path: Path) -> None:
    found = read_serving_config(tmp_path, "tiny")
    assert (found.versions, found.instances, found.capacity_rows) == ((), 2, 4 * found.max_batch_rows * 2)


def test_an_empty_file_is_no_file(tmp_path: Path) -> None:
    assert read_serving_config(config(tmp_path, ""), "tiny") == read_serving_config(tmp_path / "nosuch", "tiny")


def test_versions_may_be_written_as_numbers(tmp_path: Path) -> None:
    assert read_serving_config(config(tmp_path, "versions: [2, '1']"), "tiny").versions == ("2", "1")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("instance: 1", "instance"),
        ("instances: 0", "instances"),
        ("max_batch_rows: lots", "max_batch_rows"),
        ("versions: [latest]", "versions"),
        ("provider: tpu", "provider"),
        ("cache_bytes: -1", "cache_bytes"),
        ("priority_levels: 0", "priority_levels"),
        ("default_priority_level: 2", "default_priority_level: at most priority_levels, 1"),
        ("preferred_batch_rows: [8, 4]", "preferred_batch_rows: must ascend, at most to max_batch_rows, 32"),
        ("preferred_batch_rows: [64]", "preferred_batch_rows: must ascend"),
        ("cuda_graphs: true", "cuda_graphs: needs preferred_batch_rows, the sizes to capture"),
        ("[1, 2]", "serving.yaml"),
        ("instances: [", "serving.yaml"),
        *((text, "serving.yaml: cannot be read as a YAML mapping") for text in ODD_YAML),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=key) as raised:
        read_serving_config(config(tmp_path, text), "tiny")
    assert raised.value.reason == "SERVING_CONFIG_WRONG"


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = config(tmp_path, "") / "tiny" / "serving.yaml"
    for method in ("read_bytes", "stat"):
        not_allowed(monkeypatch, method, file)
    with pytest.raises(ServingError, match=r"serving.yaml: cannot be read") as raised:
        read_serving_config(tmp_path, "tiny")
    assert raised.value.reason == "SERVING_CONFIG_WRONG"
