from __future__ import annotations

from itertools import product

from onnxpress.data.seeds import AUGMENT, HOLDOUT, ORDER, generator


def test_the_same_place_draws_the_same_and_every_other_something_else() -> None:
    places = [
        *product((ORDER, AUGMENT, HOLDOUT), (0, 1)),
        *product((ORDER, AUGMENT), (0, 1), (0, 1), (0, 1)),
        (ORDER,),
    ]
    seeds = (0, 1, 2**32, 2**32 + 1)
    drawn = [generator(seed, *place).integers(2**62) for seed in seeds for place in places]
    again = [generator(seed, *place).integers(2**62) for seed in seeds for place in places]
    assert drawn == again
    assert len(set(drawn)) == len(drawn)
