"""CycleGAN: unpaired image-to-image translation between two classes."""
