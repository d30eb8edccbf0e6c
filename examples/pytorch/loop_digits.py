"""Train a small network on handwritten digits, in a loop of one's own that can step aside.

    python loop_digits.py             trains
    gpurun loop_digits.py             trains when it is safe, and pauses when asked to

Both print the same digest, however often the second was paused. What the SDK needs is one object,
`job`, that is told what to save, and that gives the epochs and the batches.
"""

import argparse
import os
import random
import time

import numpy
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gpurun import sdk

TRAINING_IMAGES = 1500


def main() -> None:
    """Train, then print what came of it."""
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--step-time", type=float, default=0.0, help="least seconds for a step")
    options = parser.parse_args()

    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS wants it for the next
    torch.use_deterministic_algorithms(True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32, device=device)
    digits = torch.tensor(labels, dtype=torch.int64, device=device)
    training = TensorDataset(images[:TRAINING_IMAGES], digits[:TRAINING_IMAGES])
    held_out = TensorDataset(images[TRAINING_IMAGES:], digits[TRAINING_IMAGES:])
    loader = DataLoader(training, batch_size=64, shuffle=True)
    tests = DataLoader(held_out, batch_size=256)

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=1)
    job = sdk.job(
        respawn=True, model=model, optimizer=optimizer, scheduler=scheduler, best=0.0, losses=[]
    )
    for epoch in job.epochs(options.epochs):
        model.train()
        job.losses = []
        for x, y in job.batches(loader):
            began = time.monotonic()
            loss = nn.functional.cross_entropy(model(x), y)
            (loss / 2).backward()
            if job.batch % 2 == 0 or job.batch == len(loader):  # two batches are one step
                optimizer.step()
                optimizer.zero_grad()
            job.losses.append(loss.item())
            time.sleep(max(0.0, began + options.step_time - time.monotonic()))
        model.eval()
        with torch.no_grad():
            found = sum(int((model(x).argmax(1) == y).sum()) for x, y in job.watch(tests))
        accuracy = found / len(held_out)
        scheduler.step(accuracy)
        job.best = max(job.best, accuracy)
        mean = sum(job.losses) / len(job.losses)
        print(f"epoch {epoch}  loss {mean:.4f}  accuracy {accuracy:.3f}", flush=True)

    state = (model.state_dict(), optimizer.state_dict(), scheduler.state_dict(), job.best)
    print(f"digest {sdk.digest(state)}")
    print(f"accuracy {job.best:.3f}")


if __name__ == "__main__":
    main()
