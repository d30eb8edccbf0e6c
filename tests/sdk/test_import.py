"""Importing the SDK costs a script next to nothing, and needs nothing but Python."""

import subprocess
import sys

IMPORT = """
import sys, time
began = time.process_time()
from gpurun import sdk
class T(sdk.Trainable): pass
seconds = time.process_time() - began
heavy = {"torch", "numpy", "zmq", "msgspec", "click", "dataclasses", "inspect", "typing", "re"}
print(seconds, sorted(heavy & set(sys.modules)))
"""
RUN = """
import sys
sys.modules.update(torch=None, numpy=None, zmq=None, msgspec=None, click=None)
from gpurun import sdk
class Count(sdk.Trainable):
    def setup(self, config): self.n, self.data = config["from"], sdk.batches([1, 2])
    def step(self): self.n += next(self.data); return {"n": self.n}
    def cleanup(self): print("cleaned up")
result = sdk.run(Count, {"from": 5}, steps=3)
print(result.steps, result.metrics, result.trainable.n)
"""


def output(script: str) -> str:
    """What a fresh interpreter without site packages of the environment's start prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_fast_and_pure() -> None:
    """Under 5 ms of the processor at the best of five, with none of the heavy modules."""
    outputs = [output(IMPORT).split(maxsplit=1) for _ in range(5)]
    assert {heavy for _, heavy in outputs} == {"[]\n"}
    assert min(float(seconds) for seconds, _ in outputs) < 0.005


def test_a_training_runs_without_torch_and_without_gpurun() -> None:
    """Outside gpurun sdk.run is a loop: set up, steps, clean up."""
    assert output(RUN) == "cleaned up\n3 {'n': 9} 9\n"


def test_the_names_are_those_that_are_documented() -> None:
    """Each name of __all__ can be had, and any other is an AttributeError."""
    script = (
        "from gpurun import sdk\n"
        "print([getattr(sdk, name).__name__ for name in sdk.__all__] == sdk.__all__ == dir(sdk))\n"
        "print(hasattr(sdk, 'paus'))"
    )
    assert output(script) == "True\nFalse\n"
