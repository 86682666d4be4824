"""Autoencoders: plain, denoising, sparse, contractive and variational."""
