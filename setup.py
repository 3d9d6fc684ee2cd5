"""Tells setuptools the packages: all of snnrun/, and the top-level conf/ as snnrun.conf."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["snnrun", "snnrun.*"]), "snnrun.conf"])
