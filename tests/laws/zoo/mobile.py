"""Networks for small devices, of `timm`: depthwise convolutions, gates, searched widths."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.zoo.net import Net
from tests.laws.zoo.timm_nets import timm_family, timm_net


def _thin(name: str, place: str, variant: str, multiplier: float, **options: Any) -> Net:
    """Return an entry of the EfficientNet family with a share of its channels."""
    return timm_family(name, place, variant, channel_multiplier=multiplier, **options)


_EFFICIENT: Final = "efficientnet:_gen_"
_MOBILE: Final = "mobilenetv3:_gen_"

MOBILE: Final[tuple[Net, ...]] = (
    _thin("mobilenet-v1", f"{_EFFICIENT}mobilenet_v1", "mobilenetv1_100", 0.25),
    _thin("mobilenet-v2", f"{_EFFICIENT}mobilenet_v2", "mobilenetv2_100", 0.25),
    _thin("mobilenet-v3-small", f"{_MOBILE}mobilenet_v3", "mobilenetv3_small_100", 0.5),
    _thin("mobilenet-v3-large", f"{_MOBILE}mobilenet_v3", "mobilenetv3_large_100", 0.25),
    _thin("mobilenet-v4-conv", f"{_MOBILE}mobilenet_v4", "mobilenetv4_conv_small", 0.5),
    _thin("mobilenet-v4-hybrid", f"{_MOBILE}mobilenet_v4", "mobilenetv4_hybrid_medium", 0.25),
    _thin("mnasnet-a1", f"{_EFFICIENT}mnasnet_a1", "semnasnet_100", 0.25),
    _thin("fbnet-v3", f"{_MOBILE}fbnetv3", "fbnetv3_b", 0.5, size=128),
    _thin("lcnet", f"{_MOBILE}lcnet", "lcnet_050", 0.5),
    _thin("mixnet", f"{_EFFICIENT}mixnet_s", "mixnet_s", 0.5),
    _thin("efficientnet-b0", f"{_EFFICIENT}efficientnet", "efficientnet_b0", 0.25),
    _thin("efficientnet-lite0", f"{_EFFICIENT}efficientnet_lite", "efficientnet_lite0", 0.25),
    _thin("efficientnet-v2", f"{_EFFICIENT}efficientnetv2_base", "tf_efficientnetv2_b0", 0.25),
    timm_net("tinynet", "tinynet_e"),
    timm_net("ghostnet", "ghostnet_050"),
    timm_net("repvit", "repvit_m1", embed_dim=(16, 24, 32, 40), depth=(1, 1, 2, 1)),
    timm_net("repghostnet", "repghostnet_050"),
    timm_net("hardcorenas", "hardcorenas_a"),
)
