"""Networks made of `own_blocks`, one function each."""

from __future__ import annotations

from torch import nn

from tests.laws.zoo import own_blocks as b


def shufflenet_v2() -> nn.Module:
    stages = [b.Shuffled(16, 24, 2), b.Shuffled(24, 24, 1), b.Shuffled(24, 40, 2)]
    head = [b.Shuffled(40, 40, 1), b.conv(40, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(b.conv(3, 16, 3, 2), *stages, *head, nn.Linear(64, 10))


def shufflenet_v1() -> nn.Module:
    units = [b.GroupShuffled(24, 3) for _ in range(3)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10)]
    return nn.Sequential(b.conv(3, 24, 3, 2), *units, *head)


def squeezenet() -> nn.Module:
    first = [nn.Conv2d(3, 24, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    fires = [b.Fire(24, 8, 16), b.Fire(32, 8, 16), nn.MaxPool2d(3, 2), b.Fire(32, 12, 24)]
    head = [nn.Conv2d(48, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*first, *fires, *head)


def lenet() -> nn.Module:
    convs = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh()]
    full = [nn.Linear(256, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*convs, nn.AvgPool2d(2), nn.Flatten(), *full)


def alexnet() -> nn.Module:
    """Two towers (groups), local response normalisation, and three full layers."""
    first = [nn.Conv2d(3, 24, 7, 4, 2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)]
    convs = [nn.Conv2d(24, 32, 5, padding=2, groups=2), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1)]
    full = [nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10)]
    return nn.Sequential(*first, *convs, nn.ReLU(), nn.MaxPool2d(3, 2), *full)


def edsr() -> nn.Module:
    """EDSR (Lim et al. 2017): residual blocks without BatchNorm, PixelShuffle."""

    def block() -> nn.Module:
        body = (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        return b.Residual(*body, scale=0.1)

    body = b.Residual(block(), block(), nn.Conv2d(16, 16, 3, padding=1))
    up = [nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), body, *up, nn.Conv2d(16, 3, 3, padding=1))


def srresnet() -> nn.Module:
    """SRResNet's blocks: PReLU with a slope for each channel."""

    def block() -> nn.Module:
        first = [nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.PReLU(16)]
        last = [nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)]
        return b.Residual(*first, *last)

    up = [nn.Conv2d(16, 32, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(8)]
    return nn.Sequential(
        nn.Conv2d(3, 16, 9, padding=4),
        nn.PReLU(16),
        block(),
        block(),
        *up,
        nn.Conv2d(8, 3, 9, padding=4),
    )


def style() -> nn.Module:
    """Fast neural style: InstanceNorm, reflected borders, Upsample (Johnson et al. 2016)."""

    def step(before: int, after: int, size: int, stride: int = 1) -> nn.Module:
        convolved = (nn.ReflectionPad2d(size // 2), nn.Conv2d(before, after, size, stride))
        return nn.Sequential(*convolved, nn.InstanceNorm2d(after, affine=True), nn.ReLU())

    down = [step(3, 12, 9), step(12, 16, 3, 2), step(16, 24, 3, 2)]
    middle = [b.Residual(step(24, 24, 3), step(24, 24, 3))]
    up = [nn.Upsample(scale_factor=2), step(24, 16, 3), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*down, *middle, *up, step(16, 12, 3), nn.Conv2d(12, 3, 9, padding=4))


def group_norm() -> nn.Module:
    """A residual network with GroupNorm in the place of BatchNorm."""

    def step(before: int, after: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.SiLU()
        )

    body = [step(3, 16), b.Residual(step(16, 32), step(32, 16)), step(16, 24)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))


def unet_transposed() -> nn.Module:
    return b.UNet(transposed=True)


def unet_upsampled() -> nn.Module:
    return b.UNet(transposed=False)


def pspnet() -> nn.Module:
    body = [b.conv(3, 16, 3, 2), b.conv(16, 24, 3, 2), b.Pyramid(24), b.conv(42, 24)]
    return nn.Sequential(*body, nn.Conv2d(24, 5, 1), nn.Upsample(scale_factor=4))


def deeplab() -> nn.Module:
    body = [b.conv(3, 16, 3, 2), b.conv(16, 24, 3, 2), b.Atrous(24, 16)]
    return nn.Sequential(*body, nn.Conv2d(16, 5, 1), nn.Upsample(scale_factor=4, mode="bilinear"))


def yolo() -> nn.Module:
    return b.Detector()


def generator() -> nn.Module:
    """DCGAN's generator (Radford et al. 2016)."""

    def step(before: int, after: int, stride: int, padding: int) -> nn.Module:
        up = nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False)
        return nn.Sequential(up, nn.BatchNorm2d(after), nn.ReLU())

    last = nn.ConvTranspose2d(12, 3, 4, 2, 1)
    return nn.Sequential(
        step(16, 32, 1, 0), step(32, 24, 2, 1), step(24, 12, 2, 1), last, nn.Tanh()
    )


def volumes() -> nn.Module:
    """A small residual network over video: three-dimensional convolutions."""

    def step(before: int, after: int, stride: int) -> nn.Module:
        convolved = nn.Conv3d(before, after, 3, stride, 1, bias=False)
        return nn.Sequential(convolved, nn.BatchNorm3d(after), nn.ReLU())

    body = [step(3, 12, 2), b.Residual(step(12, 16, 1), step(16, 12, 1)), step(12, 24, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(24, 10))


def autoencoder() -> nn.Module:
    """MLPerf Tiny's: full layers with BatchNorm around a bottleneck."""
    layers: list[nn.Module] = []
    for before, after in ((64, 48), (48, 32), (32, 8), (8, 32), (32, 48)):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(48, 64))


def lstm() -> nn.Module:
    return b.Tagger("LSTM", num_layers=2)


def bilstm() -> nn.Module:
    return b.Tagger("LSTM", num_layers=2, bidirectional=True)


def gru() -> nn.Module:
    return b.Tagger("GRU", num_layers=2)


def bigru() -> nn.Module:
    return b.Tagger("GRU", bidirectional=True)


def rnn() -> nn.Module:
    return b.Tagger("RNN")
