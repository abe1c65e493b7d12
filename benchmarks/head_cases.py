"""What `head_speed.py` measures: each case builds its inputs and returns the pass to be timed.

Shapes: R = regions, S = side of a heatmap.

Contenders: "ours" is `LandmarkRCNNHead` as in Base.yaml; "no_visibility" the same without
VISIBILITY; "naive" the stock head with a channel for each of all slots (`naive_head.py`), decoded
by the stock function in full; "stock" the stock decoding of the very maps that ours decodes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes, Instances, Keypoints, heatmaps_to_keypoints
from detectron2.utils.events import EventStorage
from torch import nn

from benchmarks.baselines.naive_head import NaiveLandmarkHead
from df2_landmarks.modeling import LandmarkRCNNHead, decode_expected_oks
from df2_landmarks.taxonomy import DEEPFASHION2

Pass = Callable[[], Any]

R_18, R_50 = "df2_landmark_rcnn_R_18_FPN_demo", "df2_landmark_rcnn_R_50_FPN_1x"
TRUNK_CHANNELS = 512
TRUNK_CONVS = 8
FEATURE_CHANNELS = 256
FEATURE_SIDE = 14
IMAGE_SIZE = (800, 1333)
NUM_DETECTIONS = 100
PEAK_LOGIT = 10.0
CLOSE_PROPOSALS = 128
DRAWN_LABELLED = 0.98
"""Share of the landmarks that the drawn data sets label (the rest lies outside the picture)."""
BOX_SIZES_PX = ((250.0, 720.0), (300.0, 940.0))
"""Widths and heights: the 5th to the 95th percentile of the drawn data at a short side of 800."""


def predictor_loss(
    contender: str, device: str, *, num_regions: int, labelled: float = 1.0
) -> tuple[Pass, Pass]:
    """Deconvolution, upsampling and loss, forward and backward, from the trunk's output on."""
    head = build_head(contender, TRUNK_CHANNELS, []).to(device)
    return tuple(  # type: ignore[return-value]
        _training_pass(head, TRUNK_CHANNELS, n, labelled, device) for n in (2, num_regions)
    )


def head_step(contender: str, device: str, *, num_regions: int) -> tuple[Pass, Pass]:
    """The whole head with its trunk, forward and backward."""
    head = build_head(contender, FEATURE_CHANNELS, [TRUNK_CHANNELS] * TRUNK_CONVS).to(device)
    return tuple(  # type: ignore[return-value]
        _training_pass(head, FEATURE_CHANNELS, n, 1.0, device) for n in (2, num_regions)
    )


def inference(contender: str, device: str) -> tuple[Pass, Pass]:
    """Deconvolution, upsampling and decoding of the detections of an image."""
    head = build_head(contender, TRUNK_CHANNELS, []).to(device).eval()
    for name, parameter in head.named_parameters():
        if name == "shared_predictor.weight":
            nn.init.zeros_(parameter)
        elif name.endswith("score_lowres.weight"):
            # an output cell sums 2 x 2 cells of all channels: the bump becomes a peak
            nn.init.uniform_(parameter, 0, 2 * PEAK_LOGIT / (4 * TRUNK_CHANNELS))

    def make(num_regions: int) -> Pass:
        features = bumps(num_regions, FEATURE_SIDE)[:, None].repeat(1, TRUNK_CHANNELS, 1, 1)
        features = (features + 0.02 * torch.rand(features.shape)).to(device)
        instances = detections(num_regions).to(device)
        return torch.no_grad()(lambda: head(features, [instances]))

    return make(1), make(NUM_DETECTIONS)


def decoding(contender: str, device: str) -> tuple[Pass, Pass]:
    """Decoding alone, by expected OKS against stock's peak, category by category."""

    def decode(maps: torch.Tensor, boxes_xyxy: torch.Tensor, class_index: int) -> torch.Tensor:
        if contender != "ours":
            return heatmaps_to_keypoints(maps, boxes_xyxy)
        return decode_expected_oks(maps, boxes_xyxy, sigmas[class_index])

    sigmas = [
        torch.tensor(DEEPFASHION2.sigmas(c), dtype=torch.float32, device=device)
        for c in range(DEEPFASHION2.num_categories)
    ]

    def make(num_regions: int) -> Pass:
        boxes_xyxy, of_region = boxes(num_regions), classes(num_regions)
        side = 4 * FEATURE_SIDE
        parts = []
        for class_index, count in enumerate(DEEPFASHION2.counts):
            rows = (of_region == class_index).nonzero()[:, 0]
            if len(rows):
                maps = PEAK_LOGIT * bumps(len(rows) * count, side).view(len(rows), count, side, -1)
                maps += 0.1 * torch.randn(maps.shape)
                parts.append((maps.to(device), boxes_xyxy[rows].to(device), class_index))
        return lambda: [decode(*part) for part in parts]

    return make(1), make(NUM_DETECTIONS)


