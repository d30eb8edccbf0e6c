"""All checks on a real GPU, with nothing installed for them: `make gpu-check`.

    python -m tests.gpu

Runs with any Python that has a CUDA PyTorch and what gpurun itself needs; pytest is not needed, and
neither is a network. Exits 1 where a check fails, 2 where something is missing.
"""

import importlib.util
import sys
import time
import traceback
from collections.abc import Callable

NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "click": "click",
    "zmq": "pyzmq",
    "msgspec": "msgspec",
    "pynvml": "nvidia-ml-py",
}
"""What is imported, and what is to be installed for it."""


def lacking() -> str:
    """What keeps the checks from running here; empty where nothing does."""
    missing = [package for name, package in NEEDED.items() if not importlib.util.find_spec(name)]
    if missing:
        cure = f"install it, or name another one: make gpu-check PYTHON=…; this is {sys.executable}"
        return f"this Python has no {', '.join(missing)}; {cure}"
    import torch

    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} sees no GPU; gpurun doctor says what is wrong"
    return ""


def main() -> int:
    """Run all, whole jobs first: this process must not hold a context on the device by then."""
    if why := lacking():
        print(f"gpurun: error: {why}", file=sys.stderr)
        return 2
    from tests.gpu import hand_over, memory
    from tests.gpu.device import GPU

    failed = sum(not _passes(check, GPU) for check in (*hand_over.CHECKS, *memory.CHECKS))
    print(f"{failed} failed" if failed else "all passed")
    return int(failed > 0)


def _passes(check: Callable[..., None], device: object) -> bool:
    began = time.monotonic()
    try:
        check(device)
    except Exception:  # noqa: BLE001 - the others are to run all the same
        traceback.print_exc()
        outcome = "FAILED"
    else:
        outcome = "passed"
    name = check.__name__.replace("_", " ")
    print(f"{outcome}  {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return outcome == "passed"


if __name__ == "__main__":
    sys.exit(main())
