# df2_landmarks. `make` lists the targets.

VENV        := .venv
BASE_PYTHON ?= python3
PYTHON      ?= $(VENV)/bin/python
DATA        ?= datasets/deepfashion2
GPUS        ?= 1
NODES       ?= 1
NODE_RANK   ?=
MASTER      ?=
CONFIG      ?= projects/df2_landmarks/configs/df2_landmark_rcnn_R_50_FPN_1x.yaml
OUTPUT      ?=
OPTS        ?=
FLAGS       ?=
PRESET      ?= small
GT          ?= $(DATA)/annotations/validation.json
RESULTS     ?= $(or $(OUTPUT),output/df2_landmark_rcnn_R_50_FPN_1x)/landmark_results.json
ZIP         ?= val_keypoints.zip
RUNS        ?= $(or $(OUTPUT),output/df2_landmark_rcnn_R_50_FPN_1x)
CURVES      ?= curves.svg
INPUT       ?=
WEIGHTS     ?=
FORMAT      ?= onnx
SKIP        ?=
KILLS       ?= 50
MUTATIONS   ?= 10000

PROJECT     := projects/df2_landmarks
PACKAGES    := Debian, Ubuntu: apt install python3-venv make. Fedora: dnf install python3 make. macOS: xcode-select --install; brew install python
PIP         := $(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
override OPTS += $(if $(OUTPUT),OUTPUT_DIR $(OUTPUT))

# Every target needs the project's own environment, unless PYTHON= names another one. One whose
# Python has gone or was replaced (by an upgrade of the system, say) is made again.
ifeq ($(PYTHON),$(VENV)/bin/python)
READY := $(VENV)/.installed
ifneq ($(shell $(PYTHON) -c 'import pip' 2>/dev/null && echo works),works)
.PHONY: $(READY)
endif
endif

.PHONY: help install demo predict export web synth check convert view train eval curves score report submit docs test test-slow lint format clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@echo "Usage: make TARGET [PYTHON=python of an environment of your own]"
	@sed -n 's/^\([a-z_-]*\):[^#]*## *\(.*\)/\1 \2/p' $(MAKEFILE_LIST) | while read -r name text; do printf '  %-10s%s\n' "$$name" "$$text"; done

install: $(READY)  ## build .venv with everything pinned in constraints.txt
	@$(PYTHON) tools/check_environment.py

$(VENV)/.installed: constraints.txt setup.py tools/install_detectron2.py tools/check_environment.py
	@$(BASE_PYTHON) tools/check_environment.py --make $(VENV) || { \
	  test $$? != 127 || echo "There is no $(BASE_PYTHON) here. $(PACKAGES)" >&2; exit 1; }
	@echo "Installing the packages of setup.py into $(VENV) (about two minutes) ..."
	@$(PIP) setuptools wheel
	@$(PIP) --no-build-isolation --editable '.[detectron2,pretrained,test]'
	@$(PYTHON) -c 'import cv2' 2>/dev/null || { \
	  echo "opencv-python needs libGL, which this machine lacks: taking opencv-python-headless"; \
	  $(PYTHON) -m pip uninstall --quiet --yes opencv-python && \
	  $(PIP) --force-reinstall --no-deps opencv-python-headless; }
	@$(PYTHON) tools/install_detectron2.py
	@touch $@

demo: $(READY)  ## the whole job on drawn data, on a CPU, in about 10 minutes
	$(PYTHON) -m df2_landmarks.cli.training.demo

predict: $(READY)  ## garments in pictures: INPUT="folder photo.jpg ..." WEIGHTS= OUTPUT= FLAGS="--min-score .3 ..."
	$(if $(INPUT),,$(error make predict needs INPUT=, a picture, a folder or a quoted pattern))$(PYTHON) -m df2_landmarks.cli.predict $(INPUT) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(OUTPUT),--output $(OUTPUT)) $(FLAGS)

export: $(READY)  ## the model of WEIGHTS= (default: the demo's) as FORMAT=onnx or torchscript, OUTPUT=file
	$(PYTHON) -m df2_landmarks.cli.export $(or $(WEIGHTS),output/demo) --format $(FORMAT) $(if $(OUTPUT),--output $(OUTPUT)) $(FLAGS)

GIVEN_GT = $(if $(filter command%,$(origin GT)),--gt validation=$(GT))

web: $(READY)  ## try a model in the browser: WEIGHTS= (default: the demo's); score submissions: GT=file; FLAGS="--port 9000 ..."
	$(PYTHON) -m df2_landmarks.cli.web $(or $(WEIGHTS),$(if $(GIVEN_GT),,output/demo)) $(GIVEN_GT) $(FLAGS)

