"""What the allocator does with freed memory, which decides what large messages cost."""

KEPT_BYTES = 4 * 1024 * 1024
"""As much as may be on its way to one member (``Limits.event_window_bytes``)."""


def keep_freed() -> None:
    """Has the allocator keep some MiB when bodies are freed, for the next ones.

    glibc gives free memory above 128 KiB back to the system, which hands it out anew page by page:
    for a body of 64 KiB that takes several times as long as to copy it. When a larger block is
    freed it raises this bound to twice the block's size (mallopt(3), ``M_MMAP_THRESHOLD``); for a
    program that has freed such a block before it changes nothing. The block's pages are never
    touched, so it costs none. Other allocators do as they like.
    """
    bytes(KEPT_BYTES)
