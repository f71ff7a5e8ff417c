"""Why ONNX Runtime did not load a graph, in our words: what is wrong, and what to change.

Its errors have few types, so they are told apart by what they say; the text itself goes to the log alone.
"""

from services.runtime.device_errors import is_device_full
from services.runtime.devices import Execution
from services.runtime.errors import ServingError, refused_load

_NO_CARD = "execution provider '{}': there is no card {} here, or no driver for it"
_BAD_OPTION = "provider_options: ONNX Runtime does not know one of them, or its value; the log has the details"
_NO_CAPTURE = "cuda_graphs: model.onnx has control flow, or operators that run on the CPU; set it to false"
_NO_PROFILE = (
    "TensorRT: it takes parts of model.onnx alone, whose shapes nobody has stated; use cuda, or state them in "
    "provider_options: trt_profile_min_shapes, trt_profile_opt_shapes, trt_profile_max_shapes"
)
_NO_ROOM = "the device has no memory left for model.onnx, or device_memory_mb is too small for it"
_UNLOADABLE = "model.onnx: ONNX Runtime cannot load it; the log has the details"


def load_refusal(text: str, execution: Execution, is_pythons: bool) -> ServingError:
    """By the words of ONNX Runtime's error. One of Python's own comes before the graph is looked at."""
    provider, card = execution.provider, execution.place.index
    rules = (
        ('provider option "device_id"' in text, refused_load("PROVIDER_UNAVAILABLE", _NO_CARD.format(provider, card))),
        (_says_bad_option(text), refused_load("SERVING_CONFIG_WRONG", _BAD_OPTION)),
        (bool(execution.graph_rows) and "graph capture" in text, refused_load("CUDA_GRAPHS_IMPOSSIBLE", _NO_CAPTURE)),
        (provider == "tensorrt" and "profile" in text, refused_load("ENGINE_IMPOSSIBLE", _NO_PROFILE)),
        (provider != "cpu" and is_device_full(text), refused_load("DEVICE_MEMORY", _NO_ROOM)),
        (provider != "cpu" and is_pythons, provider_missing(provider)),
    )
    return next((refusal for applies, refusal in rules if applies), refused_load("MODEL_UNLOADABLE", _UNLOADABLE))


def _says_bad_option(text: str) -> bool:
    """The second is what TensorRT's are told by."""
    return "provider option" in text.lower() or "The value for the key" in text


def provider_missing(name: str) -> ServingError:
    """Nothing else is run on in its place."""
    return refused_load("PROVIDER_UNAVAILABLE", f"execution provider '{name}' was asked for and cannot be had here")
