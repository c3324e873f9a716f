"""Where the frames and results of a request go: the run's deliveries, and those of its sources."""

from collections.abc import Iterable, Sequence

from maskstream.stream.addresses.http_address import parse_address
from maskstream.stream.arguments import SourceArguments
from maskstream.stream.delivery import Delivery, DeliveryKey, parse_delivery
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request

Deliveries = tuple[Delivery, ...]


def parse_request(
    request: Request, faults: Faults
) -> tuple[Deliveries, tuple[Deliveries | None, ...]]:
    """Return the run's deliveries, and those of each table of a source that has its own.

    Args:
        faults: Takes what cannot be a delivery, with its place.
    """
    arguments = request.arguments
    page = _page(request, faults)
    outputs = _parsed(arguments.outputs, "outputs", request.where("outputs"), faults)
    results = _parsed(arguments.results, "results", request.where("results"), faults)
    of_run = (*outputs, *page, *results)
    own = []
    for index, source in enumerate(arguments.source):
        places = {
            key: _parsed(texts, key, request.where("source", index, key), faults)
            for key, texts in _own_texts(source)
        }
        own.append(_combined(places, page, outputs, results) if places else None)
    return of_run, tuple(own)


def _own_texts(source: SourceArguments) -> Iterable[tuple[DeliveryKey, list[str]]]:
    if source.outputs is not None:
        yield "outputs", source.outputs
    if source.results is not None:
        yield "results", source.results


def _combined(
    own: dict[DeliveryKey, Deliveries], page: Deliveries, outputs: Deliveries, results: Deliveries
) -> Deliveries:
    """Return where a source goes that has outputs, results or both of its own.

    ``--web`` shows every source. Results among a source's own outputs add to the results it has
    otherwise.
    """
    frames, files = _split(own.get("outputs", outputs))
    if "results" in own or ("outputs" in own and files):
        return (*frames, *page, *own.get("results", results), *files)
    return (*frames, *page, *results, *_split(outputs)[1])


def _split(deliveries: Deliveries) -> tuple[Deliveries, Deliveries]:
    """Return those that take frames, and those that take results."""
    files = tuple(delivery for delivery in deliveries if delivery.is_results)
    return tuple(delivery for delivery in deliveries if delivery not in files), files


def _page(request: Request, faults: Faults) -> Deliveries:
    web = request.arguments.web
    if web is not None:
        with faults.collecting(request.where("web"), "--web"):
            parse_address(web, "--web")
            return (parse_delivery(f"http://{web}"),)
    return ()


def _parsed(
    texts: Sequence[str] | None, key: DeliveryKey, where: str, faults: Faults
) -> Deliveries:
    found = []
    for text in texts or ():
        with faults.collecting(where):
            found.append(parse_delivery(text, key))
    return tuple(found)
