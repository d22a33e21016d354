"""Work for processes elsewhere: behind the user's own ssh client, here, or members of the mesh."""

__all__ = ()
