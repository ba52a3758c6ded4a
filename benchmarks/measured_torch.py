"""PyTorch as a program to measure: the same work, channels_last, written as PyTorch's users write it.

Needs torch and numpy, not minigan. Starts from the weights and inputs that minigan's worker left in the folder. For
`quality`, which trains, it also keeps to what Keras 2.2.4 does otherwise than PyTorch (`begin_run`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured_programs import Program, serve, timed
from torch import nn
from torch.nn import functional as F

NOISE_SIZE = 100


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.5)


def discriminator(width: int, image_size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    side, channels = image_size, 3
    while side > 4:
        side //= 2
        filters = min(8 * width, width * image_size // (2 * side))
        layers.append(nn.Conv2d(channels, filters, 4, 2, 1))
        if channels != 3:
            layers.append(batch_norm(filters))
        layers.append(nn.LeakyReLU(0.2))
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * channels, 1))


def generator(width: int, image_size: int, batch_norm: Callable[[int], nn.BatchNorm2d] = batch_norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    side, channels = 2, NOISE_SIZE
    while side < image_size // 2:
        side *= 2
        filters = min(8 * width, width * image_size // (2 * side))
        stride, padding = (1, 0) if side == 4 else (2, 1)
        layers += [nn.ConvTranspose2d(channels, filters, 4, stride, padding), batch_norm(filters), nn.LeakyReLU(0.2)]
        channels = filters
    layers += [nn.Conv2d(channels, channels, 3, 1, 1), batch_norm(channels), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh())


class KerasBatchNorm(nn.BatchNorm2d):
    """Batch normalization with Keras 2.2.4's moving statistics.

    Its averages are zero-debiased, ``biased / (1 - 0.5**t)``. That is a plain average whose momentum changes from one
    update to the next. And it corrects the variance once more than PyTorch does, by N / (N - 1.001).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)
        self.updates, self.correction = 0, 1.0  # before the first update, the variance is 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.updates += 1
            self.momentum = 0.5 / (1 - 0.5**self.updates)
            count = x.numel() / x.shape[1]
            self.correction = count / (count - 1.001)
            return super().forward(x)
        variance = self.running_var * self.correction
        return F.batch_norm(x, self.running_mean, variance, self.weight, self.bias, False, 0.0, self.eps)


class KerasAdam(torch.optim.Adam):
    """Adam with an epsilon that is not corrected for bias, as Keras 2.2.4's."""

    updates = 0

    def step(self, closure: Any = None) -> Any:
        self.updates += 1
        for group in self.param_groups:
            group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** self.updates)
        return super().step(closure)


class Limits(nn.Module):
    """Where Keras's loss stops: beyond, it is constant."""

    def forward(self, logit: torch.Tensor) -> torch.Tensor:
        return logit.clamp(-16.118096, 15.942385)


def load(network: nn.Sequential, start: dict[str, np.ndarray], prefix: str) -> None:
    """Copy minigan's first weights in, NHWC layouts turned into PyTorch's."""
    for index, layer in enumerate(network):
        if not list(layer.parameters()):
            continue
        names = ("gamma", "beta") if isinstance(layer, nn.BatchNorm2d) else ("kernel", "bias")
        weight, bias = (start[f"{prefix}.{index}.{name}"] for name in names)
        if weight.ndim == 4:
            weight = kernel_to_torch(weight)
        elif weight.ndim == 2:  # rows from (h, w, c) order to (c, h, w)
            weight = weight.reshape(4, 4, -1, 1).transpose(3, 2, 0, 1).reshape(1, -1)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.from_numpy(bias))


def kernel_to_torch(kernel: np.ndarray) -> np.ndarray:
    """(K, K, C, O), or (K, K, O, C) of a transposed layer, to (O, C, K, K) or (C, O, K, K)."""
    return kernel.transpose(3, 2, 0, 1)


