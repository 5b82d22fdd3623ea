from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal


def parts(z: Any) -> Any:
    return torch.view_as_real(z)


REAL, COMPLEX = normal(2, 6, 1), normal(2, 6, 2)
case("DFT", REAL, opset=20, torch=lambda x: parts(torch.fft.fft(x[..., 0])))
case("DFT", REAL, onesided=1, note="onesided", torch=lambda x: parts(torch.fft.rfft(x[..., 0])))
case(
    "DFT", COMPLEX, note="complex",
    torch=lambda x: parts(torch.fft.fft(torch.view_as_complex(x))),
)  # fmt: skip
case(
    "DFT", COMPLEX, inverse=1, note="inverse",
    torch=lambda x: parts(torch.fft.ifft(torch.view_as_complex(x))),
)  # fmt: skip
for length in (4, 9):
    case(
        "DFT", REAL, np.array(length), onesided=1, note=f"length {length}",
        torch=lambda x, n: parts(torch.fft.rfft(x[..., 0], int(n))),
    )  # fmt: skip
case(
    "DFT", normal(3, 2, 4, 2), None, np.array(0), note="axis 0",
    torch=lambda x, *_: parts(torch.fft.fft(torch.view_as_complex(x), dim=0)),
)  # fmt: skip
case("DFT", normal(3, 4, 5, 2), np.array(3), np.array(-3), stored=(), note="fed", inverse=1)
# Of another number of elements than fit the length, ONNX Runtime uses some that PyTorch drops.
for length in (6, 7):
    case(
        "DFT", COMPLEX[:, :4], np.array(length), np.array(1), inverse=1, onesided=1,
        note=f"to a real one of {length}",
        torch=lambda x, n, _a: torch.fft.irfft(torch.view_as_complex(x), int(n))[..., None],
    )  # fmt: skip
case("DFT", COMPLEX[:, :4], inverse=1, onesided=1, note="to a real one")
case("DFT", REAL, opset=17, axis=1, onesided=1, note="opset 17")
SIGNAL = normal(2, 13, 1)
# `onesided` is given although 1 is the default: ONNX's shape inference forgets the default.
case(
    "STFT", SIGNAL, np.array(3), normal(5), np.array(5), note="window", onesided=1,
    torch=lambda x, s, w, n: parts(torch.stft(
        x[..., 0], int(n), int(s), window=w, center=False, return_complex=True
    )).transpose(1, 2),
)  # fmt: skip
case("STFT", SIGNAL, np.array(2), None, np.array(4), note="no window", onesided=0)
case("STFT", SIGNAL, np.array(4), normal(4), note="window alone", onesided=1)
case("STFT", normal(1, 9, 2), np.array(2), normal(4), onesided=0, note="complex")
case("STFT", SIGNAL, np.array(3), normal(5), np.array(5), stored=(3,), note="step fed", onesided=1)
