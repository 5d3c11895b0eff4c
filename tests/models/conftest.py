"""A fixture for pretrained weights."""

from unittest.mock import Mock
from urllib.error import URLError

import pytest


@pytest.fixture
def _offline(monkeypatch):
    """Let every connection fail."""
    monkeypatch.setattr("urllib.request.urlopen", Mock(side_effect=URLError("no connection")))
