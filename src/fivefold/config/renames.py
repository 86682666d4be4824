"""Former names of keys and values of params.yaml, so that an old file is rejected with the new name as the remedy."""

from collections.abc import Collection

RENAMED_KEYS: dict[str, tuple[str, ...]] = {
    # datasets
    "also": ("extra_targets",),
    "constant": ("fill_value",),
    "cut": ("truncated",),
    "indicator": ("add_indicator",),
    "length": ("max_length",),
    "level": ("tokenizer",),
    "log": ("log_target",),
    "order": ("categories",),
    "rare": ("min_frequency",),
    "season": ("season_length",),
    "series": ("sequence_id",),
    "split_shares": ("split_sizes",),
    "step": ("time_step", "freq"),
    "values": ("allowed_values",),
    "vocabulary": ("vocab_size",),
    # models, select, study
    "components": ("n_components",),
    "k": ("max_features", "n_features_to_select"),
    "percent": ("percentile",),
    "prune": ("pruner",),
    "score": ("score_func",),
    "stability": ("stability_resamples",),
    "strength": ("alpha",),
    "trials": ("n_trials",),
    "uses": ("depends_on",),
    # training
    "accumulate": ("accumulate_grad_batches",),
    "base": ("difference",),
    "crop": ("crop_padding",),
    "decay": ("layer_lr_decay",),
    "ema": ("ema_decay",),
    "every": ("step_size",),
    "factor": ("gamma",),
    "fill": ("fill_mode",),
    "floor": ("min_lr_ratio",),
    "freeze": ("freeze_epochs",),
    "gradient_clip": ("gradient_clip_norm",),
    "gradual": ("unfreeze_every",),
    "imbalance": ("class_balance",),
    "keep": ("checkpoint",),
    "levels": ("quantiles",),
    "rescale": ("intensity_scale",),
    "rise": ("pct_start",),
    "smoothing": ("label_smoothing",),
    "start": ("pretrained",),
    "tasks": ("loss_weights",),
    "threads": ("num_threads",),
    "warmup": ("warmup_epochs",),
    # networks
    "clip": ("clip_value",),
    "code": ("latent_activation",),
    "condition": ("conditioning",),
    "critic": ("discriminator",),
    "critic_rate": ("discriminator_lr_factor",),
    "cycle": ("lambda_cycle",),
    "design": ("architecture",),
    "embedding": ("embedding_dim",),
    "evaluate_every": ("validate_every",),
    "identity": ("lambda_identity",),
    "into": ("target_class",),
    "kernel": ("kernel_size",),
    "kernels": ("kernel_sizes",),
    "latent": ("latent_dim",),
    "n_critic": ("discriminator_steps",),
    "normal": ("normal_classes",),
    "numbers": ("numeric_transform",),
    "output": ("output_activation",),
    "penalty": ("lambda_gp",),
    "pool": ("pool_size",),
    "purpose": ("mode",),
    "target": ("target_activation",),
    "width": ("widen_factor",),
}
"""New names by former key. Which one applies depends on the block: the one that is a key of it."""

RENAMED_VALUES: dict[str, dict[str, str]] = {
    "architecture": {"stack": "plain"},
    "by": {"column": "predefined"},
    "categorical": {"own": "missing_category"},
    "class_balance": {"weights": "weighted_loss", "sampling": "weighted_sampler"},
    "dates": {"day_first": "dayfirst", "month_first": "monthfirst"},
    "difference": {"season": "seasonal"},
    "head": {"global": "global_average"},
    "init": {"zero": "zeros"},
    "layers": {"body": "backbone"},
    "missing": {"previous": "ffill"},
    "numeric_transform": {"ranks": "quantile", "scaled": "none"},
    "pruner": {"two_stage": "median_then_wilcoxon"},
    "task": {"language": "language_modeling"},
}
"""New values by key and former value."""


def find_renamed_key(key: str, known_keys: Collection[str]) -> str | None:
    """Return the new name of a former key in a block with the given keys; None if it was not renamed."""
    return next((name for name in RENAMED_KEYS.get(key, ()) if name in known_keys), None)
