"""Whether what a request names is there and free: its engine, places to write, addresses."""

from contextlib import suppress
from pathlib import Path

from maskstream.engines.backends import check_device
from maskstream.engines.files.manifest import Manifest
from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import parse_address, read_token
from maskstream.stream.delivery import parse_delivery
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.options import RunOptions
from maskstream.stream.telemetry.outlets import OutletOptions
from maskstream.tools.arguments.checks import (
    Target,
    check_file,
    class_ids_of,
    output_problems,
    targets_of,
)
from maskstream.tools.arguments.opening import check_runtime, is_network, manifest_of
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request
from maskstream.tools.run.run_settings import option_of


def check_engine(request: Request, faults: Faults) -> tuple[Manifest | None, frozenset[int] | None]:
    """Check the engine, what it is to run in, and its classes.

    Returns:
        What it says about itself, None where it is none; and the ids of the classes to keep.
    """
    settings = request.settings
    manifest, class_ids = None, None
    with faults.collecting(request.where("backend"), "--backend"):
        check_runtime(settings.engine, settings.backend)
    with faults.collecting(request.where("device"), "--device"):
        if not is_network(settings.engine):
            check_device(settings.backend, settings.device)
    with faults.collecting(request.where("engine")):
        manifest = manifest_of(settings.engine, settings.family)
        with faults.collecting(request.where("classes"), "--classes"):
            if settings.classes is not None:
                class_ids = class_ids_of(settings.classes, manifest.class_names)
    return manifest, class_ids


def check_places(request: Request, options: RunOptions, origins: list[int], faults: Faults) -> None:
    """Check what is to be written."""
    settings = request.settings
    for target, problem in output_problems(options, settings.report):
        with faults.collecting(_where_of(target, request, origins)):
            raise problem
    if settings.log_json not in (None, "-"):
        with faults.collecting(request.where("log_json")):
            check_file(Path(str(settings.log_json)))


def _where_of(target: Target, request: Request, origins: list[int]) -> str:
    if target.is_own:
        return request.where("source", origins[target.source_ids[0]], target.key)
    return request.where(target.key)


def check_outlets(request: Request, outlets: OutletOptions, faults: Faults) -> None:
    """Check that the addresses where figures are served can be had."""
    settings = request.settings
    for name, parse in (("telemetry", parse_endpoint), ("status_http", parse_address)):
        value = getattr(settings, name)
        if value is not None:
            with faults.collecting(request.where(name), option_of(name)):
                parse(value)
    if settings.status_token_file is not None:
        with faults.collecting(request.where("status_token_file")):
            read_token(settings.status_token_file)
    with faults.collecting():
        outlets.check()


def page_token(request: Request, faults: Faults) -> str | None:
    """Return what who looks at the live page has to show."""
    path = request.settings.web_token_file
    with faults.collecting(request.where("web_token_file")):
        return None if path is None else read_token(path)
    return None


def check_pages(request: Request, options: RunOptions, faults: Faults) -> None:
    """Check that only who may look at the live page can."""
    pages = {target.text for target in targets_of(options) if _is_page(target)}
    path = request.settings.web_token_file
    if path is not None and not pages:
        with faults.collecting(request.where("web_token_file"), "--web-token-file"):
            raise ConfigError("--web-token-file: no page is shown; add --web HOST:PORT.")
    if path is not None and options.page_token is None:
        return  # which was found already
    for text in sorted(pages):
        from maskstream.stream.viewers.page.page import check_page

        with suppress(ConfigError):  # an address that is none was found with the other outputs
            address = parse_address(parse_delivery(text).address)
            with faults.collecting(request.where("web")):
                check_page(address, options.page_token)


def _is_page(target: Target) -> bool:
    return target.key == "outputs" and target.text.lower().startswith("http://")
