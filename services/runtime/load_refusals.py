"""Why ONNX Runtime did not load a graph, in our words: what is wrong, and what to change.

Its errors have few types, so they are told apart by what they say; the text itself goes to the log alone.
"""

from services.runtime.devices import Execution
from services.runtime.errors import ServingError, refused_load


def load_refusal(text: str, execution: Execution, is_pythons: bool) -> ServingError:
    """By the words of ONNX Runtime's error. One of Python's own comes before the graph is looked at."""
    if "provider option" in text.lower():
        return refused_load(
            "SERVING_CONFIG_WRONG",
            "provider_options: ONNX Runtime does not know one of them, or its value; the log has the details",
        )
    if execution.graph_rows and "graph capture" in text:
        return refused_load(
            "CUDA_GRAPHS_IMPOSSIBLE",
            "cuda_graphs: model.onnx has control flow, or operators that run on the CPU; set it to false",
        )
    if execution.provider == "tensorrt" and "profile" in text:
        return refused_load(
            "ENGINE_IMPOSSIBLE",
            "TensorRT: it takes parts of model.onnx alone, whose shapes nobody has stated; use cuda, or state them in "
            "provider_options: trt_profile_min_shapes, trt_profile_opt_shapes, trt_profile_max_shapes",
        )
    if is_pythons and execution.provider != "cpu":
        return provider_missing(execution.provider)
    return refused_load("MODEL_UNLOADABLE", "model.onnx: ONNX Runtime cannot load it; the log has the details")


def provider_missing(name: str) -> ServingError:
    """Nothing else is run on in its place."""
    return refused_load("PROVIDER_UNAVAILABLE", f"execution provider '{name}' was asked for and cannot be had here")
