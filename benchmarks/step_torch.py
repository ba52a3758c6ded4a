"""Worker of train_step.py: the same training step in PyTorch (channels_last), one for every line on stdin.

Written as one would write it in PyTorch; needs torch and numpy, not minigan. Starts from the weights and inputs that
step_minigan.py left in the folder.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def discriminator(width: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for channels in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(channels, 2 * channels, 4, 2, 1), batch_norm(2 * channels), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 8 * width, 1))


def generator(width: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ConvTranspose2d(100, 8 * width, 4), batch_norm(8 * width), nn.LeakyReLU(0.2)]
    for channels in (8 * width, 4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1), batch_norm(channels // 2), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(width, width, 3, 1, 1), batch_norm(width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.5)


def load(network: nn.Sequential, start: dict[str, np.ndarray], prefix: str) -> None:
    """Copy minigan's first weights in, NHWC layouts turned into PyTorch's."""
    for index, layer in enumerate(network):
        if not list(layer.parameters()):
            continue
        names = ("gamma", "beta") if isinstance(layer, nn.BatchNorm2d) else ("kernel", "bias")
        weight, bias = (start[f"{prefix}.{index}.{name}"] for name in names)
        if weight.ndim == 4:  # (K, K, C, O), or (K, K, O, C) transposed, to (O, C, K, K) or (C, O, K, K)
            weight = weight.transpose(3, 2, 0, 1)
        elif weight.ndim == 2:  # rows from (h, w, c) order to (c, h, w)
            weight = weight.reshape(4, 4, -1, 1).transpose(3, 2, 0, 1).reshape(1, -1)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.from_numpy(bias))


def images(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


class Step:
    """Networks, optimizers, and the schedule of minigan.gan.train_step."""

    def __init__(self, start: dict[str, np.ndarray], width: int) -> None:
        self.D, self.G = discriminator(width), generator(width)
        load(self.D, start, "D")
        load(self.G, start, "G")
        for network in (self.D, self.G):
            network.to(memory_format=torch.channels_last)
        settings = {"betas": (0.5, 0.999), "eps": 1e-7}
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), lr=2e-4, **settings)
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), lr=1.5e-4, **settings)
        self.real, self.noise, self.g_noise = (images(start[k]) for k in ("real", "noise", "generator_noise"))
        self.real_labels, self.fake_labels = (torch.from_numpy(start[k]) for k in ("real_labels", "fake_labels"))

    def __call__(self) -> list[float]:
        self.G.eval()
        with torch.inference_mode():
            fakes = self.G(self.noise)
        self.G.train()
        losses = [self._teach_d(self.real, self.real_labels), self._teach_d(fakes.clone(), self.fake_labels)]
        for p in self.D.parameters():
            p.requires_grad_(False)
        for layer in self.D:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.0  # the batch's statistics, but the moving ones stay
        loss = F.binary_cross_entropy_with_logits(self.D(self.G(self.g_noise)), self.real_labels)
        self.g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.g_optimizer.step()
        for p in self.D.parameters():
            p.requires_grad_(True)
        for layer in self.D:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.5
        return [*losses, loss.item()]

    def _teach_d(self, pictures: torch.Tensor, labels: torch.Tensor) -> float:
        loss = F.binary_cross_entropy_with_logits(self.D(pictures), labels)
        self.d_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.d_optimizer.step()
        return loss.item()


def main() -> None:
    folder, width = Path(sys.argv[1]), int(sys.argv[3])
    with np.load(folder / "start.npz", allow_pickle=False) as file:
        step = Step(dict(file), width)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        losses = step()
        seconds = time.perf_counter() - begin
        told = dict(zip(("d_real", "d_fake", "g"), losses, strict=True))
        print(json.dumps({"seconds": seconds, **told}), flush=True)


if __name__ == "__main__":
    main()
