"""What no file says of a source model, for the exporter's `--describe`: task, inputs, outputs, preprocessing."""

from collections.abc import Collection, Sequence

from argosy.v1 import manifest_pb2 as pb

# Inputs and outputs as the published graphs must name them.
FEATURES, IMAGE, IDS, TEXT = "features", "image", "ids", "text"
PROBABILITIES, LOGITS, VALUE, EMBEDDING = "probabilities", "logits", "value", "embedding"

_ROLES = {
    PROBABILITIES: pb.OUTPUT_ROLE_PROBABILITIES,
    LOGITS: pb.OUTPUT_ROLE_LOGITS,
    VALUE: pb.OUTPUT_ROLE_VALUE,
    EMBEDDING: pb.OUTPUT_ROLE_EMBEDDING,
}


def numbers(count: int, *outputs: str) -> pb.ModelManifest:
    """A table of `count` numbers in one input [N, count]."""
    table = pb.TablePreprocessing(columns=[_number(f"x{index}", FEATURES, index) for index in range(count)])
    task = pb.TASK_TABULAR_REGRESSION if outputs[0] == VALUE else pb.TASK_TABULAR_CLASSIFICATION
    return _manifest(task, [FEATURES], outputs, pb.ModelManifest(table=table))


def columns(names: Sequence[str], texts: Collection[str], *outputs: str) -> pb.ModelManifest:
    """A table of named columns, each an input [N, 1] whose name has `_` for `-`; `texts` are the columns of text."""
    kinds = [pb.COLUMN_KIND_TEXT if name in texts else pb.COLUMN_KIND_NUMBER for name in names]
    inputs = [tensor_name(name) for name in names]
    table = pb.TablePreprocessing(
        columns=[
            pb.TableColumn(name=name, kind=kind, input=given, missing=pb.MISSING_POLICY_IMPUTE)
            for name, kind, given in zip(names, kinds, inputs, strict=True)
        ]
    )
    task = pb.TASK_TABULAR_REGRESSION if outputs[0] == VALUE else pb.TASK_TABULAR_CLASSIFICATION
    return _manifest(task, inputs, outputs, pb.ModelManifest(table=table))


def image(side: int, *outputs: str, layout: pb.ImageLayout.ValueType = pb.IMAGE_LAYOUT_NHWC) -> pb.ModelManifest:
    """A square grey image, its values in [0, 1]."""
    reading = pb.ImagePreprocessing(
        input=IMAGE,
        width=side,
        height=side,
        color=pb.COLOR_SPACE_GRAY,
        layout=layout,
        resize=pb.RESIZE_MODE_STRETCH,
        interpolation=pb.INTERPOLATION_BILINEAR,
        scale=1 / 255,
    )
    task = pb.TASK_IMAGE_EMBEDDING if outputs[0] == EMBEDDING else pb.TASK_IMAGE_CLASSIFICATION
    return _manifest(task, [IMAGE], outputs, pb.ModelManifest(image=reading))


def token_ids(*outputs: str, mask: str = "") -> pb.ModelManifest:
    """Ids of letters [N, letters], with a mask beside them where one is named."""
    tokens = pb.TokenReading(ids_input=IDS, mask_input=mask, max_tokens=64)
    inputs = [IDS, mask] if mask else [IDS]
    described = _manifest(
        pb.TASK_TEXT_EMBEDDING if outputs[0] == EMBEDDING else pb.TASK_TEXT_CLASSIFICATION,
        inputs,
        outputs,
        pb.ModelManifest(text=pb.TextPreprocessing(tokens=tokens)),
    )
    for given in described.inputs:
        given.shape.extend([-1, -1])
    return described


def text(*outputs: str) -> pb.ModelManifest:
    """The text itself, one a row: [N, 1]."""
    reading = pb.TextPreprocessing(string=pb.StringReading(input=TEXT))
    return _manifest(pb.TASK_TEXT_CLASSIFICATION, [TEXT], outputs, pb.ModelManifest(text=reading))


def tensor_name(column: str) -> str:
    return column.replace("-", "_")


def _number(name: str, given: str, index: int) -> pb.TableColumn:
    return pb.TableColumn(
        name=name, kind=pb.COLUMN_KIND_NUMBER, input=given, index=index, missing=pb.MISSING_POLICY_IMPUTE
    )


def _manifest(
    task: pb.Task.ValueType, inputs: Sequence[str], outputs: Sequence[str], rest: pb.ModelManifest
) -> pb.ModelManifest:
    described = pb.ModelManifest(description="A source model of the matrix.", licence="MIT", tasks=[task])
    described.inputs.extend(pb.TensorSpec(name=name, meaning=f"the model's {name}") for name in inputs)
    described.outputs.extend(
        pb.TensorSpec(name=name, meaning=f"the model's {name}", role=_ROLES[name]) for name in outputs
    )
    described.MergeFrom(rest)
    return described
