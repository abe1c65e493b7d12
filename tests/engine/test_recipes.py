"""Every recipe for the real data trains, evaluates, is resumed and predicts, in miniature."""

from collections import Counter

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog

from df2_landmarks import Predictor
from df2_landmarks.common import UserError
from df2_landmarks.data import training_mapper
from df2_landmarks.engine import (
    GroundTruthBoxTrainer,
    Trainer,
    ground_truth_box_config,
    load_for_evaluation,
    setup_config,
)
from df2_landmarks.engine.setup import CONFIGS
from tests.support import DEMO, TINY

SMALL_RESNET = (
    *("MODEL.WEIGHTS", "", "MODEL.RESNETS.DEPTH", "18", "MODEL.RESNETS.RES2_OUT_CHANNELS", "64"),
    *("MODEL.FPN.OUT_CHANNELS", "32", "MODEL.ROI_BOX_HEAD.CONV_DIM", "32"),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", "16", "MODEL.ROI_MASK_HEAD.CONV_DIM", "32"),
    *("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "[16]", "MODEL.RPN.PRE_NMS_TOPK_TRAIN", "200"),
    *("MODEL.RPN.POST_NMS_TOPK_TRAIN", "100", "MODEL.RPN.POST_NMS_TOPK_TEST", "20"),
    *("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", "16", "TEST.DETECTIONS_PER_IMAGE", "5"),
    *("INPUT.MIN_SIZE_TRAIN", "(96,)", "INPUT.MIN_SIZE_TEST", "96", "TEST.NUM_PICTURES", "0"),
    *("DATALOADER.NUM_WORKERS", "0", "SOLVER.IMS_PER_BATCH", "2", "SOLVER.AMP.ENABLED", "False"),
    *("SOLVER.REFERENCE_WORLD_SIZE", "0", "SOLVER.BASE_LR", "0.0001"),
)
RECIPES = {
    "3x": ("df2_landmark_rcnn_R_50_FPN_3x.yaml", SMALL_RESNET),
    "cascade": (
        "df2_landmark_rcnn_R_50_FPN_cascade.yaml",
        (*SMALL_RESNET, "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(96,)"),
    ),
    "gn": ("df2_landmark_rcnn_R_50_FPN_gn.yaml", SMALL_RESNET),
    "lsj with pasted garments": (
        "df2_landmark_rcnn_R_50_FPN_lsj.yaml",
        (*SMALL_RESNET, "INPUT.AUGMENT.SQUARE_PX", "128", "INPUT.COPY_PASTE", "0.9"),
    ),
    "balanced": (
        DEMO,
        (
            *(*TINY, "DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler"),
            *("DATALOADER.REPEAT_THRESHOLD", "0.3"),
        ),
    ),
}


def config(recipe, drawn_splits, folder, *opts):
    file, options = RECIPES[recipe]
    train, validation, _ = drawn_splits
    names = ("DATASETS.TRAIN", f"('{train}',)", "DATASETS.TEST", f"('{validation}',)")
    every = (*options, *names, "SEED", "1", "OUTPUT_DIR", str(folder), *map(str, opts))
    return setup_config(file, every, on_cpu=True)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains_evaluates_resumes_and_predicts(recipe, drawn_splits, tmp_path):
    trainer = Trainer(config(recipe, drawn_splits, tmp_path, "SOLVER.MAX_ITER", 2))
    trainer.train()
    results = trainer._last_eval_results
    assert {"bbox", "segm", "landmarks"} <= results.keys()
    assert ("landmarks_TTA" in results) == trainer.cfg.TEST.AUG.ENABLED
    assert np.isfinite(results["landmarks"]["AP"])
    plain = config(recipe, drawn_splits, tmp_path, "TEST.AUG.ENABLED", False)
    in_true_boxes = GroundTruthBoxTrainer.test(ground_truth_box_config(plain), trainer.model)
    assert np.isfinite(in_true_boxes["landmarks"]["AP"])

    cfg = config(recipe, drawn_splits, tmp_path, "SOLVER.MAX_ITER", 3)
    resumed = Trainer(cfg)
    resumed.resume_or_load(resume=True)
    assert resumed.start_iter == 2
    resumed.train()

    model = Trainer.build_model(cfg)
    load_for_evaluation(model, str(tmp_path / "model_final.pth"))
    final = resumed.model.state_dict()
    assert all(torch.equal(final[name], value) for name, value in model.state_dict().items())
    predictor = Predictor.load(tmp_path, device="cpu", min_score=0.0)
    predictor(np.zeros((80, 60, 3), np.uint8), channels="RGB")


def test_rare_categories_are_drawn_more_often(drawn_splits, tmp_path):
    """As often as `RepeatFactorTrainingSampler` promises: sqrt(threshold / frequency) times."""
    cfg = config("balanced", drawn_splits, tmp_path)
    records = DatasetCatalog.get(drawn_splits[0])
    classes = [{a["category_id"] for a in record["annotations"]} for record in records]
    frequency = {c: sum(c in row for row in classes) / len(classes) for row in classes for c in row}
    factors = [max(1, max((0.3 / frequency[c]) ** 0.5 for c in row)) for row in classes]
    order = Trainer.build_train_loader(cfg).sampler.order
    num_epochs = 200
    drawn = Counter(order.index(place) for place in range(round(num_epochs * sum(factors))))
    for row, factor in enumerate(factors):
        assert drawn[row] / num_epochs == pytest.approx(factor, abs=0.1)
    assert max(factors) > min(factors) + 0.5


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_only_the_long_recipes_augment(path):
    cfg = setup_config(path, on_cpu=True)
    augments = any(
        (cfg.INPUT.AUGMENT.ROTATION, cfg.INPUT.AUGMENT.SQUARE_PX, cfg.INPUT.AUGMENT.CUT_OUT)
    )
    is_long = cfg.SOLVER.MAX_ITER > 200_000
    assert augments == is_long
    mapper = training_mapper(cfg, [])
    assert (type(mapper).__name__ == "OccludingMapper") == (cfg.INPUT.AUGMENT.CUT_OUT > 0)


def test_a_cascade_without_its_box_regression_is_one_line():
    file, options = RECIPES["cascade"]
    with pytest.raises(UserError, match=r"CLS_AGNOSTIC_BBOX_REG True"):
        setup_config(
            file, [*options, "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", "False"], on_cpu=True
        )
