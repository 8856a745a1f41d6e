"""Who is who: accounts, teams, tokens, and the roles an account has on a task."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from acsbench.server.models.tasks import Task
from acsbench.server.names import new_public_id

__all__ = ["Account", "ApiToken", "Attestation", "Identity", "Membership", "TaskRole", "Team"]


class Account(AbstractBaseUser):
    """A person. Signs in by an identity or a password; both are empty for tokens alone."""

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=100, blank=True)
    orcid = models.CharField(max_length=19, null=True, blank=True, unique=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[BaseUserManager[Self]] = BaseUserManager()
    USERNAME_FIELD = "email"

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="account_email_in_any_case"),
        ]

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # Django's is a plain attribute
        """Whether the account may act at all."""
        return self.disabled_at is None


class Identity(models.Model):
    """An account at a sign-in provider."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="identities")
    provider = models.CharField(max_length=40)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "subject"], name="identity_once"),
        ]


class Team(models.Model):
    """Who stands on a board: entrants, or the host's baseline."""

    name = models.CharField(max_length=60)
    slug = models.SlugField(max_length=60, unique=True)
    affiliation = models.CharField(max_length=120, blank=True)
    url = models.URLField(blank=True)
    contact = models.EmailField(blank=True)
    is_baseline = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Membership(models.Model):
    """An account in a team, for one task; one active team per account and task."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, default="member")
    left_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "task"],
                condition=Q(left_at__isnull=True),
                name="membership_one_team_per_task",
            ),
        ]


class TaskRole(models.Model):
    """A right on one task beyond an entrant's: host or steward."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="task_roles")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="roles")
    role = models.CharField(max_length=10, choices=[("host", "host"), ("steward", "steward")])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "task", "role"], name="task_role_once"),
            models.CheckConstraint(
                condition=Q(role__in=["host", "steward"]), name="task_role_is_known"
            ),
        ]


def _no_scopes() -> list[Any]:
    return []


class ApiToken(models.Model):
    """A bearer token; only the SHA-256 of it is kept."""

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="tokens")
    prefix = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=_no_scopes)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Attestation(models.Model):
    """An account's promise about a task, in the exact words of one version."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="attestations")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="attestations")
    version = models.CharField(max_length=40)
    text_sha256 = models.CharField(max_length=64)
    accepted_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "task", "version"], name="attestation_once"),
        ]
