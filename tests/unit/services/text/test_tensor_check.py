"""What holds for texts that the service reads holds for tensors that callers send by themselves, too."""

import numpy as np
import pytest

from argosy.v1 import manifest_pb2 as pb
from services.runtime.errors import ServingError
from services.text.reading import MAX_TEXT_BYTES
from services.text.tensor_check import tensor_check

TOKENS = pb.ModelManifest(
    text=pb.TextPreprocessing(tokens=pb.TokenReading(ids_input="ids", mask_input="mask", max_tokens=8))
)
STRINGS = pb.ModelManifest(text=pb.TextPreprocessing(string=pb.StringReading(input="text")))


def tokens(ids: int, mask: int) -> dict[str, "np.typing.NDArray[np.generic]"]:
    return {"ids": np.zeros((2, ids), np.int64), "mask": np.zeros((2, mask), np.int64)}


@pytest.mark.parametrize("width", [1, 8])
def test_as_many_tokens_as_the_model_reads_pass(width: int) -> None:
    tensor_check(TOKENS)(tokens(width, width))


@pytest.mark.parametrize(
    ("ids", "mask", "says"),
    [(9, 9, "from 1 to 8 tokens"), (0, 0, "from 1 to 8 tokens"), (4, 5, "input 'mask': 4 tokens a row")],
)
def test_another_number_of_tokens_is_refused(ids: int, mask: int, says: str) -> None:
    with pytest.raises(ServingError, match=says):
        tensor_check(TOKENS)(tokens(ids, mask))


def test_a_text_is_as_long_as_it_may_be() -> None:
    tensor_check(STRINGS)({"text": np.array([[b"a" * MAX_TEXT_BYTES]], np.object_)})
    with pytest.raises(ServingError, match="row 1") as raised:
        tensor_check(STRINGS)({"text": np.array([[b""], [b"a" * (MAX_TEXT_BYTES + 1)]], np.object_)})
    assert raised.value.reason == "TEXT_TOO_LONG"
