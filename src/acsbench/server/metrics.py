"""Metrics for Prometheus, read from the database: every process tells the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from acsbench.server.health import oldest_waiting_s
from acsbench.server.leaks import leak_of_task
from acsbench.server.measured import (
    deliveries,
    quota_use,
    recent_score_seconds,
    score_seconds,
    workers_alive,
)
from acsbench.server.models import Attempt, Submission, TaskVersion
from acsbench.server.queue import waiting

__all__ = ["metrics_text"]


def metrics_text() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Board())
    return generate_latest(registry)


class _Board(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "acsbench_waiting", "Submissions without a score", value=waiting().count()
        )
        yield GaugeMetricFamily(
            "acsbench_oldest_waiting_seconds",
            "Age of the oldest of them; alert above 60",
            value=oldest_waiting_s(),
        )
        yield _states()
        yield _attempts()
        yield _refusals()
        yield CounterMetricFamily(
            "acsbench_lease_expiries",
            "Leases beyond the first of a submission",
            value=_expiries(),
        )
        yield _leaks()
        yield _quota()
        yield from _scoring()
        yield GaugeMetricFamily(
            "acsbench_workers", "Workers seen in the last 30 seconds", value=workers_alive()
        )
        yield _deliveries()


def _states() -> Metric:
    family = GaugeMetricFamily("acsbench_submissions", "By state", labels=["state"])
    for state, n in Submission.objects.values_list("state").annotate(n=Count("id")):
        family.add_metric([state], n)
    return family


def _attempts() -> Metric:
    family = CounterMetricFamily("acsbench_uploads", "By outcome", labels=["outcome"])
    for outcome, n in Attempt.objects.values_list("outcome").annotate(n=Count("id")):
        family.add_metric([outcome], n)
    return family


def _refusals() -> Metric:
    family = GaugeMetricFamily(
        "acsbench_refusals_24h", "Findings of refused files by code", labels=["code"]
    )
    recent = Attempt.objects.filter(
        outcome="refused", created_at__gt=timezone.now() - timedelta(hours=24)
    )
    codes = Counter(code for codes in recent.values_list("codes", flat=True) for code in codes)
    for code, n in sorted(codes.items()):
        family.add_metric([code], n)
    return family


def _expiries() -> int:
    leased = Submission.objects.filter(attempt_no__gt=0)
    total = leased.aggregate(total=Sum("attempt_no"))["total"] or 0
    return int(total) - leased.count()


def _quota() -> Metric:
    family = GaugeMetricFamily(
        "acsbench_quota_use_24h",
        "Accepted files of 24 hours, as a share of all teams' places",
        labels=["task_version"],
    )
    for version in TaskVersion.objects.filter(state="open").select_related("task"):
        family.add_metric([version.name], quota_use(version))
    return family


def _scoring() -> Iterator[Metric]:
    n, total = score_seconds()
    family = SummaryMetricFamily("acsbench_score_seconds", "From receipt to score")
    family.add_metric([], count_value=n, sum_value=total)
    yield family
    recent = GaugeMetricFamily(
        "acsbench_score_seconds_24h", "From receipt to score, of 24 hours", labels=["quantile"]
    )
    for quantile, seconds in recent_score_seconds().items():
        recent.add_metric([str(quantile)], seconds)
    yield recent


def _deliveries() -> Metric:
    family = GaugeMetricFamily(
        "acsbench_webhook_deliveries", "Messages to webhooks by status", labels=["status"]
    )
    for status, n in deliveries().items():
        family.add_metric([status], n)
    return family


def _leaks() -> Metric:
    family = GaugeMetricFamily(
        "acsbench_leak_share", "Bits shown, as a share of the rows", labels=["task_version"]
    )
    for version in TaskVersion.objects.filter(state="open").select_related("task"):
        family.add_metric([version.name], leak_of_task(version).share)
    return family
