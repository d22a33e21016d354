"""Every parser that strangers reach."""

from . import bodies, nodes, records, secrets, sharing, streams, wire, words

__all__ = ("TARGETS",)

TARGETS = {
    each.name: each
    for room in (wire, secrets, bodies, streams, sharing, records, words, nodes)
    for each in room.TARGETS
}
