"""PyTorch modules of a user's own; `restored` is how such a user's module brings one back with its weights."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tests.matrix.letters import PADDING, VOCABULARY


class Dense(nn.Module):
    """Logits of 13 numbers, the output named like a value inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(13, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.3), nn.Linear(16, 3))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class Convolution(nn.Module):
    """Logits of a digit; BatchNorm's statistics are those of training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, groups=8),
            nn.BatchNorm2d(16),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class Recurrent(nn.Module):
    """Logits of a word: embedding, then the last state of an LSTM or a two-way GRU."""

    def __init__(self, kind: str = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.is_lstm = kind == "lstm"
        self.recurrent = (
            nn.LSTM(12, 12, batch_first=True)
            if self.is_lstm
            else nn.GRU(12, 8, num_layers=2, bidirectional=True, batch_first=True)
        )
        self.head = nn.Linear(12 if self.is_lstm else 16, 2)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.recurrent(self.embedding(ids))
        return self.head(states.mean(dim=1))


class Packed(nn.Module):
    """A recurrent network that skips padding by packing the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.recurrent = nn.GRU(12, 12, batch_first=True)
        self.head = nn.Linear(12, 2)

    def forward(self, ids: Tensor) -> Tensor:
        lengths = (ids != PADDING).sum(dim=1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.recurrent(packed)
        return self.head(last[0])


class Attention(nn.Module):
    """A transformer layer that attends to letters and not to padding; the mean of what it finds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        kept = mask.to(torch.bool)
        states = self.layer(self.embedding(ids), src_key_padding_mask=~kept)
        weights = kept.unsqueeze(-1).to(states.dtype)
        return self.head((states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0))


class Branching(nn.Module):
    """Answers by another formula where the batch has a large number: a trace follows one of the two."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Linear(13, 3)
        self.far = nn.Linear(13, 3)

    def forward(self, features: Tensor) -> Tensor:
        if features.abs().max() > 20:
            return self.far(features)
        return self.near(features)


class Clashing(nn.Module):
    """Its output is called as a trace calls a value inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(10, 8)
        self.value = nn.Linear(8, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.value(torch.relu(self.first(features)))


_NETWORKS = {kind.__name__: kind for kind in (Dense, Convolution, Recurrent, Packed, Attention, Branching, Clashing)}


def restored(network: str, weights: Path, *arguments: str) -> nn.Module:
    """A network of this module with the weights of a file."""
    module = _NETWORKS[network](*arguments)
    module.load_state_dict(torch.load(weights, weights_only=True))
    return module.eval()
