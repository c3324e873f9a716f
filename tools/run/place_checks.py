"""Whether what a request names is there and free: its engine, places to write, addresses."""

from contextlib import suppress
from pathlib import Path

from maskstream.engines.backends import check_device
from maskstream.engines.files.manifest import Manifest
from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import parse_address, read_token
from maskstream.stream.arguments import RunArguments, arguments_of
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.options import RunOptions
from maskstream.stream.telemetry.service import TelemetryOptions
from maskstream.tools.arguments.checks import check_file, class_ids_of
from maskstream.tools.arguments.opening import check_runtime, is_network, manifest_of
from maskstream.tools.run.delivery_checks import Target, output_problems, targets_of
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request


def check_engine(request: Request, faults: Faults) -> tuple[Manifest | None, frozenset[int] | None]:
    """Check the engine, what it is to run in, and its classes.

    Returns:
        What it says about itself, None where it is none; and the ids of the classes to keep.
    """
    arguments = request.arguments
    manifest, class_ids = None, None
    with faults.collecting(request.where("backend"), "--backend"):
        check_runtime(arguments.engine, arguments.backend)
    with faults.collecting(request.where("device"), "--device"):
        if not is_network(arguments.engine):
            check_device(arguments.backend, arguments.device)
    with faults.collecting(request.where("engine")):
        manifest = manifest_of(arguments.engine, arguments.family)
        with faults.collecting(request.where("classes"), "--classes"):
            if arguments.classes is not None:
                class_ids = class_ids_of(arguments.classes, manifest.class_names)
    return manifest, class_ids


def check_places(request: Request, options: RunOptions, origins: list[int], faults: Faults) -> None:
    """Check what is to be written."""
    arguments = request.arguments
    for target, problem in output_problems(options, arguments.report):
        with faults.collecting(_where_of(target, request, origins)):
            raise problem
    if arguments.log_json not in (None, "-"):
        with faults.collecting(request.where("log_json")):
            check_file(Path(str(arguments.log_json)))


def _where_of(target: Target, request: Request, origins: list[int]) -> str:
    if target.is_own:
        return request.where("source", origins[target.source_ids[0]], target.key)
    return request.where(target.key)


def check_telemetry(request: Request, telemetry: TelemetryOptions, faults: Faults) -> None:
    """Check that the addresses where figures are served can be had."""
    arguments = request.arguments
    for name, parse in (("telemetry", parse_endpoint), ("status_http", parse_address)):
        value = getattr(arguments, name)
        if value is not None:
            with faults.collecting(request.where(name), arguments_of(RunArguments)[name].flag):
                parse(value)
    if arguments.status_token_file is not None:
        with faults.collecting(request.where("status_token_file")):
            read_token(arguments.status_token_file)
    with faults.collecting():
        telemetry.check()


def page_token(request: Request, faults: Faults) -> str | None:
    """Return what who looks at the live page has to show."""
    path = request.arguments.web_token_file
    with faults.collecting(request.where("web_token_file")):
        return None if path is None else read_token(path)
    return None


def check_pages(request: Request, options: RunOptions, faults: Faults) -> None:
    """Check that only those who may can open the live page."""
    places = [target.delivery for target in targets_of(options)]
    pages = {place.address for place in places if place is not None and place.kind == "page"}
    path = request.arguments.web_token_file
    if path is not None and not pages:
        with faults.collecting(request.where("web_token_file"), "--web-token-file"):
            raise ConfigError("--web-token-file: no page is shown; add --web HOST:PORT.")
    if path is not None and options.page_token is None:
        return  # which was found already
    for text in sorted(pages):
        from maskstream.stream.viewers.page.page import check_page

        with suppress(ConfigError):  # an address that is none was found with the other outputs
            address = parse_address(text)
            with faults.collecting(request.where("web")):
                check_page(address, options.page_token)
