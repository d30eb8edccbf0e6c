"""What gpurun says inside a training: one line on stderr, each only once."""

import sys

_said: set[str] = set()


def say(text: str) -> None:
    """Print the line unless this process has printed it before."""
    if text not in _said:
        _said.add(text)
        print(f"gpurun: {text}", file=sys.stderr, flush=True)
