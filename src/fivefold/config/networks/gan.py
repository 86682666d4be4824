"""What can be chosen of an adversarial network: its design, what its two players are after, and what steadies them."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import StrictModel

LayerSize = Annotated[int, Field(gt=0)]
LabelSmoothing = Annotated[
    float,
    Field(ge=0, lt=0.5, description="what a real record's target falls short of 1, of real ones alone (Salimans 2016)"),
]


class StandardGAN(StrictModel):
    """The critic's cross-entropy, which the generator makes large (Goodfellow et al. 2014)."""

    name: Literal["minimax"]
    label_smoothing: LabelSmoothing = 0.0


class NonSaturatingGAN(StrictModel):
    """The same critic; the generator has its records taken for real (Goodfellow et al. 2014, section 3)."""

    name: Literal["non_saturating"]
    label_smoothing: LabelSmoothing = 0.0


class LeastSquaresGAN(StrictModel):
    """Squared distance from 1 of real records, and from 0 of made ones (Mao et al. 2017)."""

    name: Literal["least_squares"]
    label_smoothing: LabelSmoothing = 0.0


class HingeGAN(StrictModel):
    """Real records above 1, made ones below -1; what is beyond costs nothing (Lim & Ye 2017)."""

    name: Literal["hinge"]


class WGANClip(StrictModel):
    """Wasserstein's distance; the critic's weights are clipped after each step (Arjovsky et al. 2017)."""

    name: Literal["wasserstein_clip"]
    clip_value: float = Field(default=0.01, gt=0, description="largest absolute weight of the critic")


class WGANGP(StrictModel):
    """Wasserstein's distance; between real and made records the slope is held near 1 (Gulrajani et al. 2017)."""

    name: Literal["wasserstein_gp"]
    lambda_gp: float = Field(default=10.0, gt=0, description="weight of the squared difference of the slope from 1")


AdversarialLossConfig = Annotated[
    StandardGAN | NonSaturatingGAN | LeastSquaresGAN | HingeGAN | WGANClip | WGANGP, Field(discriminator="name")
]


class DiffAugmentation(StrictModel):
    """Real and made images are altered alike before the critic sees them (Zhao et al. 2020), with its gradients."""

    brightness: float = Field(default=0.5, ge=0, description="added to an image: up to half of it, either way")
    translation: float = Field(default=0.125, ge=0, lt=1, description="share of its sides that an image moves by")
    cutout: float = Field(default=0.5, ge=0, lt=1, description="share of its sides that a blank rectangle has")


class Gan(StrictModel):
    """A generator from noise to records, and a critic that tells them from real ones."""

    family: Literal["gan"]
    architecture: Literal["dense", "dcgan", "resnet", "stylegan"] = Field(
        default="dense",
        description="dense: images and tables, flattened; of images: dcgan: Radford et al. 2016; resnet: Miyato et al."
        " 2018; stylegan: Karras et al. 2020, small",
    )
    hidden: tuple[LayerSize, ...] = Field(
        default=(256,),
        description="critic, layer by layer: units; of images filters, each layer halving the image. The generator has"
        " them in reverse",
    )
    latent_dim: int = Field(default=100, gt=0, description="numbers of noise that a record is made of")
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear",
        description="activation of what is made; sigmoid: for features between 0 and 1, which the critic then sees"
        " between -1 and 1",
    )
    numeric_transform: Literal["quantile", "none"] = Field(
        default="quantile",
        description="of a table: ranks: both players see numbers by the normal scores of their ranks, whatever their"
        " distribution; scaled: as the dataset's normalize has them",
    )
    norm: Literal["auto", "none", "batch", "spectral"] = Field(
        default="auto",
        description="of the critic; auto: batch of dcgan and spectral of resnet, none of the others, of a critic under"
        " a penalty, and of a clipped one; spectral: Miyato et al. 2018",
    )
    loss: AdversarialLossConfig = Field(default={"name": "non_saturating"}, validate_default=True)
    r1: float = Field(
        default=0.0,
        ge=0,
        description="weight of the critic's squared slope at real records (Mescheder et al. 2018); 0: none",
    )
    r1_every: int = Field(
        default=16, gt=0, description="steps of the critic, one of which bears r1, so many times over"
    )
    conditioning: Literal["none", "label", "projection"] = Field(
        default="none",
        description="none: any record; label: of a class, which both players are told as further input (Mirza &"
        " Osindero 2014); projection: the critic compares it with its last layer (Miyato & Koyama 2018)",
    )
    embedding_dim: int = Field(default=16, gt=0, description="numbers that stand for a class, beside the noise")
    pac: int = Field(
        default=1,
        gt=0,
        description="records that the critic judges together, which shows it what they lack in variety (Lin et al."
        " 2018); 1: each by itself",
    )
    discriminator_steps: int = Field(default=1, gt=0, description="steps of the critic for each of the generator")
    discriminator_lr_factor: float = Field(
        default=1.0, gt=0, description="the critic's learning rate, in those of the generator, training.optimizer.lr"
    )
    instance_noise: float = Field(
        default=0.0,
        ge=0,
        description="deviation of noise on what the critic sees, which falls to 0 over the training (Sonderby 2017)",
    )
    augment: DiffAugmentation | None = Field(default=None, description="of images; null: they are seen as they are")
    validate_every: int = Field(default=5, gt=0, description="epochs between two looks at the generator's records")

    @property
    def is_conditional(self) -> bool:
        """Whether records of a class can be asked for."""
        return self.conditioning != "none"

    @property
    def discriminator_norm(self) -> Literal["none", "batch", "spectral"]:
        """What `norm` stands for."""
        if self.norm != "auto":
            return self.norm
        if isinstance(self.loss, WGANClip | WGANGP):
            return "none"
        return "batch" if self.architecture == "dcgan" else "spectral" if self.architecture == "resnet" else "none"
