"""A graph that is ONNX already: named, its batch made dynamic, brought to one file.

Files in the wild carry weights beside them, list them as inputs, and have a batch of 1 that is only a habit of whoever
exported it. Where the graph runs with other batches the habit is dropped; the comparison proves it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import load_external_data_for_model

from exporter.errors import SourceError
from exporter.graph import BATCH, finish, graph_inputs, parse


def load(path: Path) -> onnx.ModelProto:
    """The model of a file with its external data brought in. Raises SourceError where the file is none."""
    try:
        return onnx.load(path)
    except onnx.checker.ValidationError as error:
        raise _lacks_weights(path.name) from error
    except (OSError, DecodeError) as error:
        raise SourceError(f"{path.name} cannot be read as ONNX") from error


def of_bytes(name: str, files: Mapping[str, bytes]) -> onnx.ModelProto:
    """The same of the file `name` among files whose bytes are known, by path: none is read a second time.

    Raises SourceError where `name` is not among them or is none, or where a path leads out of their folder.
    """
    if name not in files:
        raise SourceError(f"{name} is not among the files")
    try:
        model = onnx.load_model_from_string(files[name])
        with TemporaryDirectory(prefix="argosy-graph-") as folder:
            for path in files.keys() - {name}:
                place = Path(folder, path)
                if not place.resolve().is_relative_to(Path(folder).resolve()):
                    raise SourceError(f"{path} leads out of the folder of {name}")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(files[path])
            load_external_data_for_model(model, folder)
    except onnx.checker.ValidationError as error:
        raise _lacks_weights(name) from error
    except (OSError, DecodeError) as error:
        raise SourceError(f"{name} cannot be read as ONNX") from error
    return model


def convert(
    graph: bytes,
    inputs: Sequence[str],
    outputs: Sequence[str | None],
    *,
    one_row_at_a_time: bool = False,
    unfreeze_batch: bool = False,
    dimensions: Mapping[str, Sequence[str | int]] | None = None,
) -> bytes:
    """The same graph, its inputs and outputs named in the graph's order.

    `unfreeze_batch` declares the first dimension dynamic where the file says 1: compare the outcome in several batch
    sizes. `one_row_at_a_time` keeps 1 as it is. `dimensions` states shapes anew, by the new names.
    """
    model = parse(graph)
    if unfreeze_batch:
        for value in [*graph_inputs(model.graph), *model.graph.output]:
            if dims := value.type.tensor_type.shape.dim:
                dims[0].dim_param = BATCH
        del model.graph.value_info[:]  # inferred for the batch that was frozen
    return finish(model, inputs, outputs, one_row_at_a_time=one_row_at_a_time, dimensions=dimensions)


def _lacks_weights(name: str) -> SourceError:
    return SourceError(
        f"{name} cannot be read as ONNX: its weights lie in a file that is missing or outside its folder"
    )
