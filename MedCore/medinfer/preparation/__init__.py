"""From a `Volume` to the voxels a network sees."""
