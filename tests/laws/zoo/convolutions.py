"""Convolutional networks of `timm`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.laws.zoo.net import BOTH, Net, image
from tests.laws.zoo.timm_nets import from_timm, timm_family, timm_models, timm_net

_THIN: Final = (16, 24, 32, 40)
_RESNET: Final[dict[str, Any]] = {"layers": (2, 1, 1, 2), "channels": _THIN, "stem_width": 16}


def _inception_v3() -> Any:
    return _without_repeats(
        from_timm("timm:create_model", "inception_v3", num_classes=10)(),
        ("Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_7c"),
    )


def _xception() -> Any:
    return _without_repeats(
        from_timm("timm:create_model", "legacy_xception", num_classes=10)(),
        tuple(f"block{number}" for number in range(5, 12)),
    )


def _without_repeats(module: Any, names: tuple[str, ...]) -> Any:
    """Take out blocks that repeat the one before, which have as many channels in as out."""
    from torch import nn

    for name in names:
        setattr(module, name, nn.Identity())
    return module


def _inception_v4() -> Any:
    """Its stem and one block of each kind; the real one repeats A 4, B 7 and C 3 times."""
    module = from_timm("timm:create_model", "inception_v4", num_classes=10)()
    repeats = (*range(7, 10), *range(12, 18), *range(20, 22))
    _without_repeats(module.features, tuple(map(str, repeats)))
    return module


def _hrnet() -> Any:
    """Every stage of W18-small, a quarter as wide, one block in each branch."""
    hrnet = timm_models("hrnet")

    def stage(kind: str, *channels: int) -> dict[str, Any]:
        return {
            "num_modules": 1,
            "num_branches": len(channels),
            "block_type": kind,
            "num_blocks": (1,) * len(channels),
            "num_channels": channels,
            "fuse_method": "SUM",
        }

    config = {
        "stem_width": 16,
        "stage1": stage("BOTTLENECK", 8),
        "stage2": stage("BASIC", 8, 16),
        "stage3": stage("BASIC", 8, 16, 24),
        "stage4": stage("BASIC", 8, 16, 24, 32),
    }
    return hrnet.HighResolutionNet(config, num_classes=10)


def _csp(**stages: Any) -> Any:
    """A network of `timm.models.cspnet` with three stages."""
    cspnet = timm_models("cspnet")

    stem = cspnet.CspStemCfg(out_chs=16, kernel_size=3, stride=2, pool="")
    config = cspnet.CspStagesCfg(depth=(1, 2, 1), out_chs=(24, 32, 48), **stages)
    return cspnet.CspNet(cspnet.CspModelCfg(stem=stem, stages=config), num_classes=10)


def _csp_resnet() -> Any:
    return _csp(stride=(1, 2), expand_ratio=2.0, bottle_ratio=0.5, cross_linear=True)


def _csp_darknet() -> Any:
    return _csp(
        stride=2,
        expand_ratio=(2.0, 1.0),
        bottle_ratio=(0.5, 1.0),
        block_ratio=(1.0, 0.5),
        down_growth=True,
        block_type="dark",
    )


def _darknet() -> Any:
    return _csp(stride=2, bottle_ratio=0.5, block_ratio=1.0, stage_type="dark", block_type="dark")


def _yolo_stages() -> Any:
    """The C3 stages of YOLOv5."""
    return _csp(stride=2, bottle_ratio=1.0, block_ratio=0.5, stage_type="cs3", block_type="dark")


def _made(name: str, make: Callable[[], Any], size: int = 64) -> Net:
    return Net(name, make, image(size), BOTH, needs=("timm",))


def _vgg(**options: Any) -> Any:
    """Configuration A, an eighth as wide or less."""
    config = [16, "M", 24, "M", 32, 32, "M", 40, 40, "M", 40, 48, "M"]
    return from_timm("timm.models.vgg:VGG", config, num_classes=10, mlp_ratio=1 / 64, **options)()


def _vgg_bn() -> Any:
    from torch import nn

    return _vgg(norm_layer=nn.BatchNorm2d)


CONVOLUTIONS: Final[tuple[Net, ...]] = (
    timm_net("resnet18", "resnet18", **_RESNET),
    timm_net("resnet50", "resnet50", **_RESNET),
    timm_net("resnet50-d", "resnet50d", **_RESNET),
    timm_net("wide-resnet50", "wide_resnet50_2", **_RESNET),
    timm_net("resnext50", "resnext50_32x4d", **_RESNET | {"cardinality": 4, "base_width": 16}),
    timm_net("se-resnet18", "seresnet18", **_RESNET),
    timm_net("se-resnext50", "seresnext50_32x4d", **_RESNET | {"cardinality": 4}),
    timm_net("eca-resnet", "ecaresnet50t", **_RESNET),
    timm_net("sk-resnet", "skresnet18", **_RESNET),
    timm_net("resnet-v2", "resnetv2_50", layers=(1, 1, 1, 1), channels=_THIN, stem_chs=16),
    timm_net("res2net", "res2net50_26w_4s", **_RESNET),
    timm_net("res2next", "res2next50", **_RESNET | {"cardinality": 4}),
    timm_net("resnest", "resnest14d", **_RESNET),
    timm_net("densenet", "densenet121", growth_rate=8, block_config=(2, 3, 2, 2)),
    _made("cspresnet", _csp_resnet),
    _made("cspdarknet", _csp_darknet),
    _made("darknet53", _darknet),
    _made("yolo-c3", _yolo_stages),
    timm_family(
        "dpn",
        "dpn:DPN",
        k_sec=(1, 2, 1, 1),
        inc_sec=(8, 8, 8, 8),
        k_r=16,
        groups=4,
        small=True,
        num_init_features=10,
    ),
    timm_net("regnet-x", "regnetx_002", depth=7),
    timm_net("regnet-y", "regnety_002", depth=7),
    timm_net("byobnet", "test_byobnet"),
    timm_net("convnext", "convnext_atto", depths=(1, 1, 2, 1), dims=(16, 24, 32, 40)),
    timm_net("convnext-v2", "convnextv2_atto", depths=(1, 1, 2, 1), dims=(16, 24, 32, 40)),
    _made("inception-v3", _inception_v3, 96),
    _made("inception-v4", _inception_v4, 96),
    _made("xception", _xception),
    _made("vgg11", _vgg, 224),
    _made("vgg11-bn", _vgg_bn, 224),
    _made("hrnet", _hrnet),
    timm_net("vovnet", "ese_vovnet19b_slim"),
    timm_net("dla", "dla34", channels=(8, 8, 16, 24, 32, 40)),
    timm_net("nfnet", "test_nfnet"),
    timm_family("convmixer", "convmixer:ConvMixer", dim=32, depth=3, kernel_size=5),
    timm_net("starnet", "starnet_s1", base_dim=16, depths=(1, 1, 2, 1)),
    timm_net("mambaout", "test_mambaout"),
    timm_family("focalnet", "focalnet:FocalNet", embed_dim=16, depths=(1, 1, 2, 1)),
)
