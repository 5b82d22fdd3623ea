"""What a weight or a channel is worth: one file per family, one small class per criterion."""
