"""Transformers for sound, for images with masks or boxes, and for pairs of image and text."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.zoo.net import Fed, Net, image
from tests.laws.zoo.transformers_nets import MASK, TOKENS, VOCABULARY, transformers_net

_LAYERS: Final[dict[str, Any]] = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
_IMAGE: Final = {"pixel_values": image()["pixels"]}
_PATCHES: Final[dict[str, Any]] = {"image_size": 64, "patch_size": 16}
_SPEECH: Final[dict[str, Any]] = _LAYERS | {
    "vocab_size": 20,
    "conv_dim": (16, 16, 24),
    "conv_kernel": (10, 3, 2),
    "conv_stride": (5, 2, 2),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}

AUDIO_AND_PAIRS: Final[tuple[Net, ...]] = (
    transformers_net(
        "whisper",
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        {
            "input_features": Fed((2, 16, 40)),
            "decoder_input_ids": TOKENS,
            "decoder_attention_mask": MASK,
        },
        vocab_size=VOCABULARY,
        num_mel_bins=16,
        d_model=48,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=96,
        decoder_ffn_dim=96,
        max_source_positions=20,
        max_target_positions=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    ),
    transformers_net(
        "wav2vec2", "Wav2Vec2ForCTC", "Wav2Vec2Config", {"input_values": Fed((2, 800))}, **_SPEECH
    ),
    transformers_net(
        "hubert", "HubertForCTC", "HubertConfig", {"input_values": Fed((2, 800))}, **_SPEECH
    ),
    transformers_net(
        "audio-spectrogram",
        "ASTForAudioClassification",
        "ASTConfig",
        {"input_values": Fed((2, 64, 32))},
        **_LAYERS,
        max_length=64,
        num_mel_bins=32,
        num_labels=5,
    ),
    transformers_net(
        "clip",
        "CLIPModel",
        "CLIPConfig",
        {"input_ids": TOKENS, **_IMAGE},
        output="logits_per_image",
        text_config=_LAYERS
        | {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "eos_token_id": VOCABULARY - 1},
        vision_config=_LAYERS | _PATCHES,
        projection_dim=32,
    ),
    transformers_net(
        "vit-mae",
        "ViTMAEModel",
        "ViTMAEConfig",
        _IMAGE | {"noise": Fed((2, 16))},
        output="last_hidden_state",
        **_LAYERS | _PATCHES,
    ),
    transformers_net(
        "vit-separate-qkv", "ViTForImageClassification", "ViTConfig", _IMAGE, **_LAYERS | _PATCHES
    ),
    transformers_net(
        "dinov2", "Dinov2ForImageClassification", "Dinov2Config", _IMAGE, **_LAYERS | _PATCHES
    ),
    transformers_net(
        "segformer",
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        _IMAGE,
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=32,
        num_labels=5,
    ),
    transformers_net(
        "detr",
        "DetrForObjectDetection",
        "DetrConfig",
        _IMAGE,
        backbone_config={
            "model_type": "resnet",
            "embedding_size": 16,
            "depths": [1, 1],
            "hidden_sizes": [24, 32],
            "layer_type": "basic",
            "out_features": ["stage2"],
        },
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        d_model=48,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=96,
        decoder_ffn_dim=96,
        num_queries=6,
        num_labels=5,
    ),
    transformers_net(
        "dpt",
        "DPTForDepthEstimation",
        "DPTConfig",
        _IMAGE,
        output="predicted_depth",
        **_LAYERS | _PATCHES | {"num_hidden_layers": 4},
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[16, 24, 32, 32],
        fusion_hidden_size=24,
        is_hybrid=False,
    ),
)
