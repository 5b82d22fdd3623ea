"""Modules of networks that neither `timm` nor `transformers` has, or that they can't export."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # as everybody calls it


def conv(before: int, after: int, size: int = 3, stride: int = 1, **options: Any) -> nn.Sequential:
    """Return a convolution that keeps the size, BatchNorm and ReLU."""
    options = {"padding": size // 2, "bias": False} | options
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, **options), nn.BatchNorm2d(after), nn.ReLU()
    )


class Shuffled(nn.Module):
    """Split, transform one half, join, shuffle (Ma et al. 2018, figure 3c and d)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        half, own = after // 2, before if stride == 2 else before // 2
        self.stride = stride
        self.right = nn.Sequential(
            conv(own, half, 1),
            nn.Conv2d(half, half, 3, stride, 1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            conv(half, half, 1),
        )
        self.left = (
            nn.Sequential(
                nn.Conv2d(before, before, 3, 2, 1, groups=before, bias=False),
                nn.BatchNorm2d(before),
                conv(before, half, 1),
            )
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Any) -> Any:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        return shuffled(torch.cat((self.left(left), self.right(right)), dim=1), 2)


def shuffled(x: Any, groups: int) -> Any:
    """Interleave the channels of the groups."""
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


class GroupShuffled(nn.Module):
    """Grouped 1x1, shuffle, depthwise, grouped 1x1, sum (Zhang et al. 2018, figure 2b)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        inner = channels // 2
        self.first = conv(channels, inner, 1, groups=groups)
        self.depthwise = nn.Conv2d(inner, inner, 3, 1, 1, groups=inner, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(inner), nn.BatchNorm2d(channels)
        self.last = nn.Conv2d(inner, channels, 1, groups=groups, bias=False)
        self.groups = groups

    def forward(self, x: Any) -> Any:
        y = self.norm1(self.depthwise(shuffled(self.first(x), self.groups)))
        return F.relu(x + self.norm2(self.last(y)))


class Fire(nn.Module):
    """Squeeze, then 1x1 beside 3x3 (Iandola et al. 2016)."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.one(x)), F.relu(self.three(x))), dim=1)


class UNet(nn.Module):
    """Down, up, and skips joined (Ronneberger et al. 2015); up by ConvTranspose or Upsample."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        widths = (12, 16, 24)
        self.down = nn.ModuleList(
            nn.Sequential(conv(b, a), conv(a, a))
            for b, a in zip((3, *widths), widths, strict=False)
        )
        self.middle = conv(24, 32)
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for before, width in ((32, 24), (24, 16), (16, 12)):
            self.up.append(_doubled(before, width, transposed=transposed))
            self.join.append(nn.Sequential(conv(2 * width, width), conv(width, width)))
        self.head = nn.Conv2d(12, 5, 1)

    def forward(self, x: Any) -> Any:
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.middle(x)
        for up, join, skip in zip(self.up, self.join, reversed(kept), strict=True):
            x = join(torch.cat((skip, up(x)), dim=1))
        return self.head(x)


def _doubled(before: int, after: int, *, transposed: bool) -> nn.Module:
    if transposed:
        return nn.ConvTranspose2d(before, after, 2, 2)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), conv(before, after)
    )


class Residual(nn.Module):
    """`x` plus what the body makes of it, scaled."""

    def __init__(self, *body: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.body, self.scale = nn.Sequential(*body), scale

    def forward(self, x: Any) -> Any:
        return x + self.scale * self.body(x)


class Pyramid(nn.Module):
    """PSPNet's pooled pyramid: pool to several sizes, narrow, enlarge, join (Zhao et al. 2017)."""

    def __init__(self, before: int, sizes: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(s), conv(before, before // 4, 1)) for s in sizes
        )

    def forward(self, x: Any) -> Any:
        size = x.shape[2:]
        made = (F.interpolate(level(x), size=size, mode="nearest") for level in self.levels)
        return torch.cat((x, *made), dim=1)


class Atrous(nn.Module):
    """DeepLab's pyramid of dilated convolutions and the mean of the image (Chen et al. 2017)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv(before, after, 1)]
            + [conv(before, after, 3, padding=d, dilation=d) for d in (2, 4)]
        )
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(before, after, 1), nn.ReLU())
        self.project = conv(4 * after, after, 1)

    def forward(self, x: Any) -> Any:
        made = [branch(x) for branch in self.branches]
        made.append(self.whole(x).expand_as(made[0]))
        return self.project(torch.cat(made, dim=1))


class Detector(nn.Module):
    """A backbone, a pyramid joined on the way up, and YOLO heads on two levels."""

    sizes: torch.Tensor

    def __init__(self, anchors: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 24, 3, 2))
        self.fine = nn.Sequential(conv(24, 32, 3, 2), Residual(conv(32, 16, 1), conv(16, 32)))
        self.coarse = nn.Sequential(conv(32, 48, 3, 2), Residual(conv(48, 24, 1), conv(24, 48)))
        self.lateral = conv(48, 32, 1)
        self.joined = conv(64, 32)
        self.anchors, self.fields = anchors, classes + 5
        self.heads = nn.ModuleList(nn.Conv2d(w, anchors * self.fields, 1) for w in (32, 48))
        self.register_buffer("sizes", torch.rand(2, anchors, 1, 1, 2) * 30)

    def forward(self, x: Any) -> Any:
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        up = F.interpolate(self.lateral(coarse), scale_factor=2.0, mode="nearest")
        levels = (self.joined(torch.cat((up, fine), dim=1)), coarse)
        return torch.cat([self.boxes(n, level) for n, level in enumerate(levels)], dim=1)

    def boxes(self, number: int, level: Any) -> Any:
        y = self.heads[number](level)
        batch, _, height, width = y.shape
        y = y.view(batch, self.anchors, self.fields, height, width).permute(0, 1, 3, 4, 2)
        y = y.sigmoid()
        size = (y[..., 2:4] * 2) ** 2 * self.sizes[number]
        return torch.cat((y[..., :2], size, y[..., 4:]), dim=-1).reshape(batch, -1, self.fields)


class Tagger(nn.Module):
    """Embedding, a recurrent layer or more, and a label for each token."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 24)
        self.cell = getattr(nn, kind)(24, 20, batch_first=True, **options)
        self.head = nn.Linear(20 * (1 + bool(options.get("bidirectional"))), 5)

    def forward(self, ids: Any) -> Any:
        return self.head(self.cell(self.words(ids))[0])


class Reader(nn.Module):
    """CRNN: convolutions, columns as a sequence, a bidirectional LSTM (Shi et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(1, 16), nn.MaxPool2d(2), conv(16, 24), nn.MaxPool2d(2))
        self.cell = nn.LSTM(24 * 4, 16, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 11)

    def forward(self, x: Any) -> Any:
        x = self.body(x).flatten(1, 2).transpose(1, 2)
        return self.head(self.cell(x)[0]).log_softmax(-1)


class TextConvolutions(nn.Module):
    """Kim 2014: an embedding, convolutions of several widths, the maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 24)
        self.convs = nn.ModuleList(nn.Conv1d(24, 16, size) for size in (2, 3, 4))
        self.head = nn.Linear(48, 5)

    def forward(self, ids: Any) -> Any:
        x = self.words(ids).transpose(1, 2)
        return self.head(torch.cat([F.relu(c(x)).amax(2) for c in self.convs], dim=1))


class Causal(nn.Module):
    """WaveNet's gated, dilated, causal unit with a residual and a skip (van den Oord 2016)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gated = nn.Conv1d(width, 2 * width, 2, dilation=dilation)
        self.residual, self.skip = nn.Conv1d(width, width, 1), nn.Conv1d(width, 12, 1)

    def forward(self, x: Any) -> tuple[Any, Any]:
        filtered, gate = self.gated(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        y = filtered.tanh() * gate.sigmoid()
        return x + self.residual(y), self.skip(y)


class WaveNet(nn.Module):
    """A stack of `Causal` units whose skips are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 16, 1)
        self.units = nn.ModuleList(Causal(16, d) for d in (1, 2, 4))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(12, 12, 1), nn.ReLU(), nn.Conv1d(12, 8, 1))

    def forward(self, x: Any) -> Any:
        x, total = self.first(x), 0
        for unit in self.units:
            x, skip = unit(x)
            total = total + skip
        return self.head(total)


class Latent(nn.Module):
    """The mean path of a convolutional variational autoencoder; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(conv(1, 12, 3, 2), conv(12, 16, 3, 2), nn.Flatten())
        self.mean, self.spread = nn.Linear(16 * 49, 8), nn.Linear(16 * 49, 8)
        self.grow = nn.Linear(8, 16 * 49)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(16, 12, 4, 2, 1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.ConvTranspose2d(12, 1, 4, 2, 1),
        )

    def forward(self, x: Any) -> tuple[Any, Any]:
        found = self.encode(x)
        mean = self.mean(found)
        grown = self.grow(mean).relu().view(-1, 16, 7, 7)
        return self.decode(grown).sigmoid(), self.spread(found)
