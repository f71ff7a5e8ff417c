"""`grammar`: a DistilBERT that tags each token with the edit that would mend it; adopted as the ONNX file that it is.

The network was quantised to int8 before it was published, and there is no other source to hold it against: the
reference is the package's own file, run on each text alone. Quantisation can make a row's answer depend on its
batch-mates where scales are computed at run time. Here they are constants in the file; the comparison, padded batches
against lone texts, is what shows that it makes no difference. Tags are not turned into mended text here.
"""

import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb
from exporter import onnx_file, verify
from exporter.parity import Tolerance
from exporter.parity_rows import PARITY_FILE, Comparison, kept
from exporter.signature import Meaning, parse, tensor_specs
from exporter.source import model_source
from training import packages
from training.reference import Exported, Workspace
from training.tokens import PAD_ID, TOKENIZER_FILE, TokenRows, encode, published, token_texts

OUTPUT = "logits"
# Where the package's tokenizer.json cuts.
MAX_TOKENS = 128
# Logits of about ±13 in int8: a rounding that falls the other way moves one by a step of 0.1. No tag may change.
TOLERANCE = Tolerance(absolute=0.25, relative=0.0)

# A sentence with one fault, the token that bears it, and the tags of which any would mend it.
FAULTS: Sequence[tuple[str, str, frozenset[str]]] = (
    ("I has a dog.", "has", frozenset({"$REPLACE_have", "$REPLACE_had"})),
    ("He walked slow then his brother.", "then", frozenset({"$REPLACE_than"})),
    ("They left there keys at home.", "there", frozenset({"$REPLACE_their"})),
    ("It was to hot to sleep.", "to", frozenset({"$REPLACE_too"})),
    ("She has went to the market.", "went", frozenset({"$REPLACE_gone"})),
    ("We was late for the train.", "was", frozenset({"$REPLACE_were"})),
    ("I seen him yesterday at the river.", "seen", frozenset({"$REPLACE_saw"})),
    ("The dog wagged it's tail.", "it", frozenset({"$REPLACE_its"})),
    ("Your the best friend I have.", "Your", frozenset({"$REPLACE_You're"})),
    ("He could of told us before.", "of", frozenset({"$REPLACE_have"})),
)
# Nothing is to be mended here.
SOUND = (
    "The children played in the garden until it was dark.",
    "She had never seen the sea before that summer.",
    "There is a letter for you on the table.",
    "He opened the door and went out into the street.",
    "We waited for an hour, but nobody came.",
)
KEEP = "$KEEP"
MEANINGS = {
    "ids": Meaning("ids of the text's tokens"),
    "mask": Meaning("1 for a token, 0 for padding"),
    OUTPUT: Meaning("how strongly each edit is called for at each token", role=pb.OUTPUT_ROLE_TOKEN_LOGITS),
}


def export(workspace: Workspace) -> Exported:
    """Fetch the file, name its tensors, hold padded batches against lone texts, and count what it finds."""
    workspace.report("fetching the network")
    archive = packages.fetch(packages.GRAMMAR, workspace.cache_dir / "packages")
    original = packages.read_member(archive, "tagger.onnx")
    labels: list[str] = json.loads(packages.read_member(archive, "tag_vocab.json"))["tags"]
    tokenizer = published(packages.read_member(archive, TOKENIZER_FILE))
    graph = onnx_file.convert(original, list(MEANINGS)[:2], [OUTPUT])
    workspace.report("comparing with the package's own file")
    texts = [*(text for text, _, _ in FAULTS), *SOUND]
    rows = encode(tokenizer, texts)
    reference = _reference(original, rows)
    described = "the package's own file in ONNX Runtime, each text alone and without padding"
    compared = Comparison(_inputs(rows), {OUTPUT: reference})
    parity = verify.compare(graph, compared.rows, compared.reference, TOLERANCE, described=described)
    manifest = _manifest(graph, labels)
    manifest.parity.CopyFrom(parity)
    answers = [[labels[place] for place in row] for row in reference.argmax(axis=-1)]
    manifest.metrics.extend(faults_found(answers, token_texts(tokenizer, texts)))
    return Exported(manifest, graph, {TOKENIZER_FILE: tokenizer, PARITY_FILE: kept([compared])})


def faults_found(answers: Sequence[Sequence[str]], tokens: Sequence[Sequence[str]]) -> list[pb.Metric]:
    """Of the texts FAULTS and then SOUND, a tag and a token each: faults that would be mended, tokens that are left be.

    A row of `answers` may be longer than its tokens: what is beyond them is padding.
    """
    mended = [
        any(tag in mending for tag, token in zip(tags, row, strict=False) if token == at_fault)
        for (_, at_fault, mending), tags, row in zip(FAULTS, answers, tokens, strict=False)
    ]
    kept = [
        tag == KEEP
        for tags, row in zip(answers[len(FAULTS) :], tokens[len(FAULTS) :], strict=True)
        for tag in tags[: len(row)]
    ]
    return [
        _share("faults_mended", mended, "sentences with one fault, written for the purpose"),
        _share("tokens_kept", kept, "tokens of sentences without fault, written for the purpose"),
    ]


def _share(name: str, right: Sequence[bool], split: str) -> pb.Metric:
    return pb.Metric(name=name, value=sum(right) / len(right), split=split, row_count=len(right))


def _inputs(rows: TokenRows) -> dict[str, NDArray[np.int64]]:
    return {"ids": rows.ids, "mask": rows.mask}


def _reference(original: bytes, rows: TokenRows) -> NDArray[np.generic]:
    """What the original answers to each text alone; at places of padding, which nobody reads, to the whole batch."""
    session = verify.open_session(original)

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        answers: list[NDArray[np.float32]] = session.run(None, {"input_ids": ids, "attention_mask": mask})
        return answers[0]

    logits = run(rows.ids, rows.mask)
    for row, length in enumerate(rows.mask.sum(axis=1)):
        logits[row, :length] = run(rows.ids[row : row + 1, :length], rows.mask[row : row + 1, :length])[0]
    return logits


def _manifest(graph: bytes, labels: Sequence[str]) -> pb.ModelManifest:
    inputs, outputs = tensor_specs(graph, MEANINGS)
    tokens = pb.TokenReading(
        tokenizer_file=TOKENIZER_FILE, ids_input="ids", mask_input="mask", max_tokens=MAX_TOKENS, pad_id=PAD_ID
    )
    return pb.ModelManifest(
        name="grammar",
        description="DistilBERT in int8, pretrained: tags each token of an English text with the edit that mends it.",
        licence="Apache-2.0",
        tasks=[pb.TASK_TOKEN_CLASSIFICATION],
        inputs=inputs,
        outputs=outputs,
        text=pb.TextPreprocessing(tokens=tokens),
        labels=labels,
        source=model_source(graph, "onnx", "onnx", packages=[packages.GRAMMAR.source()], parameters=_parameters(graph)),
    )


def _parameters(graph: bytes) -> int:
    """The network's numbers, most of them int8 by now; the scales of the quantisation, which are scalars, are none."""
    return sum(math.prod(tensor.dims) for tensor in parse(graph).graph.initializer if tensor.dims)
