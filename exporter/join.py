"""Two graphs as one: what the first answers is what the second reads.

They come from converters that speak different versions of ONNX and use the same names for different things. The older
of the two is brought to the operators of the newer, everything in between gets a prefix of its part, and a number that
the first answers in another type than the second reads is cast. Inputs stay those of the first, outputs those of the
second. Whether the whole answers right is for the comparison to say; nothing is believed here.
"""

from collections.abc import Mapping

import onnx
from onnx import TensorProto, compose, helper, version_converter

from exporter.errors import GraphError
from exporter.foreign import told
from exporter.graph import finish, graph_inputs, parse
from exporter.graph_edits import prefix, rename

FIRST, SECOND = "preprocessing/", "network/"
_OWN = {"", "ai.onnx"}


def join(first: bytes, second: bytes, links: Mapping[str, str], *, one_row_at_a_time: bool = False) -> bytes:
    """`links` gives for each output of `first` the input of `second` that takes it. Raises GraphError."""
    front, back = parse(first), parse(second)
    inputs = [value.name for value in graph_inputs(front.graph)]
    outputs = [value.name for value in back.graph.output]
    _cast(front.graph, back.graph, links)
    front, back = _of_one_dialect(front, back)
    prefix(front.graph, FIRST)
    prefix(back.graph, SECOND)
    joints = [(f"{FIRST}{answered}", f"{SECOND}{read}") for answered, read in links.items()]
    try:
        whole = compose.merge_models(front, back, io_map=joints)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise GraphError(f"the parts cannot be joined to one graph: {told(error)}") from error
    return finish(whole, inputs, outputs, one_row_at_a_time=one_row_at_a_time)


def _cast(front: onnx.GraphProto, back: onnx.GraphProto, links: Mapping[str, str]) -> None:
    """Bring each output of `front` to the type that `back` reads."""
    wanted = {value.name: value.type.tensor_type.elem_type for value in graph_inputs(back)}
    for value in front.output:
        tensor, read = value.type.tensor_type, wanted[links[value.name]]
        if tensor.elem_type == read:
            continue
        if TensorProto.STRING in {tensor.elem_type, read}:
            raise GraphError(
                f"the preprocessing answers '{value.name}' as texts where the network reads numbers, or"
                " numbers where it reads texts"
            )
        name = value.name
        rename(front, {name: f"{name}_uncast"})
        front.node.append(helper.make_node("Cast", [f"{name}_uncast"], [name], to=read))
        value.name = name
        tensor.elem_type = read


def _of_one_dialect(front: onnx.ModelProto, back: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Both with the newer operators, and the newer form of the file, of the two."""
    newest = max(_opsets(front).get("", 0), _opsets(back).get("", 0))
    parts = [_at_opset(model, newest) for model in (front, back)]
    for domain in _opsets(parts[0]).keys() & _opsets(parts[1]).keys():
        version = max(_opsets(model)[domain] for model in parts)
        for model in parts:
            _state(model, domain, version)
    imports = [entry for model in parts for entry in model.opset_import]
    ir_version = max(
        *(model.ir_version for model in parts), helper.find_min_ir_version_for(imports, ignore_unknown=True)
    )
    for model in parts:
        model.ir_version = ir_version
    return parts[0], parts[1]


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {"" if entry.domain in _OWN else entry.domain: entry.version for entry in model.opset_import}


def _at_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    own = _opsets(model).get("", 0)
    if own == version:
        return model
    if not own:  # trees alone: no standard operator is there to be changed
        model.opset_import.add(version=version)
        return model
    try:
        return version_converter.convert_version(model, version)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise GraphError(
            f"a part has opset {own} and cannot be brought to the other's {version}: {told(error)}"
        ) from error


def _state(model: onnx.ModelProto, domain: str, version: int) -> None:
    """Declare the newer version of a domain for which nobody wrote a converter, where its operators are the same."""
    for entry in model.opset_import:
        if ("" if entry.domain in _OWN else entry.domain) != domain or entry.version == version:
            continue
        for node in model.graph.node:
            if node.domain == domain and not _is_unchanged(node, version):
                raise GraphError(f"{node.op_type} of {domain} {entry.version} is another operator in {version}")
        entry.version = version


def _is_unchanged(node: onnx.NodeProto, version: int) -> bool:
    """Whether the operator is there in the version, and knows all attributes that the node has."""
    if not onnx.defs.has(node.op_type, version, node.domain):
        return False
    schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    return not schema.deprecated and {attribute.name for attribute in node.attribute} <= schema.attributes.keys()
