"""The `network` block of GANs: architecture, adversarial loss and regularization."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import StrictModel

LayerSize = Annotated[int, Field(gt=0)]
LabelSmoothing = Annotated[
    float,
    Field(
        ge=0,
        lt=0.5,
        description="one-sided label smoothing: the target of real samples is 1 minus this (Salimans et al. 2016)",
    ),
]


class StandardGAN(StrictModel):
    """Minimax loss: the generator maximizes the discriminator's cross-entropy (Goodfellow et al. 2014)."""

    name: Literal["minimax"]
    label_smoothing: LabelSmoothing = 0.0


class NonSaturatingGAN(StrictModel):
    """Non-saturating loss of the generator, same discriminator loss (Goodfellow et al. 2014, section 3)."""

    name: Literal["non_saturating"]
    label_smoothing: LabelSmoothing = 0.0


class LeastSquaresGAN(StrictModel):
    """Least-squares loss with targets 1 for real and 0 for generated samples (Mao et al. 2017)."""

    name: Literal["least_squares"]
    label_smoothing: LabelSmoothing = 0.0


class HingeGAN(StrictModel):
    """Hinge loss with margins 1 for real and -1 for generated samples (Lim & Ye 2017)."""

    name: Literal["hinge"]


class WGANClip(StrictModel):
    """Wasserstein loss; the weights of the critic are clipped after each step (Arjovsky et al. 2017)."""

    name: Literal["wasserstein_clip"]
    clip_value: float = Field(default=0.01, gt=0, description="maximum absolute weight of the critic")


class WGANGP(StrictModel):
    """Wasserstein loss with a gradient penalty between real and generated samples (Gulrajani et al. 2017)."""

    name: Literal["wasserstein_gp"]
    lambda_gp: float = Field(default=10.0, gt=0, description="weight of the gradient penalty")


AdversarialLossConfig = Annotated[
    StandardGAN | NonSaturatingGAN | LeastSquaresGAN | HingeGAN | WGANClip | WGANGP, Field(discriminator="name")
]


class DiffAugmentation(StrictModel):
    """Differentiable augmentation of real and generated images before the discriminator (Zhao et al. 2020)."""

    brightness: float = Field(
        default=0.5, ge=0, description="width of the range of the random offset added to an image, centered at 0"
    )
    translation: float = Field(default=0.125, ge=0, lt=1, description="maximum shift, fraction of the image size")
    cutout: float = Field(
        default=0.5, ge=0, lt=1, description="side length of the erased rectangle, fraction of the image size"
    )


class Gan(StrictModel):
    """Generative adversarial network: a generator and a discriminator."""

    family: Literal["gan"]
    architecture: Literal["dense", "dcgan", "resnet", "stylegan"] = Field(
        default="dense",
        description="dense: images and tables, flattened; for images: dcgan (Radford et al. 2016), resnet (Miyato et"
        " al. 2018), stylegan (Karras et al. 2020, small)",
    )
    hidden: tuple[LayerSize, ...] = Field(
        default=(256,),
        description="size of each discriminator layer: units, or filters for images (each layer halves the image). The"
        " generator uses them in reverse order",
    )
    latent_dim: int = Field(default=100, gt=0, description="number of latent dimensions (noise)")
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear",
        description="output activation of the generator; sigmoid: for features between 0 and 1, which the discriminator"
        " receives scaled to [-1, 1]",
    )
    numeric_transform: Literal["quantile", "none"] = Field(
        default="quantile",
        description="tables: quantile: numeric columns are mapped to normal scores for both networks; none: columns are"
        " used as normalized by the dataset",
    )
    norm: Literal["auto", "none", "batch", "spectral"] = Field(
        default="auto",
        description="normalization of the discriminator; auto: batch for dcgan, spectral for resnet, none otherwise and"
        " with wasserstein_clip or wasserstein_gp; spectral: Miyato et al. 2018",
    )
    loss: AdversarialLossConfig = Field(default={"name": "non_saturating"}, validate_default=True)
    r1: float = Field(
        default=0.0,
        ge=0,
        description="weight of the R1 gradient penalty on real samples (Mescheder et al. 2018); 0: off",
    )
    r1_every: int = Field(
        default=16,
        gt=0,
        description="apply r1 every this many discriminator steps, multiplied by this number (lazy regularization)",
    )
    conditioning: Literal["none", "label", "projection"] = Field(
        default="none",
        description="class conditioning: none; label: the class is an additional input of both networks (Mirza &"
        " Osindero 2014); projection: projection discriminator (Miyato & Koyama 2018)",
    )
    embedding_dim: int = Field(
        default=16, gt=0, description="dimension of the class embedding, concatenated with the noise"
    )
    pac: int = Field(
        default=1,
        gt=0,
        description="samples per input of the discriminator, which helps it detect mode collapse (PacGAN, Lin et al."
        " 2018); 1: off",
    )
    discriminator_steps: int = Field(default=1, gt=0, description="discriminator steps per generator step")
    discriminator_lr_factor: float = Field(
        default=1.0,
        gt=0,
        description="learning rate of the discriminator, relative to that of the generator (training.optimizer.lr)",
    )
    instance_noise: float = Field(
        default=0.0,
        ge=0,
        description="standard deviation of the noise on discriminator inputs, decreasing to 0 (Sonderby et al. 2017)",
    )
    augment: DiffAugmentation | None = Field(
        default=None, description="differentiable augmentation, images only; null: off"
    )
    validate_every: int = Field(default=5, gt=0, description="epochs between two validations of the generator")

    @property
    def is_conditional(self) -> bool:
        """Whether samples of a given class can be generated."""
        return self.conditioning != "none"

    @property
    def discriminator_norm(self) -> Literal["none", "batch", "spectral"]:
        """Normalization of the discriminator, with `auto` resolved."""
        if self.norm != "auto":
            return self.norm
        if isinstance(self.loss, WGANClip | WGANGP):
            return "none"
        return "batch" if self.architecture == "dcgan" else "spectral" if self.architecture == "resnet" else "none"
