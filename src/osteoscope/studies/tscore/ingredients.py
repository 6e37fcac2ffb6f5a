"""The ingredients in the paper's row labels, as settings of a training."""

from __future__ import annotations

from osteoscope.core.errors import InputError

VIT = "vit3d-base"
JOINT_VIT = "jointvit-base"
_BACKBONES = {"ViT": VIT, "JointViT": JOINT_VIT}
_MEDCONV = "resnet50.a1_in1k+pretrain+balce"
MEDCONV_TAU2 = 0.5
"""Table VI's best row, which is Table II's last."""
SEVERAL_WINDOWS = "[[-1024, 1024], [-200, 800], [100, 500]]"
"""Wide, the default and trabecular bone; the paper does not say which windows it took."""

_SETTINGS: dict[str, tuple[str, ...]] = {
    "pretrain": ("model.weights=hub",),
    "balce": ("loss.name=logit_adjusted", "loss.tau=1.0", "answer.tau=1.0"),
    "balaug": ("augment.balanced=true",),
    "windows": (f"data.windows={SEVERAL_WINDOWS}",),
    "resample": ("data.sampling=class-balanced",),
    "sam": ("optimiser.name=sam",),
    "schdulefree": ("optimiser.name=schedulefree-adamw",),
    "trainParams": ("model.weights=hub", "model.trainable=last-stage"),
}
"""By the paper's own spelling. With Bal-CE the post-hoc tau equals tau1 unless a row says
otherwise: Table V's condition, and Table VI's row of tau2 = 1 repeats Table II's row."""

_NOTHING = (
    "model.weights=none",
    "loss.name=cross_entropy",
    "answer.tau=0.0",
    "data.sampling=shuffle",
    "augment.balanced=false",
    "optimiser.name=adamw",
    "model.trainable=all",
)


def settings_of(label: str) -> tuple[str, ...]:
    """``section.key=value`` settings that make the preset ``medconv`` a row of Table II.

    Args:
        label: As in the table: a backbone and its ingredients, joined by ``+``.

    Raises:
        InputError: An ingredient is unknown.

    >>> settings_of("resnet18.a1_in1k+pretrain")[-1]
    'model.weights=hub'
    """
    if label == "MedConv":
        return (*settings_of(_MEDCONV), f"answer.tau={MEDCONV_TAU2}")
    backbone, *ingredients = label.split("+")
    unknown = [name for name in ingredients if name not in _SETTINGS]
    if unknown:
        known = ", ".join(_SETTINGS)
        raise InputError(f"Unknown ingredient {unknown[0]!r} in a row's label; known: {known}.")
    name = _BACKBONES.get(backbone, backbone)
    head = "joint" if backbone == "JointViT" else "three-class"
    chosen = [setting for name in ingredients for setting in _SETTINGS[name]]
    return (*_NOTHING, f"model.name={name}", f"model.head={head}", *chosen)
