# All work is done by run.py, which needs only Python: without make, call it directly.
PYTHON ?= python3

.PHONY: help demo test lint check lab docs ui setup lock

help:
	@$(PYTHON) run.py help
	@echo 'make COMMAND ARGS="..." passes arguments on: make test ARGS="-k queue"'

demo test lint check lab docs ui setup lock:
	@$(PYTHON) run.py $@ $(ARGS)
