"""Transformers for text, of `transformers`: encoders, decoders, and both."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.zoo.net import Net
from tests.laws.zoo.transformers_nets import MASK, TOKENS, VOCABULARY, transformers_net

_WORDS: Final[dict[str, Any]] = {"vocab_size": VOCABULARY, "max_position_embeddings": 32}
_ENCODER: Final[dict[str, Any]] = _WORDS | {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_labels": 5,
}
_DECODER: Final[dict[str, Any]] = _ENCODER | {"pad_token_id": 0}
_GROUPED: Final[dict[str, Any]] = _DECODER | {"num_key_value_heads": 2}
# Without a mask, decoders look for packed sequences with an operator that TorchScript lacks.
_MASKED: Final = {"input_ids": TOKENS, "attention_mask": MASK}
_BOTH_SIDES: Final = {"input_ids": TOKENS, "decoder_input_ids": TOKENS}
_BART: Final[dict[str, Any]] = _WORDS | {
    "d_model": 48,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
}


def _classifier(name: str, family: str, **options: Any) -> Net:
    """Return an encoder that classifies sequences."""
    return transformers_net(
        name, f"{family}ForSequenceClassification", f"{family}Config", **_ENCODER | options
    )


def _causal(name: str, family: str, **options: Any) -> Net:
    """Return a decoder that predicts the next token."""
    return transformers_net(
        name, f"{family}ForCausalLM", f"{family}Config", _MASKED, **_GROUPED | options
    )


TEXTS: Final[tuple[Net, ...]] = (
    _classifier("bert", "Bert"),
    transformers_net("bert-tagger", "BertForTokenClassification", "BertConfig", **_ENCODER),
    transformers_net("bert-masked", "BertForMaskedLM", "BertConfig", **_ENCODER),
    transformers_net(
        "distilbert",
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        **_WORDS | {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 96, "num_labels": 5},
    ),
    _classifier("roberta", "Roberta"),
    _classifier("albert", "Albert", embedding_size=24),
    _classifier("electra", "Electra", embedding_size=24),
    _classifier("deberta-v2", "DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"]),
    _classifier(
        "mobilebert", "MobileBert", embedding_size=24, intra_bottleneck_size=24, true_hidden_size=24
    ),
    _classifier("squeezebert", "SqueezeBert", embedding_size=48),
    _classifier("modernbert", "ModernBert", pad_token_id=0, global_attn_every_n_layers=2),
    transformers_net(
        "gpt2",
        "GPT2LMHeadModel",
        "GPT2Config",
        _MASKED,
        vocab_size=VOCABULARY,
        n_positions=32,
        n_embd=48,
        n_layer=2,
        n_head=4,
    ),
    _causal("gpt-neox", "GPTNeoX"),
    transformers_net(
        "opt",
        "OPTForCausalLM",
        "OPTConfig",
        _MASKED,
        **_WORDS,
        hidden_size=48,
        word_embed_proj_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=96,
    ),
    _causal("llama", "Llama"),
    _causal("mistral", "Mistral", sliding_window=8),
    _causal("qwen2", "Qwen2"),
    _causal("qwen3", "Qwen3", head_dim=16),
    _causal("gemma", "Gemma", head_dim=16),
    _causal("phi", "Phi"),
    _causal("phi3", "Phi3"),
    transformers_net(
        "t5",
        "T5ForConditionalGeneration",
        "T5Config",
        _BOTH_SIDES,
        vocab_size=VOCABULARY,
        d_model=48,
        d_kv=12,
        d_ff=96,
        num_layers=2,
        num_heads=4,
    ),
    transformers_net(
        "t5-gated",
        "T5ForConditionalGeneration",
        "T5Config",
        _BOTH_SIDES,
        vocab_size=VOCABULARY,
        d_model=48,
        d_kv=16,
        d_ff=96,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    ),
    transformers_net("bart", "BartForConditionalGeneration", "BartConfig", _BOTH_SIDES, **_BART),
    transformers_net(
        "marian",
        "MarianMTModel",
        "MarianConfig",
        _BOTH_SIDES,
        **_BART,
        pad_token_id=0,
        decoder_start_token_id=0,
    ),
)
