"""Every way an export can be refused, told apart by what the caller has to mend.

An export publishes a version or raises one of these; nothing in between. Each message is one sentence for a person:
what was wrong, what was expected, what to do. A fault in the caller's own training code passes through as it is.
"""


class ExportError(Exception):
    """The export was refused, and nothing was published."""


class SourceError(ExportError):
    """The source cannot be read or converted."""


class GraphError(ExportError):
    """The graph is no valid ONNX, has names that nobody would want to call, or dimensions that do not vary."""


class ParityError(ExportError):
    """The graph does not answer as its source does, or nobody compared them."""


class ManifestError(ExportError):
    """The manifest contradicts the graph, the files or the rules for names and versions."""


class VersionExistsError(ExportError):
    """That version is published already; versions never change."""


class SettingsError(ExportError):
    """The settings say nothing that can be understood."""


class SigningError(ExportError):
    """There is no key to sign with, or the signature cannot be written."""


class StorageError(ExportError):
    """The disk did not take the version: it is full, read-only or not there."""
