"""PyTorch's models of the matrix: as an object of a user's module, as TorchScript, as torch.export's .pt2."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from argosy.v1 import manifest_pb2 as pb
from tests.matrix import describe
from tests.matrix.case import Made, Rows
from tests.matrix.data import digits, patients, wine
from tests.matrix.describe import FEATURES, IDS, IMAGE, LOGITS, VALUE
from tests.matrix.letters import PADDING
from tests.matrix.sources import pytorch_networks as networks
from tests.matrix.texts import words

MASK = "mask"
_WEIGHTS = "weights.pt"
_TRUST = "--trust-code"


@dataclass(frozen=True, slots=True)
class Given:
    """A saved module as the exporter is given it."""

    source: str
    flags: tuple[str, ...] = ()


Save = Callable[[nn.Module], Given]


def pytorch_dense(folder: Path) -> Made:
    return _of_wine(networks.Dense(), lambda module: as_object(folder, module))


def pytorch_one_sample(folder: Path) -> Made:
    """The caller's samples are a single row."""
    made = pytorch_dense(folder)
    return replace(made, samples={FEATURES: made.samples[FEATURES][:1]})


def pytorch_weights_alone(folder: Path) -> Made:
    """A file of weights is no model: the module that they belong to is not in it."""
    made = pytorch_dense(folder)
    return replace(made, given=_WEIGHTS)


def pytorch_branching(folder: Path) -> Made:
    return _of_wine(networks.Branching(), lambda module: as_object(folder, module))


def pytorch_branching_script(folder: Path) -> Made:
    """A script keeps both branches; a row is still answered by whom it shares the batch with."""
    return _of_wine(networks.Branching(), lambda module: as_script(folder, module))


def pytorch_script(folder: Path) -> Made:
    return _of_wine(networks.Dense(), lambda module: as_script(folder, module))


def pytorch_program(folder: Path) -> Made:
    example, batch = torch.zeros(3, 13), {0: Dim("batch")}
    return _of_wine(networks.Dense(), lambda module: as_program(folder, module, (example,), (batch,)))


def pytorch_frozen_program(folder: Path) -> Made:
    """Exported to .pt2 with an example of one row and no word that the batch varies."""
    return _of_wine(networks.Dense(), lambda module: as_program(folder, module, (torch.zeros(1, 13),), None))


def pytorch_output_name(folder: Path) -> Made:
    """The output is to be called as a value inside the network is."""
    table = patients(scaled=True)
    module = _train(networks.Clashing(), [table.fit_rows], table.fit_targets[:, None], nn.MSELoss())
    given = as_object(folder, module)
    return _made(given, describe.numbers(10, VALUE), {FEATURES: table.samples}, table.fresh(), module)


def pytorch_convolution(folder: Path) -> Made:
    return _of_digits(networks.Convolution(), lambda module: as_object(folder, module))


def pytorch_convolution_program(folder: Path) -> Made:
    example, batch = torch.zeros(3, 1, 8, 8), {0: Dim("batch")}
    return _of_digits(networks.Convolution(), lambda module: as_program(folder, module, (example,), (batch,)))


def pytorch_lstm(folder: Path) -> Made:
    return _of_words(networks.Recurrent("lstm"), lambda module: as_object(folder, module, "lstm"))


def pytorch_two_way_gru(folder: Path) -> Made:
    return _of_words(networks.Recurrent("gru"), lambda module: as_object(folder, module, "gru"))


def pytorch_lstm_script(folder: Path) -> Made:
    return _of_words(networks.Recurrent("lstm"), lambda module: as_script(folder, module))


def pytorch_frozen_length(folder: Path) -> Made:
    """Exported to .pt2 at one length, though the model is described as taking any."""
    example, batch = torch.zeros(3, 16, dtype=torch.int64), {0: Dim("batch")}
    return _of_words(networks.Recurrent("lstm"), lambda module: as_program(folder, module, (example,), (batch,)))


