"""Loops as users write them, given to a job; each ends in a digest of all that counts."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from tests.sdk.trainings import small_loader
from torch import nn
from torch.utils.data import DataLoader, Dataset

from gpurun import sdk

Hook = Callable[[int], None]
EPOCHS = 3
TURNS = 12
"""Batches of all epochs: four of ten rows by three."""


def seed() -> None:
    """As a script does at its start."""
    random.seed(2)
    np.random.seed(4)
    torch.manual_seed(3)


def net() -> nn.Sequential:
    """With dropout."""
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))


def drawn() -> list[Any]:
    """A number from each of the global generators."""
    return [random.gauss(), np.random.rand(), torch.rand(1)]


class Noisy(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Ten rows, each with noise from every kind of generator."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.rand(4) + random.gauss() + np.random.rand()
        return index / 10 + 0.01 * noise, torch.tensor([float(index)])


class Bar:
    """Shows the way of an iteration, as tqdm does."""

    def __init__(self, iterable: Any) -> None:
        self.iterable = iterable
        self.total = len(iterable)

    def __iter__(self) -> Iterator[Any]:
        yield from self.iterable


def accumulating(hook: Hook, make: Callable[[], Iterable[Any]] = lambda: small_loader(0)) -> str:
    """An ordinary loop: accumulation, an epoch's mean into ReduceLROnPlateau, best and history."""
    seed()
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    loader = make()
    history: list[Any] = []
    job = sdk.job(
        respawn=True,
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        best=float("inf"),
        history=history,
        losses=[],
    )
    for epoch in job.epochs(EPOCHS):
        model.train()
        job.losses = []
        for x, y in job.batches(loader):
            hook(job.step)
            noise = 0.01 * (random.gauss() + np.random.rand())
            loss = nn.functional.mse_loss(model(x + noise), y)
            (loss / 2).backward()
            if job.batch % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
            job.losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            seen = [nn.functional.mse_loss(model(x), y).item() for x, y in job.watch(loader)]
        scheduler.step(sum(job.losses) / len(job.losses))
        job.best = min(job.best, *seen)
        history.append((epoch, seen))
    return sdk.digest(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "best": job.best,
            "history": history,
            "random": drawn(),
        }
    )


def noisy(workers: int, **options: Any) -> Callable[[Hook], str]:
    """The same with augmentation, in so many processes."""
    return lambda hook: accumulating(
        hook,
        lambda: DataLoader(Noisy(), batch_size=3, shuffle=True, num_workers=workers, **options),
    )


