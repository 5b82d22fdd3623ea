"""Transformers for images, and their mixtures with convolutions, of `timm`."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.zoo.net import BOTH, Net, image
from tests.laws.zoo.timm_nets import from_timm, timm_family, timm_models, timm_net

_SMALL: Final[dict[str, Any]] = {"embed_dim": 48, "depth": 2, "num_heads": 4}
_PATCHES: Final[dict[str, Any]] = {"img_size": 64, "patch_size": 16}
_VIT: Final[dict[str, Any]] = _SMALL | _PATCHES
_STAGES: Final[dict[str, Any]] = {"depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 8)}
_DIMS: Final = (16, 32, 48, 64)


def _metaformer(*dims: int, **options: Any) -> Any:
    return from_timm(
        "timm.models.metaformer:MetaFormer",
        num_classes=10,
        depths=(1, 1, 2, 1),
        dims=dims,
        **options,
    )()


def _poolformer() -> Any:
    from torch import nn

    return _metaformer(
        *_DIMS,
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=timm_models("metaformer").GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=None,
        use_mlp_head=False,
    )


def _caformer() -> Any:
    metaformer = timm_models("metaformer")

    convolve, attend = metaformer.SepConv, metaformer.Attention
    return _metaformer(
        *(16, 32, 64, 96),  # attention has heads of 32
        token_mixers=[convolve, convolve, attend, attend],
        norm_layers=[metaformer.LayerNorm2dNoBias] * 2 + [metaformer.LayerNormNoBias] * 2,
    )


def _resmlp() -> Any:
    mlp_mixer = timm_models("mlp_mixer")

    return mlp_mixer.MlpMixer(
        num_classes=10,
        img_size=64,
        num_blocks=2,
        embed_dim=48,
        mlp_ratio=4,
        block_layer=mlp_mixer.ResBlock,
        norm_layer=mlp_mixer.Affine,
    )


VISION_TRANSFORMERS: Final[tuple[Net, ...]] = (
    timm_net("vit", "vit_tiny_patch16_224", **_VIT),
    # No TorchScript: it has no rms_norm, and takes EVA's is_causal for a tensor.
    timm_net("vit-registers", "test_vit4", exporters=("dynamo",), img_size=64),
    timm_net("deit", "deit_tiny_patch16_224", **_VIT),
    timm_net("deit-distilled", "deit_tiny_distilled_patch16_224", **_VIT),
    timm_net("beit", "beit_base_patch16_224", **_VIT),
    timm_net("eva", "eva02_tiny_patch14_224", exporters=("dynamo",), **_VIT | {"patch_size": 16}),
    timm_net("cait", "cait_xxs24_224", **_VIT),
    timm_net("xcit", "xcit_nano_12_p16_224", **_VIT),
    timm_net(
        "swin", "swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=16, **_STAGES
    ),
    timm_net(
        "swin-v2", "swinv2_tiny_window8_256", img_size=64, window_size=4, embed_dim=16, **_STAGES
    ),
    timm_net("mobilevit", "mobilevit_xxs"),
    timm_net("mobilevit-v2", "mobilevitv2_050"),
    Net("poolformer", _poolformer, image(), BOTH, needs=("timm",)),
    Net("caformer", _caformer, image(), BOTH, needs=("timm",)),
    timm_family("mlp-mixer", "mlp_mixer:MlpMixer", img_size=64, num_blocks=2, embed_dim=48),
    Net("resmlp", _resmlp, image(), BOTH, needs=("timm",)),
    timm_net("gmlp", "gmlp_ti16_224", img_size=64),
    timm_net("pvt-v2", "pvt_v2_b0", embed_dims=(16, 32, 48, 64), **_STAGES),
    timm_net("twins", "twins_pcpvt_small", img_size=64, embed_dims=_DIMS, **_STAGES),
    timm_net("levit", "levit_128s", img_size=64),
    timm_net(
        "efficientformer", "efficientformer_l1", depths=(1, 1, 1, 2), embed_dims=_DIMS, size=224
    ),
    timm_net("edgenext", "edgenext_xx_small", depths=(1, 1, 2, 1), dims=_DIMS),
    timm_net("visformer", "visformer_tiny", img_size=64, embed_dim=48, depth=(1, 1, 1)),
    timm_net("fastvit", "fastvit_t8", layers=(1, 1, 1, 1)),
    timm_net("coatnet", "test_coatnet", img_size=64),
    timm_net("maxvit", "test_maxvit", img_size=64),
    timm_net("tiny-vit", "tiny_vit_5m_224", size=224, embed_dims=_DIMS, **_STAGES),
    timm_net(
        "sequencer",
        "sequencer2d_s",
        img_size=64,
        patch_sizes=(8, 2, 1, 1),
        layers=(1, 1, 1, 1),
        embed_dims=(24, 32, 32, 32),
        hidden_sizes=(8, 16, 16, 16),
    ),
)
