"""A Lightning training as a pause sees it: Lightning's own checkpoint, and what that leaves out.

Left out by Lightning are the random states, the place in the data, what modules and callbacks hold
beside their `state_dict`, the metrics of an epoch that is under way, and the loggers' versions.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from gpurun.sdk import buckets, lightning_loggers, lightning_results, modules, rng
from gpurun.sdk.decoding import decode
from gpurun.sdk.encoding import Encoder, Node
from gpurun.sdk.lightning_data import place_of, private_states, set_private_states
from gpurun.sdk.subject import Subject
from gpurun.sdk.tensors import Copied

_STRATEGIES = frozenset(("SingleDeviceStrategy", "DDPStrategy"))
"""Those in which each rank holds all of the state that it saves."""
_NO_STATE = frozenset(("RichProgressBar", "TQDMProgressBar", "Timer", "PauseCallback"))
"""Callbacks that show something, or that Lightning alone can put back."""
_OF_THIS_PROCESS = frozenset(("log", "log_dict", "_last_time_checked"))
_TRAINER = ("should_stop", "accumulate_grad_batches")
_EPOCH_LOOP = ("_skip_next_val",)
_HPARAMS = ("hyper_parameters", "hparams_name", "hparams_type", "datamodule_hyper_parameters")


class LightningSubject(Subject):
    """One `Trainer.fit`."""

    applied_again = True

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        kind = type(trainer.lightning_module)
        self.kind = f"lightning {kind.__module__}.{kind.__qualname__}"
        self.nodes: dict[str, Node] | None = None
        """What was loaded and is not put back yet: Lightning has to set up its part before."""

    def held(self) -> dict[str, Any]:
        """The module, the optimizers, and the values of the metrics."""
        module = self._module
        return {
            "module": module,
            "optimizers": list(self._trainer.optimizers),
            "beside": _beside(module),
            "gradients": _gradients(module),
            "results": lightning_results.state_of(self._loop._results),
            "metrics": _metrics(self._trainer),
        }

    def spread(self) -> str:
        """What of the state is not whole in this rank; empty where all is."""
        if (strategy := type(self._trainer.strategy).__name__) not in _STRATEGIES:
            return f"the state of a {strategy} is not saved"
        if any(hasattr(one, "consolidate_state_dict") for one in self._trainer.optimizers):
            return "an optimizer spreads its state over ranks"
        return ""

    def obstacle(self) -> str:
        """A Lightning that is too old, and data that are read in an order of their own."""
        fit_loop = self._trainer.fit_loop
        if not all(hasattr(self._loop, name) for name in _EPOCH_LOOP):
            return "only Lightning 2.5 and later can be led back to a batch"
        if type(fit_loop._data_fetcher).__name__ == "_DataLoaderIterDataFetcher":
            return "training_step(dataloader_iter) reads its data by itself"
        return place_of(fit_loop._combined_loader).obstacle()

    def encoder(self, copied: Copied) -> Encoder:
        """One that keeps attributes of no known kind as the script has made them."""
        return Encoder(lambda path, _value: path.startswith("attributes of "), copied)

    def encoded(self, encoder: Encoder) -> dict[str, Node]:
        """A node for Lightning's checkpoint, and one for each thing beside it."""
        states, trainer, module = rng.capture(), self._trainer, self._module
        parts = {
            "rng": states,
            "checkpoint": _dump(trainer),
            "beside": modules.beside_state_dict(module),
            "orders": buckets.orders(trainer.model),
            "attributes of modules": _beside(module),
            "attributes of callbacks": _of_callbacks(trainer),
            "gradients": _gradients(module),
            "trainer": {name: getattr(trainer, name) for name in _TRAINER},
            "epoch loop": {name: getattr(self._loop, name) for name in _EPOCH_LOOP},
            "reloaded": [trainer.fit_loop._last_train_dl_reload_epoch, *_validation(self._loop)],
            "metrics": _metrics(trainer),
            "results": lightning_results.state_of(self._loop._results),
            "loggers": lightning_loggers.state_of(trainer.loggers),
            "data": place_of(trainer.fit_loop._combined_loader).state_dict(),
        }
        return {name: encoder.encode(part, name) for name, part in parts.items()}

    def put_back(self, nodes: dict[str, Node]) -> None:
        """Keep them: the training's parts are made only while Lightning sets it up."""
        self.nodes = nodes

    def part(self, name: str) -> Any:
        """One part of what was loaded."""
        return decode(self.nodes[name]) if self.nodes is not None else None

    def apply(self) -> bool:
        """Give everything its saved value, where the training was: just before it takes a batch.

        Only once; whether there was anything to give.
        """
        nodes, self.nodes = self.nodes, None
        if nodes is None:
            return False
        trainer, module = self._trainer, self._module
        _restore(trainer, decode(nodes["checkpoint"]))
        modules.put_beside(module, decode(nodes["beside"]))
        buckets.put_orders(trainer.model, decode(nodes["orders"]))
        parts = dict(module.named_modules())
        for name, node in nodes["attributes of modules"].items():
            _put_attributes(parts[name], node)
        for callback, node in zip(trainer.callbacks, nodes["attributes of callbacks"], strict=True):
            _put_attributes(callback, node)
        _put_gradients(module, decode(nodes["gradients"]))
        vars(trainer).update(decode(nodes["trainer"]))
        vars(self._loop).update(decode(nodes["epoch loop"]))
        _put_reloaded(trainer.fit_loop, decode(nodes["reloaded"]))
        vars(trainer._logger_connector).update(decode(nodes["metrics"]))
        lightning_results.put_back(self._loop._results, decode(nodes["results"]), trainer)
        lightning_loggers.put_back(trainer.loggers, decode(nodes["loggers"]))
        _put_data(trainer.fit_loop, decode(nodes["data"]))
        rng.restore(decode(nodes["rng"]))
        return True

    @property
    def _module(self) -> Any:
        return self._trainer.lightning_module

    @property
    def _loop(self) -> Any:
        return self._trainer.fit_loop.epoch_loop


