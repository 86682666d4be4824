"""From the raw file to a scored, registered, exported neural network.

The names below are the public Python API. They are imported on first use, so that `import fivefold` stays cheap.

    import fivefold as ff

    dataset = ff.prepare(frame, target="species", seed=0)
    model = ff.fit({"network": {"family": "mlp", "hidden": [32]}}, dataset, seed=0)
    model.evaluate("test")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.estimators import TabularClassifier, TabularRegressor
    from .api.fitting import fit
    from .api.model import Model, load
    from .api.preparation import PreparedDataset, prepare
    from .api.studies import CVResult, Study, cross_validate
    from .config.loading import load_params

__version__ = "0.1.0"

_MODULES = {
    "CVResult": "api.studies",
    "Model": "api.model",
    "PreparedDataset": "api.preparation",
    "Study": "api.studies",
    "cross_validate": "api.studies",
    "fit": "api.fitting",
    "load": "api.model",
    "prepare": "api.preparation",
    "load_params": "config.loading",
    "TabularClassifier": "api.estimators",
    "TabularRegressor": "api.estimators",
}

__all__ = [
    "CVResult",
    "Model",
    "PreparedDataset",
    "Study",
    "TabularClassifier",
    "TabularRegressor",
    "cross_validate",
    "fit",
    "load",
    "load_params",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
