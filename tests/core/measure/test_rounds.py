from __future__ import annotations

from onnxpress.measure.rounds import _fitting_rounds, orders


def test_everybody_takes_part_in_every_round() -> None:
    found = list(orders(5, 8, seed=3))
    assert len(found) == 8
    assert all(sorted(order) == list(range(5)) for order in found)


def test_every_second_round_goes_backwards_so_that_places_even_out() -> None:
    found = list(orders(4, 20, seed=1))
    assert all(list(b) == list(a)[::-1] for a, b in zip(found[::2], found[1::2], strict=True))
    assert len({tuple(order) for order in found}) > 4


def test_orders_depend_on_the_seed_alone() -> None:
    assert list(orders(4, 6, seed=1)) == list(orders(4, 6, seed=1))
    assert list(orders(4, 6, seed=1)) != list(orders(4, 6, seed=2))


def test_rounds_shrink_for_slow_models_but_not_below_an_interval() -> None:
    assert _fitting_rounds(3, 0.001) == 20
    assert _fitting_rounds(3, 0.3) == 10
    assert _fitting_rounds(3, 60) == 6
