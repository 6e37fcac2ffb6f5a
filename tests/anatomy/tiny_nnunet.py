"""A real nnU-Net v2 model folder of a few weights, set by hand to threshold the image.

Run as a program (``python tiny_nnunet.py FOLDER``), because it needs torch, which the tests of
the base install do not import. The network is a PlainConvUNet of two stages with 1 x 1 x 1
kernels and no normalisation: its logits are linear in the CT number of their own voxel, so that
class 1 wins from 150 to 400 HU and class 2 above, whatever lies around.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SPACING_MM = (2.0, 1.0, 1.0)
"""Along (z, y, x); a scan of this spacing is not resampled, so that borders stay exact."""

DATASET: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "vertebrae_L2": 1, "L1": 2},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}

PLANS: dict[str, Any] = {
    "dataset_name": "Dataset999_Tiny",
    "plans_name": "nnUNetPlans",
    "original_median_spacing_after_transp": list(SPACING_MM),
    "original_median_shape_after_transp": [32, 32, 32],
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {
        "0": {
            "max": 3000.0, "mean": 0.0, "median": 0.0, "min": -1024.0,
            "percentile_00_5": -1000.0, "percentile_99_5": 2000.0, "std": 100.0,
        }
    },
    "configurations": {
        "3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2,
            "patch_size": [32, 32, 32],
            "median_image_size_in_voxels": [32.0, 32.0, 32.0],
            "spacing": list(SPACING_MM),
            "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {
                "is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None,
            },
            "resampling_fn_seg_kwargs": {
                "is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None,
            },
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {
                "is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None,
            },
            "architecture": {
                "network_class_name": (
                    "dynamic_network_architectures.architectures.unet.PlainConvUNet"
                ),
                "arch_kwargs": {
                    "n_stages": 2,
                    "features_per_stage": [1, 1],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[1, 1, 1], [1, 1, 1]],
                    "strides": [[1, 1, 1], [2, 2, 2]],
                    "n_conv_per_stage": [1, 1],
                    "n_conv_per_stage_decoder": [1],
                    "conv_bias": True,
                    "norm_op": None,
                    "norm_op_kwargs": None,
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
            "batch_dice": True,
        }
    },
}  # fmt: skip


def write_model(folder: Path) -> None:
    """Write dataset.json, plans.json and the one fold's checkpoint."""
    import numpy as np
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    # Built as nnU-Net builds it from these plans; its own trainer takes seconds to import.
    options = dict(PLANS["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"])
    options |= {"conv_op": torch.nn.Conv3d, "nonlin": torch.nn.LeakyReLU}
    network = PlainConvUNet(input_channels=1, num_classes=3, deep_supervision=False, **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for name, parameter in network.named_parameters():
            if name.startswith("encoder.stages.0") and name.endswith("weight"):
                parameter.fill_(1.0)
            # The decoder sees the upsampled deep features (zero) and, last, the skipped ones.
            if name.startswith("decoder.stages.0") and name.endswith("weight"):
                parameter[:, -1].fill_(1.0)
        head = network.decoder.seg_layers[-1]
        # In units of 100 HU: 0, x - 1.5 and 2x - 5.5 cross at 150 and at 400 HU.
        head.weight[:, 0, 0, 0, 0] = torch.tensor([0.0, 1.0, 2.0])
        head.bias[:] = torch.tensor([0.0, -1.5, -5.5])
    (folder / "fold_0").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    (folder / "plans.json").write_text(json.dumps(PLANS))
    optimiser = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True)
    # The same entries, of the same types, that nnUNetTrainer.save_checkpoint writes.
    checkpoint = {
        "network_weights": network.state_dict(),
        "optimizer_state": optimiser.state_dict(),
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.9)], "dice": [[np.float32(0.8)]], "lrs": [0.01]},
        "_best_ema": np.float64(0.91),
        "current_epoch": 1,
        "init_args": {
            "plans": PLANS,
            "configuration": "3d_fullres",
            "fold": 0,
            "dataset_json": DATASET,
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
