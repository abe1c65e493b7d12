"""An exported model in int8 beside itself in float32: landmark AP, milliseconds, size.

    python benchmarks/export_int8.py output/demo/model.onnx datasets/deepfashion2_synthetic

Convolutions and matrix products are quantized by ONNX Runtime (static, per channel, ranges from
pictures of the training split); the rest stays float32. Both are scored on the validation split,
through `Predictor`, a picture at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from df2_landmarks.evaluation import score
from df2_landmarks.formats import PROTOCOLS, read_ground_truth, read_picture, read_results
from df2_landmarks.predict import ExportedModel, Predictor

LOWEST_SCORE = 0.05
NUM_CALIBRATED = 40


class Pictures(CalibrationDataReader):
    """Prepared pictures, as the graph takes them."""

    def __init__(self, model: ExportedModel, files: list[Path]) -> None:
        self._inputs: Iterator[dict[str, Any]] = (
            {
                "image": model.prepare(read_picture(file)).data,
                "min_score": np.array(0.0, np.float32),
            }
            for file in files
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._inputs, None)


class Graph:
    """A file in ONNX Runtime with the record of another, since a quantized one has lost its own."""

    def __init__(self, file: Path, *, record_of: Path) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: all cores
        self._session = InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.metadata = InferenceSession(str(record_of)).get_modelmeta().custom_metadata_map

    def run(self, image: Any, min_score: float) -> dict[str, Any]:
        inputs = {"image": image, "min_score": np.array(min_score, np.float32)}
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, inputs), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="file of df2 export --format onnx")
    parser.add_argument("data", type=Path, help="converted data folder, train and validation")
    args = parser.parse_args()
    model = ExportedModel(Graph(args.model, record_of=args.model), str(args.model))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "int8.onnx")
        quantize_static(
            args.model,
            file,
            Pictures(model, sorted((args.data / "train/image").iterdir())[:NUM_CALIBRATED]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = ExportedModel(Graph(file, record_of=args.model), str(file))
        rows = [("float32", args.model, model), ("int8", file, quantized)]
        print(f"| | {' | '.join(PROTOCOLS)} | ms | MB |\n|---|---|---|---|---|")
        for name, path, contender in rows:
            aps, ms = measure(contender, args.data, Path(folder, "results.json"))
            numbers = " | ".join(f"{ap:.3f}" for ap in aps)
            print(f"| {name} | {numbers} | {ms:.1f} | {path.stat().st_size / 1e6:.1f} |")


def measure(model: ExportedModel, data: Path, results: Path) -> tuple[list[float], float]:
    """Landmark AP under each protocol, and the median time of a picture."""
    annotations = data / "annotations/validation.json"
    truth = read_ground_truth(annotations)
    predictor = Predictor(model, min_score=LOWEST_SCORE)
    records, seconds = [], []
    for image in json.loads(annotations.read_text())["images"]:
        started = time.perf_counter()
        garments = predictor(data / "validation/image" / image["file_name"])
        seconds.append(time.perf_counter() - started)
        for garment in garments:
            class_index = garment.category_id - 1
            keypoints = np.zeros((truth.taxonomy.num_slots, 3))
            # pixel indices in files, the middle of the first pixel is 0
            keypoints[truth.taxonomy.slots(class_index)] = [
                (landmark.x - 0.5, landmark.y - 0.5, 1) for landmark in garment.landmarks
            ]
            records.append(
                {
                    "image_id": image["id"],
                    "category_id": garment.category_id,
                    "keypoints": keypoints.round(2).ravel().tolist(),
                    "score": garment.score,
                }
            )
    results.write_text(json.dumps(records))
    detections = read_results(results, truth)
    aps = [score(truth, detections, protocol).curves.summary()["AP"] for protocol in PROTOCOLS]
    return [ap or 0.0 for ap in aps], 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
