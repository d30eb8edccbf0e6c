"""Train a small network on handwritten digits in several processes, which step aside together.

    torchrun --nproc-per-node 2 ddp_digits.py             trains
    gpurun torchrun --nproc-per-node 2 ddp_digits.py      trains when it is safe for both at once

Both print the same digest, however often the second was paused: all ranks stop at the same step.
Each rank has a GPU of its own where there are enough, and else they all use the processor.
"""

import argparse
import os
import random
import time

import numpy
import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from gpurun import sdk

TRAINING_IMAGES = 1500


def main() -> None:
    """Train, then print what came of it."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits in several ranks.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--step-time", type=float, default=0.0, help="least seconds for a step")
    options = parser.parse_args()

    local, world = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
    on_gpus = torch.cuda.device_count() >= world
    device = torch.device("cuda", local) if on_gpus else torch.device("cpu")
    if on_gpus:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpus else "gloo")
    rank = dist.get_rank()
    random.seed(rank)
    numpy.random.seed(rank)
    torch.manual_seed(rank)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32, device=device)
    digits = torch.tensor(labels, dtype=torch.int64, device=device)
    training = TensorDataset(images[:TRAINING_IMAGES], digits[:TRAINING_IMAGES])
    sampler: DistributedSampler[tuple[torch.Tensor, ...]] = DistributedSampler(training)
    loader = DataLoader(training, batch_size=64, sampler=sampler)

    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    model = DistributedDataParallel(net.to(device))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    job = sdk.job(respawn=True, model=model, optimizer=optimizer)
    for epoch in job.epochs(options.epochs):
        sampler.set_epoch(epoch)
        for x, y in job.batches(loader):
            began = time.monotonic()
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            time.sleep(max(0.0, began + options.step_time - time.monotonic()))
        if rank == 0:
            print(f"epoch {epoch}  step {job.step}  loss {loss.item():.4f}", flush=True)

    model.eval()
    with torch.no_grad():
        found = net(images[TRAINING_IMAGES:]).argmax(1)
    if rank == 0:
        accuracy = float((found == digits[TRAINING_IMAGES:]).float().mean())
        print(f"digest {sdk.digest((net.state_dict(), optimizer.state_dict()))}")
        print(f"accuracy {accuracy:.3f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
