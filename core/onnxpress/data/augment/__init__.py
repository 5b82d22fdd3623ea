"""Augmentation: changes drawn at random for every batch of training, never for validation."""

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.crop import Crop
from onnxpress.data.augment.custom import Custom
from onnxpress.data.augment.cutmix import Cutmix
from onnxpress.data.augment.cutout import Cutout
from onnxpress.data.augment.flip import Flip
from onnxpress.data.augment.jitter import Jitter
from onnxpress.data.augment.mixup import Mixup
from onnxpress.data.augment.noise import Noise
from onnxpress.data.augment.read import Augmentations, read_augmentations

__all__ = [
    "Augmentation",
    "Augmentations",
    "Crop",
    "Custom",
    "Cutmix",
    "Cutout",
    "Flip",
    "Jitter",
    "Mixup",
    "Noise",
    "read_augmentations",
]
