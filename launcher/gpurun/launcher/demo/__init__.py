"""The demonstration: the main job as a person would run it, and the proof that nothing was lost."""
