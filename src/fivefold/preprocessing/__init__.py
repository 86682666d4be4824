"""What is learnt from training rows before the network: fitted by scikit-learn, then carried as a chain of steps."""
