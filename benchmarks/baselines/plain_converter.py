"""Convert in a plain loop without any validation: the baseline of ``converter_speed.py``.

Standard-library json, Pillow for the size of the image, output written as it is made, and the zeros
of the other categories' slots rendered once. It writes what the converter writes, with the
landmarks' own numbers as in the raw file.

    python benchmarks/baselines/plain_converter.py ANNOS IMAGES OUTPUT
"""

from __future__ import annotations

import json
import os
import sys

from PIL import Image

COUNTS = (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
SLOTS = sum(COUNTS)
BEFORE = [",".join(["0"] * 3 * sum(COUNTS[:c])) for c in range(len(COUNTS))]
AFTER = [",".join(["0"] * 3 * sum(COUNTS[c + 1 :])) for c in range(len(COUNTS))]


def main(annos: str, images: str, output: str) -> None:
    """Convert the folder ``annos`` with the images of ``images``."""
    image_records = []
    annotation_id = 0
    with open(output, "w") as out:
        out.write('{"info": {}, "licenses": [], "annotations": [')
        for name in sorted(os.listdir(annos)):
            stem = name.removesuffix(".json")
            with Image.open(f"{images}/{stem}.jpg") as image:
                width, height = image.size
            with open(f"{annos}/{name}") as file:
                content = json.load(file)
            image_records.append(
                {
                    "coco_url": "",
                    "date_captured": "",
                    "file_name": f"{stem}.jpg",
                    "flickr_url": "",
                    "id": int(stem),
                    "license": 0,
                    "width": width,
                    "height": height,
                }
            )
            for key in sorted(k for k in content if k.startswith("item")):
                annotation_id += 1
                text = annotation(content, content[key], int(stem), annotation_id)
                out.write(text if annotation_id == 1 else "," + text)
        out.write('], "images": ' + json.dumps(image_records))
        keypoints = [str(slot + 1) for slot in range(SLOTS)]
        categories = [
            {"id": c + 1, "supercategory": "clothes", "keypoints": keypoints, "skeleton": []}
            for c in range(len(COUNTS))
        ]
        out.write(', "categories": ' + json.dumps(categories) + "}")


def annotation(content: dict, item: dict, image_id: int, annotation_id: int) -> str:
    """Return JSON of one annotation."""
    x1, y1, x2, y2 = item["bounding_box"]
    own = item["landmarks"]
    record = {
        "area": (x2 - x1) * (y2 - y1),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "category_id": item["category_id"],
        "id": annotation_id,
        "pair_id": content["pair_id"],
        "image_id": image_id,
        "iscrowd": 0,
        "style": item["style"],
        "num_keypoints": sum(v > 0 for v in own[2::3]),
        "segmentation": item["segmentation"],
        "source": content["source"],
        "scale": item["scale"],
        "occlusion": item["occlusion"],
        "zoom_in": item["zoom_in"],
        "viewpoint": item["viewpoint"],
    }
    c = item["category_id"] - 1
    slots = ",".join(part for part in (BEFORE[c], ",".join(map(str, own)), AFTER[c]) if part)
    return json.dumps(record)[:-1] + ', "keypoints": [' + slots + "]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
