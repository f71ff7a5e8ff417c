"""Objects held against the schema of their kind: Kubernetes' own, or the one in an operator's resource definition."""

import jsonschema
import kubernetes_validate
import yaml

from k8s.testing import tools

KUBERNETES_VERSIONS = ("1.34", "1.37")


def validate(item):
    """Raise ValidationError unless the oldest and the newest Kubernetes take `item`, every field known."""
    if item["apiVersion"] in _definitions():
        jsonschema.validate(item, _definitions()[item["apiVersion"]][item["kind"]])
        return
    for version in KUBERNETES_VERSIONS:
        kubernetes_validate.validate(item, version, strict=True)


def _definitions():
    if not _SCHEMAS:
        for path in tools.resource_definitions():
            definition = yaml.safe_load(path.read_text())["spec"]
            for version in definition["versions"]:
                schemas = _SCHEMAS.setdefault(f"{definition['group']}/{version['name']}", {})
                schemas[definition["names"]["kind"]] = _closed(version["schema"]["openAPIV3Schema"])
    return _SCHEMAS


def _closed(schema):
    """The schema with no field allowed that it does not name: the API server drops or refuses those.

    Patterns are left to a real API server (tests/k8s): they are in Go's syntax, which Python's differs from.
    """
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed_part(key, value) for key, value in schema.items() if key != "pattern"}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
        closed["properties"] = {**closed["properties"], "metadata": {"type": "object"}}
    return closed


def _closed_part(key, value):
    if key == "properties":
        return {name: _closed(schema) for name, schema in value.items()}
    # A rule about fields that are named elsewhere closes nothing.
    return _closed(value) if key in {"items", "additionalProperties"} else value


_SCHEMAS = {}