def training_step(
    contender: str,
    device: str,
    *,
    config: str = R_50,
    precision: torch.dtype | None = None,
    part: str = "all",
    num_images: int = 4,
    opts: Sequence[Any] = (),
) -> tuple[Pass, Pass]:
    """A training step of the full model on drawn pictures, the optimizer's included.

    Args:
        contender: whose head.
        device: "cpu" or "cuda".
        config: name of the configuration.
        precision: of autocast; None: as the configuration trains.
        part: "all", or "backbone": its forward and backward pass alone.
        num_images: of a batch.
        opts: of the configuration.
    """
    import df2_landmarks.data  # noqa: F401 (registers the splits)
    from df2_landmarks.engine import Trainer, trains_in_bfloat16

    # random weights would diverge at the learning rate of a training
    opts = [*opts, "SOLVER.IMS_PER_BATCH", num_images, "SOLVER.BASE_LR", 0.0]
    cfg = model_config(contender, device, config, train=True, opts=opts)
    torch.manual_seed(0)
    model: Any = Trainer.build_model(cfg)
    model.get_submodule("proposal_generator").register_forward_hook(_propose_as_trained)
    optimizer = Trainer.build_optimizer(cfg, model)
    batch = next(iter(Trainer.build_train_loader(cfg)))
    if precision is None and trains_in_bfloat16(cfg):
        precision = torch.bfloat16
    autocast = functools.partial(torch.autocast, device, precision, enabled=precision is not None)
    scaler = torch.amp.GradScaler(device, enabled=precision == torch.float16)

    def step(images: list[dict[str, Any]]) -> None:
        torch.manual_seed(1)  # the same proposals are sampled
        with EventStorage(), autocast():
            if part == "backbone":
                maps = model.backbone(model.preprocess_image(images).tensor)
                loss = sum(x.mean() for x in maps.values())
            else:
                loss = sum(model(images).values())
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        if part == "all":
            scaler.step(optimizer)
            scaler.update()

    # the optimizer's state is made in the first step, and is no part of the growth
    return (lambda: step(batch[:1])), (lambda: step(batch))


def _propose_as_trained(_: nn.Module, inputs: Any, output: Any) -> Any:
    """Adds boxes near the ground truth, as a trained model proposes, so that as many regions reach
    the heads as the config samples."""
    proposals, losses = output
    for index, truth in enumerate(inputs[2]):
        xyxy = truth.gt_boxes.tensor.repeat(CLOSE_PROPOSALS, 1)
        sizes = (xyxy[:, 2:] - xyxy[:, :2]).repeat(1, 2)
        close = Instances(truth.image_size)
        close.proposal_boxes = Boxes(xyxy + 0.05 * sizes * torch.randn_like(xyxy))
        close.objectness_logits = xyxy.new_full((len(xyxy),), 10.0)
        proposals[index] = Instances.cat([close, proposals[index]])
    return proposals, losses


def end_to_end(
    contender: str,
    device: str,
    *,
    precision: torch.dtype | None = None,
    part: str = "all",
    num_images: int = 1,
    num_detections: int = NUM_DETECTIONS,
    image_size: tuple[int, int] = IMAGE_SIZE,
) -> tuple[Pass, Pass]:
    """Inference by R50-FPN at random weights.

    All parts run; as untrained box heads find nothing, the detections are then replaced by given
    ones.

    Args:
        contender: whose head.
        device: "cpu" or "cuda".
        precision: of autocast; None: float32.
        part: "all", or "backbone": it alone.
        num_images: of a batch.
        num_detections: of an image.
        image_size: height and width.
    """
    from detectron2.modeling import build_model

    torch.manual_seed(0)
    model = build_model(model_config(contender, device, R_50, opts=["MODEL.RESNETS.NORM", "BN"]))
    height, width = image_size
    images = torch.randint(0, 256, (num_images, 3, height, width), dtype=torch.uint8)
    inputs = [{"image": image, "height": height, "width": width} for image in images]
    with torch.no_grad():  # statistics that keep random weights in the range of low precision
        for module in model.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        model.backbone.train()(model.preprocess_image(inputs).tensor)
    model.eval()
    given = detections(num_detections).to(device)
    given.pred_boxes.scale(height / IMAGE_SIZE[0], height / IMAGE_SIZE[0])

    box_inference = model.roi_heads.box_predictor.inference

    def with_given(*args: Any) -> Any:
        _, rows = box_inference(*args)
        return [Instances(image_size, **given.get_fields()) for _ in inputs], rows

    model.roi_heads.box_predictor.inference = with_given

    @torch.no_grad()
    def run() -> None:
        with torch.autocast(device, precision, enabled=precision is not None):
            if part == "backbone":
                model.backbone(model.preprocess_image(inputs).tensor)
                return
            results = model(inputs)
        assert all(len(r["instances"]) == num_detections for r in results)

    return (lambda: None), run