def pytorch_packed(folder: Path) -> Made:
    return _of_words(networks.Packed(), lambda module: as_object(folder, module))


def pytorch_attention(folder: Path) -> Made:
    """Two inputs: ids and the mask of their padding."""
    chosen = words()
    ids = chosen.fit_ids
    module = _train(networks.Attention(), [ids, _mask(ids)], chosen.fit_classes, nn.CrossEntropyLoss())
    fresh = {name: {**rows, MASK: _mask(rows[IDS])} for name, rows in chosen.fresh().items()}
    samples = {IDS: chosen.samples, MASK: _mask(chosen.samples)}
    return _made(as_object(folder, module), describe.token_ids(LOGITS, mask=MASK), samples, fresh, module)


def as_object(folder: Path, module: nn.Module, *arguments: str) -> Given:
    """A module of the user's own that brings the network back with its weights."""
    torch.save(module.state_dict(), folder / _WEIGHTS)
    call = ", ".join([f'"{type(module).__name__}"', f'Path(__file__).with_name("{_WEIGHTS}")', *map(repr, arguments)])
    (folder / "mine.py").write_text(
        "from pathlib import Path\n\nfrom tests.matrix.sources.pytorch_networks import restored\n\n"
        f"model = restored({call})\n"
    )
    return Given("mine:model", (_TRUST,))


def as_script(folder: Path, module: nn.Module) -> Given:
    torch.jit.script(module.eval()).save(folder / "model.pt")
    return Given("model.pt", (_TRUST,))


def as_program(
    folder: Path,
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    dynamic: tuple[Mapping[int, Dim], ...] | None,
) -> Given:
    torch.export.save(torch.export.export(module.eval(), example, dynamic_shapes=dynamic), folder / "model.pt2")
    return Given("model.pt2", (_TRUST,))


def _of_wine(module: nn.Module, save: Save) -> Made:
    table = wine(scaled=True)
    trained = _train(module, [table.fit_rows], table.fit_targets, nn.CrossEntropyLoss())
    description = describe.numbers(table.width, LOGITS)
    return _made(save(trained), description, {FEATURES: table.samples}, table.fresh(), trained)


def _of_digits(module: nn.Module, save: Save) -> Made:
    table = digits(channels_first=True)
    trained = _train(module, [table.fit_rows], table.fit_targets, nn.CrossEntropyLoss())
    description = describe.image(8, LOGITS, layout=pb.IMAGE_LAYOUT_NCHW)
    return _made(save(trained), description, {IMAGE: table.samples}, table.fresh_images(), trained)


def _of_words(module: nn.Module, save: Save) -> Made:
    chosen = words()
    trained = _train(module, [chosen.fit_ids], chosen.fit_classes, nn.CrossEntropyLoss())
    return _made(save(trained), describe.token_ids(LOGITS), {IDS: chosen.samples}, chosen.fresh(), trained)


def _made(
    given: Given, description: pb.ModelManifest, samples: Rows, fresh: Mapping[str, Rows], module: nn.Module
) -> Made:
    output = description.outputs[0].name
    return Made(given.source, description, samples, fresh, lambda rows: {output: _answers(module, rows)}, given.flags)


def _train(module: nn.Module, rows: list[np.ndarray], targets: np.ndarray, loss: nn.Module) -> nn.Module:
    """A few steps over all rows, from a seed."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(module.train().parameters(), 0.01)
    given, wanted = [torch.from_numpy(values) for values in rows], torch.from_numpy(targets)
    for _ in range(12):
        optimiser.zero_grad()
        loss(module(*given), wanted).backward()
        optimiser.step()
    return module.eval()


def _answers(module: nn.Module, rows: Rows) -> np.ndarray:
    with torch.inference_mode():
        return module(*(torch.from_numpy(values) for values in rows.values())).numpy()


def _mask(ids: np.ndarray) -> np.ndarray:
    """1 for a letter; the first place always counts, so that no row is all padding."""
    mask = (ids != PADDING).astype(np.int64)
    mask[:, 0] = 1
    return mask
