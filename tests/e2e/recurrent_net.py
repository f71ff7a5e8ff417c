"""A small recurrent network in PyTorch: run over a whole sequence at once, and as the one step that is exported."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

FEATURES, HIDDEN = 3, 16

DESCRIPTION = """
description: A number for every row of three, by all the rows of its sequence so far.
licence: MIT
inputs:
- {name: x, meaning: three measurements}
- {name: h, meaning: what the network remembers}
outputs:
- {name: value, meaning: the predicted number, role: OUTPUT_ROLE_VALUE}
- {name: h_next, meaning: what the network remembers after the row, role: OUTPUT_ROLE_STATE}
states:
- {input: h, output: h_next}
table:
  columns:
  - {name: a, kind: COLUMN_KIND_NUMBER, input: x, index: 0, missing: MISSING_POLICY_REJECT}
  - {name: b, kind: COLUMN_KIND_NUMBER, input: x, index: 1, missing: MISSING_POLICY_REJECT}
  - {name: c, kind: COLUMN_KIND_NUMBER, input: x, index: 2, missing: MISSING_POLICY_REJECT}
"""


class Whole(torch.nn.Module):
    """[N, steps, 3] -> [N, steps, 1]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.gru = torch.nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.gru(rows)
        values: torch.Tensor = self.head(hidden)
        return values


class Step(torch.nn.Module):
    """[N, 3] and the state [N, 16] -> [N, 1] and the next state, with the weights of `Whole`."""

    def __init__(self, whole: Whole) -> None:
        super().__init__()
        self.cell = torch.nn.GRUCell(FEATURES, HIDDEN)
        self.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in whole.gru.state_dict().items()})
        self.head = whole.head

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        after = self.cell(x, h)
        return self.head(after), after


step = Step(Whole())


def expected(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The source's own answers to a whole sequence [steps, 3]: [steps]."""
    with torch.no_grad():
        values: NDArray[np.float32] = Whole()(torch.from_numpy(rows[None]))[0, :, 0].numpy()
    return values


def write_samples(path: Path) -> None:
    """Rows and states to compare the graph on."""
    random = np.random.default_rng(5)
    x = random.normal(size=(64, FEATURES)).astype(np.float32)
    h = random.uniform(-1, 1, size=(64, HIDDEN)).astype(np.float32)
    np.savez(path, x=x, h=h)
