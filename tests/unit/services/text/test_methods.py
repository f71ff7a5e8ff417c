"""The text methods of a model: requests in, the model's numbers encoded as answers, and manifests that do not do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from argosy.v1 import text_pb2
from services.runtime.errors import Cause, ServingError
from services.runtime.typed_method import TypedMethod
from services.text.methods import typed_methods
from services.text.reading import TextRequest

OUTPUTS = {
    pb.TASK_TEXT_CLASSIFICATION: pb.TensorSpec(
        name="out", data_type=pb.DATA_TYPE_FP32, shape=[-1, 2], role=pb.OUTPUT_ROLE_LOGITS
    ),
    pb.TASK_TEXT_EMBEDDING: pb.TensorSpec(
        name="out", data_type=pb.DATA_TYPE_FP32, shape=[-1, -1, 3], role=pb.OUTPUT_ROLE_TOKEN_EMBEDDINGS
    ),
    pb.TASK_TOKEN_CLASSIFICATION: pb.TensorSpec(
        name="out", data_type=pb.DATA_TYPE_FP32, shape=[-1, -1, 2], role=pb.OUTPUT_ROLE_TOKEN_LOGITS
    ),
}


def manifest(task: pb.Task.ValueType) -> pb.ModelManifest:
    found = pb.ModelManifest(name="words", version="1", tasks=[task], outputs=[OUTPUTS[task]])
    for name in ("ids", "mask"):
        found.inputs.append(pb.TensorSpec(name=name, data_type=pb.DATA_TYPE_INT64, shape=[-1, -1]))
    found.text.tokens.CopyFrom(
        pb.TokenReading(tokenizer_file="tokenizer.json", ids_input="ids", mask_input="mask", max_tokens=8)
    )
    if task == pb.TASK_TEXT_EMBEDDING:
        found.text.tokens.pooling = pb.POOLING_MEAN
    else:
        found.labels.extend(["no", "yes"])
    return found


def only_method(found: pb.ModelManifest, directory: Path) -> TypedMethod[TextRequest]:
    offered, _ = typed_methods(found, directory)
    return offered


def refusal(found: pb.ModelManifest, directory: Path) -> str:
    with pytest.raises(ServingError) as raised:
        typed_methods(found, directory)
    assert raised.value.cause is Cause.REFUSED_LOAD
    return str(raised.value)


def test_each_text_of_all_requests_is_as_long_as_its_tokens(directory: Path) -> None:
    offered = only_method(manifest(pb.TASK_TEXT_EMBEDDING), directory)
    messages = [text_pb2.TextServiceEmbedRequest(model="words", texts=texts) for texts in (["good"], ["good good"] * 2)]
    requests = [offered.decode(message.SerializeToString()) for message in messages]
    lengths = offered.row_lengths(requests)
    assert list(lengths) == offered.collate(requests)["mask"].sum(axis=1).tolist()
    assert lengths[0] < lengths[1] == lengths[2]


def test_a_text_is_classified_with_how_much_of_it_was_read(directory: Path) -> None:
    offered = only_method(manifest(pb.TASK_TEXT_CLASSIFICATION), directory)
    message = text_pb2.TextServiceClassifyRequest(model="words", texts=["good", "good " * 20], top_k=1)
    request = offered.decode(message.SerializeToString())
    reply = text_pb2.TextServiceClassifyResponse.FromString(
        offered.encode(request, {"out": np.array([[0, 1], [3, 0]], np.float32)})
    )
    assert (reply.model, reply.version) == ("words", "1")
    assert [[(c.label, c.index) for c in result.categories] for result in reply.results] == [[("yes", 1)], [("no", 0)]]
    assert np.isclose(reply.results[0].categories[0].score, 1 / (1 + np.exp(-1)))
    assert [(r.reading.token_count, r.reading.truncated) for r in reply.results] == [(3, False), (8, True)]


def embed(found: pb.ModelManifest, directory: Path, texts: list[str], out: np.ndarray) -> np.ndarray:
    offered = only_method(found, directory)
    request = offered.decode(text_pb2.TextServiceEmbedRequest(texts=texts).SerializeToString())
    reply = text_pb2.TextServiceEmbedResponse.FromString(offered.encode(request, {"out": out.astype(np.float32)}))
    return np.array([result.embedding.values for result in reply.results])


def test_the_vectors_of_a_texts_tokens_are_averaged_without_the_padding(directory: Path) -> None:
    out = np.random.default_rng(1).normal(size=(2, 7, 3))
    vectors = embed(manifest(pb.TASK_TEXT_EMBEDDING), directory, ["good", "good bad"], out)
    assert np.allclose(vectors, [out[0, :3].mean(axis=0), out[1, :4].mean(axis=0)], atol=1e-6)


def test_a_texts_vector_does_not_depend_on_the_width_of_its_batch(directory: Path) -> None:
    found = manifest(pb.TASK_TEXT_EMBEDDING)
    out = np.random.default_rng(2).normal(size=(1, 3, 3))
    padded = np.concatenate([out, np.full((1, 5, 3), 1e6)], axis=1)
    assert np.array_equal(embed(found, directory, ["good"], out), embed(found, directory, ["good"], padded))


def test_a_vector_has_unit_length_where_the_manifest_says_so(directory: Path) -> None:
    found = manifest(pb.TASK_TEXT_EMBEDDING)
    found.text.tokens.normalize = True
    out = np.tile([3.0, 0, 4.0], (2, 3, 1))
    out[1] = 0
    assert np.allclose(embed(found, directory, ["good", "bad"], out), [[0.6, 0, 0.8], [0, 0, 0]])


def test_a_vector_that_the_network_pools_itself_is_answered_as_it_is(directory: Path) -> None:
    found = manifest(pb.TASK_TEXT_EMBEDDING)
    found.text.tokens.pooling = pb.POOLING_UNSPECIFIED
    found.outputs[0].role = pb.OUTPUT_ROLE_EMBEDDING
    assert embed(found, directory, ["good"], np.array([[3, 0, 4]])).tolist() == [[3, 0, 4]]


def test_tokens_are_tagged_where_they_stand_in_code_points(directory: Path) -> None:
    offered = only_method(manifest(pb.TASK_TOKEN_CLASSIFICATION), directory)
    texts = ["😀 Good café sunny", "bad"]
    request = offered.decode(text_pb2.TextServiceTagRequest(texts=texts).SerializeToString())
    out = np.zeros((2, 8, 2), np.float32)
    out[0, 2] = [0, 2]  # "Good": after [CLS] and the unknown emoji
    reply = text_pb2.TextServiceTagResponse.FromString(offered.encode(request, {"out": out}))
    first, second = reply.results
    assert [(t.token, t.start, t.end) for t in first.tags] == [
        ("😀", 0, 1),
        ("Good", 2, 6),
        ("café", 7, 11),
        ("s", 12, 13),
        ("un", 13, 15),
        ("ny", 15, 17),
    ]
    assert all(texts[0][t.start : t.end] == t.token for t in first.tags)
    assert [t.category.label for t in first.tags] == ["no", "yes", "no", "no", "no", "no"]
    assert np.isclose(first.tags[1].category.score, 1 / (1 + np.exp(-2)))
    assert [(t.token, t.category.score) for t in second.tags] == [("bad", 0.5)]
    assert (second.reading.token_count, second.reading.truncated) == (3, False)


def test_a_graph_that_reads_texts_itself_is_classified_too(directory: Path) -> None:
    found = manifest(pb.TASK_TEXT_CLASSIFICATION)
    del found.inputs[:]
    found.inputs.append(pb.TensorSpec(name="text", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]))
    found.text.string.input = "text"
    offered = only_method(found, directory)
    request = offered.decode(text_pb2.TextServiceClassifyRequest(texts=["good"]).SerializeToString())
    assert offered.collate([request])["text"].tolist() == [[b"good"]]
    reply = text_pb2.TextServiceClassifyResponse.FromString(
        offered.encode(request, {"out": np.array([[0, 1]], np.float32)})
    )
    assert [c.label for c in reply.results[0].categories] == ["yes", "no"]
    assert reply.results[0].reading == text_pb2.TextReading()


@pytest.mark.parametrize(("task", "name"), [(4, "Classify"), (5, "Embed"), (6, "Tag")])
def test_bytes_that_are_no_message_are_refused_with_the_messages_name(
    directory: Path, task: pb.Task.ValueType, name: str
) -> None:
    offered = only_method(manifest(task), directory)
    assert offered.route.method == f"/argosy.v1.TextService/{name}"
    for data in (b"\x1a\x02\xff\xfe", b"\x1a\x09good"):
        with pytest.raises(ServingError, match=rf"^argosy\.v1\.TextService{name}Request: ") as raised:
            offered.decode(data)
        assert raised.value.reason == "MALFORMED_MESSAGE"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.ClearField("text"), "states none"),
        (lambda m: m.ClearField("tasks"), "offers no task of the text service"),
        (lambda m: m.ClearField("outputs"), "an output with the role"),
        (lambda m: setattr(m.text.tokens, "tokenizer_file", "vocabulary.json"), "no tokenizer file 'vocabulary.json'"),
        (lambda m: setattr(m.text.tokens, "ids_input", "tokens"), "feeds input 'tokens'"),
        (lambda m: m.text.tokens.ClearField("ids_input"), "INT64 or INT32"),
        (lambda m: setattr(m.inputs[0], "data_type", pb.DATA_TYPE_FP32), "INT64 or INT32"),
        (lambda m: setattr(m.text.tokens, "max_tokens", 2), "max_tokens is 2, and 2 are special ones"),
        (lambda m: setattr(m.text.string, "input", "ids"), "must be BYTES"),
    ],
)
@pytest.mark.parametrize("task", list(OUTPUTS))
def test_a_manifest_that_lacks_something_is_refused_and_says_what(
    directory: Path, task: pb.Task.ValueType, change: Callable[[pb.ModelManifest], object], complaint: str
) -> None:
    found = manifest(task)
    change(found)
    assert complaint in refusal(found, directory)


def test_a_vector_a_token_without_a_pooling_is_refused(directory: Path) -> None:
    found = manifest(pb.TASK_TEXT_EMBEDDING)
    found.text.tokens.ClearField("pooling")
    assert "no pooling is stated" in refusal(found, directory)


def test_a_tagger_that_reads_no_tokens_is_refused(directory: Path) -> None:
    found = manifest(pb.TASK_TOKEN_CLASSIFICATION)
    found.inputs.append(pb.TensorSpec(name="text", data_type=pb.DATA_TYPE_BYTES, shape=[-1, 1]))
    found.text.string.input = "text"
    assert "reads tokens" in refusal(found, directory)
