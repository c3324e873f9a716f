"""Real-time instance segmentation on video."""
