# make demo   sets everything up and runs all three on generated scans; results and pictures in demo/
# make test   sets everything up and passes every test
# Both need only Python 3.10–3.13 and make; where the user is root on Debian or Ubuntu, missing system
# libraries are installed, otherwise one line names them.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
JOBS   ?= 2
DATA   ?= $(or $(MEDINFER_TEST_DATA),../shared/data)

.PHONY: demo test gpu-check lint types schema screenshots extension extension-check package icons samples figures clean

demo: $(VENV)/.demo
	$(BIN)/python scripts/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

# The published JSON Schema of model.json; a test says when it is out of date.
schema: $(VENV)/.dev
	$(BIN)/python -m medinfer.manifest > MedCore/medinfer/model.schema.json

# The bundled models on an NVIDIA card: the same findings as on the processor, scans a minute, MONAI and nnU-Net beside.
# With a Python that has its own torch for CUDA: make gpu-check GPU_PYTHON=python3
gpu-check: $(if $(GPU_PYTHON),,$(VENV)/.dev)
	PYTHONPATH=MedCore:Training:Testing $(or $(GPU_PYTHON),$(BIN)/python) Testing/benchmarks/gpu_check.py

# Each panel and its views after a real run, for the README.
screenshots: $(VENV)/.dev
	$(BIN)/python scripts/screenshots.py

# What is derived in the Slicer extension's build files: the lists of what is shipped, and the public address.
extension: $(VENV)/.dev
	$(BIN)/python scripts/extension_lists.py

# What Slicer's Extensions Index asks, a line each (before submitting: with --submit).
extension-check: $(VENV)/.dev
	$(BIN)/python scripts/check_extension.py

# dist/…-MedInfer-….tar.gz for “Install from file”, packed by Python alone; for another Slicer:
# make package FOR='--slicer-version 5.12 --revision N --os win'
package:
	$(PYTHON) scripts/pack_extension.py $(FOR)

# The modules' icons from their drawings; the sample scans from their seeds.
icons: $(VENV)/.dev
	$(BIN)/python scripts/render_icons.py
samples: $(VENV)/.dev
	$(BIN)/python -m medtrain sample-data

# Every figure of the README and the cards, printed again (about an hour on 2 cores; needs the real data).
figures: $(VENV)/.dev
	$(BIN)/python -m medtrain froc --annotations $(DATA)/froc/annotations.csv --excluded $(DATA)/froc/annotations_excluded.csv \
	    --seriesuids $(DATA)/froc/seriesuids_88.csv --submission $(DATA)/froc/submission_a.csv \
	    --published $(DATA)/froc/submission_a_published_froc.txt --bootstrap 1000
	$(BIN)/python -m medtrain evaluate-package chest-nodules --scans $(DATA)/chest
	$(BIN)/python -m medtrain evaluate-package chest-nodules --phantoms 24
	$(BIN)/python Testing/benchmarks/nodule_measures.py --phantoms 24 --scans $(DATA)/chest
	$(BIN)/python Testing/benchmarks/real_chests.py
	$(BIN)/python -m medtrain evaluate-landmarks vertebrae --phantoms 36 --voxels 2
	$(BIN)/python -m medtrain evaluate-landmarks vertebrae --phantoms 36
	$(BIN)/python -m medtrain evaluate-landmarks vertebrae --scans $(DATA)/spine --label-names totalsegmentator
	$(BIN)/python -m medtrain evaluate-teeth teeth --phantoms 24
	$(BIN)/python -m medtrain evaluate-teeth teeth --real $(DATA)/teeth/PostDentalSurgery_Segmentation.nii.gz --scans 6
	$(BIN)/python Testing/benchmarks/slab_network.py
	$(BIN)/python Testing/benchmarks/nms.py
	$(BIN)/python Testing/benchmarks/joining.py
	$(BIN)/python Testing/benchmarks/heatmaps.py
	$(BIN)/python Testing/benchmarks/scn.py
	$(BIN)/python Testing/benchmarks/dsnt.py
	$(BIN)/python Testing/benchmarks/tooth_votes.py
	$(BIN)/python Testing/benchmarks/arch.py
	$(BIN)/python Testing/benchmarks/refinement.py
	$(BIN)/python Testing/benchmarks/offset_targets.py
	$(BIN)/python Testing/benchmarks/teeth.py
	$(BIN)/python Testing/benchmarks/window_live.py
	$(BIN)/python Testing/benchmarks/open_module.py

$(VENV)/bin/python:
	sh scripts/system_libraries.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing MedInfer and what it needs into $(VENV); a few minutes the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[openvino,slicer,convert]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing MedInfer, torch and the test tools into $(VENV); some minutes the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'torch==2.13.0'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[openvino,slicer,torch,convert,train,dev]'
	@# Its U-Nets need torch alone; what it declares besides (timm, torchvision) belongs to others of its networks.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps dynamic-network-architectures
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build dist
