"""Reconstruction: weights that make up for those that were removed, layer by layer."""
