"""What a foreign exception says, fit to stand behind a sentence of ours: one line, short, without paths and addresses.

Frameworks tell where in their own sources something failed, where on the builder's disk these lay, and where to file an
issue. None of it helps who has a model to export, and some of it is nobody's business.
"""

import re

_MOST = 200
_STATUS = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'[^']*' Status Message: ")
_CPP = re.compile(r"\S*\.(?:h|hpp|cc|cpp):\d+ \S+\(.*?\)\S* ")
_ADDRESS = re.compile(r"(?:You may raise an issue at )?https?://\S+")
_FOLDERS = re.compile(r"(?<![\w.:])/(?:[\w.\-+]+/)+")
# How Python, C++, PyTorch and TensorFlow say that they asked for more memory than they may have.
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "not enough memory", "OOM when allocating", "Cannot allocate memory")


def told(error: Exception, most: int = _MOST) -> str:
    """The first line of what it says; the name of its class where it says nothing."""
    lines = str(error).strip().splitlines()
    text = _STATUS.sub("", lines[0]) if lines else ""
    text = _CPP.sub("", _NODE.sub(r"\1 fails: ", text))
    text = _FOLDERS.sub("", _ADDRESS.sub("", text))
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def ran_out_of_memory(text: str) -> bool:
    """Whether a line of a log, or the text of an exception, tells of it."""
    return any(words in text for words in _OUT_OF_MEMORY)
