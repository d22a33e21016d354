"""Links over ZeroMQ: DEALER and ROUTER, by TCP and by UNIX sockets; plain programs as guests."""

from .handler import ZeromqHandler

__all__ = ("ZeromqHandler",)
