# Two commands: `make run` and `make test`. Nothing but Python 3.11+ and make must be on the machine.
# LGSP_PYTHON=/path/to/python chooses the interpreter; ARGS="…" is handed on to pytest.

.DEFAULT_GOAL := help
.PHONY: help run test test-full lint bench lock messages openapi need-run need-test

JOBS ?= 2
PY := .venv/bin/python
# Images of containers set it; each of our many processes would compile all our files anew.
unexport PYTHONDONTWRITEBYTECODE
FIND_PYTHON = for p in "$$LGSP_PYTHON" python3 python3.13 python3.12 python3.11 python3.14; do \
	[ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; exit; }; done

define BOOTSTRAP
@python=$$($(FIND_PYTHON)); if [ -z "$$python" ]; then \
	echo "lgsp: Python 3.11 or newer is needed, and this machine has $$(python3 --version 2>/dev/null || echo no python3); LGSP_PYTHON=/path/to/python names one." >&2; \
	exit 1; fi; "$$python" lgsp/dev/bootstrap.py
endef

help:
	@echo "make run        start the platform with its demonstration province (Ctrl-C stops it)"
	@echo "make test       all tests, with a small share of the large numbers (ARGS=\"-k name\" goes to pytest)"
	@echo "make test-full  all tests, with the whole of the large numbers"
	@echo "make lint       style, security, migrations, production settings, messages"
	@echo "make bench      benchmarks"
	@echo "make messages   collect the texts and merge locale/parts into locale/vi"
	@echo "make openapi    write docs/openapi.yaml anew"
	@echo "make lock       resolve requirements*.in again"

need-run:
	$(BOOTSTRAP) run

need-test:
	$(BOOTSTRAP) test

run: need-run
	@exec $(PY) -m lgsp.dev.run

test: need-test
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-full: need-test
	@LGSP_FULL=1 $(PY) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: need-test
	@$(PY) -m lgsp.dev.lint

bench: need-test
	@if [ -f benchmarks/__main__.py ]; then exec $(PY) -m benchmarks $(ARGS); \
	else echo "Benchmarks arrive with the features they measure; there are none yet."; fi

messages: need-test
	@$(PY) -m lgsp.dev.messages

openapi: need-test
	@DATABASE_URL=postgresql://nobody@127.0.0.1/none $(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

lock: need-test
	@$(PY) -m pip install --quiet uv
	@UV_PYTHON_DOWNLOADS=never $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt $(ARGS)
	@UV_PYTHON_DOWNLOADS=never $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt $(ARGS)
