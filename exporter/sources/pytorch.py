"""A PyTorch model: a module as package.module:name or pickled whole, a TorchScript file, a .pt2 of torch.export.

A file of weights is no model: they belong to a module. A TorchScript file brings its own small language and no Python,
but that writes files too. What does so, pickles, and .pt2 files, whose weights may be pickles, are read only where the
caller has said that they are trusted.
"""

import inspect
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from exporter import pytorch as torch_export
from exporter.arrays import Array, Rows
from exporter.conversion import Findings, Request
from exporter.errors import SourceError
from exporter.foreign import told
from exporter.sniff import is_torch_script
from exporter.sources.inputs import Input
from exporter.sources.source import Source
from exporter.sources.ways import Naming, Remedy, Way

_FROZEN_LENGTH = (
    "a recurrent layer froze the length of its example when the source was exported: give the module itself, as"
    " package.module:name, or a TorchScript file"
)

# As the operators of PyTorch are called that take a file's name, by whatever way they are named.
_OF_FILES = re.compile(rb"\b(save|from_file)\s*\(")

_ONE_PATH = "tracing records one path through the code: a model that branches on its values is not for it"
_EXPORTED = "converted by torch.export and not by a trace"


def from_file(path: Path, request: Request, samples: Rows) -> Source:
    with zipfile.ZipFile(path) as archive:
        members = {name.split("/", 1)[-1] for name in archive.namelist()}
    try:
        if is_torch_script(members):
            if not request.trust_code and _names_files(path):
                raise SourceError(f"{path.name} reads or writes files: say --trust-code if it is yours")
            return _of_module(torch.jit.load(path, map_location="cpu"))  # type: ignore[no-untyped-call]
        if not request.trust_code:
            raise SourceError(f"loading {path.name} runs the code in it: say --trust-code if it is yours")
        if "data.pkl" in members and "archive_format" not in members:
            return from_object(torch.load(path, map_location="cpu", weights_only=False), request, samples)
        return _of_program(torch.export.load(path))
    except (RuntimeError, AttributeError, ImportError, zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{path.name} cannot be loaded by PyTorch: {told(error)}") from error


def _names_files(script: Path) -> bool:
    """Whether the script, which may run as it is loaded, calls what reads or writes a file."""
    with zipfile.ZipFile(script) as archive:
        sources = [name for name in archive.namelist() if "/code/" in f"/{name}" and name.endswith(".py")]
        return any(_OF_FILES.search(archive.read(name)) for name in sources)


def from_object(model: object, request: Request, samples: Rows) -> Source:  # noqa: ARG001 - a framework's module
    """The samples are the arguments of forward, in their order."""
    if isinstance(model, dict):
        raise SourceError("the file holds weights and no model: give their module, as package.module:name")
    if not isinstance(model, torch.nn.Module):
        raise SourceError(f"a {type(model).__name__} is no torch.nn.Module")
    if _packs(model):
        raise SourceError("pack_padded_sequence cannot be exported: run over the padding and pool under a mask instead")
    return _of_module(model)


def _of_module(module: torch.nn.Module) -> Source:
    def traced(naming: Naming) -> bytes:
        return torch_export.convert(module, _example(naming), naming.output_names, naming.dynamic_axes)

    def exported(naming: Naming) -> bytes:
        return torch_export.convert_exported(module, _example(naming), naming.output_names, naming.dynamic_axes)

    return Source(
        framework=torch_export.FRAMEWORK,
        distribution=torch_export.FRAMEWORK_DISTRIBUTION,
        converter=torch_export.CONVERTER,
        inputs=None,
        answer=lambda rows: torch_export.predict(module, rows),
        ways=(Way(traced), Way(exported, (Remedy(_EXPORTED),))) if _can_be_exported(module) else (Way(traced),),
        findings=Findings(hazards=(_ONE_PATH,)),
        parameter_count=torch_export.parameter_count(module),
    )


def _of_program(program: torch.export.ExportedProgram) -> Source:
    """Its graph is fixed: what the example froze stays frozen."""
    module = program.module()

    def to_graph(naming: Naming) -> bytes:
        return torch_export.convert_program(program, naming.input_names, naming.output_names)

    return Source(
        framework=torch_export.FRAMEWORK,
        distribution=torch_export.FRAMEWORK_DISTRIBUTION,
        converter=torch_export.CONVERTER,
        inputs=tuple(_program_inputs(program)),
        answer=lambda rows: _ask(module, rows),
        ways=(Way(to_graph),),
        findings=Findings(hazards=(_FROZEN_LENGTH,)),
        parameter_count=sum(weights.numel() for weights in program.parameters()),
    )


def _ask(module: torch.nn.Module, rows: Sequence[Array]) -> list[Array]:
    """Whole sets at once; a dimension that the export froze is refused by the program's own guards."""
    with torch.inference_mode():
        answers = module(*(torch.from_numpy(np.ascontiguousarray(values)) for values in rows))
    return [answer.numpy() for answer in (answers if isinstance(answers, tuple) else (answers,))]


def _program_inputs(program: torch.export.ExportedProgram) -> Iterator[Input]:
    wanted = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op != "placeholder" or node.name not in wanted:
            continue
        value = node.meta["val"]
        batch, *sizes = value.shape
        if isinstance(batch, int):
            raise SourceError(
                f"input '{node.name}' of the exported program is frozen at a batch of {batch}: export it with"
                " dynamic_shapes that make the first dimension a torch.export.Dim"
            )
        shape = tuple(size if isinstance(size, int) else f"axis_{axis}" for axis, size in enumerate(sizes, 1))
        yield Input(node.name, str(value.dtype).removeprefix("torch."), shape)


def _example(naming: Naming) -> dict[str, Array]:
    return dict(zip(naming.input_names, naming.example.values(), strict=True))


def _can_be_exported(module: torch.nn.Module) -> bool:
    """A script is no Python that torch.export could read; its branches are in its graph anyway."""
    return not isinstance(module, torch.jit.ScriptModule)


def _packs(module: torch.nn.Module) -> bool:
    for part in module.modules():
        try:
            if "pack_padded_sequence" in inspect.getsource(type(part)) and not type(part).__module__.startswith(
                "torch."
            ):
                return True
        except (OSError, TypeError):
            continue  # no source to look into
    return False
