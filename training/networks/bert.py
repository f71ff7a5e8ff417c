"""A BERT encoder, for the weights of all-MiniLM-L6-v2.

A text's answer must not depend on how far it was padded: padding is taken out of the attention, and the number of
tokens is read from the ids at run time. Pooling is left to whoever knows what the tokens are for; dropout, which only
training needs, is left out. Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers", with GELU and
the normalisation after each part.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Our names of the modules, and how checkpoints of BERT name them.
EMBEDDING_KEYS = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
LAYER_KEYS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "widened": "intermediate.dense",
    "narrowed": "output.dense",
    "narrowed_norm": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class BertSize:
    """How large the encoder is; the defaults are MiniLM-L6-H384's."""

    words: int = 30522
    positions: int = 512
    types: int = 2
    width: int = 384
    heads: int = 12
    layers: int = 6
    widened: int = 1536
    norm_epsilon: float = 1e-12


class Bert(nn.Module):
    """ids, mask, types int64[N, T] -> one vector a token, float32[N, T, width]; those of padding mean nothing."""

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.words = nn.Embedding(size.words, size.width)
        self.positions = nn.Embedding(size.positions, size.width)
        self.types = nn.Embedding(size.types, size.width)
        self.norm = nn.LayerNorm(size.width, eps=size.norm_epsilon)
        self.layers = nn.ModuleList(BertLayer(size) for _ in range(size.layers))

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
        vectors: Tensor = self.norm(self.words(ids) + self.positions(places) + self.types(types))
        # Added before the softmax: padding's weight becomes exactly 0.
        hidden = (1 - mask[:, None, None, :]).to(vectors.dtype) * torch.finfo(vectors.dtype).min
        for layer in self.layers:
            vectors = layer(vectors, hidden)
        return vectors


class BertLayer(nn.Module):
    """Attention among the tokens, then a network a token; each added to its input and normalised."""

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.scale = 1 / math.sqrt(size.width // size.heads)
        self.query = nn.Linear(size.width, size.width)
        self.key = nn.Linear(size.width, size.width)
        self.value = nn.Linear(size.width, size.width)
        self.attended = nn.Linear(size.width, size.width)
        self.attended_norm = nn.LayerNorm(size.width, eps=size.norm_epsilon)
        self.widened = nn.Linear(size.width, size.widened)
        self.narrowed = nn.Linear(size.widened, size.width)
        self.narrowed_norm = nn.LayerNorm(size.width, eps=size.norm_epsilon)

    def forward(self, vectors: Tensor, hidden: Tensor) -> Tensor:
        attended = self.attended_norm(vectors + self._attend(vectors, hidden))
        narrowed: Tensor = self.narrowed(functional.gelu(self.widened(attended)))
        normalised: Tensor = self.narrowed_norm(attended + narrowed)
        return normalised

    def _attend(self, vectors: Tensor, hidden: Tensor) -> Tensor:
        query, key, value = (self._split(part(vectors)) for part in (self.query, self.key, self.value))
        affinity = query @ key.transpose(-1, -2) * self.scale
        mixed = torch.softmax(affinity + hidden, dim=-1) @ value
        joined: Tensor = self.attended(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, vectors: Tensor) -> Tensor:
        """float32[N, T, width] -> float32[N, heads, T, width / heads]."""
        rows, tokens, width = vectors.shape
        return vectors.reshape(rows, tokens, self.heads, width // self.heads).transpose(1, 2)


def load_checkpoint(network: Bert, checkpoint: Mapping[str, Tensor]) -> None:
    """Fill `network` with a BERT checkpoint's numbers. Raises KeyError or RuntimeError where they do not fit."""
    network.load_state_dict({ours: checkpoint[_key_in_checkpoint(ours)] for ours in network.state_dict()})


def _key_in_checkpoint(ours: str) -> str:
    module, kind = ours.rsplit(".", 1)
    if module in EMBEDDING_KEYS:
        return f"{EMBEDDING_KEYS[module]}.{kind}"
    _, place, part = module.split(".")
    return f"encoder.layer.{place}.{LAYER_KEYS[part]}.{kind}"
