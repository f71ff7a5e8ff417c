"""The commands of the pages, found by the heading that they stand under."""

import re

from k8s.testing.tools import ROOT

README = ROOT / "README.md"
KUBERNETES = ROOT / "docs" / "kubernetes.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, heading, language=""):
    """The code blocks in `language` under a heading, up to the next one of any level."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for kind, text in _BLOCK.findall(section) if kind == language]


def commands_on(page, heading, word):
    """The one block of commands under a heading in which `word` stands."""
    (found,) = [text for text in blocks(page, heading) if word in text]
    return found
