"""A compact 3D residual network: for two cores, for simulations, and small enough to be shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from osteoscope.core.errors import ModelError
from osteoscope.models.request import BuiltNetwork, NetworkRequest

Norm = Literal["batch", "group"]
STEM = 16
WIDTHS = (24, 48, 96)
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    "group": lambda width: nn.GroupNorm(8, width),
}


class ResidualStage(nn.Module):
    """A convolution of stride 2, then one residual block (He et al. 2016, arXiv 1512.03385).

    Args:
        before: Channels in.
        width: Channels out.
        norm: Makes a norm of so many channels.
    """

    def __init__(self, before: int, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.reduce = _convolution(before, width, 2)
        self.norm1 = norm(width)
        self.conv2 = _convolution(width, width, 1)
        self.norm2 = norm(width)
        self.conv3 = _convolution(width, width, 1)
        self.norm3 = norm(width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm1(self.reduce(x)))
        inner = self.act(self.norm2(self.conv2(x)))
        added: Tensor = self.act(x + self.norm3(self.conv3(inner)))
        return added


class Small3d(nn.Module):
    """A stem, one stage a width, each halving the volume, the mean over space, a classifier.

    With the defaults 0.8 million parameters (3.3 MB). The stem is one layer: at the full
    resolution of the maps a residual block would cost more than all that follows.

    Args:
        in_channels: Channels of an image.
        outputs: Numbers that it puts out.
        widths: Channels of the stages.
        stem_stride: Voxels between the stem's outputs: 2, or 4 where time is short (a third of
            the time, and texture finer than 4 voxels is seen by the stem alone).
        norm: ``batch`` (it folds into the convolutions when deployed) or ``group`` (of 8 groups,
            for batches of a few images).
        drop_rate: Share of the embedding that training sets to zero.

    Raises:
        ModelError: An unknown norm, another stride, or widths that groups of 8 do not divide.
    """

    def __init__(
        self,
        in_channels: int = 1,
        outputs: int = 3,
        widths: Sequence[int] = WIDTHS,
        stem_stride: int = 2,
        norm: Norm = "batch",
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ModelError(f"Unknown norm {norm!r}; known: {', '.join(NORMS)}.")
        if not widths or any(w < 1 or (norm == "group" and w % 8) for w in widths):
            raise ModelError(
                f"A network's widths must be positive, and multiples of 8 with group norms, not "
                f"{tuple(widths)}."
            )
        if stem_stride not in (2, 4):
            raise ModelError(f"The stem's stride is 2 or 4, not {stem_stride}.")
        kernel = max(3, stem_stride)
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, STEM, kernel, stem_stride, padding=kernel % 2, bias=False),
            NORMS[norm](STEM),
            nn.ReLU(),
        )
        before = [STEM, *widths[:-1]]
        self.stages = nn.ModuleList(
            ResidualStage(b, w, NORMS[norm]) for b, w in zip(before, widths, strict=True)
        )
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.drop = nn.Dropout(drop_rate)
        self.fc = nn.Linear(widths[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """(b, c, z, y, x) to the last stage's map."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """That map to (b, outputs), or to (b, f) before the classifier."""
        embedding: Tensor = self.drop(self.pool(features).flatten(1))
        return embedding if pre_logits else self.fc(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, z, y, x) to (b, outputs)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc


def build_small3d(request: NetworkRequest) -> BuiltNetwork:
    """``small3d``. Options: ``widths``, ``stem_stride``, ``norm``, ``drop_rate``.

    Raises:
        ModelError: Two dimensions, an unknown option, or what ``Small3d`` refuses.
    """
    request.for_volumes_only()
    options = request.options_of(widths=WIDTHS, stem_stride=2, norm="batch", drop_rate=0.0)
    return BuiltNetwork(Small3d(request.in_channels, request.outputs, **options), None)


def _convolution(before: int, width: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(before, width, 3, stride, padding=1, bias=False)
