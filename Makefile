# For BSD and GNU make.
PYTHON = python3
N = 1000

# where `make install` puts it: $(DESTDIR)$(TARGET)
PREFIX = /root
TARGET = $(PREFIX)/logcheck.py

help:
	@echo "make demo      the nightly job on a fixture; needs nothing, leaves nothing"
	@echo "make test      the tests; fetches pytest into .venv where it is missing"
	@echo "make fuzz      N=$(N) more random cases, logcheck.py against the shell pipeline"
	@echo "make bench     time and memory beside the shell pipeline and others"
	@echo "make e2e       real sshd, Postfix and Dovecot under attack (root on Debian)"
	@echo "make capture   the same, and its logs become the fixtures real-*"
	@echo "make install   to $(DESTDIR)$(TARGET), run by $(PYTHON)"
	@echo "make uninstall remove that"
	@echo "make clean     remove what the tests left"

demo:
	@sh tests/demo.sh $(PYTHON) plain-night

test:
	@sh tests/pytest.sh $(PYTHON) -q tests

fuzz:
	@$(PYTHON) tests/fuzz.py $(N)

bench:
	@$(PYTHON) tests/bench.py

e2e:
	@$(PYTHON) tests/e2e.py

capture:
	@$(PYTHON) tests/e2e.py --capture fixtures

# The first line names the interpreter itself: cron's PATH may not hold it, or hold a shim.
install:
	@python=$$($(PYTHON) -IS -c 'import os, sys; print(os.path.realpath(sys.executable))') && \
	mkdir -p "$$(dirname "$(DESTDIR)$(TARGET)")" && \
	sed -e "1s|.*|#!$$python -IS|" -e "3s|python3|$$python|" logcheck.py \
	    > "$(DESTDIR)$(TARGET).new" && \
	chmod 0755 "$(DESTDIR)$(TARGET).new" && \
	mv -f "$(DESTDIR)$(TARGET).new" "$(DESTDIR)$(TARGET)" && \
	echo "Installed. The line for /etc/daily.local is:" && echo "$(TARGET)"

uninstall:
	rm -f "$(DESTDIR)$(TARGET)"

clean:
	rm -rf .venv .pytest_cache tests/__pycache__ tests/e2e/__pycache__

.PHONY: help demo test fuzz bench e2e capture install uninstall clean
