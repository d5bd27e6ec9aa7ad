"""A killed process can be told from a living one, where the system says so."""

import os
import subprocess
import sys

import pytest

from hubspot_sync._ownership import is_dead, new_owner_name

NAME_OF_CHILD = "from hubspot_sync._ownership import new_owner_name; print(new_owner_name())"
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")


def test_names_are_unique():
    """Two engines of one process are two owners."""
    assert new_owner_name() != new_owner_name()


def test_this_process_lives():
    """Its lease may not be taken away."""
    assert not is_dead(new_owner_name())


@on_linux
def test_a_process_that_ended_is_dead():
    """Its lease may be taken over at once."""
    name = subprocess.run(
        [sys.executable, "-c", NAME_OF_CHILD], check=True, capture_output=True, text=True
    ).stdout.strip()

    assert is_dead(name)


@on_linux
def test_a_process_number_that_was_given_again_is_another_process():
    """The start time tells them apart."""
    machine, number, _, unique = new_owner_name().split("/")

    assert int(number) == os.getpid()
    assert is_dead(f"{machine}/{number}/1/{unique}")


@pytest.mark.parametrize("name", ["", "worker-7", "other-machine/1/2/3", "unknown/1/2/3"])
def test_what_is_not_known_to_be_dead_counts_as_alive(name):
    """Only the lease's time decides then."""
    assert not is_dead(name)
