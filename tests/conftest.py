"""Annotated shapes are checked at run time in every test; training does not pay for it."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from jaxtyping import install_import_hook

from tests.recording.page.browser.browser_page import chromium

install_import_hook(["attention_agents.policies"], "beartype.beartype")
torch.set_num_threads(1)  # small networks only get slower with more


@pytest.fixture(scope="session", autouse=True)
def _logs_of_sb3_go_with_the_tests(tmp_path_factory):
    """Else every `learn` leaves a folder in the machine's own place for temporary files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("sb3")))
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, once: Playwright's loop runs until the end, and a second one could not start."""
    with chromium() as browser:
        yield browser
