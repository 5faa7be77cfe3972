"""The recipes travel inside the package, so that an installed kit.demo finds its own."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["kit", "kit.*"]), "kit.recipes"],
    package_dir={"kit.recipes": "recipes"},
)
