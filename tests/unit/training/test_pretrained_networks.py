"""The networks whose weights come from packages: their shape, and what must hold whatever the weights are."""

import numpy as np
import pytest
import torch

from training.minilm import paraphrase_metrics, pooled
from training.mobilenet import SUBJECTS, class_names, subjects_named
from training.networks.bert import Bert, BertSize, load_checkpoint
from training.networks.mobilenet_v2 import MobileNetV2
from training.tokens import TokenRows

SMALL = BertSize(words=50, positions=16, width=8, heads=2, layers=2, widened=16)


def test_mobilenet_has_the_parameters_that_its_paper_counts() -> None:
    assert sum(weights.numel() for weights in MobileNetV2().parameters()) == 3_504_872


def test_mobilenet_answers_probabilities_and_features() -> None:
    with torch.inference_mode():
        probabilities, features = MobileNetV2().eval()(torch.rand(2, 3, 64, 64))

    assert probabilities.shape == (2, 1000)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))


def test_padding_does_not_change_what_bert_makes_of_a_text() -> None:
    network = Bert(SMALL).eval()
    ids, zeros, ones = (
        torch.tensor([[2, 7, 9]]),
        torch.zeros(1, 3, dtype=torch.int64),
        torch.ones(1, 3, dtype=torch.int64),
    )

    with torch.inference_mode():
        alone = network(ids, ones, zeros)
        padded = network(*(torch.cat(parts, dim=1) for parts in ((ids, zeros), (ones, zeros), (zeros, zeros))))

    torch.testing.assert_close(padded[:, :3], alone)


def test_a_token_that_is_not_padding_changes_what_bert_makes_of_a_text() -> None:
    network = Bert(SMALL).eval()
    ids, zeros, ones = (
        torch.tensor([[2, 7, 9]]),
        torch.zeros(1, 3, dtype=torch.int64),
        torch.ones(1, 3, dtype=torch.int64),
    )

    with torch.inference_mode():
        answers = [network(ids, mask, zeros)[0, 0] for mask in (ones, torch.tensor([[1, 1, 0]]))]

    assert not torch.allclose(*answers)


def checkpoint_of(network: Bert) -> dict[str, torch.Tensor]:
    """The weights under the names that BERT checkpoints have."""
    parts = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "attended_norm": "attention.output.LayerNorm",
        "widened": "intermediate.dense",
        "narrowed": "output.dense",
        "narrowed_norm": "output.LayerNorm",
    }
    outer = {"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    named = {}
    for name, weights in network.state_dict().items():
        *path, kind = name.split(".")
        if path[0] == "layers":
            named[f"encoder.layer.{path[1]}.{parts[path[2]]}.{kind}"] = weights
        else:
            named[f"embeddings.{outer.get(path[0], 'LayerNorm')}.{kind}"] = weights
    return named


def test_a_checkpoint_fills_the_whole_encoder() -> None:
    source, filled = Bert(SMALL), Bert(SMALL)

    load_checkpoint(filled, checkpoint_of(source))

    for name, weights in source.state_dict().items():
        torch.testing.assert_close(filled.state_dict()[name], weights)


def test_a_checkpoint_that_lacks_weights_is_refused() -> None:
    checkpoint = checkpoint_of(Bert(SMALL))
    del checkpoint["encoder.layer.1.output.dense.weight"]

    with pytest.raises(KeyError):
        load_checkpoint(Bert(SMALL), checkpoint)


def test_pooling_takes_the_mean_of_the_tokens_and_not_of_padding() -> None:
    vectors = np.array([[[3.0, 0.0], [3.0, 8.0], [99.0, 99.0]]])

    found = pooled(vectors, TokenRows(ids=np.zeros((1, 3), np.int64), mask=np.array([[1, 1, 0]])))

    np.testing.assert_allclose(found, [[0.6, 0.8]])


def test_paraphrases_are_counted_where_the_nearest_row_is_the_partner() -> None:
    # Rows 0 and 1 find each other; 2 finds 3, whose nearest is 1.
    angles = np.array([0.0, 0.1, 1.2, 0.6])

    nearest, paired, unrelated = paraphrase_metrics(np.stack([np.cos(angles), np.sin(angles)], axis=1))

    assert nearest.value == 0.75
    assert paired.value > unrelated.value


def test_classes_of_one_name_get_their_cleaned_names() -> None:
    names = class_names(["tench, Tinca tinca", "crane", "crane"], ["tench", "crane bird", "construction crane"])

    assert names == ["tench", "crane bird", "construction crane"]


def test_a_photo_counts_where_its_likeliest_class_names_the_subject() -> None:
    answers = [min(accepted) for accepted in SUBJECTS.values()]

    assert subjects_named(answers).value == 1
    assert subjects_named([*answers[:-1], "a thing of no class"]).value == (len(answers) - 1) / len(answers)
