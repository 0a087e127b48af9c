"""The kind of recipe that learns the order of pairs."""

from flows.kinds import Kind, register_kind

register_kind(Kind("pair-ordering", ("pairs",), "order", ("right",)))