def placed(workers: int) -> Callable[[Hook], str]:
    """The same with a loader that knows its place by itself."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return lambda hook: accumulating(
        hook, lambda: StatefulDataLoader(Noisy(), batch_size=3, shuffle=True, num_workers=workers)
    )


def gan(hook: Hook) -> str:
    """Two networks with an optimizer each, two loaders side by side, EMA and tied weights."""
    seed()
    tied = [nn.Linear(4, 4), nn.Linear(4, 4)]
    tied[1].weight = tied[0].weight
    maker = nn.Sequential(tied[0], nn.ReLU(), nn.Dropout(0.2), tied[1], nn.Linear(4, 1))
    critic = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    average = torch.optim.swa_utils.AveragedModel(
        maker, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    two = [torch.optim.Adam(each.parameters(), lr=0.01) for each in (maker, critic)]
    job = sdk.job(respawn=True, nets=[maker, critic], two=two, average=average, scores=deque())
    for _ in job.epochs(2):
        for (x, y), (z, _) in zip(
            job.batches(small_loader(0)), job.batches(small_loader(0)), strict=True
        ):
            hook(job.step)
            judged = critic(y).mean() - critic(maker(x).detach()).mean()
            two[1].zero_grad()
            judged.backward()
            two[1].step()
            two[0].zero_grad()
            critic(maker(z + torch.rand(1))).mean().neg().backward()
            two[0].step()
            average.update_parameters(maker)
            job.scores.append(judged.item())
    assert tied[1].weight is tied[0].weight
    parts: tuple[Any, ...] = (maker, critic, *two, average)
    states = [each.state_dict() for each in parts]
    return sdk.digest([states, job.scores, drawn()])


def agent(hook: Hook) -> str:
    """Reinforcement learning: no loader, a replay memory, and generators of its own."""
    seed()
    policy = nn.Linear(2, 1)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=0.01)
    world = np.random.default_rng(5)
    job = sdk.job(respawn=True, policy=policy, optimizer=optimizer, world=world)
    job.memory = deque(maxlen=5)
    job.place = torch.zeros(2)
    for _ in job.steps(8):
        hook(job.step)
        act = torch.tanh(policy(job.place))
        job.place = job.place * 0.9 + act.detach() + 0.1 * torch.from_numpy(world.random(2)).float()
        job.memory.append((job.place, random.gauss()))
        then, reward = job.memory[int(torch.randint(len(job.memory), ()))]
        loss = (policy(then) - reward).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return sdk.digest([policy.state_dict(), optimizer.state_dict(), job.memory, drawn()])


def mixed(hook: Hook) -> str:
    """The loop of nanoGPT: without end, a scaler, lower precision, the next batch in advance."""
    seed()
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    rows = torch.rand(20, 4)
    job = sdk.job(respawn=True, model=model, optimizer=optimizer, scaler=scaler, rows=rows, done=0)

    def batch() -> torch.Tensor:
        start = int(torch.randint(16, (1,)))
        return rows[start : start + 4]  # a view: who writes into it changes the data

    job.x = batch()
    while True:
        job.turn()
        hook(job.step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(job.x).square().mean()
        job.x = batch()
        scaler.scale(loss / 2).backward()
        job.done += 1
        if job.done % 2 == 0:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
        if job.done == 8:
            break
    parts: tuple[Any, ...] = (model, optimizer, scaler)
    states = [each.state_dict() for each in parts]
    return sdk.digest([states, rows, drawn()])


def at_the_bottom(hook: Hook) -> str:
    """The turn behind the work of a loop."""
    seed()
    job = sdk.job(respawn=True, seen=[])
    while len(job.seen) < 8:
        hook(job.step)
        job.seen.append(random.gauss())
        job.turn()
    return sdk.digest([job.seen, drawn()])


def two_turns(hook: Hook) -> str:
    """Two different turns in each round: the one is not taken for the other."""
    seed()
    job = sdk.job(respawn=True, seen=[])
    while len(job.seen) < 8:
        job.turn()
        hook(job.step)
        job.seen.append(random.gauss())
        job.turn()
        hook(job.step)
        job.seen.append(-random.gauss())
    return sdk.digest([job.seen, drawn()])


def _phases(hook: Hook, job: sdk.Job) -> None:
    """Warm up, train, and begin again with something else, one behind the other."""
    for number in job.steps(3):
        hook(job.step)
        job.seen.append(("warm", number, random.gauss()))
    for epoch in job.epochs(range(5, 7)):
        for (x,) in job.batches([(1,), (2,)]):
            hook(job.step)
            job.seen.append((epoch, job.epoch, job.batch, x, random.gauss()))
        for (x,) in job.batches([(3,), (4,)]):
            hook(job.step)
            job.seen.append((epoch, "again", job.batch, x, random.gauss()))
    for number in job.steps(range(10, 13)):
        hook(job.step)
        job.seen.append((number, random.gauss()))


def _nested(hook: Hook, job: sdk.Job) -> None:
    """Epochs in epochs, steps in steps, and epochs in steps, as PPO has them."""
    for outer in job.epochs(2):
        job.seen.append(("before", outer, random.gauss()))
        for inner in job.epochs(2):
            for x in job.batches(Bar([1, 2])):
                hook(job.step)
                job.seen.append((outer, inner, x, random.gauss()))
        job.seen.append(("behind", outer, random.gauss()))
    for number in job.steps(3):
        hook(job.step)
        for epoch in job.epochs(2):
            for x in job.batches([1, 2]):
                job.turn()
                for y in job.steps(2):
                    job.seen.append((number, epoch, x, y, random.gauss()))


def _broken(hook: Hook, job: sdk.Job) -> None:
    """Epochs that end early, and a training that does."""
    for epoch in job.epochs(9):
        for x in Bar(job.batches([1, 2, 3, 4, 5])):
            hook(job.step)
            if x == 3 + epoch % 2:
                break
            job.seen.append((epoch, x, random.gauss()))
        job.seen.append(("epoch", epoch))
        if epoch == 2:
            break


def _plain(hook: Hook, job: sdk.Job) -> None:
    """Python's own loops around; what lies between the epochs runs again, and does not count."""
    for epoch in range(3):
        for _, x in enumerate(job.batches([1, 2, 3])):
            hook(job.step)
            job.seen.append((epoch, x, random.gauss()))
        job.seen.append(random.gauss())
    rounds = 0
    while True:
        job.turn()
        job.seen += [(rounds, x, random.gauss()) for x in job.batches([1, 2])]
        hook(job.step)
        job.seen.append(random.gauss())
        rounds += 1
        if rounds == 3:
            return


