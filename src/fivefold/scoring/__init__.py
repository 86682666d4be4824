"""Score a trained model: metrics with name, direction and unit; tables and pictures."""
