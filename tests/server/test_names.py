from __future__ import annotations

import pytest

from acsbench.errors import InputError
from acsbench.server.names import new_public_id, team_name, team_slug


def test_public_ids_are_random_and_80_bits() -> None:
    ids = {new_public_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(one) for one in ids} == {16}


@pytest.mark.parametrize(
    "bad",
    ["ab", "x" * 61, "=1+1", "+x1", "-abc", "@abc", "a\nb c", "ab\u202ec", "a\u200bbc", " abc"],
)
def test_a_name_that_could_harm_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="printable characters"):
        team_name(bad)


def test_names_are_composed() -> None:
    assert team_name("Zu\u0308rich") == "Z\u00fcrich"


@pytest.mark.parametrize(("name", "slug"), [("Zürich ECG 2", "zurich-ecg-2"), ("A--B", "a-b")])
def test_slugs_are_plain(name: str, slug: str) -> None:
    assert team_slug(name) == slug


def test_a_name_without_latin_letters_has_a_slug() -> None:
    assert team_slug("心電図").startswith("team-")
