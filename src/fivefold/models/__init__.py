"""Networks, losses and LightningModules: shared code here, one subpackage per family."""