class Torch(Program):
    """Networks, optimizers, and the schedule of minigan.gan.step.train_step."""

    def begin(
        self, threads: int | None = None, compiled: bool = False, device: str = "cpu", tf32: bool = False
    ) -> dict[str, Any]:
        if threads is not None:
            torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True  # the sizes never change, so it pays to try cuDNN's algorithms
        self._compiled, self._device = compiled, torch.device(device)
        about = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        if self._device.type == "cuda":
            about |= {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "tf32": tf32}
        return about

    def memory(self, reset: bool = False) -> dict[str, int | None]:
        """Like `Program.memory`; on a GPU, the device memory that PyTorch has taken."""
        if self._device.type == "cpu":
            return super().memory(reset)
        peak, now = torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved()
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return {"peak": peak, "now": now}

    # ---- the whole step ----

    def build(self, folder: str, batch_size: int, width: int, image_size: int) -> None:
        start = self._networks(folder, width, image_size)
        self.run_D, self.run_G = (torch.compile(n) if self._compiled else n for n in (self.D, self.G))
        self._optimizers(torch.optim.Adam)
        self._take(start)

    def begin_run(self, folder: str, batch_size: int, width: int, image_size: int) -> None:
        """Start a run from the weights in the folder, with Keras's statistics, Adam and limits of the logit."""
        self._networks(folder, width, image_size, KerasBatchNorm)
        self.run_D, self.run_G = nn.Sequential(self.D, Limits()), self.G
        self._optimizers(KerasAdam)

    def learn(self, folder: str) -> dict[str, Any]:
        """Go on with the block of inputs in the folder: a step with each. Only the steps are timed."""
        with np.load(Path(folder) / "block.npz", allow_pickle=False) as file:
            block = dict(file)
        losses, seconds = [], 0.0
        for k in range(len(block["real"])):
            self._take({name: inputs[k] for name, inputs in block.items()})
            begin = time.perf_counter()
            losses.append([float(loss) for loss in self._step()])
            seconds += time.perf_counter() - begin
        return {"seconds": seconds, "losses": losses}

    def draw(self, folder: str) -> None:
        """Draw images from the noise in the folder, with moving statistics."""
        noise = self._images(np.load(Path(folder) / "noise.npy", allow_pickle=False))
        self.G.eval()
        with torch.no_grad():
            made = torch.cat([self.G(part) for part in noise.split(250)])
        np.save(Path(folder) / "faces.npy", made.permute(0, 2, 3, 1).contiguous().cpu().numpy())

    def _networks(self, folder: str, width: int, image_size: int, norm: Any = batch_norm) -> dict[str, np.ndarray]:
        """Make both, with the weights in the folder; returns all that is there."""
        with np.load(Path(folder) / "start.npz", allow_pickle=False) as file:
            start = dict(file)
        self.D, self.G = discriminator(width, image_size), generator(width, image_size, norm)
        load(self.D, start, "D")
        load(self.G, start, "G")
        for network in (self.D, self.G):
            network.to(self._device, memory_format=torch.channels_last)
        return start

    def _optimizers(self, adam: Any) -> None:
        settings = {"betas": (0.5, 0.999), "eps": 1e-7, "fused": True}
        self.d_optimizer = adam(self.D.parameters(), lr=2e-4, **settings)
        self.g_optimizer = adam(self.G.parameters(), lr=1.5e-4, **settings)

    def _take(self, inputs: dict[str, np.ndarray]) -> None:
        self.real, self.noise, self.g_noise = (self._images(inputs[k]) for k in ("real", "noise", "generator_noise"))
        self.real_labels, self.fake_labels = (
            torch.from_numpy(inputs[k]).to(self._device) for k in ("real_labels", "fake_labels")
        )

    def first_step(self) -> list[float]:
        return [float(loss) for loss in self._step()]

    def step(self, count: int) -> dict[str, Any]:
        return self._timed(self._step, count)

    def _step(self) -> list[torch.Tensor]:
        self.G.eval()
        with torch.no_grad():
            fakes = self.run_G(self.noise)
        self.G.train()
        losses = [self._teach_d(self.real, self.real_labels), self._teach_d(fakes, self.fake_labels)]
        self._freeze_d(True)
        loss = F.binary_cross_entropy_with_logits(self.run_D(self.run_G(self.g_noise)), self.real_labels)
        self.g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.g_optimizer.step()
        self._freeze_d(False)
        return [*losses, loss.detach()]

    def _teach_d(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = F.binary_cross_entropy_with_logits(self.run_D(images), labels)
        self.d_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.d_optimizer.step()
        return loss.detach()

    def _freeze_d(self, frozen: bool) -> None:
        """Frozen, D still uses the batch's statistics, but neither its parameters nor its moving averages change."""
        self.D.requires_grad_(not frozen)
        for layer in self.D:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.0 if frozen else 0.5

    # ---- inference ----

    def first_images(self, folder: str, images: int) -> None:
        self.all_noise = self._images(np.load(Path(folder) / "noise.npy", allow_pickle=False))
        self.G.eval()
        made = self._predict(64).permute(0, 2, 3, 1).cpu().numpy()
        name = "torch-compile" if self._compiled else "torch"
        np.save(Path(folder) / f"{images}-{name}.npy", made)

    def predict(self, batch_size: int, count: int) -> dict[str, Any]:
        return self._timed(lambda: self._predict(batch_size), count)

    def _predict(self, batch_size: int) -> torch.Tensor:
        with torch.inference_mode():
            parts = [self.run_G(noise) for noise in self.all_noise.split(batch_size)]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

    # ---- one convolution ----

    def load_conv(self, folder: str, transposed: bool, stride: int, pad: int) -> None:
        with np.load(Path(folder) / "layer.npz", allow_pickle=False) as file:
            x, dy = self._images(file["x"]), self._images(file["dy"])
            kernel = torch.from_numpy(np.ascontiguousarray(kernel_to_torch(file["w"])))
        w = kernel.contiguous(memory_format=torch.channels_last)
        convolve = F.conv_transpose2d if transposed else F.conv2d

        def backward(*wanted: bool) -> tuple[torch.Tensor, ...]:
            """What autograd calls; `wanted`: gradients for x, for w, for the bias."""
            return torch.ops.aten.convolution_backward(
                dy, x, w, None, [stride, stride], [pad, pad], [1, 1], transposed, [0, 0], 1, wanted
            )

        self._passes = {
            "forward": lambda: convolve(x, w, stride=stride, padding=pad),
            "input gradient": lambda: backward(True, False, False)[0],
            "weight gradient": lambda: backward(False, True, False)[1],
        }

    def first_conv(self, folder: str, direction: str, kernel: str) -> None:
        with torch.no_grad():
            result = self._passes[direction]().numpy()
        order = (2, 3, 1, 0) if direction == "weight gradient" else (0, 2, 3, 1)
        np.save(Path(folder) / "result.npy", result.transpose(order))

    def conv(self, direction: str, kernel: str, count: int) -> dict[str, Any]:
        with torch.no_grad():
            return self._timed(self._passes[direction], count)

    # ---- shared by all ----

    def _images(self, array: np.ndarray) -> torch.Tensor:
        images = torch.from_numpy(array).permute(0, 3, 1, 2)
        return images.to(self._device).contiguous(memory_format=torch.channels_last)

    def _timed(self, work: Any, count: int) -> dict[str, Any]:
        if self._device.type == "cpu":
            return timed(work, count)
        work()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
        return {"seconds": start.elapsed_time(end) / 1000 / count, "system_seconds": None}


if __name__ == "__main__":
    serve(Torch())
