"""The output of a model whose task has a usual one: who describes none need not."""

from collections.abc import Mapping, Sequence

from argosy.v1 import manifest_pb2 as pb
from exporter.added_outputs import AddedOutput, described_outputs
from exporter.errors import ManifestError

# By what the name of the task ends in.
_USUAL_OUTPUTS: Mapping[str, pb.TensorSpec] = {
    "CLASSIFICATION": pb.TensorSpec(
        name="probabilities", meaning="probability of each class", role=pb.OUTPUT_ROLE_PROBABILITIES
    ),
    "REGRESSION": pb.TensorSpec(name="value", meaning="the predicted number", role=pb.OUTPUT_ROLE_VALUE),
    "EMBEDDING": pb.TensorSpec(name="embedding", meaning="the vector of a row", role=pb.OUTPUT_ROLE_EMBEDDING),
}


def with_usual_output(manifest: pb.ModelManifest, added: Sequence[AddedOutput]) -> pb.ModelManifest:
    """A copy with the usual output where none is described, and the added ones.

    Raises ManifestError where no task is stated, or one that has no usual output and none is described.
    """
    described = pb.ModelManifest()
    described.CopyFrom(manifest)
    if not described.tasks:
        raise ManifestError("state the task of the model: --task, or tasks in the description")
    kind = pb.Task.Name(described.tasks[0]).rsplit("_", 1)[-1]
    if not described.outputs and kind not in _USUAL_OUTPUTS:
        raise ManifestError(f"describe the outputs: for {pb.Task.Name(described.tasks[0])} there is no usual one")
    outputs = described_outputs(list(described.outputs), _USUAL_OUTPUTS.get(kind), added)
    del described.outputs[:]
    described.outputs.extend(outputs)
    return described
