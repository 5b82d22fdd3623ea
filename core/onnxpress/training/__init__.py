"""Training: gradients at work on data, without a training framework."""
