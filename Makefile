# For BSD and GNU make.
PYTHON = python3
N = 1000

help:
	@echo "make demo      the nightly job on a fixture; needs nothing, leaves nothing"
	@echo "make test      the tests; fetches pytest into .venv where it is missing"
	@echo "make fuzz      N=$(N) more random cases, logcheck.py against the shell pipeline"
	@echo "make clean     remove what the tests left"

demo:
	@sh tests/demo.sh $(PYTHON) plain-night

test:
	@sh tests/pytest.sh $(PYTHON) -q tests

fuzz:
	@$(PYTHON) tests/fuzz.py $(N)

clean:
	rm -rf .venv .pytest_cache tests/__pycache__ tests/e2e/__pycache__

.PHONY: help demo test fuzz clean
