"""Mutants of the code, and the tests that must notice them."""

from __future__ import annotations

import sys

from tests.mutation.runner import main

sys.exit(main())