def _in_the_body(hook: Hook, job: sdk.Job) -> None:
    """A stream that a body opens and keeps, and one that it goes through."""
    stream: Iterator[int] | None = None
    for number in job.steps(9):
        hook(job.step)
        while True:
            stream = iter(job.batches([1, 2, 3, 4])) if stream is None else stream
            x = next(stream, 0)
            if x:
                break
            stream = None
        job.seen.append((number, x, random.gauss()))
        if number % 3 == 2:
            job.seen += [(y, random.gauss()) for y in job.batches([7, 8])]


def _drawn_out(hook: Hook, job: sdk.Job) -> None:
    """A set that the script gives anew is nobody's to write into."""
    everything = {1, 2, 3, 4}
    for _ in job.epochs(2):
        job.left = everything
        while job.left:
            job.turn()
            hook(job.step)
            job.left = job.left - {min(job.left)}
        job.seen.append(sorted(everything))


def _with(hook: Hook, job: sdk.Job) -> None:
    """Told when it is over."""
    with job:
        _phases(hook, job)


LOGGED = {
    "phases": (_phases, (1, 2, *range(4, 11), 12, 13)),
    "nested": (_nested, (*range(1, 8), 9, 10)),
    "broken": (_broken, range(1, 10)),
    "plain": (_plain, (*range(1, 10), 12, 15)),
    "in the body": (_in_the_body, range(1, 9)),
    "drawn out": (_drawn_out, (2, 3, 6)),
    "with": (_with, range(1, 14)),
}
"""Each with the turns at which it is asked; behind the last one of a phase it detaches."""


def logged(body: Callable[[Hook, sdk.Job], None]) -> Callable[[Hook], str]:
    """A loop that writes down what it sees."""

    def loop(hook: Hook) -> str:
        seed()
        job = sdk.job(respawn=True, seen=[])
        body(hook, job)
        return sdk.digest([job.seen, job.step, job.epoch, job.batch, drawn()])

    return loop


def folds(hook: Hook, *, once: bool = False) -> str:
    """A training for each part that is held out, in one script."""
    seed()

    def train(fold: int) -> float:
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        job = sdk.job(respawn=True, model=model, optimizer=optimizer)
        for _ in job.epochs(2):
            for x, y in job.batches(small_loader(0)):
                hook(100 * fold + job.step)
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x * fold), y).backward()
                optimizer.step()
        return sum(each.sum().item() for each in model.parameters())

    if once:
        scores = [sdk.once(f"fold {fold}", partial(train, fold)) for fold in range(3)]
    else:
        scores = [train(fold) for fold in range(3)]
    return sdk.digest([scores, drawn()])
