"""A training as a user writes it, for tests that start and kill it."""

import sys

from tests.sdk.trainings import Tiny

from gpurun import sdk

if __name__ == "__main__":
    result = sdk.run(Tiny, steps=int(sys.argv[1]))
    print(f"digest {result.digest}")
