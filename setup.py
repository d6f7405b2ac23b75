"""The rooms as packages inside `attention_agents`; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = ("agents", "envs", "policies", "recording")

setup(
    packages=["attention_agents"]
    + [
        f"attention_agents.{package}"
        for room in ROOMS
        for package in [room, *(f"{room}.{below}" for below in find_packages(room))]
    ]
)