synth: $(READY)  ## draw a synthetic data set: PRESET=small or benchmark
	$(PYTHON) datasets/make_synthetic.py --preset $(PRESET) --resume

check: $(READY)  ## examine the raw data in DATA=
	$(PYTHON) -m converters.check_dataset $(DATA)

convert: $(READY)  ## raw annotations of DATA= -> COCO JSON in DATA/annotations
	$(PYTHON) -m converters.deepfashion2_to_coco --root $(DATA)

view: $(READY)  ## pictures as the training gets them, as PNG: DATA= OUTPUT= FLAGS="--augmented 4 ..."
	$(PYTHON) -m df2_landmarks.cli.view $(DATA) --output $(or $(OUTPUT),output/view) $(FLAGS)

# What a training reads is named by its config.
NO_DATA = $(if $(filter command%,$(origin DATA)),$(error make $@ takes no DATA=, its config names the data sets: give the folder above deepfashion2/ as DETECTRON2_DATASETS (see datasets/README.md)))

MACHINES_NEED = $(if $(and $(NODE_RANK),$(MASTER)),,$(error make $@ NODES=$(NODES) needs NODE_RANK=, the number of this machine from 0, and MASTER=HOST:PORT of machine 0))
MACHINES = $(if $(filter-out 1,$(NODES)),$(MACHINES_NEED) --num-machines $(NODES) --machine-rank $(NODE_RANK) --dist-url tcp://$(MASTER))

train: $(READY)  ## train: GPUS= (0: CPU) CONFIG= OUTPUT= FLAGS="--dry-run" OPTS="KEY VALUE ..." (NODES= NODE_RANK= MASTER=host:port)
	$(NO_DATA)$(PYTHON) $(PROJECT)/train_net.py $(FLAGS) --num-gpus $(GPUS)$(MACHINES) --config-file $(CONFIG) $(OPTS)

eval: $(READY)  ## evaluate the last checkpoint of OUTPUT= (or MODEL.WEIGHTS in OPTS): GPUS= CONFIG=
	$(NO_DATA)$(PYTHON) $(PROJECT)/train_net.py --eval-only $(FLAGS) --num-gpus $(GPUS)$(MACHINES) --config-file $(CONFIG) $(OPTS)

curves: $(READY)  ## draw losses, learning rate and scores: RUNS="output/a output/b" CURVES=curves.svg
	$(PYTHON) -m df2_landmarks.cli.training.curves $(RUNS) --output $(CURVES)

score: $(READY)  ## score a results file without torch: OUTPUT= DATA= (or RESULTS= GT=) FLAGS="--diagnose ..."
	$(PYTHON) -m df2_landmarks.cli.score --gt $(GT) --results $(RESULTS) $(FLAGS)

report: $(READY)  ## scores, errors, curves and pictures as one HTML file: OUTPUT= DATA= (or RESULTS= GT=)
	$(PYTHON) -m df2_landmarks.cli.report --gt $(GT) --results $(RESULTS) $(if $(OUTPUT),--run $(OUTPUT)) $(FLAGS)

submit: $(READY)  ## results file -> checked zip of the challenge: OUTPUT= DATA= (or RESULTS= GT=) ZIP=
	$(PYTHON) -m df2_landmarks.cli.submission pack --gt $(GT) --results $(RESULTS) --output $(ZIP)
	$(PYTHON) -m df2_landmarks.cli.submission check $(ZIP) --gt $(GT)

docs: $(READY)  ## build the documentation into site/ (open site/index.html)
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet
	@echo "The site is in site/: open site/index.html"

# A process for each folder of tests: one process for all, with torch, Ray, ONNX Runtime and OpenVINO in it,
# ended by a segmentation fault. Which of them causes it is not known.
TESTS := $(filter-out tests/__pycache__/ $(SKIP),$(sort $(wildcard tests/*/)))

test: $(READY)  ## run the tests
	@failed=; for folder in $(TESTS); do \
	  $(PYTHON) -m pytest $$folder; code=$$?; \
	  [ $$code != 2 ] || exit 2; \
	  [ $$code = 0 ] || [ $$code = 5 ] || failed="$$failed $$folder"; \
	done; [ -z "$$failed" ] || { echo "Failed:$$failed" >&2; exit 1; }

test-slow: $(READY)  ## kill every command 50 times, try 10,000 damaged inputs (9 minutes)
	KILLS=$(KILLS) MUTATIONS=$(MUTATIONS) $(PYTHON) -m pytest tests/hostile

lint: $(READY)  ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: $(READY)  ## format the code
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

clean:  ## remove .venv, caches and build products; keeps datasets and output
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
