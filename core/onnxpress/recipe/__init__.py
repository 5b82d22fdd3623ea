"""Recipes: the steps of a run with their options, and what they are run on."""

from onnxpress.recipe.recipe import Recipe
from onnxpress.recipe.steps import Step, make_objective, make_step

__all__ = ["Recipe", "Step", "make_objective", "make_step"]
