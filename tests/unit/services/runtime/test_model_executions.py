"""From settings and serving.yaml to a model's sessions."""

from pathlib import Path

import pytest

from services.runtime.device_memory import DeviceMemoryError
from services.runtime.errors import ServingError
from services.runtime.model_executions import ModelExecutions
from services.runtime.serving_config import read_serving_config
from services.runtime.settings import ServiceSettings


def of(models_dir: Path, free_mb: int | None = None, **settings: object) -> ModelExecutions:
    found = ServiceSettings.model_validate(
        {"address": "127.0.0.1:1", "metrics_address": "127.0.0.1:2", "models_dir": models_dir, **settings}
    )
    return ModelExecutions(found, lambda: sorted(folder.name for folder in models_dir.iterdir()), lambda _: free_mb)


def write(models_dir: Path, **serving: str) -> None:
    for model, text in serving.items():
        (models_dir / model).mkdir()
        (models_dir / model / "serving.yaml").write_text(text)


def limits_mb(sessions: ModelExecutions, models_dir: Path, model: str) -> list[int]:
    found = sessions.of(model, read_serving_config(models_dir, model))
    return [int(execution.options.get("gpu_mem_limit", "0")) >> 20 for execution in found]


def test_a_model_is_run_where_its_own_serving_yaml_says_or_else_the_process(tmp_path: Path) -> None:
    write(tmp_path, a="provider: cuda", b="max_batch_rows: 1")
    sessions = of(tmp_path, provider="cpu", threads=3)
    found = [sessions.of(model, read_serving_config(tmp_path, model))[0] for model in ("a", "b")]
    assert [(execution.provider, execution.threads) for execution in found] == [("cuda", 3), ("cpu", 3)]


def test_the_instances_limits_add_up_to_the_processs_part_of_the_card(tmp_path: Path) -> None:
    write(tmp_path, a="device_memory_mb: 2000\ninstances: 2", b="instances: 3", c="provider: cpu")
    sessions = of(tmp_path, provider="cuda", device_memory_mb=8000)
    assert limits_mb(sessions, tmp_path, "a") == [1000] * 2
    assert limits_mb(sessions, tmp_path, "b") == [2000] * 3


def test_a_model_that_comes_later_and_does_not_fit_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="device_memory_mb: 5000")
    sessions = of(tmp_path, provider="cuda", device_memory_mb=8000)
    sessions.check()
    write(tmp_path, b="device_memory_mb: 4000")
    with pytest.raises(ServingError, match="card 0 has 8000 MiB for this process, its models want 9000") as raised:
        limits_mb(sessions, tmp_path, "b")
    assert raised.value.reason == "DEVICE_MEMORY"


def test_named_shares_are_held_against_what_is_free_as_the_process_starts(tmp_path: Path) -> None:
    write(tmp_path, a="device_memory_mb: 5000")
    with pytest.raises(DeviceMemoryError, match="card 0 has 4000 MiB"):
        of(tmp_path, free_mb=4000, provider="cuda").check()
    of(tmp_path, free_mb=5000, provider="cuda").check()


def test_a_model_whose_serving_yaml_is_wrong_is_not_counted(tmp_path: Path) -> None:
    write(tmp_path, a="device_memory_mb: 5000", b="device_memory_mb: lots")
    of(tmp_path, provider="cuda", device_memory_mb=8000).check()


@pytest.mark.parametrize("later", ["device_memory_mb: lots", "provider: cpu", ""], ids=["wrong", "cpu", "unnamed"])
def test_a_model_that_comes_back_has_the_share_that_it_is_served_with(tmp_path: Path, later: str) -> None:
    write(tmp_path, a="device_memory_mb: 5000", b="device_memory_mb: 1000")
    sessions = of(tmp_path, provider="cuda", device_memory_mb=8000)
    served = read_serving_config(tmp_path, "a")
    (tmp_path / "a" / "serving.yaml").write_text(later)
    found = sessions.of("a", served)
    assert [execution.options["gpu_mem_limit"] for execution in found] == [str(2500 << 20)] * 2


def test_on_the_cpu_nothing_is_held_against_a_card(tmp_path: Path) -> None:
    write(tmp_path, a="device_memory_mb: 5000")
    of(tmp_path, free_mb=1, provider="cpu", device_memory_mb=1).check()
