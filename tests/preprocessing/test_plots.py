"""Selection plots for every kind of data and every method are reproducible, byte for byte."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from fivefold.config.selection import (
    KBestSelection,
    L1Selection,
    NoSelection,
    PCASelection,
    PercentileSelection,
    RFESelection,
    SelectionConfig,
    VarianceSelection,
)
from fivefold.data.dataset import Array
from fivefold.data.schema import Schema
from fivefold.preprocessing import plots
from fivefold.preprocessing.plots import plot_projection, plot_selection
from fivefold.preprocessing.selection import FittedSelection, fit_selection

from ..conftest import schema_of

METHODS: list[SelectionConfig] = [
    NoSelection(method="none"),
    KBestSelection(method="k_best", score_func="f", k=2),
    PercentileSelection(method="percentile", score_func="f", percentile=70, stability_resamples=0),
    VarianceSelection(method="variance", threshold=0.5),
    L1Selection(method="l1", alpha=0.01, stability_resamples=2),
    RFESelection(method="rfe", n_features_to_select=1, stability_resamples=2),
    PCASelection(method="pca", n_components=2),
    PCASelection(method="pca", n_components=1, whiten=True),
]
SHAPES = [(3,), (20,), (1, 4, 5), (3, 5, 4)]


@pytest.mark.parametrize("params", METHODS, ids=lambda params: params.method)
@pytest.mark.parametrize("shape", SHAPES)
def test_plots_are_reproducible(tmp_path: Path, shape: tuple[int, ...], params: SelectionConfig) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, *shape)), np.arange(20) % 2
    x.reshape(20, -1)[:, 0] = 1  # a constant feature
    schema = schema_of(shape, 2)
    selected = fit_selection(x, y, schema, params, 0)
    for name in ("one", "two"):
        plot_selection(selected, schema, "m", tmp_path / f"{name}.png")
        plot_projection(selected, x, y, schema, "m", 0, tmp_path / f"{name}_projection.png")
    for suffix in ("", "_projection"):
        one, two = (tmp_path / f"{name}{suffix}.png" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        assert imread(one).std() > 0.03


@pytest.mark.parametrize("params", [METHODS[0], METHODS[3], METHODS[6]], ids=lambda params: params.method)
@pytest.mark.parametrize("shape", [(3,), (1, 4, 5)])
def test_without_a_target_plots_show_variances(tmp_path: Path, shape: tuple[int, ...], params: SelectionConfig) -> None:
    x = np.random.default_rng(0).normal(size=(20, *shape)) * np.arange(1, np.prod(shape) + 1).reshape(shape)
    x.reshape(20, -1)[:, 0] = 1  # a constant feature
    schema = schema_of(shape).model_copy(update={"task": "unsupervised", "target": "", "values": ()})
    selected = fit_selection(x, np.empty((20, 0)), schema, params, 0)
    if params.method == "none":
        assert selected.steps == ()
        assert selected.table["selected"].all()
        np.testing.assert_allclose(selected.table["score"], sorted(x.reshape(20, -1).var(axis=0), reverse=True))
    plot_selection(selected, schema, "m", tmp_path / "one.png")
    plot_projection(selected, x, np.empty((20, 0)), schema, "m", 0, tmp_path / "projection.png")
    assert imread(tmp_path / "one.png").std() > 0.03
    assert imread(tmp_path / "projection.png").std() > 0.03


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return the figures that would have been saved."""
    saved: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda fig, path: saved.append(fig))
    return saved


