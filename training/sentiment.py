"""`sentiment`: PyTorch Embedding -> LSTM -> Linear over sub-words, any number of tokens, any batch.

Padding must not change an answer. The LSTM reads left to right and padding is on the right, so no real token ever sees
it; the mean and the maximum over the tokens are taken under the mask. That is why the LSTM has one direction: the other
would begin in the padding, and packed sequences cannot be exported.
"""

from collections.abc import Iterator

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from argosy.v1 import manifest_pb2 as pb
from evaluation.figures import classification, confusion
from exporter import pytorch as torch_export
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from exporter.verify import compare, run_graph
from training.packages import VADER_SENTIMENT, fetch
from training.reference import Exported, Workspace
from training.sentences import (
    HUMAN_THRESHOLD,
    LABELS,
    Classes,
    Sentences,
    held_out,
    read_lexicon,
    read_sentences,
    vader_classes,
)
from training.tokens import PAD_ID, TOKENIZER_FILE, TokenRows, encode

SEED = 3
EPOCHS = 5
BATCH_ROWS = 64
VOCABULARY = 8000
MAX_TOKENS = 128
# Tokens that a training row loses to [UNK]: no single word may decide alone.
DROPPED_TOKENS = 0.2
PAD, UNKNOWN, BEGIN = "[PAD]", "[UNK]", "[BEGIN]"


class SentimentNetwork(nn.Module):
    """ids int64[N, T], mask int64[N, T] -> probabilities float32[N, 3]."""

    def __init__(self, vocabulary: int, width: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD_ID)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(2 * width, len(LABELS))

    def logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        states, _ = self.lstm(self.dropout(self.embedding(ids)))
        real = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1).clamp(min=1.0)
        # An LSTM's states lie within ±1: what is shifted by -2 is below every real one.
        largest = (states - 2.0 * (1.0 - real)).amax(1).clamp(min=-1.0)
        answer: Tensor = self.output(self.dropout(torch.cat([mean, largest], dim=1)))
        return answer

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return torch.softmax(self.logits(ids, mask), dim=-1)


def export(workspace: Workspace) -> Exported:
    """Train on 85 % of the sentences and VADER's lexicon, judge on the rest, beside VADER itself."""
    torch.manual_seed(SEED)
    # Small matrices: a second thread waits more than it works, and the order of a sum depends on it.
    torch.set_num_threads(1)
    archive = fetch(VADER_SENTIMENT, workspace.packages_dir)
    train, test = held_out(read_sentences(archive), SEED)
    tokenizer = train_tokenizer(train)
    network = fit(tokenizer, train, read_lexicon(archive), workspace)
    workspace.report("evaluating, converting, comparing")
    return _exported(network, tokenizer, test)


def train_tokenizer(sentences: Sentences) -> bytes:
    """A tokenizer.json: lower case, words and signs, byte-pair sub-words, [BEGIN] first so that no text is empty."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=2, special_tokens=[PAD, UNKNOWN, BEGIN], show_progress=False
    )
    tokenizer.train_from_iterator(sentences.texts, trainer)
    begin = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin)])
    return tokenizer.to_str().encode()


def fit(tokenizer: bytes, sentences: Sentences, lexicon: Sentences, workspace: Workspace) -> SentimentNetwork:
    """Adam on cross-entropy, the classes weighted alike, the rate falling to nothing."""
    rows = encode(tokenizer, [*sentences.texts, *lexicon.texts])
    classes = np.concatenate([sentences.classes, lexicon.classes])
    network = SentimentNetwork(Tokenizer.from_str(tokenizer.decode()).get_vocab_size())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.3)
    steps = EPOCHS * -(-len(classes) // BATCH_ROWS)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    loss = nn.CrossEntropyLoss(weight=_class_weights(sentences), label_smoothing=0.05)
    order = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        workspace.report(f"training, epoch {epoch + 1} of {EPOCHS}")
        for ids, mask, truth in _batches(rows, classes, order):
            optimizer.zero_grad()
            loss(network.train().logits(ids, mask), truth).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rate.step()
    return network.eval()


def _class_weights(sentences: Sentences) -> Tensor:
    counts = np.bincount(sentences.classes, minlength=len(LABELS))
    # The root: weights in full buy recall of the rarest class with everyone else's precision.
    return torch.from_numpy(np.sqrt(counts.mean() / counts).astype(np.float32))


def _batches(rows: TokenRows, classes: Classes, order: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Shuffled batches of texts of about one length, cut to the longest of each, tokens dropped at random."""
    lengths = np.minimum(rows.mask.sum(axis=1), MAX_TOKENS)
    shuffled = np.argsort(lengths + order.uniform(0, 4, len(lengths)))
    batches = [shuffled[start : start + BATCH_ROWS] for start in range(0, len(shuffled), BATCH_ROWS)]
    for position in order.permutation(len(batches)):
        chosen = batches[position]
        width = int(lengths[chosen].max())
        ids, mask = rows.ids[chosen, :width].copy(), rows.mask[chosen, :width]
        ids[(order.random(ids.shape) < DROPPED_TOKENS) & (mask == 1)] = 1
        yield torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(classes[chosen])