def build_head(contender: str, channels: int, conv_dims: list[int]) -> nn.Module:
    shape = ShapeSpec(channels=channels, height=FEATURE_SIDE, width=FEATURE_SIDE)
    torch.manual_seed(0)
    if contender != "naive":
        recommended = LandmarkRCNNHead.from_config(model_config(contender, "cpu", R_50), shape)
        seen = recommended["coordinates"] and bool(conv_dims)  # by the first convolution
        return LandmarkRCNNHead(**recommended | {"conv_dims": conv_dims, "coordinates": seen})
    head = NaiveLandmarkHead(
        shape, num_keypoints=DEEPFASHION2.num_slots, conv_dims=conv_dims, loss_normalizer="visible"
    )
    head.decode_all_slots = True
    return head


def model_config(
    contender: str, device: str, config: str, *, train: bool = False, opts: Sequence[Any] = ()
) -> Any:
    from df2_landmarks.engine import CONFIGS, setup_config

    opts = ["MODEL.WEIGHTS", "", "DATALOADER.NUM_WORKERS", 0, *opts]
    if contender == "naive":
        opts += ["MODEL.ROI_KEYPOINT_HEAD.NAME", "NaiveLandmarkHead"]
        NaiveLandmarkHead.decode_all_slots = True
    if contender == "no_visibility":
        opts += ["MODEL.ROI_LANDMARK_HEAD.VISIBILITY", False]
    if train:
        opts += ["DATASETS.TRAIN", ("deepfashion2_synthetic_train",)]
        opts += ["MODEL.RESNETS.NORM", "BN", "MODEL.BACKBONE.FREEZE_AT", 0]
    return setup_config(CONFIGS / f"{config}.yaml", opts, on_cpu=device == "cpu")


def boxes(num_regions: int) -> torch.Tensor:
    """(R, 4)."""
    low, high = torch.tensor(BOX_SIZES_PX).unbind(dim=1)
    generator = torch.Generator().manual_seed(1)
    sizes = low + torch.rand(num_regions, 2, generator=generator) * (high - low)
    corners = torch.rand(num_regions, 2, generator=generator) * 100
    return torch.cat((corners, corners + sizes), dim=1)


def classes(num_regions: int) -> torch.Tensor:
    """(R,) the categories in turn: all are about equally frequent in the drawn data."""
    return torch.arange(num_regions) % DEEPFASHION2.num_categories


def detections(num_regions: int) -> Instances:
    instances = Instances(IMAGE_SIZE)
    instances.pred_boxes = Boxes(boxes(num_regions))
    instances.pred_classes = classes(num_regions)
    instances.scores = torch.linspace(1, 0, num_regions)
    return instances


def bumps(count: int, side: int) -> torch.Tensor:
    """(count, side, side) maps with a smooth bump of height 1 at a random place each."""
    generator = torch.Generator().manual_seed(2)
    centres = torch.rand(count, 2, 1, 1, generator=generator) * (side - 1)
    cells = torch.arange(side)
    grid = torch.stack(torch.meshgrid(cells, cells, indexing="xy"))
    squared = ((grid - centres) ** 2).sum(dim=1)
    return torch.exp(-squared / (2 * (side / FEATURE_SIDE) ** 2))


def _training_pass(
    head: nn.Module, channels: int, num_regions: int, labelled: float, device: str
) -> Pass:
    generator = torch.Generator().manual_seed(3)
    shape = (num_regions, channels, FEATURE_SIDE, FEATURE_SIDE)
    features = torch.rand(shape, generator=generator).to(device).requires_grad_()
    instances = Instances(IMAGE_SIZE)
    boxes_xyxy = boxes(num_regions)
    instances.proposal_boxes = Boxes(boxes_xyxy)
    instances.gt_classes = classes(num_regions)
    unit = torch.rand(num_regions, DEEPFASHION2.max_landmarks, 2, generator=generator)
    xy = boxes_xyxy[:, None, :2] + unit * (boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2])
    known = torch.rand(num_regions, DEEPFASHION2.max_landmarks, generator=generator) < labelled
    known &= torch.as_tensor(DEEPFASHION2.own_landmarks.copy())[instances.gt_classes]
    instances.gt_keypoints = Keypoints(torch.cat((xy, 2.0 * known[..., None]), dim=2))
    instances = instances.to(device)

    def run() -> None:
        head.zero_grad(set_to_none=True)
        features.grad = None
        sum(head(features, [instances]).values()).backward()

    return run


def drawn_data(
    datasets: Path, *, num_images: int = 12, num_validation: int = 2, size_px: int = 512
) -> None:
    """A few drawn pictures, converted, as `DETECTRON2_DATASETS`."""
    from converters.deepfashion2_to_coco import main as convert
    from df2_landmarks.synthetic import write_dataset

    data = datasets / "deepfashion2_synthetic"
    sizes = {"train": num_images, "validation": num_validation, "test": 2}
    write_dataset(data, sizes, size_px=size_px)
    with contextlib.redirect_stdout(io.StringIO()):
        failed = convert(["--root", str(data)])
    if failed:
        raise RuntimeError(f"the pictures drawn in {data} could not be converted")


def use_datasets(datasets: str) -> None:
    """Before the splits are registered."""
    os.environ["DETECTRON2_DATASETS"] = datasets
