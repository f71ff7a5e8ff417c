"""What a manifest says of states, checked while a version loads: no request meets a state that cannot be kept.

A state is an input of the graph and the output that it comes from. Both are hidden from callers.
"""

from collections.abc import Sequence

from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.errors import ServingError, refused_load
from services.runtime.front import Signature, TensorSignature
from services.runtime.sequences import StateSignature
from services.runtime.serving_config import SERVING, ServingConfig
from services.runtime.specs import bad_manifest


def state_signatures(manifest: ModelManifest, graph: Signature) -> tuple[StateSignature, ...]:
    """The states of a model whose graph reads and answers `graph`; none of a model that keeps no state.

    Raises ServingError (REFUSED_LOAD) where an end is missing or used twice, or the two do not fit each other.
    """
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    found: list[StateSignature] = []
    for state in manifest.states:
        if state.input not in inputs or state.output not in outputs:
            raise bad_manifest(manifest, f"state '{state.input}' of '{state.output}' is no input and output in pairs")
        taken, given = inputs.pop(state.input), outputs.pop(state.output)
        if not _fits(taken, given):
            raise bad_manifest(
                manifest, f"state '{state.input}' and '{state.output}' need one type and one fixed shape"
            )
        found.append(StateSignature(taken, given.name))
    if found and not (inputs and outputs):
        raise bad_manifest(manifest, "it has nothing but states: a step needs an input and an output")
    return tuple(found)


def without_states(graph: Signature, states: Sequence[StateSignature]) -> Signature:
    """What callers see."""
    hidden = {state.input.name for state in states}, {state.output for state in states}
    inputs, outputs = (
        tuple(tensor for tensor in tensors if tensor.name not in names)
        for tensors, names in zip((graph.inputs, graph.outputs), hidden, strict=True)
    )
    return Signature(inputs, outputs)


def check_stateful(config: ServingConfig, states: Sequence[StateSignature]) -> None:
    """Raise ServingError (REFUSED_LOAD) for settings that a model with states cannot have."""
    if not states:
        return
    if config.cache_bytes:
        raise _wrong("cache_bytes", "a model that keeps a state answers equal requests differently: 0 is needed")
    if "instances" in config.model_fields_set and config.instances > 1:
        raise _wrong("instances", "a model that keeps a state has 1: its steps must not overtake each other")
    if config.cuda_graphs:
        raise _wrong("cuda_graphs", "a model that keeps a state runs its steps one by one: false is needed")
    if config.priority_levels > 1:
        raise _wrong("priority_levels", "a model that keeps a state has 1: its steps must not overtake each other")


def _fits(taken: TensorSignature, given: TensorSignature) -> bool:
    fixed = all(dimension > 0 for dimension in taken.shape[1:])
    return fixed and taken.datatype == given.datatype != "BYTES" and taken.shape == given.shape


def _wrong(key: str, what: str) -> ServingError:
    return refused_load("SERVING_CONFIG_WRONG", f"{SERVING}: {key}: {what}")
