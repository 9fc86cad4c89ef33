"""The `wellposed` command."""

from wellposed.cli._app import app as app
from wellposed.cli._main import main as main