def _exported(network: SentimentNetwork, tokenizer: bytes, test: Sentences) -> Exported:
    rows = encode(tokenizer, test.texts)
    given = {"ids": rows.ids[:, :MAX_TOKENS], "mask": rows.mask[:, :MAX_TOKENS]}
    answers = torch_export.predict(network, list(given.values()))[0]
    graph = torch_export.convert(
        network,
        {name: values[:3, :9] for name, values in given.items()},
        ["probabilities"],
        dynamic={"ids": {1: "tokens"}, "mask": {1: "tokens"}},
    )
    compared = Comparison(given, {"probabilities": answers})
    parity = compare(
        graph,
        compared.rows,
        compared.reference,
        described=f"the PyTorch network on {len(test.texts)} held-out sentences",
        class_outputs=["probabilities"],
    )
    scores = run_graph(graph, given)["probabilities"]
    metrics = classification(test.classes, scores.argmax(axis=1), "test", LABELS, probabilities=scores)
    metrics += classification(test.classes, vader_classes(test.texts), "test", subject="vader")
    files = {TOKENIZER_FILE: tokenizer, PARITY_FILE: kept([compared])}
    manifest = _manifest(network, graph, parity, metrics)
    manifest.confusion.CopyFrom(confusion(test.classes, scores.argmax(axis=1), len(LABELS), "test"))
    return Exported(manifest, graph, files)


def _manifest(
    network: SentimentNetwork, graph: bytes, parity: pb.ParityReport, metrics: list[pb.Metric]
) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(
        graph,
        {
            "ids": Meaning("sub-word ids of tokenizer.json, 0 is padding"),
            "mask": Meaning("1 for a token, 0 for padding, which is on the right"),
            "probabilities": Meaning("probability of each sentiment", unit="1", role=pb.OUTPUT_ROLE_PROBABILITIES),
        },
    )
    return pb.ModelManifest(
        name="sentiment",
        description=(
            "How people rate the feeling of an English sentence: an LSTM on VADER's sentences. Of mean scores from -4"
            f" to 4 those up to -{HUMAN_THRESHOLD} are negative, those from {HUMAN_THRESHOLD} on positive."
        ),
        licence="Apache-2.0; data MIT, by Hutto and Gilbert 2014, who ask for citation",
        tasks=[pb.TASK_TEXT_CLASSIFICATION],
        inputs=inputs,
        outputs=outputs,
        text=pb.TextPreprocessing(
            tokens=pb.TokenReading(
                tokenizer_file=TOKENIZER_FILE, ids_input="ids", mask_input="mask", max_tokens=MAX_TOKENS, pad_id=PAD_ID
            )
        ),
        labels=LABELS,
        source=model_source(
            graph,
            torch_export.FRAMEWORK,
            torch_export.FRAMEWORK_DISTRIBUTION,
            torch_export.CONVERTER,
            packages=[VADER_SENTIMENT.source()],
            parameters=torch_export.parameter_count(network),
        ),
        metrics=metrics,
        parity=parity,
    )
