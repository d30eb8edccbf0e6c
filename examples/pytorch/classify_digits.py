"""A light task: fit a linear classifier to handwritten digits in a second or two.

python classify_digits.py
gpurun --priority high classify_digits.py
"""

print("classify_digits: started", flush=True)

import torch  # noqa: E402 - the line above tells when the task started, not when torch was read
from sklearn.datasets import load_digits  # noqa: E402


def main() -> None:
    """Fit on 1,500 images, and print the share of the others that is recognised."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32, device=device)
    digits = torch.tensor(labels, dtype=torch.int64, device=device)
    weights = torch.zeros(64, 10, device=device, requires_grad=True)
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(images[:1500] @ weights, digits[:1500])
        (gradient,) = torch.autograd.grad(loss, weights)
        weights.data -= gradient
    found = (images[1500:] @ weights).argmax(1)
    print(f"classify_digits: accuracy {(found == digits[1500:]).float().mean():.3f}")


if __name__ == "__main__":
    main()
