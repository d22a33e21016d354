"""Named queues across the mesh, on public names of the core: mailboxes, services, hooks."""

__all__ = ()
