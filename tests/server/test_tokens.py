from __future__ import annotations

from datetime import timedelta

import pytest

from acsbench.errors import InputError


@pytest.fixture
def account(config):
    from acsbench.server.operate import new_account

    return new_account("ada@example.org")


def test_a_token_is_160_bits_and_only_its_hash_is_kept(account) -> None:
    from acsbench.server.tokens import account_of, issue

    made = issue(account, scopes=["read"])
    assert made.text.startswith("acsb_")
    assert len(made.text) == len("acsb_") + 32  # base32: five bits a character
    assert account_of(made.text).account == account
    assert made.text not in str(vars(made.row))


@pytest.mark.parametrize("change", ["revoked_at", "expires_at", "disabled"])
def test_a_token_that_has_ended_opens_nothing(account, change) -> None:
    from django.utils import timezone

    from acsbench.server.tokens import account_of, issue

    made = issue(account, scopes=["read"])
    assert account_of(made.text) is not None
    if change == "disabled":
        account.disabled_at = timezone.now()
        account.save()
    else:
        setattr(made.row, change, timezone.now())
        made.row.save()
    assert account_of(made.text) is None


def test_another_text_with_the_same_beginning_opens_nothing(account) -> None:
    from acsbench.server.tokens import account_of, issue

    made = issue(account, scopes=["read"])
    assert account_of(made.text[:-1] + ("a" if made.text[-1] != "a" else "b")) is None
    assert account_of("") is None


def test_a_token_lives_a_year_at_most(account) -> None:
    from django.utils import timezone

    from acsbench.server.tokens import issue

    for days in (366, -1):
        with pytest.raises(InputError, match="within a year"):
            issue(account, scopes=["read"], expires_at=timezone.now() + timedelta(days=days))


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "admin"]])
def test_unknown_scopes_are_refused(account, scopes) -> None:
    from acsbench.server.tokens import issue

    with pytest.raises(InputError, match="Scopes are read and submit"):
        issue(account, scopes=scopes)


def test_reading_does_not_write(account) -> None:
    from acsbench.server.tokens import account_of, issue

    made = issue(account, scopes=["read"])
    first = account_of(made.text)
    made.row.refresh_from_db()
    used = made.row.last_used_at
    assert first is not None
    assert used is not None
    account_of(made.text)
    made.row.refresh_from_db()
    assert made.row.last_used_at == used
