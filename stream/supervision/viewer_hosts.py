"""Who looks on at a run: windows, pages, publishers, servers, each a process of its own.

A host is the supervisor's side of one viewer: what its processes are started with, and what has to
outlive them, such as the socket that a page listens at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskstream.errors import ConfigError
from maskstream.stream.addresses.redact import shown
from maskstream.stream.memory.frame import Holder
from maskstream.stream.stages.stage import Stage
from maskstream.stream.supervision.plan import Plan
from maskstream.stream.supervision.topology import StageRow
from maskstream.stream.telemetry.snapshot import Event, Snapshot
from maskstream.stream.telemetry.status import build_status

if TYPE_CHECKING:
    from maskstream.stream.viewers.page.page import PageHost

_FIGURES_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The supervisor's side of one viewer."""

    kind: str
    label: str
    source_ids: tuple[int, ...]
    body: Callable[[Stage, Any], None]
    settings: Callable[[], Any]
    """Returns what the next process is started with."""
    show: Callable[[Snapshot], None] = lambda figures: None
    """Takes the run's figures, often."""

    @property
    def row(self) -> StageRow:
        """Which kind of stage it is."""
        return StageRow(self.kind, Holder.FREE, self.body)


def open_hosts(plan: Plan, resources: ExitStack, on_event: Callable[[Event], None]) -> list[Host]:
    """Returns the hosts of all viewers that the plan asks for; ``resources`` closes them.

    Raises:
        ConfigError: An address cannot be had.
    """

    def tell(text: str) -> None:
        on_event(Event("info", text))

    return [
        *_windows(plan),
        *_pages(plan, resources, tell),
        *_publishers(plan),
        *_rtsp_servers(plan, resources, tell),
    ]


def _wishes(plan: Plan, kind: str) -> Iterator[tuple[int, str]]:
    """Yields source ids with the text of each viewer of ``kind`` that is asked for."""
    for source_id, own in enumerate(plan.deliveries):
        for delivery in own.viewers:
            if delivery.kind == kind:
                yield source_id, delivery.text


def _windows(plan: Plan) -> Iterator[Host]:
    source_ids = tuple(dict.fromkeys(source_id for source_id, _ in _wishes(plan, "window")))
    if not source_ids:
        return
    from maskstream.stream.viewers.window import window

    settings = window.WindowSettings(
        names={source_id: plan.names[source_id] for source_id in source_ids},
        display_fps=plan.options.style.display_fps,
        folder=Path(),
    )
    yield Host(
        kind="window",
        label="window",
        source_ids=source_ids,
        body=window.run,
        settings=partial(_same, settings),
    )


def _pages(plan: Plan, resources: ExitStack, tell: Callable[[str], None]) -> Iterator[Host]:
    by_address: dict[str, list[int]] = {}
    for source_id, text in _wishes(plan, "page"):
        by_address.setdefault(text.partition("://")[2].rstrip("/"), []).append(source_id)
    for number, (address, source_ids) in enumerate(by_address.items()):
        from maskstream.stream.addresses.http_address import parse_address
        from maskstream.stream.viewers.page import page as web_page

        names = {source_id: plan.names[source_id] for source_id in source_ids}
        page = web_page.open_page(
            parse_address(address, web_page.OPTION), token=plan.options.page_token, names=names
        )
        resources.callback(page.close)
        tell(f"live page at {page.url}")
        yield Host(
            kind="page",
            label=_numbered("page", number, len(by_address)),
            source_ids=tuple(source_ids),
            body=web_page.run,
            settings=page.settings,
            show=_now_and_then(partial(_publish, page)),
        )


def _publishers(plan: Plan) -> Iterator[Host]:
    wishes = list(_wishes(plan, "publish"))
    for number, (source_id, url) in enumerate(wishes):
        from maskstream.stream.codecs.low_latency import SENT_TIME_BASE
        from maskstream.stream.viewers.push import push as publisher

        settings = publisher.PublishSettings(
            url=url, source_id=source_id, encoder=plan.encoder_settings(source_id, SENT_TIME_BASE)
        )
        yield Host(
            kind="publish",
            label=_numbered("publish", number, len(wishes)),
            source_ids=(source_id,),
            body=publisher.run,
            settings=partial(_same, settings),
        )


def _rtsp_servers(plan: Plan, resources: ExitStack, tell: Callable[[str], None]) -> Iterator[Host]:
    wishes = list(_wishes(plan, "rtsp_server"))
    if not wishes:
        return
    from maskstream.stream.viewers.rtsp import address as rtsp_address
    from maskstream.stream.viewers.rtsp import server as rtsp_server

    texts = [text for _, text in wishes]
    mounts: dict[tuple[str, int], dict[int, rtsp_address.RtspAddress]] = {}
    for source_id, text in wishes:
        address = rtsp_address.parse_rtsp_server(text)
        if texts.count(text) > 1:
            address = replace(address, name=f"{address.name}-{source_id}")
        of_listener = mounts.setdefault((address.host, address.port), {})
        if any(other.name == address.name for other in of_listener.values()):
            raise ConfigError(
                f"{shown(text)}: another source is served under this name; give each its own."
            )
        of_listener[source_id] = address
    for number, of_listener in enumerate(mounts.values()):
        first = next(iter(of_listener.values()))
        listener = rtsp_address.open_listener(first)
        resources.callback(listener.close)
        port = listener.getsockname()[1]
        for address in of_listener.values():
            tell(f"RTSP at {address.url.replace(f':{first.port}/', f':{port}/')}")
        yield Host(
            kind="rtsp",
            label=_numbered("rtsp", number, len(mounts)),
            source_ids=tuple(of_listener),
            body=rtsp_server.run,
            settings=partial(_server_settings, plan, listener, of_listener),
        )


def _server_settings(plan: Plan, listener: Any, mounts: Any) -> Any:
    from maskstream.stream.codecs.low_latency import SENT_TIME_BASE
    from maskstream.stream.viewers.rtsp import server as rtsp_server

    return rtsp_server.RtspServerSettings(
        listener=listener,
        mounts=mounts,
        encoders={i: plan.encoder_settings(i, SENT_TIME_BASE) for i in mounts},
    )


def _now_and_then(publish: Callable[[Snapshot], None]) -> Callable[[Snapshot], None]:
    """Returns ``publish`` for once a second, and for each change of the run's state."""
    due_s, state = 0.0, ""

    def show(figures: Snapshot) -> None:
        nonlocal due_s, state
        now_s = time.monotonic()
        if now_s >= due_s or figures.state != state:
            due_s, state = now_s + _FIGURES_S, figures.state
            publish(figures)

    return show


def _same(settings: Any) -> Any:
    return settings


def _publish(page: PageHost, figures: Snapshot) -> None:
    page.publish(build_status(figures))


def _numbered(kind: str, number: int, count: int) -> str:
    return kind if count == 1 else f"{kind}[{number}]"
