"""Stock checkpoints into the 13 heads and back."""

import torch


def test_trunk_of_a_stock_coco_keypoint_rcnn_loads(tmp_path):
    """COCO Keypoint R-CNN: one class, 17 keypoints."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
    from df2_landmarks.engine.setup import setup_config

    stock_cfg = get_cfg()
    stock_cfg.merge_from_list(
        ["MODEL.DEVICE", "cpu", "MODEL.KEYPOINT_ON", True, "MODEL.MASK_ON", False]
        + ["MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone"]
        + ["MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"]]
        + ["MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"]]
        + ["MODEL.RPN.IN_FEATURES", ["p2", "p3", "p4", "p5", "p6"]]
        + ["MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512]]]
        + ["MODEL.ROI_HEADS.NAME", "StandardROIHeads", "MODEL.ROI_HEADS.NUM_CLASSES", 1]
        + ["MODEL.ROI_HEADS.IN_FEATURES", ["p2", "p3", "p4", "p5"]]
        + ["MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 2]
        + ["MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 7]
    )
    stock = build_model(stock_cfg)
    path = tmp_path / "coco.pth"
    torch.save({"model": stock.state_dict()}, path)
    ours = build_model(setup_config(on_cpu=True))
    LandmarkCheckpointer(ours).load(str(path), checkpointables=[])
    loaded, given = ours.state_dict(), stock.state_dict()
    trunk = [k for k in given if "keypoint_head.conv_fcn" in k]
    assert len(trunk) == 16
    for key in [*trunk, "backbone.bottom_up.res5.2.conv3.weight", "roi_heads.box_head.fc1.weight"]:
        torch.testing.assert_close(loaded[key], given[key])
