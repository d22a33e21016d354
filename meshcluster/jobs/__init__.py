"""Jobs by role on many sites: shells here, behind ssh and on members, and schedules over them."""

__all__ = ()
