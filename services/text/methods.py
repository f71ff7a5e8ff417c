"""Which typed methods a text model offers, and what its manifest must say for them.

All that can be wrong with a manifest is found here, while the version loads, so that no request meets it.
"""

from pathlib import Path

from argosy.v1 import manifest_pb2 as pb
from argosy.v1.manifest_pb2 import ModelManifest
from services.runtime.categories import class_labels, class_output
from services.runtime.specs import bad_manifest, element_type, input_spec, output_spec
from services.runtime.typed_method import TypedMethod
from services.text.classify import Classify
from services.text.embed import Embed
from services.text.own import own_methods
from services.text.reading import StringReader, TextReader, TextRequest, TokenReader, load_tokenizer
from services.text.tag import Tag


def typed_methods(manifest: ModelManifest, directory: Path) -> tuple[TypedMethod[TextRequest], ...]:
    """The methods of TextService that the manifest's tasks offer; the tokenizer is a file of `directory`.

    Raises ServingError (REFUSED_LOAD) where the manifest offers none or lacks what a task needs.
    """
    reader = _text_reader(manifest, directory)
    methods: list[Classify | Embed | Tag] = []
    if pb.TASK_TEXT_CLASSIFICATION in manifest.tasks:
        methods.append(Classify(manifest.name, manifest.version, reader, class_output(manifest)))
    if pb.TASK_TEXT_EMBEDDING in manifest.tasks:
        methods.append(_embed(manifest, reader))
    if pb.TASK_TOKEN_CLASSIFICATION in manifest.tasks:
        methods.append(_tag(manifest, reader))
    if not methods:
        raise bad_manifest(manifest, "it offers no task of the text service")
    return *methods, *own_methods(manifest, methods)


def _embed(manifest: ModelManifest, reader: TextReader) -> Embed:
    tokens = manifest.text.tokens
    output = output_spec(manifest, pb.OUTPUT_ROLE_EMBEDDING, pb.OUTPUT_ROLE_TOKEN_EMBEDDINGS)
    pooled = output.role == pb.OUTPUT_ROLE_TOKEN_EMBEDDINGS
    if pooled and tokens.pooling != pb.POOLING_MEAN:
        raise bad_manifest(manifest, f"output '{output.name}' has a vector a token, and no pooling is stated")
    return Embed(manifest.name, manifest.version, reader, output.name, pooled, tokens.normalize)


def _tag(manifest: ModelManifest, reader: TextReader) -> Tag:
    if not manifest.text.HasField("tokens"):
        raise bad_manifest(manifest, "tagging tokens needs a model that reads tokens")
    output = output_spec(manifest, pb.OUTPUT_ROLE_TOKEN_LOGITS)
    return Tag(manifest.name, manifest.version, reader, output.name, class_labels(manifest, output))


def _text_reader(manifest: ModelManifest, directory: Path) -> TextReader:
    reading = manifest.text.WhichOneof("reading")
    if reading == "tokens":
        return _token_reader(manifest, directory)
    if reading != "string":
        raise bad_manifest(manifest, "a text model needs text preprocessing, and it states none")
    spec = input_spec(manifest, manifest.text.string.input)
    if spec.data_type != pb.DATA_TYPE_BYTES:
        raise bad_manifest(manifest, f"input '{spec.name}' must be BYTES to receive a text")
    return StringReader(spec.name)


def _token_reader(manifest: ModelManifest, directory: Path) -> TokenReader:
    tokens = manifest.text.tokens
    named = [name for name in (tokens.ids_input, tokens.mask_input, tokens.types_input) if name]
    inputs = [input_spec(manifest, name) for name in named]
    data_types = {spec.data_type for spec in inputs}
    if not tokens.ids_input or data_types not in ({pb.DATA_TYPE_INT64}, {pb.DATA_TYPE_INT32}):
        raise bad_manifest(manifest, "token ids, mask and types need inputs of one type, INT64 or INT32")
    path = directory / tokens.tokenizer_file
    if not path.is_file():
        raise bad_manifest(manifest, f"there is no tokenizer file '{tokens.tokenizer_file}'")
    tokenizer = load_tokenizer(path, tokens.max_tokens)
    special_count = tokenizer.num_special_tokens_to_add(is_pair=False)
    if tokens.max_tokens <= special_count:
        raise bad_manifest(manifest, f"max_tokens is {tokens.max_tokens}, and {special_count} are special ones")
    return TokenReader(tokens, tokenizer, element_type(inputs[0]))
