"""Samples in another dtype than the model reads: none becomes another whole number, and what float32 loses is seen."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from exporter.comparison import compare_all
from exporter.conversion import Conversion, Request
from exporter.errors import SourceError
from exporter.normalisation import Normalisation
from exporter.parity import DEFAULT_TOLERANCE
from exporter.sources.inputs import Input, as_declared
from exporter.sources.lightgbm import from_object
from exporter.sources.normalised import normalised
from exporter.sources.source import convert

SECONDS = 1_700_000_000.0 + np.arange(0, 400, 2)[:, None]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([2**31]), "int32"),
        (np.array([-1]), "uint8"),
        (np.array([0.5]), "int64"),
        (np.array([np.nan]), "int64"),
        (np.array([2]), "bool"),
    ],
    ids=["wraps", "sign", "fraction", "missing", "two"],
)
def test_samples_that_would_become_other_whole_numbers_are_refused(values: np.ndarray, dtype: str) -> None:
    with pytest.raises(SourceError, match=f"samples of 'x' hold .*, the model reads {dtype}, which does not"):
        as_declared(values, Input("x", dtype))


def test_samples_that_are_the_same_numbers_are_taken() -> None:
    assert as_declared(np.array([1.0, 255.0]), Input("x", "uint8")).tolist() == [1, 255]
    assert as_declared(np.array([0.1]), Input("x", "float32")).tolist() == [float(np.float32(0.1))]


def exported(seconds: np.ndarray, samples: np.ndarray) -> Conversion:
    """Of trees that tell the first hundred from the rest."""
    model = lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=2, verbose=-1)
    model.fit(seconds, np.arange(len(seconds)) >= 100)
    request = Request("trees.pkl", "lightgbm", output_names=("value",))
    return convert(from_object(model, request, {"features": samples}), request, {"features": samples})


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_lightgbm_is_asked_samples_that_float32_does_not_hold_as_they_are(dtype: type) -> None:
    conversion = exported(SECONDS, SECONDS.astype(dtype))
    outcome = compare_all(conversion, (), DEFAULT_TOLERANCE)
    assert "rows of kind 'samples'" in outcome.failure
    assert "float32, which does not hold the samples" in outcome.what_is_wrong(conversion.findings)


def test_doubles_that_float32_tells_apart_pass() -> None:
    conversion = exported(SECONDS - SECONDS[0], SECONDS - SECONDS[0])
    assert compare_all(conversion, (), DEFAULT_TOLERANCE).passed
    assert conversion.findings.hazards_of_samples == ()


def test_rows_of_another_kind_are_not_put_down_to_what_float32_lost_of_the_samples() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 1))
    conversion = exported(rows, rows)
    samples, other, *_ = conversion.row_sets
    off = replace(other, answers={name: values + 1 for name, values in other.answers.items()})
    outcome = compare_all(replace(conversion, row_sets=(samples, off)), (), DEFAULT_TOLERANCE)
    assert "rows of kind 'zeros'" in outcome.what_is_wrong(conversion.findings)
    assert "float32, which does not hold" not in outcome.what_is_wrong(conversion.findings)


def test_whole_numbers_are_scaled_to_fractions_before_lightgbm_reads_them() -> None:
    rows, scaling = np.arange(0, 400)[:, None], Normalisation(mean=(200.0,), std=(100.0,))
    model = lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=2, verbose=-1)
    model.fit((rows - 200.0) / 100.0, rows[:, 0] / 100.0)
    request = Request("trees.pkl", "lightgbm", output_names=("value",), normalisation=scaling)
    samples = {"features": rows}
    conversion = convert(normalised(from_object(model, request, samples), scaling), request, samples)
    assert compare_all(conversion, (), DEFAULT_TOLERANCE).failure == ""
