"""Model training: Lightning trainer, batches, optimizers, callbacks and checkpoints."""
