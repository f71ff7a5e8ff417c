"""What TensorRT is told of a graph, decided without it."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.runtime.devices import Execution
from services.runtime.errors import ServingError
from services.runtime.front import TensorSignature
from services.runtime.tensorrt import EngineRange, with_engine

TENSORRT = Execution("tensorrt", options={"device_id": "0"})
PIXELS = TensorSignature("pixels", "FP32", (-1, 3, 224, 224))
TOKENS = tuple(TensorSignature(name, "INT64", (-1, -1)) for name in ("ids", "mask"))
DIGEST = "0123456789abcdef" * 4


def test_the_range_is_from_one_row_to_the_largest_batch_which_it_is_tuned_for() -> None:
    options = with_engine(TENSORRT, EngineRange((PIXELS,), 32), DIGEST).options
    assert options["trt_profile_min_shapes"] == "pixels:1x3x224x224"
    assert options["trt_profile_opt_shapes"] == options["trt_profile_max_shapes"] == "pixels:32x3x224x224"


def test_a_text_may_be_as_long_as_its_manifest_says() -> None:
    options = with_engine(TENSORRT, EngineRange(TOKENS, 8, max_tokens=256), DIGEST).options
    assert options["trt_profile_min_shapes"] == "ids:1x1,mask:1x1"
    assert options["trt_profile_opt_shapes"] == "ids:8x32,mask:8x32"
    assert options["trt_profile_max_shapes"] == "ids:8x256,mask:8x256"


@pytest.mark.parametrize("shape", [(-1, -1), (-1, 3, -1)])
def test_a_dimension_of_unknown_range_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ServingError, match="input 'x' has a dimension that varies") as raised:
        with_engine(TENSORRT, EngineRange((TensorSignature("x", "FP32", shape),), 8), DIGEST)
    assert raised.value.reason == "ENGINE_IMPOSSIBLE"


def test_texts_are_refused() -> None:
    with pytest.raises(ServingError, match="input 'text' holds texts"):
        with_engine(TENSORRT, EngineRange((TensorSignature("text", "BYTES", (-1, 1)),), 8), DIGEST)


def test_without_a_folder_no_engine_is_kept() -> None:
    assert "trt_engine_cache_enable" not in with_engine(TENSORRT, EngineRange((PIXELS,), 32), DIGEST).options


def test_engines_are_kept_by_the_graphs_digest_and_timings_for_all(tmp_path: Path) -> None:
    execution = replace(TENSORRT, engine_cache_dir=tmp_path / "engines")
    options = with_engine(execution, EngineRange((PIXELS,), 32), DIGEST).options
    assert options["trt_engine_cache_path"] == str(tmp_path / "engines" / "0123456789abcdef")
    assert options["trt_timing_cache_path"] == str(tmp_path / "engines")
    assert (options["trt_engine_cache_enable"], options["trt_timing_cache_enable"]) == ("True", "True")
    assert (tmp_path / "engines" / "0123456789abcdef").is_dir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    execution = replace(TENSORRT, engine_cache_dir=tmp_path / "file" / "engines")
    with pytest.raises(ServingError, match="--engine-cache-dir cannot be made"):
        with_engine(execution, EngineRange((PIXELS,), 32), DIGEST)


def test_the_operators_options_win() -> None:
    execution = replace(TENSORRT, options={"trt_profile_opt_shapes": "pixels:1x3x224x224"})
    options = with_engine(execution, EngineRange((PIXELS,), 32), DIGEST).options
    assert options["trt_profile_opt_shapes"] == "pixels:1x3x224x224"


def test_another_provider_is_told_nothing_of_it() -> None:
    cuda = Execution("cuda", options={"device_id": "0"})
    assert with_engine(cuda, EngineRange((TensorSignature("x", "FP32", (-1, -1)),), 8), DIGEST) is cuda
