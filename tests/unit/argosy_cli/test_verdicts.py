"""The demo's judges: each passes the right answer and fails a wrong one."""

import pytest

from argosy.v1 import tabular_pb2, text_pb2, vision_pb2
from argosy.v1.prediction_pb2 import Category, Embedding
from argosy_cli.verdicts import face_around, first_alike_then_not, labelled, near, tagged, vector_of


def classified(*labels):
    return [vision_pb2.ImageClassification(categories=[Category(label=label, score=0.9)]) for label in labels]


def faces(*boxes):
    detections = [
        vision_pb2.Detection(
            category=Category(label="face", score=1),
            box=vision_pb2.Box(left=left, top=top, right=right, bottom=bottom),
        )
        for left, top, right, bottom in boxes
    ]
    return [vision_pb2.ImageDetections(detections=detections)]


def embeddings(*vectors):
    return [text_pb2.TextEmbedding(embedding=Embedding(values=vector)) for vector in vectors]


def tags(**labels):
    found = [text_pb2.Tag(token=token, category=Category(label=label)) for token, label in labels.items()]
    return [text_pb2.TextTags(tags=found)]


def number(value):
    return [tabular_pb2.RowPrediction(quantities=[tabular_pb2.Quantity(name="progression", value=value)])]


@pytest.mark.parametrize(
    ("judge", "right", "wrong"),
    [
        (labelled("7", "2"), classified("7", "2"), classified("2", "7")),
        (labelled("7"), classified("7"), [vision_pb2.ImageClassification()]),
        (face_around(5, 5), faces((0, 0, 10, 10)), faces((6, 6, 10, 10))),
        (face_around(5, 5), faces((0, 0, 10, 10)), faces((0, 0, 10, 10), (20, 20, 30, 30))),
        (face_around(5, 5), faces((0, 0, 10, 10)), faces()),
        (first_alike_then_not(0.6, 0.3), embeddings([1, 0], [1, 0.1], [0, 1]), embeddings([1, 0], [0, 1], [1, 0])),
        (first_alike_then_not(0.6, 0.3), embeddings([1, 0], [2, 0], [0, 1]), embeddings([0, 0], [0, 0], [0, 0])),
        (vector_of(3), [Embedding(values=[0, 1, 0])], [Embedding(values=[0, 0, 0])]),
        (vector_of(3), [Embedding(values=[0, 1, 0])], [Embedding(values=[1, 1])]),
        (tagged("was", "were"), tags(they="$KEEP", was="$REPLACE_were"), tags(they="$KEEP", was="$KEEP")),
        (near(178, 60), number(237), number(239)),
        (near(178, 60), number(119), number(float("nan"))),
    ],
)
def test_a_judge_passes_the_right_answer_and_fails_a_wrong_one(judge, right, wrong):
    assert judge(right).right
    assert not judge(wrong).right


def test_the_answer_is_shown_whether_it_is_right_or_not():
    assert labelled("7")(classified("3")).answer == "3 0.90"
    assert near(178, 60)(number(10)).answer == "progression 10.0 (measured 178)"