def _dump(trainer: Any) -> dict[str, Any]:
    """Lightning's checkpoint, but for what the script says anyway and what is put back here."""
    checkpoint: dict[str, Any] = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    for name in _HPARAMS:
        checkpoint.pop(name, None)
    checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
    return checkpoint


def _restore(trainer: Any, checkpoint: dict[str, Any]) -> None:
    """As Lightning does, whose hooks may have changed something since it did so."""
    connector = trainer._checkpoint_connector
    trainer.strategy.load_model_state_dict(
        checkpoint, strict=trainer.lightning_module.strict_loading
    )
    connector._loaded_checkpoint = checkpoint
    connector.restore_training_state()
    connector._loaded_checkpoint = {}
    settle(trainer.fit_loop)


def settle(loop: Any) -> None:
    """Let a loop and those in it go on as if they had never been interrupted."""
    for inner in vars(loop).values():
        if hasattr(inner, "on_iteration_done"):
            settle(inner)
    loop.on_iteration_done()


def _beside(module: Any) -> dict[str, dict[str, Any]]:
    """Attributes of each part that are no parameters, buffers, parts or plain values."""
    return {
        name: _attributes(part, _machinery(part), module) for name, part in module.named_modules()
    }


def _machinery(part: torch.nn.Module) -> frozenset[str]:
    """Attributes that PyTorch and Lightning give to every module."""
    plain = {n for n, value in vars(part).items() if type(value) in (bool, int, float, str)}
    base = next((k for k in type(part).__mro__ if k.__name__ == "LightningModule"), torch.nn.Module)
    return frozenset(vars(base())) | plain


def _of_callbacks(trainer: Any) -> list[dict[str, Any]]:
    module = trainer.lightning_module
    return [
        {}
        if any(kind.__name__ in _NO_STATE for kind in type(callback).__mro__)
        else _attributes(callback, _OF_THIS_PROCESS, module)
        for callback in trainer.callbacks
    ]


def _attributes(owner: Any, left_out: frozenset[str], module: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(owner).items()
        if name not in left_out and value is not module and not isinstance(value, DataLoader)
    }


def _put_attributes(owner: Any, nodes: dict[str, Node]) -> None:
    attributes = vars(owner)
    for name, node in nodes.items():
        attributes[name] = decode(node, attributes.get(name))


def _gradients(module: Any) -> dict[str, torch.Tensor]:
    """Those that a script which optimizes by itself may still be adding to."""
    if module.automatic_optimization:
        return {}
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def _put_gradients(module: Any, gradients: dict[str, torch.Tensor]) -> None:
    for name, parameter in module.named_parameters():
        parameter.grad = gradients.get(name)


def _metrics(trainer: Any) -> dict[str, Any]:
    attributes = vars(trainer._logger_connector)
    return {name: value for name, value in attributes.items() if name != "trainer"}


def _validation(loop: Any) -> Iterator[Any]:
    """When its data were made last, whether it has run, and the generators of its data."""
    inner = loop.val_loop
    yield inner._last_val_dl_reload_epoch
    yield inner._has_run
    yield private_states(_loaders(inner))


def _put_reloaded(fit_loop: Any, saved: list[Any]) -> None:
    inner = fit_loop.epoch_loop.val_loop
    fit_loop._last_train_dl_reload_epoch, inner._last_val_dl_reload_epoch, inner._has_run = saved[
        :3
    ]
    loaders = _loaders(inner)
    if loaders and saved[3]:
        set_private_states(loaders, saved[3])


def _loaders(loop: Any) -> list[Any]:
    """What a loop reads; nothing before it has been set up."""
    return loop._combined_loader.flattened if loop._combined_loader is not None else []


def _put_data(fit_loop: Any, place: dict[str, Any]) -> None:
    fetcher = fit_loop._data_fetcher
    fetcher.fetched = place_of(fit_loop._combined_loader).put_back(place)
    fetcher.done = False
