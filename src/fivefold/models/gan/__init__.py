"""Generative adversarial networks: dense, DCGAN, ResNet, StyleGAN and tabular."""
