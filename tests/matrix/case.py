"""One source model of the matrix: what it is, and what must come of its export.

Either the export is published and answers as its source on rows that the exporter has not seen, or it is refused for
the stated reason. There is no third outcome that passes. This module holds the words and knows no framework, so that
the whole list can be read without starting one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from argosy.v1 import manifest_pb2 as pb

Rows: TypeAlias = Mapping[str, NDArray[np.generic]]


class Trap(StrEnum):
    """What converters are known to get wrong. Each has at least one case, in the fast part."""

    KERAS_SEQUENTIAL = "tf2onnx breaks on a Keras 3 Sequential"
    MADE_UP_NAMES = "converters make up names of tensors and dimensions"
    RECURRENT_LOOP = "GRU and masked LSTM become a Loop"
    TFLITE_EXIT_0 = "tf2onnx ends with 0 on an unsupported TFLite operator"
    FROZEN_LENGTH = "torch freezes the length of a recurrent network"
    FROZEN_BATCH = "an example of one row freezes the batch"
    OUTPUT_NAME = "an output named like an inner value breaks the file"
    PACKED_SEQUENCE = "pack_padded_sequence cannot be exported"
    SPARSE_ONE_HOT = "XGBoost takes the zeros of a sparse one-hot column for missing"
    SCALER_BEFORE_XGBOOST = "a float64 StandardScaler moves rows across XGBoost's splits"
    SCALER_BEFORE_FOREST = "a float64 StandardScaler moves rows across a forest's splits"
    HISTOGRAM_BOOLEAN = "histogram boosting has booleans where ONNX wants integers"
    XGBOOST_CATEGORICAL = "XGBoost's own categorical splits cannot be converted"
    DASH_IN_COLUMN = "`-` in a column's name becomes `_`"
    TFIDF_LOWERCASE = "TF-IDF's lower case needs a locale"
    ZIPMAP = "probabilities come as a list of dicts"
    LOGITS = "logits are served as probabilities"
    CHAR_WB = "char_wb n-grams cannot be converted"


@dataclass(frozen=True, slots=True)
class Equal:
    """Published and equal: |graph - source| <= absolute + relative * |source| in every element of every output.

    `remedy`: words with which the exporter must name what it changed; empty where nothing had to be.
    """

    remedy: str = ""
    absolute: float = 1e-5
    relative: float = 1e-4


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is published, and the one line that says why has these words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """`name` is the model's name; the function of that name (`_` for `-`) in the group's module makes the source."""

    name: str
    network: str
    expected: Equal | Refused = Equal()
    trap: Trap | None = None
    fast: bool = False
    limit_s: float = 180.0

    @property
    def maker(self) -> str:
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Group:
    """The cases of one framework; `sources` is the module that makes them, imported only where the framework runs."""

    framework: str
    sources: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A source model as its maker leaves it in the case's folder.

    `given` is the SOURCE of `argosy export`, relative to the folder. `samples` are the rows that the exporter may see;
    none: it makes its own. `fresh` are those that it may not, in groups that are run apart (lengths differ), under the
    names that the published graph must have; `answer` is the source's own answer to one group.
    """

    given: str
    description: pb.ModelManifest
    samples: Rows
    fresh: Mapping[str, Rows]
    answer: Callable[[Rows], Rows]
    flags: tuple[str, ...] = ()
