"""The memory that each type of training is given, for the trace has none.

These sizes are assumed, not measured. They grow with the batch, and they agree with what was
measured in one direction: no two types of which the throughputs say that they did not fit on one
device (of 16 GiB, as the V100 of the measurements) would be admitted beside each other. `Rates`
checks that. The other direction does not hold: some pairs that did fit are kept apart.
"""

from gpurun.protocol.quantity import GIB

DEVICE_TOTAL = 16 * GIB

SIZES = {
    "A3C": 2,
    "CycleGAN": 6,
    "LM (batch size 5)": 1,
    "LM (batch size 10)": 2,
    "LM (batch size 20)": 2,
    "LM (batch size 40)": 3,
    "LM (batch size 80)": 5,
    "Recommendation (batch size 512)": 1,
    "Recommendation (batch size 1024)": 2,
    "Recommendation (batch size 2048)": 2,
    "Recommendation (batch size 4096)": 3,
    "Recommendation (batch size 8192)": 4,
    "ResNet-18 (batch size 16)": 1,
    "ResNet-18 (batch size 32)": 1,
    "ResNet-18 (batch size 64)": 2,
    "ResNet-18 (batch size 128)": 3,
    "ResNet-18 (batch size 256)": 4,
    "ResNet-50 (batch size 16)": 3,
    "ResNet-50 (batch size 32)": 5,
    "ResNet-50 (batch size 64)": 8,
    "ResNet-50 (batch size 128)": 14,
    "Transformer (batch size 16)": 2,
    "Transformer (batch size 32)": 4,
    "Transformer (batch size 64)": 5,
    "Transformer (batch size 128)": 6,
    "Transformer (batch size 256)": 10,
}
"""GiB on each device, by type."""


def memory_of(kind: str) -> int:
    """Bytes on each device; a type without a size takes a whole one."""
    return SIZES[kind] * GIB if kind in SIZES else DEVICE_TOTAL
