"""What the Python that would run a user's script can import."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from gpurun.launcher.failure import Failure
from gpurun.launcher.program import find_python
from gpurun.protocol.finding import Finding, finding

DEADLINE = 120.0
"""Seconds: importing torch from a cold disk takes tens of them."""
_PROBE = """
import importlib.metadata, json
found = {}
def look(name, action):
    try:
        found[name] = action()
    except Exception as error:
        found[name] = {"error": f"{type(error).__name__}: {error}"}
def sdk():
    import gpurun.sdk
    return "importable"
def torch():
    import torch
    return [torch.__version__, torch.version.cuda or ""]
def other():
    try:
        return importlib.metadata.version("gpurun")
    except importlib.metadata.PackageNotFoundError:
        return ""
look("sdk", sdk)
look("torch", torch)
look("other", other)
print(json.dumps(found))
"""


def user_python(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The SDK, PyTorch, and another distribution that would be imported in place of ours."""
    try:
        python = find_python(environment)
    except Failure as failure:
        yield finding("sdk", str(failure))
        return
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            env=environment,
            cwd="/",  # nothing of the user's folder is to be imported
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        found = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        cure = "see that it starts, or activate another environment"
        yield Finding("sdk", f"{python} does not run ({error})", cure)
        return
    simulated = environment.get("GPURUN_DEVICES", "").strip().lower().startswith("sim")
    yield _other(python, found["other"])
    yield _sdk(python, found["sdk"])
    yield _torch(python, found["torch"], simulated=simulated)


def _other(python: str, version: Any) -> Finding:
    if version:
        text = f"another distribution named gpurun ({version}) is installed beside {python}"
        cure = "pip uninstall gpurun, then pip install --force-reinstall gpurun-scheduler"
        return Finding("gpurun", text, cure)
    return Finding("gpurun", f"no other distribution of that name beside {python}")


def _sdk(python: str, found: Any) -> Finding:
    if isinstance(found, dict):
        text = f"{python} cannot import gpurun.sdk ({found['error']})"
        return Finding("sdk", text, f"{python} -m pip install gpurun-scheduler")
    return Finding("sdk", f"{python} can import gpurun.sdk")


def _torch(python: str, found: Any, *, simulated: bool) -> Finding:
    if isinstance(found, dict):
        text = f"{python} cannot import torch ({found['error']})"
        return Finding("sdk", text, f"{python} -m pip install torch")
    version, cuda = found
    if not cuda and not simulated:
        text = f"torch {version} of {python} is built without CUDA"
        return Finding("sdk", text, "install a CUDA build: pytorch.org/get-started")
    return Finding("sdk", f"torch {version}, CUDA {cuda or 'not built in'}")
