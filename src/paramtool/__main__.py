"""``python -m paramtool``."""

from paramtool.cli.main import main

main()
