"""Architectures written here, since `timm` and `transformers` have none of them."""

from __future__ import annotations

from typing import Final

from tests.laws.zoo.net import Fed, Net, called, image

_IDS: Final = {"ids": Fed((2, 9), below=50)}
_SOUND: Final = {"sound": Fed((2, 1, 40))}


def _own(name: str, inputs: dict[str, Fed] | None = None) -> Net:
    """Return the entry that the function of that name in `own_nets` makes."""
    place = f"tests.laws.zoo.own_nets:{name.replace('-', '_')}"
    return Net(name, called(place), inputs or image())


def _block(name: str, block: str, inputs: dict[str, Fed]) -> Net:
    """Return an entry that is one class of `own_blocks`."""
    return Net(name, called(f"tests.laws.zoo.own_blocks:{block}"), inputs)


OWN: Final[tuple[Net, ...]] = (
    _own("shufflenet-v1"),
    _own("shufflenet-v2"),
    _own("squeezenet"),
    _own("lenet", image(28, 1)),
    _own("alexnet", image(128)),
    _own("edsr", image(16)),
    _own("srresnet", image(16)),
    _own("style", image(32)),
    _own("group-norm"),
    _own("unet-transposed", image(32)),
    _own("unet-upsampled", image(32)),
    _own("pspnet", image(32)),
    _own("deeplab", image(32)),
    _own("yolo"),
    _own("generator", {"code": Fed((2, 16, 1, 1))}),
    _own("volumes", {"clip": Fed((2, 3, 8, 16, 16))}),
    _own("autoencoder", {"features": Fed((2, 64))}),
    _block("vae", "Latent", image(28, 1)),
    _block("text-convolutions", "TextConvolutions", _IDS),
    _block("wavenet", "WaveNet", _SOUND),
    _block("crnn", "Reader", image(16, 1)),
    _own("lstm", _IDS),
    _own("bilstm", _IDS),
    _own("gru", _IDS),
    _own("bigru", _IDS),
    _own("rnn", _IDS),
)
