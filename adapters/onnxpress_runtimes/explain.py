"""What ONNX Runtime means when it refuses a model."""

from __future__ import annotations

import re
from typing import Final

# (what it says, what that means); groups of the one are fields of the other.
_MEANINGS: Final = (
    (
        r"Opset (\d+) is under development.* for domain (\S+) is till opset (\d+)",
        "its opset {0} is newer than onnxruntime {version} knows ({1} goes up to {2})",
    ),
    (
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)",
        "its IR version {0} is newer than onnxruntime {version} reads (up to {1})",
    ),
    (
        r"No Op registered for (\S+) with domain_version of (\d+)",
        "onnxruntime {version} has no operator {0!r} in opset {1}",
    ),
    (r"(\S+?)\(-?\d+\) is not a registered function/op", "onnxruntime has no operator {0!r}"),
    (r"No opset import for domain '(.+?)'", "the model uses the domain {0!r} without importing it"),
    (
        r"Could not find an implementation for (\S+?)\((\d+)\) node with name '(.*?)'",
        "onnxruntime has no kernel here for {0} (opset {1}) of node {2!r} with its element types",
    ),
    (
        r"Type '(.+?)' of input parameter \((.+?)\) of operator \((.+?)\) in node \((.*?)\)",
        "operator {2} of node {3!r} does not take {0} as its input {1!r}",
    ),
    (r"[Pp]rotobuf parsing failed|No graph was found", "it is no ONNX model, or is damaged"),
    (r"Missing opset in the model", "it does not say which opset it uses"),
    (r"std::bad_alloc|[Ff]ailed to allocate", "memory ran out"),
)
_NOISE: Final = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src\S+ .*?\) (?=[A-Z])"
)


def explain(error: Exception, version: str) -> str:
    """Return the reason in words, or ONNX Runtime's own where we know no better ones."""
    said = " ".join(str(error).split())
    for pattern, meaning in _MEANINGS:
        if match := re.search(pattern, said):
            return meaning.format(*match.groups(), version=version)
    return f"onnxruntime {version} does not load it: {_NOISE.sub('', said)}"
