"""`argosy predict`: ask one model about whatever the caller has, and show the answers.

The manifest, asked for over gRPC, says what the model reads; so one command serves all tasks. Many inputs go in few
calls, in order. Nothing is preprocessed here: images go as files, texts as text, rows in the caller's own units.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from argosy.v1.manifest_pb2 import ModelManifest
from argosy_cli.client import Fleet
from argosy_cli.errors import misuse
from argosy_cli.inputs import read_images, read_rows, read_texts
from argosy_cli.questions import Answers, Modality, Question, Verb, verb_for
from argosy_cli.show import as_json, result_lines, shortened, table_row_text, timing_json, timing_text

# A call of this many inputs fills a batch, and 32 photos stay under the message limit.
INPUTS_PER_CALL = 32


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the caller gave, with a short name for each."""

    names: Sequence[str]
    question: Question

    def calls(self) -> Iterator[Question]:
        """The question in calls of at most INPUTS_PER_CALL inputs."""
        whole = self.question
        for start in range(0, len(self.names), INPUTS_PER_CALL):
            part = slice(start, start + INPUTS_PER_CALL)
            yield replace(whole, images=whole.images[part], texts=whole.texts[part], rows=whole.rows[part])


def predict(
    fleet: Fleet, question: Question, task_word: str, arguments: Sequence[str], console: Console, *, json_output: bool
) -> None:
    """Ask `question.model` about the arguments and print the answers. Raises CliError."""
    manifest = fleet.manifest(question.model, question.version)
    verb = verb_for(manifest, task_word)
    inputs = read_inputs(manifest, verb, question, arguments)
    answers = [verb.ask(fleet, call) for call in inputs.calls()]
    if json_output:
        console.print_json(_document(manifest, verb, inputs.names, answers))
    else:
        _print_table(manifest, verb, inputs.names, answers, console)


def read_inputs(manifest: ModelManifest, verb: Verb, question: Question, arguments: Sequence[str]) -> Inputs:
    """The arguments as what the verb reads. Raises CliError where there are none or one cannot be read."""
    if verb.modality is Modality.IMAGE:
        images = read_images(arguments)
        inputs = Inputs([image.name for image in images], replace(question, images=[image.data for image in images]))
    elif verb.modality is Modality.TEXT:
        texts = read_texts(arguments)
        inputs = Inputs([shortened(text) for text in texts], replace(question, texts=texts))
    else:
        rows = read_rows(arguments, manifest.table.columns)
        names = [f"{row.name}: {table_row_text(row.values, 40)}" for row in rows]
        inputs = Inputs(names, replace(question, rows=[row.struct() for row in rows]))
    if not inputs.names:
        raise misuse(f"nothing to {verb.word}: the input is empty")
    return inputs


def _print_table(
    manifest: ModelManifest, verb: Verb, names: Sequence[str], answers: Sequence[Answers], console: Console
) -> None:
    table = Table(title=f"{manifest.name} version {answers[0].version}: {verb.word}", title_justify="left")
    table.add_column("input", overflow="fold")
    table.add_column("answer", overflow="fold")
    results = [result for answer in answers for result in answer.results]
    for name, result in zip(names, results, strict=True):
        table.add_row(name, "\n".join(result_lines(result)), end_section=True)
    console.print(table)
    for answer in answers:
        console.print(timing_text(answer.timing), style="dim")


def _document(manifest: ModelManifest, verb: Verb, names: Sequence[str], answers: Sequence[Answers]) -> str:
    results = [as_json(result) for answer in answers for result in answer.results]
    return json.dumps(
        {
            "model": manifest.name,
            "version": answers[0].version,
            "task": verb.word,
            "results": [{"input": name, **result} for name, result in zip(names, results, strict=True)],
            "calls": [timing_json(answer.timing) for answer in answers],
        }
    )
