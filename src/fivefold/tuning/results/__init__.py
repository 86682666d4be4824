"""Results of studies: reports, plots, MLflow logging, applying the best trial."""
