"""A training with no SDK that can step aside all the same: it saves at a signal and exits with 85.

    python plain_digits.py
    gpurun --pause-signal USR2 --pause-exit 85 plain_digits.py

The second one is run again when there is room, and goes on from what it saved.
"""

import argparse
import hashlib
import os
import signal
import sys
import time

import torch
from sklearn.datasets import load_digits
from torch import nn

SAVED = 85
TRAINING_IMAGES, BATCH = 1500, 64
PER_EPOCH = TRAINING_IMAGES // BATCH

asked = False


def ask(*_: object) -> None:
    """Only note the signal: it may come in the middle of a step."""
    global asked  # noqa: PLW0603 - a handler has nowhere else to put it
    asked = True


def batch_of(step: int) -> torch.Tensor:
    """The images of a step: the order follows from the epoch, so that nothing of it is saved."""
    epoch, place = divmod(step, PER_EPOCH)
    order = torch.randperm(TRAINING_IMAGES, generator=torch.Generator().manual_seed(epoch))
    return order[place * BATCH :][:BATCH]


def save(path: str, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """All or nothing: whoever is killed while saving leaves the file as it was."""
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, f"{path}.new")
    os.replace(f"{path}.new", path)


def load(path: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The step to go on with; 0 where nothing was saved."""
    if not os.path.isfile(path):
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def main() -> None:
    """Train, from what was saved if there is anything, and print what came of it."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits, without the SDK.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--step-time", type=float, default=0.0, help="least seconds for a step")
    parser.add_argument("--file", default="plain_digits.pt", help="where it saves")
    options = parser.parse_args()

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32, device=device)
    digits = torch.tensor(labels, dtype=torch.int64, device=device)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    signal.signal(signal.SIGUSR2, ask)  # gpurun sends it to nobody who does not catch it
    begin = load(options.file, model, optimizer)
    print(f"starts at step {begin}", flush=True)
    for step in range(begin, options.steps):
        began = time.monotonic()
        batch = batch_of(step).to(device)
        loss = nn.functional.cross_entropy(model(images[batch]), digits[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(max(0.0, began + options.step_time - time.monotonic()))
        if asked:
            save(options.file, step + 1, model, optimizer)
            sys.exit(SAVED)

    if os.path.isfile(options.file):
        os.remove(options.file)
    weights = torch.cat([weight.detach().flatten().cpu() for weight in model.parameters()])
    with torch.no_grad():
        found = model(images[TRAINING_IMAGES:]).argmax(1)
    print(f"digest {hashlib.sha256(weights.numpy().tobytes()).hexdigest()}")
    print(f"accuracy {(found == digits[TRAINING_IMAGES:]).float().mean():.3f}")


if __name__ == "__main__":
    main()