def rows(n: int, n_classes: int, f: int = 4) -> tuple[Array, Array, Schema]:
    """Return rows of f features with `n_classes` classes, or with values if it is 0."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % n_classes if n_classes else rng.normal(size=n)
    return rng.normal(size=(n, f)), y, schema_of((f,), n_classes)


def selection(params: SelectionConfig, n: int = 60, n_classes: int = 2) -> tuple[FittedSelection, Schema]:
    x, y, schema = rows(n, n_classes)
    return fit_selection(x, y, schema, params, 0), schema


class TestSelection:
    def test_stability_is_shown_for_each_bar(self, figures: list[Figure]) -> None:
        selected, schema = selection(KBestSelection(method="k_best", score_func="f", k=2, stability_resamples=10))
        plot_selection(selected, schema, "m", Path())
        (right,) = figures[0].axes[0].child_axes
        shown = [tick.get_text() for tick in right.get_yticklabels()]
        assert shown == [f"{share:.0%}" for share in selected.table.stability[::-1]]

    def test_without_stability_there_is_no_second_axis(self, figures: list[Figure]) -> None:
        selected, schema = selection(NoSelection(method="none"))
        plot_selection(selected, schema, "m", Path())
        assert figures[0].axes[0].child_axes == []

    def test_pixels_have_a_second_image_of_the_stability(self, figures: list[Figure]) -> None:
        x = np.random.default_rng(0).normal(size=(40, 1, 3, 3))
        schema = schema_of((1, 3, 3), 2)
        params = KBestSelection(method="k_best", score_func="f", k=2, stability_resamples=5)
        selected = fit_selection(x, np.arange(40) % 2, schema, params, 0)
        plot_selection(selected, schema, "m", Path())
        scores, share = (axes.images[0].get_array() for axes in figures[0].axes if axes.get_label() != "<colorbar>")
        assert np.isfinite(scores.filled(np.nan)).sum() == 2
        np.testing.assert_array_equal(share.ravel(), selected.table.sort_index().stability)

    def test_explained_variance_is_individual_and_cumulative(self, figures: list[Figure]) -> None:
        selected, schema = selection(PCASelection(method="pca", n_components=3))
        plot_selection(selected, schema, "m", Path())
        axes = figures[0].axes[0]
        share = selected.table.score.to_numpy()
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], share)
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [share[0], share[:2].sum(), share.sum()])

    def test_an_infinite_score_is_drawn_at_the_maximum(self, figures: list[Figure]) -> None:
        x, y, schema = rows(60, 2)
        x[:, 1], x[:, 2] = y, x[:, 2] + y
        plot_selection(fit_selection(x, y, schema, NoSelection(method="none"), 0), schema, "m", Path())
        axes = figures[0].axes[0]
        best, second, *_ = [bar.get_width() for bar in axes.patches][::-1]
        assert np.isfinite(best)
        assert best == second > 0
        assert [text.get_text() for text in axes.texts] == ["", "", "", "∞"]
        assert axes.get_xlabel() == "F statistic (infinite values drawn at the maximum)"

    @pytest.mark.parametrize(("best", "scale"), [(9e2, "linear"), (1e8, "log")])
    def test_scores_of_different_magnitude_are_drawn_on_a_log_scale(
        self, figures: list[Figure], best: float, scale: str
    ) -> None:
        selected, schema = selection(NoSelection(method="none"))
        selected.table["score"] = [best, 3.0, 1.0, np.nan]
        plot_selection(selected, schema, "m", Path())
        axes = figures[0].axes[0]
        assert axes.get_xscale() == scale
        low, high = axes.get_xlim()
        assert low < 1 < best < high

    def test_a_pixel_with_infinite_score_is_not_blank(self, figures: list[Figure]) -> None:
        x, y = np.random.default_rng(0).normal(size=(40, 1, 3, 3)), np.arange(40) % 2
        x[:, 0, 1, 1] = y
        schema = schema_of((1, 3, 3), 2)
        plot_selection(fit_selection(x, y, schema, NoSelection(method="none"), 0), schema, "m", Path())
        shown, scale = figures[0].axes
        assert np.isfinite(shown.images[0].get_array().filled(np.nan)).all()
        assert scale.get_ylabel() == "F statistic (infinite values drawn at the maximum)"

    def test_names_with_special_characters_are_escaped(self, tmp_path: Path) -> None:
        x, y, schema = rows(60, 2)
        odd = schema.model_copy(
            update={"features": ("$x_", "_a", "b" * 200, "a $ and a $"), "classes": ("_hidden", "$1 to $2")}
        )
        selected = fit_selection(x, y, odd, NoSelection(method="none"), 0)
        plot_selection(selected, odd, "m", tmp_path / "s.png")
        plot_projection(selected, x, y, odd, "m", 0, tmp_path / "projection.png")
        assert imread(tmp_path / "s.png").shape[1] < 1000


class TestProjection:
    def draw(self, params: SelectionConfig, n: int, n_classes: int, seed: int = 0) -> None:
        x, y, schema = rows(n, n_classes)
        plot_projection(fit_selection(x, y, schema, params, 0), x, y, schema, "m", seed, Path())

    def test_rows_are_projected_on_their_principal_components(self, figures: list[Figure]) -> None:
        x, y, schema = rows(50, 2)
        params = KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=0)
        selected = fit_selection(x, y, schema, params, 0)
        plot_projection(selected, x, y, schema, "m", 0, Path())
        part = x[:, selected.steps[0].arrays["index"]]
        u, s, _ = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)  # Pearson 1901
        dots = figures[0].axes[0].collections[0]
        expected, shown = np.abs(u * s)[:, :2], np.abs(dots.get_offsets())
        np.testing.assert_allclose(shown[np.argsort(shown[:, 0])], expected[np.argsort(expected[:, 0])], rtol=1e-9)
        share = s**2 / (s**2).sum()
        assert figures[0].axes[0].get_xlabel() == f"component 1, {share[0]:.0%} of the variance"

    def test_axes_are_the_selected_components(self, figures: list[Figure]) -> None:
        x, y, schema = rows(50, 2)
        selected = fit_selection(x, y, schema, PCASelection(method="pca", n_components=3, whiten=True), 0)
        plot_projection(selected, x, y, schema, "m", 0, Path())
        shown = figures[0].axes[0].collections[0].get_offsets()
        projected = selected.steps[0](x)[:, :2]
        np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(projected, axis=0))

    def test_many_rows_are_subsampled(self, figures: list[Figure]) -> None:
        self.draw(NoSelection(method="none"), 5_000, 2)
        assert len(figures[0].axes[0].collections[0].get_offsets()) == 2_000
        assert figures[0].get_suptitle() == "m: 2-d projection of 2000 of 5000 training rows"

    @pytest.mark.parametrize(("n_classes", "last"), [(2, "class1"), (12, "class11"), (25, "5 other classes")])
    def test_the_legend_of_classes_is_limited(self, figures: list[Figure], n_classes: int, last: str) -> None:
        self.draw(NoSelection(method="none"), 200, n_classes)
        labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
        assert len(labels) == min(n_classes, 21)
        assert labels[-1] == last
        assert len({tuple(color) for color in figures[0].axes[0].collections[0].get_facecolors()}) == len(labels)

    def test_values_have_a_color_bar(self, figures: list[Figure]) -> None:
        self.draw(NoSelection(method="none"), 60, 0)
        assert figures[0].legends == []
        assert figures[0].axes[1].get_ylabel() == "y"

    def test_a_single_feature_has_jitter(self, figures: list[Figure]) -> None:
        self.draw(KBestSelection(method="k_best", score_func="f", k=1, stability_resamples=0), 60, 2)
        assert figures[0].axes[0].get_ylabel() == "random jitter"

    def test_identical_rows_are_drawn(self, tmp_path: Path) -> None:
        schema = schema_of((2,), 2)
        x, y = np.ones((10, 2)), np.arange(10) % 2
        plot_projection(
            fit_selection(x, y, schema, NoSelection(method="none"), 0),
            x,
            y,
            schema,
            "m",
            0,
            tmp_path / "projection.png",
        )
        assert (tmp_path / "projection.png").exists()

    def test_text_has_no_projection(self, figures: list[Figure]) -> None:
        schema = schema_of((2,), 2).model_copy(update={"kind": "text", "vocabulary": ("", "?", "\n", "so")})
        x, y = np.array([[2, 3], [2, 1], [2, 1]]), np.array([0, 1, 1])
        selected = fit_selection(x, y, schema, NoSelection(method="none"), 0)
        plot_projection(selected, x, y, schema, "m", 0, Path())
        assert figures == []
        plot_selection(selected, schema, "m", Path())
        axes = figures[0].axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == [r"'\n'", "?", "so"]
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([0, 1, 2])
        assert axes.get_xlabel() == "chi-squared of token counts"
